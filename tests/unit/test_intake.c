/*
 * The way in, from begin to commit, against a storage in memory.
 */
#include <posthouse/intake.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake_queue.h"
#include "ground/logger.h"
#include "config/origin.h"
#include "intake/complete.h"
#include "scene.h"

/* ---- The log ---------------------------------------------------------------------------------- */

static char logged[4096];

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	size_t size = strlen(logged);

	snprintf(logged + size, sizeof(logged) - size, "%s: %s\n", component, line);
}

static void
run(void (*scene)(void))
{
	setenv("TZ", "EET-2", 1);
	fake_reset();
	logged[0] = '\0';
	logger_capture(capture, NULL);
	scene_run(scene);
	logger_capture(NULL, NULL);
	fake_free();
}

/* ---- Helpers ---------------------------------------------------------------------------------- */

static ph_intake *
begin(enum ph_origin origin)
{
	struct ph_intake_origin facts = {.size = sizeof(facts),
		.origin = origin,
		.session = origin == PH_ORIGIN_SMTP ? (ph_session *)&fake_client : NULL,
		.user_name = "root",
		.full_name = "root"};
	ph_intake *intake = ph_intake_begin(&facts, NULL);

	check(intake != NULL);
	return intake;
}

static void
write_in_steps(ph_intake *intake, const char *content, size_t step)
{
	size_t size = strlen(content);

	for (size_t at = 0; at < size; at += step) {
		size_t take = size - at < step ? size - at : step;
		char *copy = malloc(take);

		memcpy(copy, content + at, take);
		ph_intake_write(intake, (ph_span){copy, take});
		free(copy);
	}
}

/* One recipient, this content in pieces of step bytes. */
static ph_intake_result
submit(enum ph_origin origin, const char *content, size_t step, ph_reply *reply)
{
	ph_intake *intake = begin(origin);

	check(ph_intake_sender(intake, "root", NULL) == 0);
	check(ph_intake_recipient(intake, "joe@example.net", NULL) == 0);
	write_in_steps(intake, content, step);
	return ph_intake_commit(intake, reply);
}

/* What was stored, with the parts that change replaced: the queue ID by ID, dates by DATE. */
static const char *
stored(void)
{
	static char text[4096];
	char *at, *date;

	check(fake_queue.size < sizeof(text));
	memcpy(text, fake_queue.content, fake_queue.size);
	text[fake_queue.size] = '\0';
	while ((at = strstr(text, fake_queue.envelope.id)) != NULL) {
		memcpy(at, "ID", 2);
		memmove(at + 2, at + 16, strlen(at + 16) + 1);
	}
	while ((date = strstr(text, " +0200 (EET)")) != NULL) {
		for (at = date; at[-1] != ',' || at[0] != ' ';)
			at--;
		memcpy(at - 4, "DATE", 4);
		memmove(at, date + 12, strlen(date + 12) + 1);
	}
	if ((at = strstr(text, "Message-Id: <")) != NULL && at[27] == '.')
		memmove(at + 13, at + 27, strlen(at + 27) + 1);
	return text;
}

static void
check_stored(const char *expected)
{
	if (strcmp(stored(), expected) != 0) {
		print_error("stored:\n%s\nexpected:\n%s\n", stored(), expected);
		check(false);
	}
}

/* ---- What is stored --------------------------------------------------------------------------- */

#define RECEIVED_LOCAL \
	"Received: by centos.example.com (Posthouse, from userid 0)\r\n\tid ID; DATE\r\n"
#define COMPLETED \
	"Message-Id: <.ID@centos.example.com>\r\nDate: DATE\r\nFrom: root <root@example.com>\r\n"
#define RECEIVED_SMTP \
	"Received: from helo.example (client.example.com [192.0.2.7])\r\n" \
	"\tby centos.example.com (Posthouse) with ESMTP id ID\r\n\tfor <joe@example.net>; DATE\r\n"

static void
scene_local(void)
{
	static const char content[] = "Subject: test\r\nTo: root@example.com\r\n\r\nThis is a test\r\n";

	for (size_t step = 1; step <= sizeof(content); step++) {
		ph_reply reply;

		check(submit(PH_ORIGIN_LOCAL, content, step, &reply) == PH_INTAKE_QUEUED);
		check(reply.code == 250 && strcmp(reply.status, "2.0.0") == 0);
		check(strncmp(reply.text, "Ok: queued as ", 14) == 0);
		check(strcmp(reply.text + 14, fake_queue.envelope.id) == 0);
		check_stored(RECEIVED_LOCAL "Subject: test\r\nTo: root@example.com\r\n" COMPLETED
					    "\r\nThis is a test\r\n");
		check(fake_queue.envelope.content_size == (int64_t)fake_queue.size);
		check(fake_queue.flags == 0);
		check(strcmp(fake_queue.envelope.sender, "root@example.com") == 0);
	}
	check(fake_queue.committed == (int)sizeof(content) && fake_queue.announced == fake_queue.committed);
}

