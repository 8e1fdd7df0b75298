/* The file with the texts of reports. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "config/template.h"
#include "pool.h"

static char problems[2000];

static const char *
look_up(void *context, ph_pool *to, const char *name, ph_error *error)
{
	size_t size = template_time_name(name);

	if (size > 0)
		return template_time(to, name, INT64_C(432000000));
	if (strcmp(name, "myhostname") == 0)
		return "mx.example";
	if (strcmp(name, "broken") == 0)
		return "two\nlines";
	ph_error_set(error, "$%s: unknown", name);
	return NULL;
}

static void
add_problem(void *context, int line, const char *text)
{
	size_t size = strlen(problems);

	snprintf(problems + size, sizeof(problems) - size, "%d: %s\n", line, text);
}

static int
read_text(const char *text, struct templates *templates)
{
	struct template_reader reader = {.pool = pool, .lookup = look_up, .problem = add_problem};

	problems[0] = '\0';
	assert_int_equal(templates_default(&reader, templates), 0);
	assert_string_equal(problems, "");
	return templates_read(&reader, ph_span_of(text), templates);
}

static void
test_default(void **state)
{
	struct templates templates;

	assert_int_equal(read_text("\n# nothing\n", &templates), 0);
	for (size_t i = 0; i < TEMPLATE_KINDS; i++) {
		const struct template *template = &templates.items[i];

		assert_string_equal(template->charset, "us-ascii");
		assert_string_equal(template->from, "MAILER-DAEMON (Mail Delivery System)");
		assert_true(*template->subject != '\0');
		assert_non_null(strstr(template->text, "host mx.example.\n"));
		assert_null(strchr(template->text, '$'));
	}
	assert_non_null(strstr(templates.items[TEMPLATE_DELAY].text, "\n120 hour(s)"));
	assert_string_equal(templates.items[TEMPLATE_SUCCESS].postmaster_subject, "");
}

static void
test_replaced(void **state)
{
	struct templates templates;

	assert_int_equal(read_text("delay_template=<< E \r\nSUBJECT:  late \nCharset: iso-8859-1\n\n"
		"  $$1 \xe9 ${myhostname}\t\n\n# no comment\nE\nverify_template = <<E\n\nE", &templates), 0);
	assert_string_equal(templates.items[TEMPLATE_DELAY].subject, "late");
	assert_string_equal(templates.items[TEMPLATE_DELAY].text, "  $1 \xe9 mx.example\n\n# no comment\n");
	assert_string_equal(templates.items[TEMPLATE_DELAY].charset, "iso-8859-1");
	assert_string_equal(templates.items[TEMPLATE_VERIFY].text, "");
	assert_string_equal(templates.items[TEMPLATE_VERIFY].subject, "Mail Delivery Status Report");
}

static void
test_problems(void **state)
{
	static const struct {
		const char *text, *problem;
	} cases[] = {
		{"hello\n", "1: \"hello\": expected NAME_template = <<EOF\n"},
		{"failure_template = EOF\n", "1: \"failure_template = EOF\": expected NAME_template = <<EOF\n"},
		{"failure_template = <<\n", "1: \"failure_template = <<\": expected NAME_template = <<EOF\n"},
		{"bounce_template = <<E\nSubject: x\n\n$x\nE\n", "1: there is no bounce_template: expected "
			"failure_template, delay_template, success_template or verify_template\n4: $x: unknown\n"},
		{"failure_template = <<E\nSubject: x\nE\n", "3: the template has no text: expected an empty line "
			"behind its headers, and lines of text\n"},
		{"\nfailure_template = <<E\nSubject: x\n", "2: the template does not end: expected a line \"E\"\n"},
		{"failure_template = <<E\nTo: x\n\nE\n", "2: \"To: x\": expected Charset:, From:, Subject: or "
			"Postmaster-Subject:, and an empty line before the text\n"},
		{"failure_template = <<E\nSubject:\n\nE\n", "2: Subject: expected printable ASCII, at most 500 "
			"characters\n"},
		{"failure_template = <<E\nSubject: \xc3\xa9\n\nE\n", "2: Subject: expected printable ASCII, at most "
			"500 characters\n"},
		{"failure_template = <<E\nCharset: a b\n\nE\n", "2: Charset: expected the name of a character set, "
			"like us-ascii or utf-8\n"},
		{"failure_template = <<E\n\n\xc3\xa9\nE\n", "1: the template's text is not us-ascii: write \"Charset: "
			"utf-8\", or what it is\n"},
		{"failure_template = <<E\n\na\n$broken\n$ \nE\n", "4: a line end within a line, or in what a name "
			"stands for\n5: \"$\": a parameter's name must follow $ (a dollar sign itself is $$)\n"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct templates templates;

		assert_int_equal(read_text(cases[i].text, &templates), -1);
		assert_string_equal(problems, cases[i].problem);
	}
}

static void
test_times(void **state)
{
	static const struct {
		const char *name, *value;
		int64_t time;
	} cases[] = {
		{"t_seconds", "90", 90000}, {"t_minutes", "2", 90000}, {"t_hours", "1", 90000},
		{"t_days", "0", 0}, {"t_weeks", "1", INT64_C(432000000)}, {"t_days", "5", INT64_C(432000000)},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(template_time(pool, cases[i].name, cases[i].time), cases[i].value);
	assert_int_equal(template_time_name("delay_warning_time_hours"), strlen("delay_warning_time"));
	assert_int_equal(template_time_name("_hours"), 0);
	assert_int_equal(template_time_name("hours"), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_problems),
		cmocka_unit_test(test_times),
	};

	return cmocka_run_group_tests(tests, pool_setup, pool_teardown);
}
