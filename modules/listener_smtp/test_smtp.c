/*
 * Whole sessions over a socket pair: the real listener, session and connection; tables, DNS and
 * intake are the test's.
 */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/loop.h"
#include "footer.h"
#include "listener_smtp.h"
#include "session/connection.h"
#include "session_world.h"

extern const struct ph_module posthouse_module_listener_smtp;

int
ph_endpoint_inet(ph_endpoints *endpoints, const ph_address *address, uint16_t port, ph_error *error)
{
	return 0;
}

/* One side of a dialogue: what the client sends, and the exact answer. */
struct step {
	ph_span send;
	const char *expect;
};

#define SEND(text) {text, sizeof(text) - 1}
#define BANNER {SEND(""), "220 mail.example.com ESMTP Posthouse\r\n"}
#define EHLO {SEND("EHLO c.example\r\n"), "250-mail.example.com\r\n250-PIPELINING\r\n" \
	"250-SIZE 1000\r\n250-VRFY\r\n250-ETRN\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250 DSN\r\n"}
#define ENVELOPE {SEND("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@here.example>\r\nDATA\r\n"), \
	"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n354 End data with <CR><LF>.<CR><LF>\r\n"}
#define QUEUED "250 2.0.0 Ok: queued as 4FADF218FED8\r\n"
#define BYE {SEND("QUIT\r\n"), "221 2.0.0 Bye\r\n"}
#define LAST {SEND(""), NULL}

static struct listener_smtp instance;
static char failure[2048];

static void
fail_step(const char *name, size_t step, const char *expect, const char *got)
{
	if (failure[0] == '\0')
		snprintf(failure, sizeof(failure), "%s, step %zu:\nexpected: %s\ngot:      %s", name, step,
			expect, got);
}

/* Reads as many bytes as are expected. */
static bool
expect_text(ph_stream *stream, const char *name, size_t number, const char *expect)
{
	char got[1024] = "";
	size_t size = 0, want = strlen(expect);

	while (size < want) {
		ph_span bytes;
		size_t n;

		if (ph_stream_peek(stream, &bytes, ph_in(5000)) < 0)
			break;
		n = bytes.size < sizeof(got) - 1 - size ? bytes.size : sizeof(got) - 1 - size;
		memcpy(got + size, bytes.data, n);
		size += n;
		ph_stream_consume(stream, n);
	}
	if (strcmp(got, expect) == 0)
		return true;
	fail_step(name, number, expect, got);
	return false;
}

struct script {
	const char *name;
	const struct step *steps;
	bool closes; /* the server, after the last step */
	bool early;  /* the first step is sent before the server is there */
};

static void
run_script(const struct script *script)
{
	ph_address client = {.family = AF_INET, .bytes = {192, 0, 2, 1}};
	ph_stream *stream;
	ph_span bytes;
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1 ||
		(stream = ph_stream_new(fds[0])) == NULL) {
		fail_step(script->name, 0, "a socket pair", "none");
		return;
	}
	if (script->early) {
		(void)ph_stream_write(stream, script->steps[0].send.data, script->steps[0].send.size,
			ph_in(5000));
		(void)ph_stream_flush(stream, ph_in(5000));
	}
	connection_accept(fds[1], &client, &world.listener);
	for (size_t i = 0; script->steps[i].expect != NULL; i++) {
		const struct step *step = &script->steps[i];

		if (!script->early || i > 0)
			(void)ph_stream_write(stream, step->send.data, step->send.size, ph_in(5000));
		(void)ph_stream_flush(stream, ph_in(5000));
		if (!expect_text(stream, script->name, i, step->expect))
			break;
	}
	if (script->closes && failure[0] == '\0' &&
		ph_stream_peek(stream, &bytes, ph_in(5000)) != PH_STREAM_EOF)
		fail_step(script->name, 99, "end of file", "more");
	ph_stream_close(stream);
	while (connections_count() > 0)
		(void)ph_yield();
}

static void
run_task(void *argument)
{
	run_script(argument);
	loop_stop();
}