static void
local(void **state)
{
	run(scene_local);
}

/* What comes from this site, or from everybody where that is asked for, is completed. */
static void
scene_completed(void)
{
	static const char resent[] = "Resent-To: x@y\r\nResent-Date: now\r\n";
	ph_reply reply;

	fake_client.in_interfaces = true;
	fake_settings.local_header_rewrite_clients =
		(ph_strings){1, (const char *[]){"permit_inet_interfaces"}};
	submit(PH_ORIGIN_SMTP, "A: b\r\n\r\n", 100, &reply);
	check_stored(RECEIVED_SMTP "A: b\r\n" COMPLETED "\r\n");
	fake_client.in_interfaces = false;
	submit(PH_ORIGIN_SMTP, "A: b\r\n\r\n", 100, &reply);
	check_stored(RECEIVED_SMTP "A: b\r\n\r\n");
	fake_settings.always_add_missing_headers = true;
	fake_settings.header_from_format = HEADER_FROM_OBSOLETE;
	submit(PH_ORIGIN_SMTP, "A: b\r\nDate: now\r\n\r\n", 100, &reply);
	check_stored(RECEIVED_SMTP "A: b\r\nDate: now\r\nMessage-Id: <.ID@centos.example.com>\r\n"
		"From: root@example.com (root)\r\n\r\n");
	submit(PH_ORIGIN_LOCAL, "Resent-To: x@y\r\nResent-Date: now\r\n\r\n", 100, &reply);
	check(strncmp(stored(), RECEIVED_LOCAL, strlen(RECEIVED_LOCAL)) == 0);
	check(strstr(stored(), resent) != NULL && strstr(stored(), "\r\nResent-Message-Id: <") != NULL);
	check(strstr(stored(), "\r\nResent-From: root@example.com (root)\r\n\r\n") != NULL);
	check(strstr(stored(), "\r\nFrom:") == NULL && strstr(stored(), "\r\nMessage-Id:") == NULL);
}

static void
completed(void **state)
{
	run(scene_completed);
}

static void
scene_log(void)
{
	char expected[512];
	ph_reply reply;

	submit(PH_ORIGIN_LOCAL, "Message-ID: <x@y>\r\n\r\n", 100, &reply);
	snprintf(expected, sizeof(expected), "pickup: %s: uid=0 from=<root>\ncleanup: %s: message-id=<x@y>\n",
		fake_queue.envelope.id, fake_queue.envelope.id);
	if (strcmp(logged, expected) != 0)
		print_error("%s", logged);
	check(strcmp(logged, expected) == 0);
}

static void
log_lines(void **state)
{
	run(scene_log);
}

