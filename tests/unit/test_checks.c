/*
 * The answers of header and body checks, and the keys that tables are asked for.
 */
#include "test.h"

#include <posthouse/checks.h>

#include <string.h>

enum { HEADER = PH_CHECK_IN_HEADER, OUT = PH_CHECK_ON_DELIVERY };

static void
answers(void **state)
{
	static const struct {
		const char *answer;
		unsigned where;
		enum ph_check_action action;
		const char *text;
	} good[] = {
		{"DUNNO", 0, PH_CHECK_DUNNO, ""},
		{"ok", HEADER | OUT, PH_CHECK_DUNNO, ""},
		{"\t Warn \t look  here ", 0, PH_CHECK_WARN, "look  here "},
		{"INFO", HEADER | OUT, PH_CHECK_INFO, ""},
		{"IGNORE whatever", OUT, PH_CHECK_IGNORE, "whatever"},
		{"strip", OUT, PH_CHECK_STRIP, ""},
		{"REPLACE any text", 0, PH_CHECK_REPLACE, "any text"},
		{"REPLACE X-A :b", HEADER | OUT, PH_CHECK_REPLACE, "X-A :b"},
		{"PREPEND X-A:", HEADER, PH_CHECK_PREPEND, "X-A:"},
		{"HOLD", 0, PH_CHECK_HOLD, ""},
		{"DISCARD it", HEADER, PH_CHECK_DISCARD, "it"},
		{"REDIRECT a@b", 0, PH_CHECK_REDIRECT, "a@b"},
		{"BCC a@b", HEADER, PH_CHECK_BCC, "a@b"},
		{"FILTER smtp:", HEADER, PH_CHECK_FILTER, "smtp:"},
		{"PASS", 0, PH_CHECK_PASS, ""},
	};
	struct ph_check check;
	ph_error error = {""};

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(ph_check_parse(good[i].answer, good[i].where, &check, &error), 0);
		assert_int_equal(check.action, good[i].action);
		assert_string_equal(check.text, good[i].text);
	}
}

static void
refusals(void **state)
{
	static const struct {
		const char *answer;
		int code;
		const char *status, *text;
	} cases[] = {
		{"REJECT", 550, "5.7.1", "message content rejected"},
		{"reject go away", 550, "5.7.1", "go away"},
		{"REJECT 5.6.7 go away", 550, "5.6.7", "go away"},
		{"REJECT 4.6.7", 450, "4.6.7", "service unavailable"},
		{"REJECT 4.6.7 not now", 450, "4.6.7", "not now"},
		{"REJECT 5.6 no code", 550, "5.7.1", "5.6 no code"},
		{"REJECT 2.0.0 no refusal", 550, "5.7.1", "2.0.0 no refusal"},
	};
	struct ph_check check;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(ph_check_parse(cases[i].answer, HEADER, &check, NULL), 0);
		assert_int_equal(check.action, PH_CHECK_REJECT);
		assert_int_equal(check.code, cases[i].code);
		assert_string_equal(check.status, cases[i].status);
		assert_string_equal(check.text, cases[i].text);
	}
}

static void
mistakes(void **state)
{
	static const struct {
		const char *answer;
		unsigned where;
		const char *error;
	} bad[] = {
		{"REJCT", 0, "\"REJCT\" is no action; did you mean REJECT?"},
		{"5.7.1 spam", 0, "\"5.7.1\" is no action; expected REJECT, WARN, INFO, IGNORE, STRIP, REPLACE, "
			"PREPEND, HOLD, DISCARD, REDIRECT, BCC, FILTER, PASS or DUNNO"},
		{"PREPEND", 0, "PREPEND needs the text of a line: PREPEND text"},
		{"PREPEND text", HEADER, "PREPEND needs a header: PREPEND X-Checked: yes"},
		{"REPLACE a b: c", HEADER, "REPLACE needs a header: REPLACE X-Checked: yes"},
		{"REDIRECT", 0, "REDIRECT needs an address: REDIRECT user@example.com"},
		{"BCC me", HEADER, "BCC needs an address: BCC user@example.com"},
		{"FILTER :x", 0, "FILTER needs a transport and a destination: FILTER smtp:[127.0.0.1]:10025"},
		{"REJECT", OUT, "REJECT has no meaning for mail on its way out; write it into header_checks, "
			"which are asked when mail comes in"},
	};
	struct ph_check check;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ph_error error = {""};

		assert_int_equal(ph_check_parse(bad[i].answer, bad[i].where, &check, &error), -1);
		assert_string_equal(error.text, bad[i].error);
	}
}

static void
keys(void **state)
{
	ph_pool *pool = ph_pool_new(0);

	assert_string_equal(ph_check_key(pool, ph_span_of("A: b\r\n c\r\n"), 100), "A: b\n c");
	assert_string_equal(ph_check_key(pool, ph_span_of("A: b\n c\n"), 100), "A: b\n c");
	assert_string_equal(ph_check_key(pool, ph_span_of("a\rb\r\r\n"), 100), "a\rb\r");
	assert_string_equal(ph_check_key(pool, ph_span_of("12345\r\n67890\r\n"), 9), "12345\n67");
	assert_string_equal(ph_check_key(pool, (ph_span){"a\0b", 3}, 100), "a");
	assert_string_equal(ph_check_key(pool, (ph_span){NULL, 0}, 100), "");
	ph_pool_free(pool);
}

static void
fields(void **state)
{
	static const char *const texts[][2] = {
		{"A: b", "A: b\r\n"},
		{"A: b\n c\n\td", "A: b\r\n c\r\n\td\r\n"},
		{"A: b\nBcc: c\n\nd", "A: b\r\n\tBcc: c\r\n\t\r\n\td\r\n"},
		{"A: b\r\rc\n", "A: bc\r\n\t\r\n"},
	};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		ph_span field = ph_check_field(pool, texts[i][0]);

		assert_true(ph_span_equal(field, ph_span_of(texts[i][1])));
	}
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(refusals),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(keys),
		cmocka_unit_test(fields),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
