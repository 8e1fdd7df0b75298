/* The text of a report, taken apart again. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "queue/report.h"

static char text[16384];
static size_t size;

static int
collect(void *context, ph_span bytes)
{
	assert_true(size + bytes.size < sizeof(text));
	memcpy(text + size, bytes.data, bytes.size);
	size += bytes.size;
	text[size] = '\0';
	return 0;
}

static const struct report_recipient recipients[] = {
	{.address = "nobody@example.com", .original = "", .orcpt = "rfc822;Nobody@example.com",
		.action = "failed", .relay = "", .status = "5.1.1", .text = "host mx.example.com[192.0.2.1] said: 550 5.1.1 <nobody@example.com>: "
		"user unknown (in reply to RCPT TO command)"},
	{.address = "x@there.example", .original = "alias@here.example", .orcpt = "", .status = "4.4.7",
		.action = "failed", .relay = "none",
		.text = "connect to there.example[192.0.2.2]:25: Connection refused\r\nBcc: evil@example.com"},
};

static const struct template template = {.charset = "us-ascii",
	.from = "MAILER-DAEMON (Mail Delivery System)", .subject = "Undelivered Mail Returned to Sender",
	.postmaster_subject = "Postmaster Copy", .text = "This is the mail system.\n\nSorry.\n"};

static const struct report sample = {.template = &template, .myhostname = "mail.here.example",
	.myorigin = "here.example", .mail_name = "Posthouse", .queue_id = "ABC123",
	.sender = "s@here.example", .to = "s@here.example", .envid = "env-1", .boundary = "B/1",
	.arrival = 1518884531000000, .recipients = recipients, .recipient_count = 2};

static void
compose_report(const struct report *report)
{
	ph_pool *pool = ph_pool_new(0);
	struct report_sink sink = {.write = collect, .pool = pool};

	size = 0;
	report_begin(&sink, report);
	collect(NULL, ph_span_of("Subject: x\r\n\r\nbody\r\n"));
	report_end(&sink, report);
	assert_int_equal(sink.result, 0);
	ph_pool_free(pool);
}

static void
compose(bool full)
{
	struct report report = sample;

	report.full = full;
	compose_report(&report);
}

static void
assert_has(const char *line)
{
	const char *at = strstr(text, line);

	if (at == NULL)
		print_message("missing: %s\nin:\n%s\n", line, text);
	assert_non_null(at);
	assert_true(at == text || at[-1] == '\n');
}

static void
test_fields(void **state)
{
	compose(true);
	assert_has("From: MAILER-DAEMON@here.example (Mail Delivery System)\r\n");
	assert_has("Subject: Undelivered Mail Returned to Sender\r\n");
	assert_has("This is the mail system.\r\n\r\nSorry.\r\n\r\n<nobody@example.com>: host");
	assert_has("To: s@here.example\r\n");
	assert_has("Auto-Submitted: auto-replied\r\n");
	assert_has("Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"B/1\"\r\n");
	assert_has("Reporting-MTA: dns; mail.here.example\r\n");
	assert_has("Original-Envelope-Id: env-1\r\n");
	assert_has("X-Posthouse-Queue-ID: ABC123\r\n");
	assert_has("Arrival-Date: ");
	assert_has("Original-Recipient: rfc822;Nobody@example.com\r\n"
		"Final-Recipient: rfc822; nobody@example.com\r\nAction: failed\r\nStatus: 5.1.1\r\n"
		"Remote-MTA: dns; mx.example.com\r\nDiagnostic-Code: smtp; 550 5.1.1 <nobody@example.com>: user unknown\r\n");
	assert_has("Original-Recipient: rfc822;alias@here.example\r\n"
		"Final-Recipient: rfc822; x@there.example\r\nAction: failed\r\nStatus: 4.4.7\r\n"
		"Diagnostic-Code: X-Posthouse; connect to there.example[192.0.2.2]:25:");
	assert_has("Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nbody\r\n\r\n--B/1--\r\n");
	compose(false);
	assert_has("Content-Type: text/rfc822-headers\r\n");
}

/* Those of other kinds: what was delivered, what waits; a copy for the postmaster. */
static void
test_kinds(void **state)
{
	static const struct report_recipient served[] = {
		{.address = "a@far.example", .original = "", .orcpt = "", .action = "relayed", .status = "2.1.5",
			.text = "250 2.1.5 taken", .relay = "mx.far.example[192.0.2.1]:25"},
		{.address = "b@here.example", .original = "c@here.example", .orcpt = "", .action = "delivered",
			.status = "2.0.0", .text = "delivered to mailbox", .relay = "local"},
	};
	struct report report = sample;

	report.kind = TEMPLATE_SUCCESS;
	report.recipients = served;
	compose_report(&report);
	assert_has("Final-Recipient: rfc822; a@far.example\r\nAction: relayed\r\nStatus: 2.1.5\r\n"
		"Remote-MTA: dns; mx.far.example\r\nDiagnostic-Code: smtp; 250 2.1.5 taken\r\n");
	assert_has("Original-Recipient: rfc822;c@here.example\r\nFinal-Recipient: rfc822; b@here.example\r\n"
		"Action: delivered\r\nStatus: 2.0.0\r\nDiagnostic-Code: X-Posthouse; delivered to mailbox\r\n");
	assert_has("Content-Description: Delivered Message Headers\r\n");
	assert_null(strstr(text, "Will-Retry-Until"));
	report = sample;
	report.kind = TEMPLATE_DELAY;
	report.retry_until = 1518984531000000;
	report.postmaster = true;
	report.to = "postmaster@here.example";
	compose_report(&report);
	assert_has("Subject: Postmaster Copy\r\n");
	assert_has("To: postmaster@here.example (Postmaster)\r\n");
	assert_has("Will-Retry-Until: ");
	assert_has("X-Posthouse-Sender: rfc822; s@here.example\r\n");
}