/* However the content is cut, and whatever is missing of it. */
static void
scene_forms(void)
{
	static const struct {
		const char *content, *stored;
		uint32_t flags;
	} forms[] = {
		{"A: b\r\n\r\nbody\r\n", RECEIVED_SMTP "A: b\r\n\r\nbody\r\n", 0},
		{"A: b\r\n\r\nbody", RECEIVED_SMTP "A: b\r\n\r\nbody\r\n", 0},
		{"A: b\r\n\r\nbody\r", RECEIVED_SMTP "A: b\r\n\r\nbody\r\r\n", 0},
		{"A: b\r\nno header\r\n", RECEIVED_SMTP "A: b\r\n\r\nno header\r\n", 0},
		{"A: b\r\nno header", RECEIVED_SMTP "A: b\r\n\r\nno header\r\n", 0},
		{" no header\r\n", RECEIVED_SMTP "\r\n no header\r\n", 0},
		{"\r\nbody\r\n", RECEIVED_SMTP "\r\nbody\r\n", 0},
		{"A: b\r\n", RECEIVED_SMTP "A: b\r\n\r\n", 0},
		{"From a@b Mon 00:00\r\nA: b\r\n\r\nFrom\r\n",
			RECEIVED_SMTP "X-Mailbox-Line: From a@b Mon 00:00\r\nA: b\r\n\r\nFrom\r\n", 0},
		{">From x\r\nno header\r\n", RECEIVED_SMTP "X-Mailbox-Line: >From x\r\n\r\nno header\r\n", 0},
		{"From : x\r\n", RECEIVED_SMTP "From : x\r\n\r\n", 0},
		{"From x\r\n", RECEIVED_SMTP "X-Mailbox-Line: From x\r\n\r\n", 0},
		{"A: b\r\nFrom x\r\n", RECEIVED_SMTP "A: b\r\n\r\nFrom x\r\n", 0},
		{"A: b\r\n folded", RECEIVED_SMTP "A: b\r\n folded\r\n\r\n", 0},
		{"", RECEIVED_SMTP "\r\n", 0},
		{"A: b\r\n\r\n.body\r\n", RECEIVED_SMTP "A: b\r\n\r\n.body\r\n", PH_CONTENT_DOT_LINES},
		{"A: b\r\n\r\na\r\n.\r\n", RECEIVED_SMTP "A: b\r\n\r\na\r\n.\r\n", PH_CONTENT_DOT_LINES},
		{".A: b\r\n\r\na\r\n", RECEIVED_SMTP ".A: b\r\n\r\na\r\n", PH_CONTENT_DOT_LINES},
		{"A: b\r\n\r\n\xc3\xa4\r\n", RECEIVED_SMTP "A: b\r\n\r\n\xc3\xa4\r\n", PH_CONTENT_8BIT},
		{"A: \xc3\xa4\r\n\r\n", RECEIVED_SMTP "A: \xc3\xa4\r\n\r\n", PH_CONTENT_8BIT},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (size_t step = 1; step <= strlen(forms[i].content) + 1; step++) {
			ph_reply reply;

			check(submit(PH_ORIGIN_SMTP, forms[i].content, step, &reply) == PH_INTAKE_QUEUED);
			check_stored(forms[i].stored);
			check(fake_queue.flags == forms[i].flags);
		}
	}
}

static void
forms_of_content(void **state)
{
	run(scene_forms);
}

static void
scene_received(void)
{
	ph_intake *intake;
	ph_reply reply;

	fake_client = (struct intake_client){.name = "unknown",
		.address = "2001:db8::1",
		.helo = "a(b",
		.protocol = "ESMTP",
		.sasl_username = "joe",
		.tls = true};
	intake = begin(PH_ORIGIN_SMTP);
	ph_intake_sender(intake, "", NULL);
	ph_intake_recipient(intake, "a@x", NULL);
	ph_intake_recipient(intake, "b@x", NULL);
	write_in_steps(intake, "\r\n", 100);
	check(ph_intake_commit(intake, &reply) == PH_INTAKE_QUEUED);
	check_stored("Received: from a?b (unknown [IPv6:2001:db8::1])\r\n"
		     "\tby centos.example.com (Posthouse) with ESMTPSA id ID;\r\n\tDATE\r\n\r\n");
	check(strcmp(fake_queue.envelope.sender, "") == 0);
	check(strcmp(fake_queue.envelope.client_address, "2001:db8::1") == 0);
	check(strcmp(fake_queue.envelope.sasl_username, "joe") == 0);
	check(fake_queue.envelope.recipient_count == 2);

	intake = begin(PH_ORIGIN_INTERNAL);
	ph_intake_sender(intake, "", NULL);
	ph_intake_recipient(intake, "a@x", NULL);
	write_in_steps(intake, "Message-Id: <1@x>\r\nDate: now\r\n\r\n", 100);
	check(ph_intake_commit(intake, &reply) == PH_INTAKE_QUEUED);
	check_stored("Received: by centos.example.com (Posthouse)\r\n\tid ID; DATE\r\nMessage-Id: <1@x>\r\n"
		     "Date: now\r\nFrom: Mail Delivery System <MAILER-DAEMON@example.com>\r\n\r\n");
}

static void
received_headers(void **state)
{
	run(scene_received);
}

/* ---- Envelope --------------------------------------------------------------------------------- */

