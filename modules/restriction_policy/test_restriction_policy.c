/* Policy servers: what is read from the configuration, what is sent, and a server that misbehaves. */
#include "scene.h"

#include <posthouse/stream.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "answer.h"
#include "links.h"
#include "request.h"
#include "service.h"
#include "session/run.h"
#include "session_world.h"

extern const struct ph_module posthouse_module_restriction_policy;

/* As the module's. */
static struct {
	struct service_settings settings;
	struct links *links;
} self;

static const struct service_settings defaults = {.timeout = 5000, .max_idle = 300000, .max_ttl = 1000000,
	.retry_delay = 1, .try_limit = 2, .default_action = "451 4.3.5 Server configuration problem",
	.policy_context = ""};

/* ---- The configuration ------------------------------------------------------------------------- */

static void
test_servers(void **state)
{
	static const struct {
		const char *text, *name, *error; /* the error has this in it */
	} cases[] = {
		{"inet:127.0.0.1:10023", "inet:127.0.0.1:10023", NULL},
		{"127.0.0.1:10023", "inet:127.0.0.1:10023", NULL},
		{"inet:[::1]:10023", "inet:[::1]:10023", NULL},
		{"inet:policy_host:postgrey", "inet:policy_host:postgrey", NULL},
		{"unix:private/policy", "unix:private/policy", NULL},
		{"local:/run/p", "unix:/run/p", NULL},
		{"{inet:a:1}", "inet:a:1", NULL},
		{"{ inet:a:1, timeout=10s try_limit=1,default_action=DUNNO }", "inet:a:1", NULL},
		{"{ inet:a:1, { default_action = 451 4.3.5 Not, now } {policy_context=} }", "inet:a:1", NULL},
		{"", NULL, "no server is named; write inet:HOST:PORT or unix:PATH"},
		{"{ }", NULL, "no server is named"},
		{"inet:10023", NULL, "\"10023\" names no port"},
		{"inet:a:0", NULL, "\"0\" is no port"},
		{"inet:a:65536", NULL, "\"65536\" is no port"},
		{"inet::1", NULL, "\"\" is neither a host name nor an address"},
		{"inet:::1:25", NULL, "IPv6 in brackets: inet:[::1]:10023"},
		{"inet:[host]:25", NULL, "\"host\" is neither"},
		{"tcp:a:1", NULL, "\"tcp:a\" is neither"},
		{"unix:", NULL, "names no socket; write unix:PATH"},
		{"unix:a{b c}", NULL, "a socket whose path holds blanks"},
		{"inet:a:1 timeout=1s", NULL, "write { inet:HOST:PORT, timeout=10s }"},
		{"{ inet:a:1", NULL, "a brace is missing"},
		{"{ inet:a:1 } x", NULL, "a brace is missing, or something follows it"},
		{"{ inet:a:1, timeout }", NULL, "\"timeout\" is not name=value"},
		{"{ inet:a:1, timeout = 1s }", NULL, "where there are blanks, write { name = value }"},
		{"{ inet:a:1, timeout=fast }", NULL, "timeout=fast: \"fast\" is not a time"},
		{"{ inet:a:1, try_limit=0 }", NULL, "try_limit=0: a whole number of at least 1"},
		{"{ inet:a:1, default_action= }", NULL, "default_action= is empty"},
		{"{ inet:a:1, timeuot=1s }", NULL, "\"timeuot\" is not one of default_action,"},
		{"{ inet:a:1, {timeout=1s}x }", NULL, "a brace is missing"},
		{"unix:/a\001b", NULL, "there is a control character in it"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct service service;
		ph_error error = {""};
		int result = service_parse(&service, pool, ph_span_of(cases[i].text), &error);

		print_message("%s: %s\n", cases[i].text, error.text);
		assert_int_equal(result, cases[i].name != NULL ? 0 : -1);
		if (cases[i].name != NULL)
			assert_string_equal(service.name, cases[i].name);
		else
			assert_non_null(strstr(error.text, cases[i].error));
		ph_pool_free(pool);
	}
}

static void
test_settings(void **state)
{
	static const char text[] = "{ unix:/p, timeout=10s, max_idle=2, max_ttl=1h retry_delay=5s,try_limit=7, "
		"request_limit=9, { default_action = REJECT not, now }, policy_context=submission }";
	ph_pool *pool = ph_pool_new(0);
	struct service service;
	struct service_settings settings;

	assert_int_equal(service_parse(&service, pool, ph_span_of(text), NULL), 0);
	settings = service_settings(&service, &defaults);
	assert_int_equal(settings.timeout, 10000);
	assert_int_equal(settings.max_idle, 2000);
	assert_int_equal(settings.max_ttl, 3600000);
	assert_int_equal(settings.retry_delay, 5000);
	assert_int_equal(settings.try_limit, 7);
	assert_int_equal(settings.request_limit, 9);
	assert_string_equal(settings.default_action, "REJECT not, now");
	assert_string_equal(settings.policy_context, "submission");
	assert_int_equal(service_parse(&service, pool, ph_span_of("unix:/p"), NULL), 0);
	settings = service_settings(&service, &defaults);
	assert_memory_equal(&settings, &defaults, sizeof(settings));
	ph_pool_free(pool);
}

/* ---- The request ------------------------------------------------------------------------------- */

/* Has the request this line, once? */
static bool
has_line(const char *request, const char *line)
{
	char whole[300];
	const char *found;

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	found = strstr(request, whole);
	return found != NULL && strstr(found + 1, whole) == NULL;
}

static void
test_request(void **state)
{
	static const char *const lines[] = {"protocol_state=RCPT", "protocol_name=ESMTP",
		"helo_name=x?request=evil??sender=", "queue_id=", "sender=a@b.example?recipient=root",
		"recipient=you@here.example", "recipient_count=0", "size=1234", "etrn_domain=",
		"client_address=192.0.2.1", "client_name=unknown", "reverse_client_name=unknown",
		"client_port=4711", "server_address=", "server_port=0", "sasl_method=plain", "sasl_username=joe",
		"sasl_sender=", "ccert_subject=Joe+20+2BX", "ccert_issuer=An+20Authority+3D+C3+A9",
		"ccert_fingerprint=AA:BB", "ccert_pubkey_fingerprint=CC:DD", "encryption_protocol=TLSv1.3",
		"encryption_cipher=AES", "encryption_keysize=256", "stress=", "policy_context=in",
		"compatibility_level="};
	ph_session *session;
	struct run run = {.where = "RCPT"};
	ph_pool *pool = ph_pool_new(0);
	const char *request;
	ph_span span;
	size_t count = 0;

	world_reset();
	session = world_session("192.0.2.1");
	session->client.port = 4711;
	session->run = &run;
	session->protocol = "ESMTP";
	session->helo = strdup("x\nrequest=evil\r\nsender=");
	session->sender = "a@b.example\nrecipient=root";
	session->recipient = "you@here.example";
	session->only_recipient = "other@here.example";
	session->recipients = 1;
	session->announced = 1234;
	session->login = (struct session_login){.username = "joe", .method = "plain"};
	session->tls = (struct session_tls){.protocol = "TLSv1.3", .cipher = "AES", .cipher_bits = 256,
		.subject = "Joe +X", .issuer = "An Authority=\xc3\xa9", .fingerprint = "AA:BB",
		.pubkey_fingerprint = "CC:DD"};
	assert_true(request_make(session, pool, "in", &span));
	request = ph_pool_copy(pool, span);
	assert_memory_equal(request, "request=smtpd_access_policy\n", 28);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (!has_line(request, lines[i]))
			fail_msg("no line \"%s\" in:\n%s", lines[i], request);
	for (size_t i = 0; i < span.size; i++)
		count += request[i] == '\n';
	/* request, instance and mail_version as well, and the empty line */
	assert_int_equal(count, sizeof(lines) / sizeof(lines[0]) + 4);
	assert_string_equal(request + span.size - 2, "\n\n");

	run.where = "DATA";
	assert_true(request_make(session, pool, "", &span));
	request = ph_pool_copy(pool, span);
	assert_true(has_line(request, "recipient=other@here.example"));
	assert_true(has_line(request, "recipient_count=1"));
	session->run = NULL;
	ph_pool_free(pool);
	world_end(session);
}

/* ---- The answer -------------------------------------------------------------------------------- */

static void
test_answers(void **state)
{
	static const struct {
		const char *text;
		int result;
		const char *action;
	} cases[] = {
		{"action=DUNNO\n\n", 0, "DUNNO"},
		{"action=REJECT a=b\r\n\r\n", 0, "REJECT a=b"},
		{"x=y\naction=OK\naction=REJECT\n\n", 0, "OK"},
		{"action=REJECT \033[1m\n\n", 0, "REJECT ?[1m"},
		{"action=DUNNO\n", 1, "DUNNO"},
		{"\n", -1, NULL},
		{"x=y\n\n", -1, NULL},
		{"action=\n\n", -1, NULL},
		{"action= \n\n", -1, NULL},
		{"action\n", -1, NULL},
		{"HTTP/1.1 400 Bad Request\n", -1, NULL},
		{"a=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\na=\n", -1, NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct answer answer = {0};
		const char *text = cases[i].text;
		int more = 1;

		while (more == 1 && *text != '\0') {
			size_t size = strcspn(text, "\n") + 1;

			more = answer_line(&answer, pool, (ph_span){text, size}, NULL);
			text += size;
		}
		assert_int_equal(more, cases[i].result);
		if (cases[i].action != NULL)
			assert_string_equal(answer.action, cases[i].action);
		ph_pool_free(pool);
	}
	assert_int_equal(answer_line(&(struct answer){0}, NULL, (ph_span){"action=\0", 8}, NULL), -1);
}

/* ---- A server that does what a test says ------------------------------------------------------- */

/* What it answers to each request; "" closes the connection, "hang" says nothing. After an answer that
 * ends with '!' (not sent) it closes the connection. */
static struct server {
	char folder[32], path[64], argument[80];
	int fd;
	ph_task task;
	const char *const *answers;
	size_t requests, connections, live, most;
	int64_t slowness;
} server;

static void
read_request(ph_stream *stream, int64_t *got)
{
	ph_span line;

	do
		*got = ph_stream_read_line(stream, &line, 4096, PH_NEVER);
	while (*got > 1);
}

static void
serve(void *argument)
{
	ph_stream *stream = argument;
	bool open = true;
	int64_t got;

	while (open && (read_request(stream, &got), got == 1)) {
		const char *answer = server.answers[server.requests];
		size_t size = strlen(answer);

		server.requests += server.answers[server.requests + 1] != NULL;
		if (strcmp(answer, "hang") == 0)
			continue;
		if (server.slowness > 0)
			(void)ph_sleep(ph_in(server.slowness));
		open = size > 0 && answer[size - 1] != '!';
		size -= size > 0 && !open;
		(void)ph_stream_write(stream, answer, size, PH_NEVER);
		(void)ph_stream_flush(stream, PH_NEVER);
	}
	ph_stream_close(stream);
	server.live--;
}

static void
accept_all(void *argument)
{
	while (ph_wait_fd(server.fd, PH_READABLE, PH_NEVER) == PH_WAIT_OK) {
		int fd = accept4(server.fd, NULL, NULL, SOCK_CLOEXEC);

		if (fd == -1)
			continue;
		server.connections++;
		if (++server.live > server.most)
			server.most = server.live;
		(void)ph_task_spawn("server", serve, ph_stream_new(fd));
	}
}

static void
server_start(const char *const *answers)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};

	world_reset();
	server = (struct server){.folder = "/tmp/policy-XXXXXX", .answers = answers};
	check(mkdtemp(server.folder) != NULL);
	snprintf(server.path, sizeof(server.path), "%s/s", server.folder);
	snprintf(server.argument, sizeof(server.argument), "unix:%s", server.path);
	memcpy(name.sun_path, server.path, strlen(server.path) + 1);
	server.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	check(bind(server.fd, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(server.fd, 200) == 0);
	server.task = ph_task_spawn("listener", accept_all, NULL);
	self.settings = defaults;
	check(posthouse_module_restriction_policy.life->open(&self, NULL) == 0);
}

/* The connections that are kept go, and with them the server's tasks. */
static void
server_stop(void)
{
	posthouse_module_restriction_policy.life->stop(&self);
	posthouse_module_restriction_policy.life->close(&self);
	ph_task_cancel(server.task);
	(void)ph_task_join(server.task, PH_NEVER);
	while (server.live > 0)
		(void)ph_sleep(ph_in(1));
	close(server.fd);
	unlink(server.path);
	rmdir(server.folder);
}

static ph_verdict
ask(ph_reply *reply)
{
	ph_session *session = world_session("192.0.2.1");
	ph_verdict verdict;

	session->recipient = "you@here.example";
	verdict = world_ask_argument(&posthouse_module_restriction_policy, &self, "check_policy_service",
		server.argument, session, reply);
	ph_session_end(session);
	return verdict;
}

/* The default action. */
static bool
went_without(ph_verdict verdict, const ph_reply *reply)
{
	return verdict == PH_DEFER && reply->code == 451 && strcmp(reply->status, "4.3.5") == 0 &&
		strcmp(reply->text,
			"<you@here.example>: Recipient address rejected: Server configuration problem") == 0;
}

/* ---- Asking ------------------------------------------------------------------------------------ */

static void
scene_reuse(void)
{
	static const char *const answers[] = {"action=DUNNO\n\n", "action=REJECT go away\n\n",
		"action=DUNNO\n\n!", "action=PREPEND X: y\n\n", "action=OK\n\nmore", "action=OK\n\n", NULL};
	ph_reply reply;

	server_start(answers);
	check(ask(&reply) == PH_DUNNO);
	check(ask(&reply) == PH_REJECT && reply.code == 554);
	check(strcmp(reply.text, "<you@here.example>: Recipient address rejected: go away") == 0);
	check(ask(&reply) == PH_DUNNO && server.connections == 1);
	/* it has closed that one, which is no failure */
	check(ask(&reply) == PH_DUNNO && server.connections == 2);
	check(ask(&reply) == PH_PERMIT && server.connections == 2);
	/* what it said besides spoils the connection */
	check(ask(&reply) == PH_PERMIT && server.connections == 3);
	check(strstr(world.log, "problem talking") == NULL);
	self.settings.request_limit = 2;
	check(ask(&reply) == PH_PERMIT && server.connections == 3);
	check(ask(&reply) == PH_PERMIT && server.connections == 4);
	self.settings.request_limit = 0;
	self.settings.max_idle = 1;
	check(ask(&reply) == PH_PERMIT && server.connections == 4);
	while (server.live > 0)
		(void)ph_sleep(ph_in(1)); /* the keeper closes it */
	self.settings.max_idle = 300000;
	self.settings.max_ttl = 0;
	check(ask(&reply) == PH_PERMIT && server.connections == 5);
	check(ask(&reply) == PH_PERMIT && server.connections == 6);
	server_stop();
}

static void
scene_trouble(void)
{
	static char flood[6000];
	static const char *const answers[] = {"!", "action=RE!", "action=DUN!", "action=OK\n\n", "x\n", "action=OK\n\n",
		flood, flood, "hang", "hang", "action=OK\n\n", NULL};
	ph_reply reply;

	memset(flood, 'x', sizeof(flood) - 1);
	server_start(answers);
	self.settings.timeout = 50;
	check(went_without(ask(&reply), &reply) && server.connections == 2);
	check(strstr(world.log, "problem talking to server unix:/tmp/policy-") != NULL);
	check(strstr(world.log, ": the connection was closed\n") != NULL);
	check(ask(&reply) == PH_PERMIT && server.connections == 4);
	check(ask(&reply) == PH_PERMIT && server.connections == 5);
	check(strstr(world.log, ": a line of the answer is not \"name=value\"\n") != NULL);
	check(went_without(ask(&reply), &reply));
	check(strstr(world.log, ": a line of the answer is longer than 4096 bytes\n") != NULL);
	check(went_without(ask(&reply), &reply));
	check(strstr(world.log, ": no answer in time\n") != NULL);
	check(ask(&reply) == PH_PERMIT);
	server_stop();
	self.settings.default_action = "DUNNO";
	check(posthouse_module_restriction_policy.life->open(&self, NULL) == 0);
	check(ask(&reply) == PH_DUNNO);
	check(strstr(world.log, ": No such file or directory\n") != NULL);
	posthouse_module_restriction_policy.life->close(&self);
}

/* ---- Many at once ------------------------------------------------------------------------------ */

struct asking {
	ph_task task;
	ph_verdict verdict;
};

static void
ask_in_task(void *argument)
{
	struct asking *asking = argument;
	ph_reply reply;

	asking->verdict = ask(&reply);
}

static void
scene_many(void)
{
	static const char *const answers[] = {"action=OK\n\n", NULL};
	static struct asking all[LINKS_MAX * 2 + 50];

	server_start(answers);
	server.slowness = 20;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		all[i].task = ph_task_spawn("asking", ask_in_task, &all[i]);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		check(ph_task_join(all[i].task, ph_in(20000)) == PH_WAIT_OK);
		check(all[i].verdict == PH_PERMIT);
	}
	check(server.most == LINKS_MAX && server.connections == LINKS_MAX);
	server_stop();
}

