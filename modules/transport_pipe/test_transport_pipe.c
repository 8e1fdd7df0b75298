#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "arguments.h"
#include "flags.h"

static const struct arguments_recipient recipients[] = {
	{"a+x@one.example", "old@one.example", "a", "a+x", "x", "one.example"},
	{"b c; $(d)@two.example", "b", "b c; $(d)", "b c; $(d)", "", "two.example"},
};
static const struct arguments_message message = {.sender = "s", .nexthop = "hop", .queue_id = "ID",
	.size = "7", .envid = "E", .client_address = "192.0.2.1", .client_hostname = "c.example",
	.client_helo = "h e", .client_port = "4711", .sasl_method = "plain", .sasl_sender = "", .client_protocol = "ESMTP", .sasl_username = "", .recipients = recipients, .count = 2};

static const struct {
	const char *text, *argv; /* each word in <> */
} cases[] = {
	{"/bin/x", "</bin/x>"},
	{" x\t-f ${sender}  -- $recipient ", "<x><-f><s><--><a+x@one.example><b c; $(d)@two.example>"},
	{"x u=$(user)+${extension}@${domain} $$size=$size", "<x><u=a+x@one.example><u=b c; $(d)+@two.example><$size=7>"},
	{"${client_address} ${client_hostname} $client_helo ${client_protocol}.$envid u=${sasl_username}",
		"<192.0.2.1><c.example><h e><ESMTP.E><u=>"},
	{"x {} { a $user  b } {a {$sender} c}", "<x><><a a  b><a b c; $(d)  b><a {s} c>"},
	{"$client_port ${sasl_method}${sasl_sender}.", "<4711><plain.>"},
	{"${nexthop}:${queue_id}:$mailbox", "<hop:ID:a+x><hop:ID:b c; $(d)>"},
};

static void
makes_arguments(void **unused)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		const char *const *argv = arguments_make(pool, cases[i].text, &message);
		char said[500] = "";

		for (; *argv != NULL; argv++)
			snprintf(said + strlen(said), sizeof(said) - strlen(said), "<%s>", *argv);
		assert_string_equal(said, cases[i].argv);
		ph_pool_free(pool);
	}
}

static void
checks_arguments(void **unused)
{
	static const char *const bad[] = {"", "  ", "x $", "x ${recipient", "x $what", "x ${}", "x $Recipient", "x {a", "x {a}b",
		"{x"};
	ph_error error;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(arguments_check(cases[i].text, &error), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(arguments_check(bad[i], &error), -1);
}

static void
knows_flags(void **unused)
{
	ph_pool *pool = ph_pool_new(0);
	ph_error error;
	char eol[9];

	assert_int_equal(flags_check("DRhu.>", &error), 0);
	assert_int_equal(flags_check("DZ", &error), -1);
	assert_non_null(strstr(error.text, "\"Z\" is no flag"));
	assert_int_equal(flags_eol("\\r\\n", eol, sizeof(eol), &error), 0);
	assert_string_equal(eol, "\r\n");
	assert_int_equal(flags_eol("\\015\\12!\\a\\\\", eol, sizeof(eol), &error), 0);
	assert_string_equal(eol, "\r\n!\a\\");
	assert_int_equal(flags_eol("\\777", eol, sizeof(eol), &error), -1);
	assert_int_equal(flags_eol("\\0", eol, sizeof(eol), &error), -1);
	assert_int_equal(flags_eol("\\", eol, sizeof(eol), &error), -1);
	assert_int_equal(flags_eol("\\x", eol, sizeof(eol), &error), -1);
	assert_int_equal(flags_eol("", eol, sizeof(eol), &error), -1);
	assert_int_equal(flags_eol("123456789", eol, sizeof(eol), &error), -1);
	assert_string_equal(flags_address(pool, "", false, "\"A \\\"b\"@X.Example"), "A \"b@X.Example");
	assert_string_equal(flags_address(pool, "h", true, "\"A b\"@X.Example"), "\"A b\"@x.example");
	assert_string_equal(flags_address(pool, "u", false, "AB@X.Example"), "ab@X.Example");
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_arguments),
		cmocka_unit_test(checks_arguments),
		cmocka_unit_test(knows_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