static void
scene_envelope(void)
{
	struct ph_mail_parameters mail = {
		.size = sizeof(mail), .body = 1, .smtputf8 = true, .envid = "E1", .ret = 2};
	struct ph_rcpt_parameters rcpt = {.size = sizeof(rcpt), .notify = 6, .orcpt = "rfc822;j@x"};
	const struct envelope *e = &fake_queue.envelope;
	ph_intake *intake = begin(PH_ORIGIN_LOCAL);
	ph_reply reply;

	fake_settings.append_dot_mydomain = true;
	ph_intake_sender(intake, "root@host", &mail);
	ph_intake_recipient(intake, "joe", &rcpt);
	ph_intake_recipient(intake, "", NULL);
	ph_intake_recipient(intake, "joe@[192.0.2.1]", NULL);
	for (int i = 0; i < 100; i++) {
		char many[32];

		snprintf(many, sizeof(many), "many%d@example.com", i);
		for (int j = 0; j < 2; j++)
			ph_intake_recipient(intake, many, NULL);
	}
	check(ph_intake_recipient_count(intake) == 203);
	check(ph_intake_commit(intake, &reply) == PH_INTAKE_QUEUED);
	check(strcmp(e->sender, "root@host.example.com") == 0);
	check(e->body_8bit && e->smtputf8 && e->ret == 2 && strcmp(e->envid, "E1") == 0);
	check(e->origin == PH_ORIGIN_LOCAL && e->recipient_count == 103);
	check(strcmp(e->recipients[0].address, "joe@example.com") == 0);
	check(strcmp(e->recipients[0].original, "joe") == 0);
	check(e->recipients[0].notify == 6 && strcmp(e->recipients[0].orcpt, "rfc822;j@x") == 0);
	check(strcmp(e->recipients[1].address, "MAILER-DAEMON@example.com") == 0);
	check(strcmp(e->recipients[2].address, "joe@[192.0.2.1]") == 0);
	check(strcmp(e->recipients[2].original, "") == 0);
	check(strcmp(e->recipients[102].address, "many99@example.com") == 0);
}

static void
envelope(void **state)
{
	run(scene_envelope);
}

static void
origin_from_a_file(void **state)
{
	char path[] = "/tmp/test_intake.XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	assert_int_equal(write(fd, "  mail.example.org \nmore\n", 25), 25);
	close(fd);
	fake_reset();
	fake_settings.myorigin = path;
	assert_string_equal(origin_domain(&fake_settings), "mail.example.org");
	unlink(path);
	fake_free();
}

/* ---- Refusals --------------------------------------------------------------------------------- */

static void
check_refused(const char *content, int code, const char *status)
{
	ph_reply reply;

	check(submit(PH_ORIGIN_SMTP, content, 4096, &reply) == PH_INTAKE_REFUSED);
	if (reply.code != code || strcmp(reply.status, status) != 0)
		print_error("%d %s %s\n", reply.code, reply.status, reply.text);
	check(reply.code == code && strcmp(reply.status, status) == 0 && reply.text[0] != '\0');
	check(fake_queue.committed == 0 && fake_queue.announced == 0);
}

static void
scene_refusals(void)
{
	char *large = malloc(600001), hops[50 * 15 + 1] = "";
	ph_reply reply;

	memset(large, 'x', 600000);
	memcpy(large, "A: b\r\n\r\n", 8);
	large[600000] = '\0';
	check_refused(large, 552, "5.3.4");
	check(fake_queue.begun == fake_queue.aborted);
	free(large);
	for (int i = 0; i < 50; i++)
		memcpy(hops + 15 * i, "ReceiveD: by x\n", 16);
	check_refused(hops, 554, "5.4.6");
	fake_queue.space = 999;
	check_refused("A: b\r\n\r\nbody\r\n", 452, "4.3.1");
	fake_queue.space = -1; /* not known */
	fake_queue.fail_begin = true;
	check_refused("A: b\r\n\r\nbody\r\n", 451, "4.3.0");
	fake_queue.fail_begin = false;
	fake_queue.fail_append = true;
	check_refused("A: b\r\n\r\nbody\r\n", 451, "4.3.0");
	fake_queue.fail_append = false;
	fake_queue.fail_commit = true;
	check_refused("A: b\r\n\r\nbody\r\n", 451, "4.3.0");
	fake_queue.fail_commit = false;
	ph_intake *intake = begin(PH_ORIGIN_SMTP);

	ph_intake_sender(intake, "a@b", NULL);
	check(ph_intake_commit(intake, &reply) == PH_INTAKE_REFUSED && reply.code == 554);
	ph_intake_abort(begin(PH_ORIGIN_SMTP));
	ph_intake_abort(NULL);
	struct ph_intake_origin nowhere = {.size = sizeof(nowhere), .origin = PH_ORIGIN_LOCAL,
		.queue = "nowhere"};
	ph_error error;

	check(ph_intake_begin(&nowhere, &error) == NULL && strstr(error.text, "nowhere") != NULL);
}