static void
reset(void)
{
	static const char *const forbidden[] = {"CONNECT", "GET"};

	world_reset();
	world.mydestination[0] = "here.example";
	world.relay_domains[0] = "relay.example";
	world.settings.message_size_limit = 1000;
	instance = (struct listener_smtp){.banner = "mail.example.com ESMTP Posthouse",
		.timeout = 5000,
		.session_deadline = 60000,
		.min_data_rate = 500,
		.soft_error_limit = 10,
		.hard_error_limit = 20,
		.error_sleep_time = 0,
		.junk_command_limit = 100,
		.line_length_limit = 512,
		.forbid_bare_newline = BARE_NEWLINE_NORMALIZE,
		.bare_newline_reject_code = 550,
		.forbidden_commands = {.count = 2, .items = forbidden},
		.forbid_unauth_pipelining = true,
		.hostname = "mail.example.com"};
	world.listener.self = &instance;
	world.listener.module = &posthouse_module_listener_smtp;
	world.listener.ops = posthouse_module_listener_smtp.operations;
	failure[0] = '\0';
}

static void
run(const struct script *script)
{
	ph_error error = {""};

	if (loop_open(&error) == -1)
		fail_msg("%s", error.text);
	(void)ph_task_spawn("client", run_task, (void *)script);
	(void)loop_run();
	loop_close();
	if (failure[0] != '\0')
		fail_msg("%s\n%s", failure, world.log);
}

#define PLAY(steps_, ...) do { \
	const struct script script = {.name = __func__, .steps = steps_, __VA_ARGS__}; \
	run(&script); \
} while (0)

/* ---- Letters --------------------------------------------------------------------------------- */

static void
test_letter(void **state)
{
	static const struct step steps[] = {BANNER, EHLO, ENVELOPE,
		{SEND("Subject: x\r\n\r\n..dot\r\n.\r\n"), QUEUED}, BYE, LAST};

	reset();
	PLAY(steps, .closes = true);
	assert_string_equal(world.sender, "a@b.example");
	assert_string_equal(world.recipients, "c@here.example\n");
	assert_int_equal(world.content_size, 20);
	assert_memory_equal(world.content, "Subject: x\r\n\r\n.dot\r\n", 20);
	assert_non_null(strstr(world.log, "connect from unknown[192.0.2.1]\n"));
	assert_non_null(strstr(world.log, "disconnect from unknown[192.0.2.1] ehlo=1 mail=1 rcpt=1 data=1 "
		"quit=1 commands=5\n"));
}

/* Two letters and the farewell, each group in one piece (P8 in between). */
static void
test_groups(void **state)
{
	static const struct step steps[] = {BANNER, EHLO, ENVELOPE,
		{SEND("one\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<x@y@>\r\nDATA\r\n"),
			QUEUED "250 2.1.0 Ok\r\n501 5.1.3 Bad recipient address syntax\r\n"
			"554 5.5.1 Error: no valid recipients\r\n"},
		{SEND("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<c@here.example>\r\nRCPT TO:<d>\r\nDATA\r\n"),
			"250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n250 2.1.5 Ok\r\n"
			"354 End data with <CR><LF>.<CR><LF>\r\n"},
		{SEND(".\r\nQUIT\r\n"), QUEUED "221 2.0.0 Bye\r\n"}, LAST};

	reset();
	PLAY(steps, .closes = true);
	assert_int_equal(world.committed, 2);
	assert_string_equal(world.recipients, "c@here.example\nd\n");
	assert_int_equal(world.content_size, 0);
}

static void
test_no_valid_recipient(void **state)
{
	static const struct step steps[] = {BANNER, EHLO,
		{SEND("MAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\nDATA\r\n"),
			"250 2.1.0 Ok\r\n554 5.7.1 <x@y>: Recipient address rejected: Access denied\r\n"
			"554 5.5.1 Error: no valid recipients\r\n"}, BYE, LAST};

	reset();
	world.policy.smtpd_recipient_restrictions = WORLD_RULES(WORLD_WORD("reject"));
	PLAY(steps, .closes = true);
	assert_int_equal(world.intakes, 0);
}

/* ---- Line ends ------------------------------------------------------------------------------- */