/* One that is cancelled half way takes its connection with it; so do those that wait for room. */
static void
scene_cancelled(void)
{
	static const char *const answers[] = {"action=OK\n\n", "hang", NULL};
	static struct asking all[LINKS_MAX + 3];
	ph_reply reply;

	server_start(answers);
	check(ask(&reply) == PH_PERMIT && server.connections == 1);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		all[i].task = ph_task_spawn("asking", ask_in_task, &all[i]);
	while (server.live < LINKS_MAX)
		(void)ph_sleep(ph_in(1));
	for (size_t i = sizeof(all) / sizeof(all[0]); i-- > 0;)
		ph_task_cancel(all[i].task);
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		check(ph_task_join(all[i].task, ph_in(5000)) == PH_WAIT_OK);
		check(all[i].verdict == PH_DEFER);
	}
	while (server.live > 0)
		(void)ph_sleep(ph_in(1));
	server.answers = answers;
	server.requests = 0;
	check(ask(&reply) == PH_PERMIT && server.connections == LINKS_MAX + 1);
	server_stop();
}

static void
test_reuse(void **state)
{
	scene_run(scene_reuse);
}

static void
test_trouble(void **state)
{
	scene_run(scene_trouble);
}

static void
test_many(void **state)
{
	scene_run(scene_many);
}

static void
test_cancelled(void **state)
{
	scene_run(scene_cancelled);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_settings),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_trouble),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