/* A template may have another character set, and a sender with a domain. */
static void
test_charset(void **state)
{
	struct template latin = template;
	struct report report = sample;

	latin.charset = "iso-8859-1";
	latin.from = "The Postmaster <post@elsewhere.example>";
	latin.text = "Gr\xfc\xdf Gott\n";
	report.template = &latin;
	compose_report(&report);
	assert_has("From: The Postmaster <post@elsewhere.example>\r\n");
	assert_has("Content-Transfer-Encoding: 8bit\r\n");
	assert_has("Content-Type: text/plain; charset=iso-8859-1\r\n");
	assert_has("Gr\xfc\xdf Gott\r\n");
	latin.from = "Post <MAILER-DAEMON>";
	compose_report(&report);
	assert_has("From: Post <MAILER-DAEMON@here.example>\r\n");
}

/* Lines end in CR LF, are short, and a peer's words make none of their own. */
static void
test_shape(void **state)
{
	compose(true);
	assert_null(strstr(text, "\nBcc:"));
	for (char *line = text; *line != '\0';) {
		char *end = strstr(line, "\r\n");

		assert_non_null(end);
		assert_null(memchr(line, '\n', (size_t)(end - line)));
		assert_true(end - line <= 200);
		line = end + 2;
	}
	/* three parts and the end */
	size_t parts = 0;

	for (const char *at = text; (at = strstr(at, "\r\n--B/1")) != NULL; at++)
		parts++;
	assert_int_equal(parts, 4);
}

static void
test_header_size(void **state)
{
	assert_int_equal(report_header_size(ph_span_of("A: b\r\n\r\nbody"), true), 8);
	assert_int_equal(report_header_size(ph_span_of("\r\nbody"), true), 2);
	assert_int_equal(report_header_size(ph_span_of("\r\nbody"), false), 0);
	assert_int_equal(report_header_size(ph_span_of("A: b\r\n"), true), 0);
	assert_int_equal(report_header_size(ph_span_of(""), true), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_charset),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_header_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