static void
refusals(void **state)
{
	run(scene_refusals);
}

/* The header section beyond the limit passes unseen and unchanged. */
static void
scene_large_section(void)
{
	size_t size = 200000;
	char *content = malloc(size + 16);
	ph_reply reply;

	for (size_t i = 0; i < size; i += 10)
		memcpy(content + i, "A: 34567\r\n", 10);
	memcpy(content + size, "\r\nbody\r\n", 9);
	for (size_t step = 7777; step < 300000; step += 100000) {
		check(submit(PH_ORIGIN_SMTP, content, step, &reply) == PH_INTAKE_QUEUED);
		check(fake_queue.size > size + 8);
		check(memcmp(fake_queue.content + fake_queue.size - size - 8, content, size + 8) == 0);
	}
	free(content);
}

static void
large_section(void **state)
{
	run(scene_large_section);
}

/* ---- Filters ---------------------------------------------------------------------------------- */

static ph_filter_result verdict_header, verdict_body, verdict_end;
static char body_seen[256];
static int dones;

static ph_filter_result
on_header(void *self, ph_filter_message *message, void **state)
{
	*state = body_seen;
	body_seen[0] = '\0';
	if (verdict_header == PH_FILTER_REFUSE)
		ph_filter_reply(message, 550, "5.7.1", "no %s", "thanks");
	check(ph_filter_recipient_count(message) == 1);
	check(strcmp(ph_filter_recipient(message, 0), "joe@example.net") == 0);
	check(strcmp(ph_filter_recipient(message, 1), "") == 0);
	return verdict_header;
}

static ph_filter_result
on_body(void *self, ph_filter_message *message, void *state, ph_span bytes)
{
	check(state == body_seen);
	strncat(body_seen, bytes.data, bytes.size);
	return verdict_body;
}

static ph_filter_result
on_end(void *self, ph_filter_message *message, void *state)
{
	size_t subject = ph_header_find(message, "SUBJECT", 0);

	check(state == body_seen);
	check(ph_span_equal(ph_header_value(message, subject), ph_span_of(" old")));
	check(ph_header_find(message, "Received", 0) == SIZE_MAX);
	check(ph_header_replace(message, subject, "new") == 0);
	check(ph_header_insert(message, 0, "X-First", "1") == 0);
	check(ph_header_insert(message, SIZE_MAX, "X-Last", "a\r\n\tb") == 0);
	check(ph_header_insert(message, 0, "X-Evil", "a\r\nBcc: x") == -1);
	check(ph_header_insert(message, 0, "X-Evil", "a\n b") == -1);
	check(ph_header_insert(message, 0, "X Evil", "a") == -1);
	check(ph_header_remove(message, ph_header_find(message, "X-Gone", 0)) == 0);
	check(ph_header_remove(message, SIZE_MAX) == -1);
	for (int i = 0; i < 20; i++)
		check(ph_header_insert(message, 1, "X-Many", "") == 0);
	for (int i = 0; i < 20; i++)
		check(ph_header_remove(message, 1) == 0);
	check(ph_filter_add_recipient(message, "bob") == 0);
	check(ph_filter_add_recipient(message, "bob\r\nDATA") == -1);
	check(ph_filter_remove_recipient(message, 0) == 0);
	check(ph_filter_remove_recipient(message, 7) == -1);
	check(ph_filter_set_sender(message, "new@sender.example") == 0);
	return verdict_end;
}

static void
on_done(void *self, void *state)
{
	check(state == body_seen);
	dones++;
}

static const struct ph_filter_ops test_filter_ops = {.size = sizeof(test_filter_ops),
	.header = on_header,
	.body = on_body,
	.end = on_end,
	.done = on_done};
static const struct instance test_filter = {.ops = &test_filter_ops, .name = "test"};

#define FILTERED "Subject: old\r\nX-Gone: 1\r\n\r\nthe body\r\n"

static void
scene_filter(void)
{
	ph_reply reply;

	dones = 0;
	fake_filters[0] = &test_filter;
	check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_QUEUED);
	check_stored("Received: from helo.example (client.example.com [192.0.2.7])\r\n"
		     "\tby centos.example.com (Posthouse) with ESMTP id ID\r\n\tfor <bob>; DATE\r\n"
		     "X-First: 1\r\nSubject: new\r\nX-Last: a\r\n\tb\r\n\r\nthe body\r\n");
	check(strcmp(body_seen, "the body\r\n") == 0 && dones == 1);
	check(strcmp(fake_queue.envelope.sender, "new@sender.example") == 0);
	check(strcmp(fake_queue.envelope.recipients[0].address, "bob@example.com") == 0);
}