static void
test_bare_newline(void **state)
{
	static const struct step normalized[] = {BANNER, EHLO, ENVELOPE,
		{SEND("a\n.\nMAIL FROM:<evil@b>\r\nRCPT TO:<c@here.example>\r\nDATA\r\nx\r\n.\r\n"), QUEUED},
		{SEND("NOOP\n"), "250 2.0.0 Ok\r\n"}, BYE, LAST};
	static const struct step refused[] = {BANNER, EHLO, ENVELOPE,
		{SEND("a\n.\nMAIL FROM:<evil@b>\r\n.\r\n"), "550 5.5.2 Error: bare <LF> received\r\n"}, ENVELOPE,
		{SEND("a\rb\r\n.\r\n"), "550 5.5.2 Error: bare <CR> received\r\n"}, ENVELOPE,
		{SEND("a\0b\r\n.\r\n"), "550 5.6.0 Error: NUL received\r\n"},
		{SEND("NOOP\n"), "550 5.5.2 Error: bare <LF> received\r\n"}, LAST};
	static const struct step dropped[] = {BANNER, EHLO, ENVELOPE,
		{SEND("a\n.\nMAIL FROM:<evil@b>\r\n.\r\n"),
			"521 5.5.2 Error: bare <LF> received\r\n"},
		LAST};

	reset();
	PLAY(normalized, .closes = true);
	assert_int_equal(world.committed, 1);
	assert_non_null(strstr(world.log, "smuggle_suspect"));
	reset();
	instance.forbid_bare_newline = BARE_NEWLINE_REJECT;
	PLAY(refused, .closes = true);
	assert_int_equal(world.committed, 0);
	assert_int_equal(world.intakes, 0);
	assert_non_null(strstr(world.log,
		"NOQUEUE: reject: NOOP from unknown[192.0.2.1]: 550 5.5.2 Error: bare <LF>"));
	assert_non_null(strstr(
		world.log, "Error: bare <CR> received; from=<a@b.example> to=<c@here.example>"));
	instance.bare_newline_reject_code = 521;
	PLAY(dropped, .closes = true);
}

/* ---- Sending ahead --------------------------------------------------------------------------- */

static void
test_early_talker(void **state)
{
	static const struct step steps[] = {
		{SEND("EHLO c.example\r\n"), "521 5.5.1 mail.example.com Error: protocol error\r\n"}, LAST};

	reset();
	PLAY(steps, .closes = true, .early = true);
}

