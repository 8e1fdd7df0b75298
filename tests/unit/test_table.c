#include "test.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/table.h>

struct collected {
	char text[1024];
	size_t size;
	int stop_at;
};

static int
collect(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct collected *c = context;

	if (line == c->stop_at)
		return 42;
	c->size += (size_t)snprintf(c->text + c->size, sizeof(c->text) - c->size, "%d[%.*s][%.*s]", line,
		(int)key.size, key.data, (int)value.size, value.data);
	return 0;
}

static const struct {
	enum ph_table_style style;
	const char *text, *expected; /* entries, or with "!" before it the error */
} cases[] = {
	{PH_TABLE_PAIRS, "", ""},
	{PH_TABLE_PAIRS, "\n \n#x\n  # y\n", ""},
	{PH_TABLE_PAIRS, "a b", "1[a][b]"},
	{PH_TABLE_PAIRS, "a\tb c \r\nd e\r\n", "1[a][b c]2[d][e]"},
	{PH_TABLE_PAIRS, "a b\n c\n\n# x\n\td\ne f", "1[a][b c\td]6[e][f]"},
	{PH_TABLE_PAIRS, "a\n b", "1[a][b]"},
	{PH_TABLE_PAIRS, "a b # c", "1[a][b # c]"},
	{PH_TABLE_PAIRS, "\"a b\" c", "1[a b][c]"},
	{PH_TABLE_PAIRS, "\"a\\\"b\\\\\" c", "1[a\"b\\][c]"},
	{PH_TABLE_PAIRS, "a b\nc\nd e", "!t:2: expected \"key value\""},
	{PH_TABLE_PAIRS, "a b\n\"c d", "!t:2: a double quote is not closed"},
	{PH_TABLE_PAIRS, "\"c\"d e", "!t:1: expected white space"},
	{PH_TABLE_PAIRS, " a b", "!t:1: a continuation line, but no entry before it"},
	{PH_TABLE_ALIASES, "a: b", "1[a][b]"},
	{PH_TABLE_ALIASES, "a:b,\n c", "1[a][b, c]"},
	{PH_TABLE_ALIASES, "a : b", "1[a][b]"},
	{PH_TABLE_ALIASES, "\"a:b\": c", "1[a:b][c]"},
	{PH_TABLE_ALIASES, "\"a b\" :\n c", "1[a b][c]"},
	{PH_TABLE_ALIASES, "a: \"|prog x\"", "1[a][\"|prog x\"]"},
	{PH_TABLE_ALIASES, "a b", "!t:1: expected \"name: value\", found no colon"},
	{PH_TABLE_ALIASES, "x: y\na:", "!t:2: expected \"name: value\", found a name without"},
	{PH_TABLE_ALIASES, ": b", "!t:1: expected a name before the colon"},
	{PH_TABLE_ALIASES, "\"a\" b", "!t:1: expected a colon after"},
	{PH_TABLE_ALIASES, "\"\\", "!t:1: a double quote is not closed"},
	{PH_TABLE_LINES, "a  b\n  c \n#\nd", "1[a  b  c][]4[d][]"},
};

static void
cuts_text_into_entries(void **unused)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct collected c = {.size = 0};
		ph_error error = {""};
		bool bad = cases[i].expected[0] == '!';
		int result = ph_table_parse("t", ph_span_of(cases[i].text), cases[i].style, collect, &c,
			&error);

		if (result != (bad ? -1 : 0))
			fail_msg("\"%s\": %d %s", cases[i].text, result, error.text);
		if (bad)
			assert_memory_equal(error.text, cases[i].expected + 1, strlen(cases[i].expected) - 1);
		else
			assert_string_equal(c.text, cases[i].expected);
	}
}

static void
refuses_nul(void **unused)
{
	struct collected c = {.size = 0};
	ph_error error = {""};

	assert_int_equal(ph_table_parse("t", (ph_span){"a b\nc \0d\n", 9}, PH_TABLE_PAIRS, collect, &c,
		&error), -1);
	assert_string_equal(error.text, "t:2: a NUL byte is not allowed");
}

static void
stops_where_it_is_told(void **unused)
{
	struct collected c = {.stop_at = 2};

	assert_int_equal(ph_table_parse("t", ph_span_of("a b\nc d\ne f"), PH_TABLE_PAIRS, collect, &c,
		NULL), 42);
	assert_string_equal(c.text, "1[a][b]");
}

static void
knows_aliases(void **unused)
{
	static const struct {
		const char *path, *text;
		bool aliases;
	} files[] = {
		{"/etc/aliases", "", true},
		{"/etc/mail/my.aliases", "a b", true},
		{"/aliases/table", "a b", false},
		{"/t", "# c\n\nroot: nixhat\n", true},
		{"/t", "root:nixhat x\n", false},
		{"/t", "\"a b\": c\n", true},
		{"/t", "\"a b:\" c\n", false},
		{"/t", "\"a\\", false},
		{"/t", "", false},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		assert_int_equal(ph_table_is_aliases(files[i].path, ph_span_of(files[i].text)),
			files[i].aliases);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cuts_text_into_entries),
		cmocka_unit_test(refuses_nul),
		cmocka_unit_test(stops_where_it_is_told),
		cmocka_unit_test(knows_aliases),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