static void
filters(void **state)
{
	run(scene_filter);
}

static void
scene_verdicts(void)
{
	static ph_filter_result *const stages[] = {&verdict_header, &verdict_body, &verdict_end};
	ph_reply reply;

	fake_filters[0] = &test_filter;
	for (size_t i = 0; i < 3; i++) {
		dones = 0;
		*stages[i] = PH_FILTER_REFUSE;
		check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_REFUSED);
		check(reply.code == 550 && strcmp(reply.status, "5.7.1") == 0 && dones == 1);
		check(fake_queue.committed == 0 && fake_queue.begun == fake_queue.aborted);
		*stages[i] = PH_FILTER_DISCARD;
		check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_DISCARDED);
		check(reply.code == 250 && fake_queue.committed == 0 && dones == 2);
		check(fake_queue.begun == fake_queue.aborted);
		*stages[i] = PH_FILTER_CONTINUE;
	}
	for (size_t i = 0; i < 3; i++) {
		*stages[i] = PH_FILTER_HOLD;
		check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_QUEUED);
		check(fake_queue.flags == PH_CONTENT_HOLD && fake_queue.committed == 1 + 2 * (int)i);
		*stages[i] = PH_FILTER_REFUSE;
		check(submit(PH_ORIGIN_INTERNAL, FILTERED, 5, &reply) == PH_INTAKE_QUEUED);
		*stages[i] = PH_FILTER_CONTINUE;
	}
}

static void
verdicts(void **state)
{
	run(scene_verdicts);
}

static void
scene_hold(void)
{
	ph_intake *intake = begin(PH_ORIGIN_SMTP);
	ph_reply reply;

	ph_intake_recipient(intake, "a@b", NULL);
	ph_intake_hold(intake, "for a look");
	check(ph_intake_commit(intake, &reply) == PH_INTAKE_QUEUED);
	check(fake_queue.flags == PH_CONTENT_HOLD);
	intake = begin(PH_ORIGIN_SMTP);
	ph_intake_recipient(intake, "a@b", NULL);
	ph_intake_discard(intake, "not wanted");
	write_in_steps(intake, FILTERED, 3);
	check(ph_intake_size(intake) == (int64_t)strlen(FILTERED));
	check(ph_intake_commit(intake, &reply) == PH_INTAKE_DISCARDED && reply.code == 250);
	check(fake_queue.committed == 1);
}

static void
hold_and_discard(void **state)
{
	run(scene_hold);
}

/* What policy wishes is done at the commit: other recipients, a route, headers on top. */
static void
scene_wishes(void)
{
	ph_intake *intake = begin(PH_ORIGIN_SMTP);
	const struct envelope *envelope = &fake_queue.envelope;
	ph_reply reply;

	ph_intake_sender(intake, "me@b", NULL);
	ph_intake_recipient(intake, "a@b", NULL);
	ph_intake_recipient(intake, "c@b", NULL);
	check(ph_intake_filter(intake, "smtp:[127.0.0.1]:10025") == 0);
	check(ph_intake_redirect(intake, "boss@b") == 0);
	check(ph_intake_bcc(intake, "copy@b") == 0);
	check(ph_intake_prepend(intake, "X-One: 1") == 0);
	check(ph_intake_prepend(intake, "X-Two:2") == 0);
	write_in_steps(intake, "Subject: x\r\n\r\nbody\r\n", 3);
	check(ph_intake_commit(intake, &reply) == PH_INTAKE_QUEUED);
	check(strcmp(envelope->filter, "smtp:[127.0.0.1]:10025") == 0);
	check(envelope->recipient_count == 2);
	check(strcmp(envelope->recipients[0].address, "boss@b") == 0);
	check(strcmp(envelope->recipients[0].original, "a@b") == 0);
	check(strcmp(envelope->recipients[1].address, "copy@b") == 0);
	check(envelope->recipients[1].notify == 1);
	check(strncmp(fake_queue.content, "X-One: 1\r\nX-Two: 2\r\nReceived: ", 30) == 0);
}

static void
wishes(void **state)
{
	run(scene_wishes);
}

/* ---- Filters that write the body ---------------------------------------------------------------- */

static ph_filter_result verdict_writer;
static bool ignore_body;

/* Says every "x" twice, and keeps the last byte back until more comes. */
struct doubling {
	char kept;
	bool has_kept;
};