static void
test_improper_pipelining(void **state)
{
	static const struct step helo[] = {BANNER, {SEND("HELO c.example\r\n"), "250 mail.example.com\r\n"},
		{SEND("MAIL FROM:<a@b>\r\nRCPT TO:<c@here.example>\r\nDATA\r\n"),
			"554 5.5.0 Error: SMTP protocol synchronization\r\n"}, LAST};
	static const struct step ehlo[] = {BANNER, {SEND("EHLO c.example\r\nMAIL FROM:<a@b>\r\n"),
		"554 5.5.0 Error: SMTP protocol synchronization\r\n"}, LAST};
	static const struct step data[] = {BANNER, EHLO,
		{SEND("MAIL FROM:<a@b>\r\nRCPT TO:<c@here.example>\r\nDATA\r\nx\r\n.\r\n"),
			"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n554 5.5.0 Error: SMTP protocol synchronization\r\n"},
		LAST};

	reset();
	PLAY(helo, .closes = true);
	reset();
	PLAY(ehlo, .closes = true);
	reset();
	PLAY(data, .closes = true);
	assert_int_equal(world.committed, 0);
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void
test_commands(void **state)
{
	static const struct step steps[] = {BANNER,
		{SEND("HELO\r\n"), "501 5.5.4 Syntax: HELO hostname\r\n"},
		{SEND("EHLO\r\n"), "501 5.5.4 Syntax: EHLO hostname\r\n"}, EHLO,
		{SEND("RCPT TO:<a@b>\r\n"), "503 5.5.1 Error: need MAIL command\r\n"},
		{SEND("DATA\r\n"), "503 5.5.1 Error: need RCPT command\r\n"},
		{SEND("MAIL FROM:<a@b> SIZE=1001\r\n"), "552 5.3.4 Message size exceeds fixed limit\r\n"},
		{SEND("MAIL FROM:<a@b> SIZE=abc\r\n"), "501 5.5.4 Bad message size syntax\r\n"},
		{SEND("MAIL FROM:<a@b> SIZE=18446744073709551616\r\n"),
			"552 5.3.4 Message size exceeds fixed limit\r\n"},
		{SEND("MAIL FROM:<a@b> FOO=1\r\n"), "555 5.5.4 Unsupported option: FOO\r\n"},
		{SEND("MAIL a@b\r\n"), "501 5.5.4 Syntax: MAIL FROM:<address>\r\n"},
		{SEND("MAIL FROM:<j\xc3\xb6rg@x>\r\n"), "553 5.6.7 Non-ASCII addresses are not supported\r\n"},
		{SEND("mail from: a@b SIZE=10\r\n"), "250 2.1.0 Ok\r\n"},
		{SEND("MAIL FROM:<a@b>\r\n"), "503 5.5.1 Error: nested MAIL command\r\n"},
		{SEND("RCPT TO:<>\r\n"), "501 5.1.3 Bad recipient address syntax\r\n"},
		{SEND("RCPT TO:<c@d> NOTE=NEVER\r\n"), "555 5.5.4 Unsupported option: NOTE\r\n"},
		{SEND("EXPN l\r\n"), "502 5.5.1 Error: command not implemented\r\n"},
		{SEND("TURN\r\n"), "502 5.5.1 Error: command not implemented\r\n"},
		{SEND("NOOP x\r\n"), "250 2.0.0 Ok\r\n"},
		{SEND("HELP\r\n"), "214 2.0.0 HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY ETRN HELP: see RFC 5321\r\n"},
		{SEND("AUTH PLAIN x\r\n"), "503 5.5.1 Error: authentication not enabled\r\n"},
		{SEND("NO\0OP\r\n"), "500 5.5.2 Error: NUL received\r\n"},
		BYE, LAST};

	reset();
	PLAY(steps, .closes = true);
}

static void
test_vrfy_and_etrn(void **state)
{
	static const struct step steps[] = {BANNER, EHLO,
		{SEND("VRFY <u@here.example>\r\n"), "252 2.0.0 u@here.example\r\n"},
		{SEND("VRFY u\r\n"), "252 2.0.0 u\r\n"},
		{SEND("VRFY\r\n"), "501 5.5.4 Syntax: VRFY address\r\n"},
		{SEND("VRFY <>\r\n"), "501 5.1.3 Bad recipient address syntax\r\n"},
		{SEND("ETRN relay.example\r\n"), "250 2.0.0 Queuing started\r\n"},
		{SEND("ETRN @relay.example\r\n"), "250 2.0.0 Queuing started\r\n"},
		{SEND("ETRN far.example\r\n"), "459 4.7.1 <far.example>: service unavailable\r\n"},
		{SEND("ETRN\r\n"), "501 5.5.4 Syntax: ETRN domain\r\n"},
		{SEND("ETRN a b\r\n"), "501 5.5.4 Syntax: ETRN domain\r\n"},
		{SEND("ETRN -a-\r\n"), "501 5.5.4 Error: invalid parameter syntax\r\n"},
		{SEND("MAIL FROM:<a@b>\r\n"), "250 2.1.0 Ok\r\n"},
		{SEND("ETRN relay.example\r\n"), "503 5.5.1 Error: MAIL transaction in progress\r\n"},
		BYE, LAST};

	reset();
	PLAY(steps, .closes = true);
}

static void
test_long_lines(void **state)
{
	static char line[70000], text[3000];
	const struct step long_line[] = {BANNER, {{line, 5000}, "500 5.5.2 Error: line too long\r\n"},
		{SEND("NOOP\r\n"), "250 2.0.0 Ok\r\n"}, BYE, LAST};
	const struct step flood[] = {BANNER, {{line, sizeof(line) - 2}, "500 5.5.2 Error: line too long\r\n"},
		LAST};
	const struct step large[] = {BANNER, EHLO, ENVELOPE, {{text, sizeof(text)}, ""},
		{SEND("\r\n.\r\n"), "552 5.3.4 Error: message file too big\r\n"}, BYE, LAST};

	memset(line, 'A', sizeof(line));
	memset(text, 'A', sizeof(text));
	memcpy(line + 4998, "\r\n", 2);
	reset();
	PLAY(long_line, .closes = true);
	memset(line, 'A', sizeof(line));
	PLAY(flood, .closes = true);
	reset();
	PLAY(large, .closes = true);
	assert_int_equal(world.intakes, 0);
}

static void
test_other_protocols(void **state)
{
	static const struct step web[] = {BANNER, {SEND("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"221 2.7.0 mail.example.com Error: this is a mail server\r\n"}, LAST};
	static const struct step header[] = {BANNER, {SEND("Subject: x\r\n"),
		"221 2.7.0 mail.example.com Error: this is a mail server\r\n"}, LAST};
	static const struct step tls[] = {BANNER, {SEND("\x16\x03\x01\x02\x00\x01"),
		"501 5.5.2 Error: this port does not begin with TLS\r\n"}, LAST};

	reset();
	PLAY(web, .closes = true);
	assert_non_null(strstr(world.log, "non-SMTP command from unknown[192.0.2.1]: GET / HTTP/1.1\n"));
	PLAY(header, .closes = true);
	assert_non_null(
		strstr(world.log, "non-SMTP command from unknown[192.0.2.1]: Subject: x\n"));
	PLAY(tls, .closes = true);
}

static void
test_noop_commands(void **state)
{
	static const char *const words[] = {"xnoop", "ETRN"};
	static const struct step steps[] = {BANNER, EHLO, {SEND("XNOOP y\r\n"), "250 2.0.0 Ok\r\n"},
		{SEND("etrn relay.example\r\n"), "250 2.0.0 Ok\r\n"}, BYE, LAST};

	reset();
	instance.noop_commands = (ph_strings){.count = 2, .items = words};
	PLAY(steps, .closes = true);
	assert_string_equal(world.swept, "");
}

/* What is not announced to one client, and to others. */
static void
test_discarded_keywords(void **state)
{
	static const char *const entries[] = {"192.0.2.1", "pipelining, DSN\tvrfy", NULL};
	static const char *const elsewhere[] = {"192.0.2.2", "pipelining", NULL};
	static const char *const words[] = {"etrn"};
	static const ph_map here = {.name = "test:x", .entries = entries};
	static const ph_map there = {.name = "test:x", .entries = elsewhere};
	static const struct step own[] = {BANNER,
		{SEND("EHLO c.example\r\n"),
			"250-mail.example.com\r\n"
			"250-SIZE 1000\r\n250-ETRN\r\n250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n"},
		{SEND("MAIL FROM:<> RET=FULL\r\n"), "501 5.7.1 DSN support is disabled\r\n"}, BYE,
		LAST};
	static const struct step all[] = {BANNER,
		{SEND("EHLO c.example\r\n"),
			"250-mail.example.com\r\n"
			"250-PIPELINING\r\n250-SIZE "
			"1000\r\n250-VRFY\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n"
			"250 DSN\r\n"},
		BYE, LAST};

	reset();
	instance.discard_ehlo_keywords = (ph_strings){.count = 1, .items = words};
	instance.discard_ehlo_maps = &here;
	PLAY(own, .closes = true);
	instance.discard_ehlo_maps = &there;
	PLAY(all, .closes = true);
}

/* Below a refusal, and at its end. */
static void
test_footers(void **state)
{
	static const char *const entries[] = {
		"500 5.5.2 Error: command not recognized", "\\c - $helo_name", NULL};
	static const ph_map map = {.name = "test:x", .entries = entries};
	static const struct step steps[] = {BANNER, EHLO,
		{SEND("XYZZY\r\n"), "500 5.5.2 Error: command not recognized - c.example\r\n"},
		{SEND("MAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\n"), "250 2.1.0 Ok\r\n"
			"554-5.7.1 <x@y>: Recipient address rejected: Access denied; ask us\r\n"
			"554-5.7.1 about a@b to x at y\r\n554 5.7.1 from unknown[192.0.2.1]\r\n"},
		BYE, LAST};
	ph_error error = {""};

	reset();
	instance.reject_footer = "\\c; ask us\\nabout $sender to $recipient_name at "
				 "$recipient_domain\\nfrom $client";
	instance.reject_footer_maps = &map;
	world.policy.smtpd_recipient_restrictions = WORLD_RULES(WORLD_WORD("reject"));
	PLAY(steps, .closes = true);
	assert_int_equal(footer_check(instance.reject_footer, &error), 0);
	assert_int_equal(footer_check("$nonsense", &error), -1);
	assert_int_equal(footer_check("at $localtime from $client_port", &error), 0);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

#define WRONG {SEND("XYZZY\r\n"), "500 5.5.2 Error: command not recognized\r\n"}

static void
test_errors(void **state)
{
	static const struct step steps[] = {BANNER, WRONG, WRONG,
		{SEND("XYZZY\r\n"), "500 5.5.2 Error: command not recognized\r\n"
			"421 4.7.0 mail.example.com Error: too many errors\r\n"}, LAST};
	static const struct step overshoot[] = {BANNER, EHLO,
		{SEND("MAIL FROM:<>\r\nRCPT TO:<c@here.example>\r\n"),
			"250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"},
		{SEND("RCPT TO:<d@here.example>\r\n"), "452 4.5.3 Error: too many recipients\r\n"},
		{SEND("RCPT TO:<e@here.example>\r\n"), "452 4.5.3 Error: too many recipients\r\n"},
		{SEND("RSET\r\nMAIL FROM:<>\r\nRCPT TO:<c@here.example>\r\n"),
			"250 2.0.0 Ok\r\n250 2.1.0 Ok\r\n250 2.1.5 Ok\r\n"},
		{SEND("RCPT TO:<d@here.example>\r\n"), "452 4.5.3 Error: too many recipients\r\n"},
		{SEND("RCPT TO:<e@here.example>\r\n"), "452 4.5.3 Error: too many recipients\r\n"},
		{SEND("RCPT TO:<f@here.example>\r\n"),
			"452 4.5.3 Error: too many recipients\r\n"
			"421 4.7.0 mail.example.com Error: too many errors\r\n"},
		LAST};
	static const struct step junk[] = {BANNER, {SEND("NOOP\r\n"), "250 2.0.0 Ok\r\n"},
		{SEND("NOOP\r\n"), "250 2.0.0 Ok\r\n"}, {SEND("RSET\r\n"), "250 2.0.0 Ok\r\n"},
		{SEND("NOOP\r\n"), "250 2.0.0 Ok\r\n421 4.7.0 mail.example.com Error: too many errors\r\n"},
		LAST};

	reset();
	instance.hard_error_limit = 3;
	PLAY(steps, .closes = true);
	assert_non_null(strstr(world.log, "too many errors after UNKNOWN from unknown[192.0.2.1]\n"));
	/* a list that is too long is no error up to a point */
	reset();
	instance.hard_error_limit = 1;
	instance.recipient_overshoot_limit = 2;
	world.policy.smtpd_recipient_limit = 1;
	PLAY(overshoot, .closes = true);
	reset();
	instance.hard_error_limit = 2;
	instance.junk_command_limit = 2;
	PLAY(junk, .closes = true);
}

static void
test_timeout(void **state)
{
	static const struct step steps[] = {BANNER,
		{SEND("NOO"), "421 4.4.2 mail.example.com Error: timeout exceeded\r\n"}, LAST};
	static const struct step data[] = {BANNER, EHLO, ENVELOPE,
		{SEND("x\r\n"), "421 4.4.2 mail.example.com Error: timeout exceeded\r\n"}, LAST};

	reset();
	instance.timeout = 100;
	PLAY(steps, .closes = true);
	assert_non_null(strstr(world.log, "timeout after CONNECT from unknown[192.0.2.1]\n"));
	PLAY(data, .closes = true);
	assert_int_equal(world.intakes, 0);
}

/* L17: what was not ended is not queued. */
static void
test_vanishing(void **state)
{
	static const struct step steps[] = {BANNER, EHLO, ENVELOPE, {SEND("Subject: x\r\n"), ""}, LAST};

	reset();
	PLAY(steps, .closes = false);
	assert_non_null(strstr(world.log, "lost connection after DATA from unknown[192.0.2.1]\n"));
	assert_int_equal(world.committed, 0);
	assert_int_equal(world.intakes, 0);
}

static void
test_denied(void **state)
{
	static const struct step steps[] = {
		{SEND(""),
			"554 5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied\r\n"},
		{SEND("EHLO c.example\r\n"),
			"503 5.7.0 Error: access denied for unknown[192.0.2.1]\r\n"},
		BYE, LAST};

	reset();
	world.policy.smtpd_delay_reject = false;
	world.policy.smtpd_client_restrictions = WORLD_RULES(WORLD_WORD("reject"));
	PLAY(steps, .closes = true);
}

/* What an address may look like is said by parameters, too. */
static void
test_addresses(void **state)
{
	static const struct step refused[] = {BANNER, EHLO,
		{SEND("MAIL FROM:<-f@b.example>\r\n"), "501 5.1.7 Bad sender address syntax\r\n"},
		{SEND("MAIL FROM:<a@192.0.2.1>\r\n"), "501 5.1.7 Bad sender address syntax\r\n"},
		{SEND("MAIL FROM:<>\r\nRCPT TO:<\"-f\"@b.example>\r\n"),
			"250 2.1.0 Ok\r\n501 5.1.3 Bad recipient address syntax\r\n"},
		{SEND("VRFY -f\r\n"), "501 5.1.3 Bad recipient address syntax\r\n"},
		{SEND("VRFY a b\r\n"), "501 5.1.3 Bad recipient address syntax\r\n"},
		BYE, LAST};
	static const struct step taken[] = {BANNER, EHLO,
		{SEND("MAIL FROM:<-f@192.0.2.1>\r\n"), "250 2.1.0 Ok\r\n"}, BYE, LAST};

	reset();
	PLAY(refused, .closes = true);
	assert_non_null(
		strstr(world.log, "in MAIL command: <-f@b.example> (begins with a hyphen)"));
	assert_non_null(strstr(world.log, "in VRFY command: -f (begins with a hyphen)"));
	instance.allow_min_user = instance.resolve_numeric_domain = true;
	PLAY(taken, .closes = true);
	instance.allow_min_user = instance.resolve_numeric_domain = false;
}

/* ---- The end of the process ------------------------------------------------------------------ */

static void
drain_task(void *argument)
{
	connections_drain(5000, 300);
}

/* After a reload a session is served as before; one that stays idle hears 421. */
static void
drain_client(void *argument)
{
	static const struct step envelope[] = {BANNER, EHLO, ENVELOPE, LAST};
	ph_address client = {.family = AF_INET, .bytes = {192, 0, 2, 1}};
	ph_stream *streams[2];
	int fds[2];

	for (int i = 0; i < 2; i++) {
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == -1)
			return;
		streams[i] = ph_stream_new(fds[0]);
		connection_accept(fds[1], &client, &world.listener);
		for (size_t k = 0; envelope[k].expect != NULL && (i == 0 || k < 1); k++) {
			(void)ph_stream_write(streams[i], envelope[k].send.data, envelope[k].send.size,
				ph_in(5000));
			(void)ph_stream_flush(streams[i], ph_in(5000));
			expect_text(streams[i], "drain", k, envelope[k].expect);
		}
	}
	(void)ph_task_spawn("drain", drain_task, NULL);
	(void)ph_stream_write(streams[1], "NOOP\r\n", 6, ph_in(5000));
	expect_text(streams[1], "idle", 0,
		"250 2.0.0 Ok\r\n421 4.3.2 mail.example.com Server shutting down\r\n");
	(void)ph_stream_write(streams[0], "x\r\n.\r\n", 6, ph_in(5000));
	expect_text(streams[0], "busy", 0, QUEUED "421 4.3.2 mail.example.com Server shutting down\r\n");
	for (int i = 0; i < 2; i++)
		ph_stream_close(streams[i]);
	while (connections_count() > 0)
		(void)ph_yield();
	loop_stop();
}

static void
test_drain(void **state)
{
	reset();
	assert_int_equal(loop_open(NULL), 0);
	(void)ph_task_spawn("client", drain_client, NULL);
	(void)loop_run();
	loop_close();
	if (failure[0] != '\0')
		fail_msg("%s\n%s", failure, world.log);
	assert_int_equal(world.committed, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_letter),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_no_valid_recipient),
		cmocka_unit_test(test_bare_newline),
		cmocka_unit_test(test_early_talker),
		cmocka_unit_test(test_improper_pipelining),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_vrfy_and_etrn),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_footers),
		cmocka_unit_test(test_noop_commands),
		cmocka_unit_test(test_discarded_keywords),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_timeout),
		cmocka_unit_test(test_vanishing),
		cmocka_unit_test(test_denied),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_drain), /* the last: a process drains once */
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
