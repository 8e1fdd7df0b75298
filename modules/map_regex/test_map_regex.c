#include "../../tests/unit/map_conformance.h"
#include "rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const struct ph_module posthouse_module_map_regex;

static const struct map_subject regex = {
	.module = &posthouse_module_map_regex,
	.suffix = "",
	.first = "# a table\n/^alpha$/ one\n/^beta$/ two,\n# between\n three\n/^gamma$/ $$\n",
	.second = "/^alpha$/ changed\n/^gamma$/ $$\n",
	.broken = "/^alpha$/ one\n/(/ two\n",
	.broken_says = "/table:2: bad pattern at its character 2: missing closing parenthesis",
};

static void
conforms(void **unused)
{
	map_conformance(&regex);
}

/* One table, a key and its value; NULL: not found. */
static const struct {
	const char *table, *key, *value;
} finds[] = {
	{"/a/ 1", "xAx", "1"},
	{"/a/i 1", "xAx", NULL},
	{"/a/i 1", "xax", "1"},
	{"!/a/ 1", "b", "1"},
	{"!/a/ 1", "a", NULL},
	{"!!/a/ 1", "a", "1"},
	{"#x\n/a/ 1\n/./ 2", "b", "2"},
	{"%a/b% 1", "a/b", "1"},
	{"/a\\/b/ 1", "a/b", "1"},
	{"/a/", "a", ""},
	{"/a/ 1\n 2", "a", "1 2"},
	{"/^(.*)@(.*)$/ $2 $1", "u@h", "h u"},
	{"/^(.*)@(.*)$/ ${2}0$(1)1", "u@h", "h0u1"},
	{"/(a)|(b)/ <$1$2>", "b", "<b>"},
	{"/a/ $$1", "a", "$1"},
	{"/a.b/ 1", "a\nb", "1"},
	{"/a.b/s 1", "a\nb", NULL},
	{"/^b/m 1", "a\nb", "1"},
	{"/^b/ 1", "a\nb", NULL},
	{"/a b/x 1", "ab", "1"},
	{"/b/A 1", "ab", NULL},
	{"/(a+)/U $1", "aaa", "a"},
	{"/a$/ 1", "a\n", "1"},
	{"/a$/E 1", "a\n", NULL},
	{"/a/X 1", "a", "1"},
	{"if /a/\n/b/ 1\nendif\n/./ 2", "ab", "1"},
	{"if /a/\n/b/ 1\nendif\n/./ 2", "cb", "2"},
	{"if /a/\n/b/ 1\nendif\n/./ 2", "ac", "2"},
	{"if !/a/\n/b/ 1\nendif\n/./ 2", "ab", "2"},
	{"if !/a/\n/b/ 1\nendif\n/./ 2", "b", "1"},
	{"IF/a/\nif /b/\n/c/ 1\nendif\n/d/ 2\nENDIF", "ad", "2"},
	{"IF/a/\nif /b/\n/c/ 1\nendif\n/d/ 2\nENDIF", "abc", "1"},
	{"IF/a/\nif /b/\n/c/ 1\nendif\n/d/ 2\nENDIF", "bcd", NULL},
	{"", "a", NULL},
};

static pcre2_match_context *
limited_context(void)
{
	pcre2_match_context *context = pcre2_match_context_create(NULL);

	pcre2_set_match_limit(context, RULES_MATCH_LIMIT);
	pcre2_set_depth_limit(context, RULES_DEPTH_LIMIT);
	pcre2_set_heap_limit(context, RULES_HEAP_LIMIT);
	return context;
}

static void
finds_what_it_should(void **unused)
{
	pcre2_match_context *context = limited_context();

	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct rules rules;
		ph_error error = {""};
		ph_span value;
		ph_found found;

		if (rules_parse(&rules, pool, "t", ph_span_of(finds[i].table), &error) != 0)
			fail_msg("\"%s\": %s", finds[i].table, error.text);
		found = rules_find(&rules, context, pool, "t", ph_span_of(finds[i].key), &value, &error);
		if (found != (finds[i].value != NULL ? PH_FOUND : PH_NOT_FOUND))
			fail_msg("\"%s\" in \"%s\": %d", finds[i].key, finds[i].table, found);
		if (found == PH_FOUND)
			assert_string_equal(value.data, finds[i].value);
		rules_free(&rules);
		ph_pool_free(pool);
	}
	pcre2_match_context_free(context);
}

static const struct {
	const char *table, *error;
} errors[] = {
	{"a 1", "t:1: expected a pattern in delimiters"},
	{"\n/a 1", "t:2: no closing \"/\" behind the pattern"},
	{"/a\\", "t:1: no closing \"/\" behind the pattern"},
	{"!", "t:1: expected a pattern: /pattern/flags value"},
	{"/a/q 1", "t:1: unknown flag \"q\" behind the pattern"},
	{"/[/ 1", "t:1: bad pattern at its character 2: missing terminating ]"},
	{"/a/ 1\n\n/b/ $1", "t:3: $1 in the value, but the pattern has 0 groups"},
	{"/(a)/ $0", "t:1: $0 in the value, but the pattern has 1 groups"},
	{"!/(a)/ $1", "t:1: a negated pattern has no groups"},
	{"/(a)/ ${1", "t:1: expected $number"},
	{"/(a)/ $(1}", "t:1: expected $number"},
	{"/(a)/ $", "t:1: expected $number"},
	{"/(a)/ $99999999999", "t:1: expected $number"},
	{"endif", "t:1: endif without an if"},
	{"/a/ 1\nif /a/\n/b/ 1", "t:2: this if has no endif"},
	{"if /a/ x\nendif", "t:1: unexpected text behind the pattern of if"},
	{"if /a/\nendif x", "t:2: unexpected text behind endif"},
	{" /a/ 1", "t:1: a continuation line, but no entry before it"},
};

static void
names_what_is_wrong(void **unused)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct rules rules;
		ph_error error = {""};

		assert_int_equal(rules_parse(&rules, pool, "t", ph_span_of(errors[i].table), &error), -1);
		if (strncmp(error.text, errors[i].error, strlen(errors[i].error)) != 0)
			fail_msg("\"%s\": %s", errors[i].table, error.text);
		ph_pool_free(pool);
	}
}

/* Exponential without a limit. */
static void
is_not_held_up(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	char key[64];

	memset(key, 'a', sizeof(key) - 1);
	memcpy(key + sizeof(key) - 2, "!", 2);
	map_setup(&f, &regex);
	map_write(&f, "/x/ 1\n\n/^(a|aa)+$/ 2\n");
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, key, NULL), PH_FAILED);
	assert_non_null(strstr(map_find_error(), "/table:3: the pattern could not be tried: match limit"));
	map_teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(finds_what_it_should),
		cmocka_unit_test(names_what_is_wrong),
		cmocka_unit_test(is_not_held_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