static ph_filter_result
begin_doubling(void *self, ph_filter_message *message, void **state)
{
	check(ph_body_write(message, ph_span_of("too early")) == -1);
	*state = ph_pool_alloc(ph_filter_pool(message), sizeof(struct doubling));
	if (ignore_body)
		ph_body_ignore(message);
	return PH_FILTER_CONTINUE;
}

static ph_filter_result
give_kept(struct doubling *doubling, ph_filter_message *message)
{
	ph_span kept = {&doubling->kept, 1};

	if (doubling->has_kept && ph_body_write(message, kept) == 0 && doubling->kept == 'x')
		ph_body_write(message, kept);
	doubling->has_kept = false;
	return PH_FILTER_CONTINUE;
}

static ph_filter_result
double_body(void *self, ph_filter_message *message, void *state, ph_span bytes)
{
	struct doubling *doubling = state;

	for (size_t i = 0; i < bytes.size; i++) {
		give_kept(doubling, message);
		doubling->kept = bytes.data[i];
		doubling->has_kept = true;
	}
	return verdict_writer;
}

static ph_filter_result
end_doubling(void *self, ph_filter_message *message, void *state)
{
	return give_kept(state, message);
}

static const struct ph_filter_ops doubling_ops = {.size = sizeof(doubling_ops),
	.flags = PH_FILTER_WRITES_BODY,
	.header = begin_doubling,
	.body = double_body,
	.body_end = end_doubling};
static const struct instance doubling_filter = {.ops = &doubling_ops, .name = "doubling"};

static ph_filter_result
look_header(void *self, ph_filter_message *message, void **state)
{
	body_seen[0] = '\0';
	check(!ph_headers_are_cut(message) && !ph_filter_is_exempt(message));
	return PH_FILTER_CONTINUE;
}

/* One that only looks may not write. */
static ph_filter_result
look_body(void *self, ph_filter_message *message, void *state, ph_span bytes)
{
	check(ph_body_write(message, bytes) == -1);
	strncat(body_seen, bytes.data, bytes.size);
	return verdict_body;
}

static const struct ph_filter_ops looking_ops = {
	.size = sizeof(looking_ops), .header = look_header, .body = look_body};
static const struct instance looking_filter = {.ops = &looking_ops, .name = "looking"};

/* Two that write and one that looks, in that order: it sees what goes to the storage. */
static void
scene_writers(void)
{
	static const char content[] = "Subject: x\r\n\r\naxb\r\n.x";
	ph_reply reply;

	fake_filters[0] = &doubling_filter;
	fake_filters[1] = &doubling_filter;
	fake_filters[2] = &looking_filter;
	for (size_t step = 1; step <= sizeof(content); step++) {
		check(submit(PH_ORIGIN_SMTP, content, step, &reply) == PH_INTAKE_QUEUED);
		check(strcmp(body_seen, "axxxxb\r\n.xxxx\r\n") == 0);
		check(strstr(stored(), "Subject: x\r\n\r\naxxxxb\r\n.xxxx\r\n") != NULL);
		check(fake_queue.envelope.content_size == (int64_t)fake_queue.size);
	}
	ignore_body = true;
	check(submit(PH_ORIGIN_SMTP, content, 3, &reply) == PH_INTAKE_QUEUED);
	check(strcmp(body_seen, "axb\r\n.x\r\n") == 0);
	ignore_body = false;
}

/* What is refused behind one that writes, by a filter or by the storage, is refused; and what it says. */
static void
scene_writers_refused(void)
{
	ph_reply reply;

	fake_filters[0] = &doubling_filter;
	fake_filters[1] = &looking_filter;
	verdict_body = PH_FILTER_REFUSE;
	check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_REFUSED && reply.code == 550);
	check(strstr(logged, "reject: filter looking: ") != NULL);
	verdict_body = PH_FILTER_DISCARD;
	check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_DISCARDED);
	verdict_body = PH_FILTER_CONTINUE;
	verdict_writer = PH_FILTER_REFUSE;
	check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_REFUSED);
	check(strstr(logged, "reject: filter doubling: ") != NULL);
	verdict_writer = PH_FILTER_CONTINUE;
	fake_queue.fail_append = true;
	check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_REFUSED && reply.code == 451);
	check(fake_queue.committed == 0 && fake_queue.begun == fake_queue.aborted);
}

static void
writers(void **state)
{
	run(scene_writers);
	run(scene_writers_refused);
}

