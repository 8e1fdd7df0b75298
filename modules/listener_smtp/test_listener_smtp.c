/* Command lines and parameters: tables. */
#include "test.h"

#include <string.h>

#include <posthouse/dsn.h>

#include "command.h"
#include "params.h"

#define BYTES(text) {text, sizeof(text) - 1}

static void
test_commands(void **state)
{
	static const struct {
		ph_span line;
		enum command_fault fault;
		enum verb verb;
		const char *argument;
	} cases[] = {
		{BYTES("EHLO a.example\r\n"), COMMAND_OK, VERB_EHLO, "a.example"},
		{BYTES("ehlo a.example\r\n"), COMMAND_OK, VERB_EHLO, "a.example"},
		{BYTES("HELO\r\n"), COMMAND_OK, VERB_HELO, ""},
		{BYTES("HELO   \r\n"), COMMAND_OK, VERB_HELO, ""},
		{BYTES("MAIL FROM:<a@b>\r\n"), COMMAND_OK, VERB_MAIL, "FROM:<a@b>"},
		{BYTES("mail  from:<a@b> \r\n"), COMMAND_OK, VERB_MAIL, "from:<a@b>"},
		{BYTES("RCPT\tTO:<a@b>\r\n"), COMMAND_OK, VERB_RCPT, "TO:<a@b>"},
		{BYTES("DATA\r\n"), COMMAND_OK, VERB_DATA, ""},
		{BYTES("DATAX\r\n"), COMMAND_OK, VERB_UNKNOWN, ""},
		{BYTES("DAT\r\n"), COMMAND_OK, VERB_UNKNOWN, ""},
		{BYTES("  RSET\r\n"), COMMAND_OK, VERB_RSET, ""},
		{BYTES("\r\n"), COMMAND_OK, VERB_UNKNOWN, ""},
		{BYTES("NOOP\n"), COMMAND_BARE_LF, VERB_NOOP, ""},
		{BYTES("\n"), COMMAND_BARE_LF, VERB_UNKNOWN, ""},
		{BYTES("NOOP\r\r\n"), COMMAND_BARE_CR, VERB_UNKNOWN, ""},
		{BYTES("MAIL FROM:<a@b>\rRCPT\r\n"), COMMAND_BARE_CR, VERB_UNKNOWN, ""},
		{BYTES("NO\0OP\r\n"), COMMAND_NUL, VERB_UNKNOWN, ""},
		{BYTES("NO\0OP\n"), COMMAND_NUL, VERB_UNKNOWN, ""},
		{BYTES("GET / HTTP/1.1\r\n"), COMMAND_OK, VERB_UNKNOWN, "/ HTTP/1.1"},
		{BYTES("STARTTLS\r\n"), COMMAND_OK, VERB_STARTTLS, ""},
		{BYTES("XCLIENT ADDR=1.2.3.4\r\n"), COMMAND_OK, VERB_UNKNOWN, "ADDR=1.2.3.4"},
		{BYTES("UNKNOWN\r\n"), COMMAND_OK, VERB_UNKNOWN, ""},
		{BYTES(""), COMMAND_OK, VERB_UNKNOWN, ""},
		{BYTES("\xff\xfd\x06\r\n"), COMMAND_OK, VERB_UNKNOWN, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command command = {0};

		assert_int_equal(command_parse(cases[i].line, &command), cases[i].fault);
		assert_int_equal(command.verb, cases[i].verb);
		assert_true(ph_span_equal(command.argument, ph_span_of(cases[i].argument)));
	}
}

static void
test_headers(void **state)
{
	static const struct {
		ph_span word;
		bool header;
	} cases[] = {{BYTES("Subject:"), true}, {BYTES("X-A:b"), true}, {BYTES("Subject"), false},
		{BYTES(":"), false}, {BYTES(""), false}, {BYTES("\xc3\xa4:"), false},
		{BYTES("a\x7f:"), false}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(command_is_header(cases[i].word), cases[i].header);
}

static void
test_names(void **state)
{
	for (enum verb v = VERB_UNKNOWN; v < VERB_COUNT; v++) {
		assert_non_null(command_name(v));
		assert_non_null(command_word(v));
	}
}

static void
test_paths(void **state)
{
	static const struct {
		const char *argument, *keyword;
		const char *path; /* NULL: none */
	} cases[] = {
		{"FROM:<a@b> SIZE=3", "FROM", "<a@b> SIZE=3"},
		{"from:<a@b>", "FROM", "<a@b>"},
		{"FROM: <a@b>", "FROM", " <a@b>"},
		{"FROM :<a@b>", "FROM", "<a@b>"},
		{"FROM:", "FROM", ""},
		{"FROM<a@b>", "FROM", NULL},
		{"FROM", "FROM", NULL},
		{"", "FROM", NULL},
		{"TO:<a@b>", "FROM", NULL},
		{"TO:<a@b>", "TO", "<a@b>"},
		{"<a@b>", "TO", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_span path;
		bool found = command_path(ph_span_of(cases[i].argument), cases[i].keyword, &path);

		assert_int_equal(found, cases[i].path != NULL);
		if (found)
			assert_true(ph_span_equal(path, ph_span_of(cases[i].path)));
	}
}

static void
test_mail(void **state)
{
	static const struct {
		const char *text;
		int code; /* 0: good */
		int64_t size;
		uint32_t body;
	} cases[] = {
		{"", 0, 0, 0},
		{"SIZE=5", 0, 5, 0},
		{"size=5 body=8bitmime", 0, 5, 1},
		{"BODY=7BIT", 0, 0, 0},
		{"BODY=8BITMIME  SIZE=0", 0, 0, 1},
		{"SIZE=9223372036854775807", 0, INT64_MAX, 0},
		{"SIZE=18446744073709551616", 0, INT64_MAX, 0},
		{"SIZE=99999999999999999999999999", 0, INT64_MAX, 0},
		{"SIZE=abc", 501, 0, 0},
		{"SIZE=-1", 501, 0, 0},
		{"SIZE=", 501, 0, 0},
		{"SIZE", 501, 0, 0},
		{"SIZE=5 SIZE=5", 501, 0, 0},
		{"BODY=BINARYMIME", 501, 0, 0},
		{"BODY", 501, 0, 0},
		{"BODY=7BIT BODY=7BIT", 501, 0, 0},
		{"FOO=1", 555, 0, 0},
		{"FOO", 555, 0, 0},
		{"=1", 555, 0, 0},
		{"SMTPUTF8", 555, 0, 0},
		{"RET=FULL ENVID=x BODY=8BITMIME", 0, 0, 1},
		{"RET=FULL RET=FULL", 501, 0, 0},
		{"RET=BODY", 501, 0, 0},
		{"RET", 501, 0, 0},
		{"ENVID=x ENVID=x", 501, 0, 0},
		{"ENVID=", 501, 0, 0},
		{"ENVID=a+4", 501, 0, 0},
		{"AUTH=<>", 555, 0, 0},
	};

	struct params_setting setting = {ph_pool_new(0), true};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mail_params params;
		ph_reply reply = {0};
		int result = params_mail(&setting, ph_span_of(cases[i].text), &params, &reply);

		assert_int_equal(result, cases[i].code == 0 ? 0 : -1);
		assert_int_equal(reply.code, cases[i].code);
		if (result == -1) {
			assert_string_equal(reply.status, "5.5.4");
			continue;
		}
		assert_int_equal(params.size, cases[i].size);
		assert_int_equal(params.envelope.body, cases[i].body);
	}
	ph_pool_free(setting.pool);
}

/* What RFC 3461 adds to MAIL. */
static void
test_mail_dsn(void **state)
{
	struct params_setting setting = {ph_pool_new(0), true};
	struct mail_params params;
	ph_reply reply = {0};

	assert_int_equal(params_mail(&setting, ph_span_of("ret=hdrs envid=QQ+2B314+20x"), &params, &reply), 0);
	assert_int_equal(params.envelope.ret, PH_RET_HDRS);
	assert_string_equal(params.envelope.envid, "QQ+314 x");
	assert_int_equal(params_mail(&setting, ph_span_of("ENVID=x=y"), &params, &reply), -1);
	assert_string_equal(reply.text, "Bad ENVID parameter syntax");
	assert_int_equal(params_mail(&setting, ph_span_of("RET=none"), &params, &reply), -1);
	assert_string_equal(reply.text, "Bad RET parameter syntax");
	setting.dsn = false;
	assert_int_equal(params_mail(&setting, ph_span_of("RET=FULL"), &params, &reply), -1);
	assert_int_equal(reply.code, 501);
	assert_string_equal(reply.status, "5.7.1");
	assert_string_equal(reply.text, "DSN support is disabled");
	ph_pool_free(setting.pool);
}

static void
test_rcpt(void **state)
{
	static const struct {
		const char *text;
		int code; /* 0: good */
		uint32_t notify;
		const char *orcpt;
	} cases[] = {
		{"", 0, 0, NULL},
		{"NOTIFY=NEVER", 0, PH_NOTIFY_NEVER, NULL},
		{"notify=success,Delay", 0, PH_NOTIFY_SUCCESS | PH_NOTIFY_DELAY, NULL},
		{"NOTIFY=FAILURE ORCPT=rfc822;a+2Bb+40example.org", 0, PH_NOTIFY_FAILURE, "rfc822;a+b@example.org"},
		{"ORCPT=X400;/c+3Dde", 0, 0, "X400;/c=de"},
		{"NOTIFY=NEVER,FAILURE", 501, 0, NULL},
		{"NOTIFY=FAILURE,FAILURE", 501, 0, NULL},
		{"NOTIFY=FAILURE NOTIFY=FAILURE", 501, 0, NULL},
		{"NOTIFY=FAILURE,", 501, 0, NULL},
		{"NOTIFY=", 501, 0, NULL},
		{"NOTIFY", 501, 0, NULL},
		{"NOTIFY=always", 501, 0, NULL},
		{"ORCPT=a@example.org", 501, 0, NULL},
		{"ORCPT=;a@example.org", 501, 0, NULL},
		{"ORCPT=rfc822;", 501, 0, NULL},
		{"ORCPT=rfc822;a+0Ab", 501, 0, NULL},
		{"ORCPT=rfc822;a+00b", 501, 0, NULL},
		{"ORCPT=rfc822;a+4x", 501, 0, NULL},
		{"ORCPT=rfc822;a ORCPT=rfc822;a", 501, 0, NULL},
		{"\x01\xff=1", 555, 0, NULL},
	};
	struct params_setting setting = {ph_pool_new(0), true};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ph_rcpt_parameters params;
		ph_reply reply = {0};
		int result = params_rcpt(&setting, ph_span_of(cases[i].text), &params, &reply);

		assert_int_equal(result, cases[i].code == 0 ? 0 : -1);
		assert_int_equal(reply.code, cases[i].code);
		if (result == -1) {
			assert_string_equal(reply.status, "5.5.4");
			continue;
		}
		assert_int_equal(params.size, sizeof(params));
		assert_int_equal(params.notify, cases[i].notify);
		assert_int_equal(params.orcpt == NULL, cases[i].orcpt == NULL);
		if (params.orcpt != NULL)
			assert_string_equal(params.orcpt, cases[i].orcpt);
	}
	ph_pool_free(setting.pool);
}

static void
test_rcpt_refusals(void **state)
{
	struct params_setting setting = {ph_pool_new(0), true};
	struct ph_rcpt_parameters params;
	ph_reply reply = {0};

	assert_int_equal(params_rcpt(&setting, ph_span_of("\x01\xff=1"), &params, &reply), -1);
	assert_string_equal(reply.text, "Unsupported option: ?" "?");
	assert_int_equal(params_rcpt(&setting, ph_span_of("NOTIFY=x"), &params, &reply), -1);
	assert_string_equal(reply.text, "Error: Bad NOTIFY parameter syntax");
	assert_int_equal(params_rcpt(&setting, ph_span_of("ORCPT=x"), &params, &reply), -1);
	assert_string_equal(reply.text, "Error: Bad ORCPT parameter syntax");
	setting.dsn = false;
	assert_int_equal(params_rcpt(&setting, ph_span_of("NOTIFY=NEVER"), &params, &reply), -1);
	assert_string_equal(reply.text, "DSN support is disabled");
	ph_pool_free(setting.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_mail),
		cmocka_unit_test(test_mail_dsn),
		cmocka_unit_test(test_rcpt),
		cmocka_unit_test(test_rcpt_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