/* ---- What filters wish -------------------------------------------------------------------------- */

static ph_filter_result
wishing_header(void *self, ph_filter_message *message, void **state)
{
	ph_span trace = ph_header_trace(message);

	check(trace.size > 20 && memcmp(trace.data, "Received: from helo.example", 27) == 0);
	check(memcmp(trace.data + trace.size - 2, "\r\n", 2) == 0);
	check(ph_header_set_trace(message, "no field") == -1);
	check(ph_header_set_trace(message, "Received: by us\n hidden") == 0);
	check(ph_header_prepend(message, "X-Top: 1") == 0 && ph_header_prepend(message, "X Top") == -1);
	check(ph_header_insert_field(message, 0, "X-In :two\nlines") == 0);
	check(ph_header_insert_field(message, 0, ": no name") == -1);
	check(ph_filter_route(message, "smtp:[127.0.0.1]") == 0 && ph_filter_route(message, "a:\r") == -1);
	check(ph_filter_redirect(message, "boss@b") == 0 && ph_filter_redirect(message, "a\nb") == -1);
	check(ph_filter_bcc(message, "copy@b") == 0 && ph_filter_bcc(message, "\x7f") == -1);
	ph_filter_hold(message, "for a look");
	ph_filter_hold(message, "once more");
	return PH_FILTER_CONTINUE;
}

static void
scene_filter_wishes(void)
{
	static const struct ph_filter_ops ops = {.size = sizeof(ops), .header = wishing_header};
	static const struct instance wishing = {.ops = &ops, .name = "wishing"};
	const struct envelope *envelope = &fake_queue.envelope;
	ph_reply reply;

	fake_filters[0] = &wishing;
	check(submit(PH_ORIGIN_SMTP, "Subject: x\r\n\r\nbody\r\n", 7, &reply) == PH_INTAKE_QUEUED);
	check_stored("X-Top: 1\r\nReceived: by us\r\n hidden\r\nX-In :two\r\n\tlines\r\nSubject: x\r\n\r\nbody\r\n");
	check(strcmp(envelope->filter, "smtp:[127.0.0.1]") == 0 && envelope->recipient_count == 2);
	check(strcmp(envelope->recipients[0].address, "boss@b") == 0);
	check(strcmp(envelope->recipients[1].address, "copy@b") == 0);
	check(fake_queue.flags == PH_CONTENT_HOLD);
	check(strstr(logged, ": hold: for a look\n") != NULL && strstr(logged, "once more") == NULL);
}

static ph_filter_result
refusing_header(void *self, ph_filter_message *message, void **state)
{
	ph_filter_reply(message, 550, "5.7.9", "not\tthis");
	ph_filter_reason(message, "header %s from local", "X: y");
	return PH_FILTER_REFUSE;
}

/* What the sendmail command brought goes back by mail, where there is a transport for that. */
static void
scene_given_back(void)
{
	static const struct ph_filter_ops ops = {.size = sizeof(ops), .header = refusing_header};
	static const struct instance refusing = {.ops = &ops, .name = "refusing"};
	ph_reply reply;

	fake_filters[0] = &refusing;
	check(submit(PH_ORIGIN_LOCAL, FILTERED, 5, &reply) == PH_INTAKE_REFUSED);
	fake_queue.has_error = true;
	check(submit(PH_ORIGIN_SMTP, FILTERED, 5, &reply) == PH_INTAKE_REFUSED && fake_queue.committed == 0);
	check(submit(PH_ORIGIN_LOCAL, FILTERED, 5, &reply) == PH_INTAKE_QUEUED);
	check(strcmp(fake_queue.envelope.filter, "error:5.7.9 not?this") == 0);
	check(strstr(logged, ": reject: header X: y from local: 5.7.9 not") != NULL);
}

static void
filter_wishes(void **state)
{
	run(scene_filter_wishes);
	run(scene_given_back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(local),
		cmocka_unit_test(completed),
		cmocka_unit_test(log_lines),
		cmocka_unit_test(forms_of_content),
		cmocka_unit_test(received_headers),
		cmocka_unit_test(envelope),
		cmocka_unit_test(origin_from_a_file),
		cmocka_unit_test(refusals),
		cmocka_unit_test(large_section),
		cmocka_unit_test(filters),
		cmocka_unit_test(verdicts),
		cmocka_unit_test(hold_and_discard),
		cmocka_unit_test(wishes),
		cmocka_unit_test(writers),
		cmocka_unit_test(filter_wishes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
