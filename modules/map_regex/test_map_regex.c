#include "../../tests/unit/map_conformance.h"
#include "posix.h"
#include "rules.h"

#include <regex.h>
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

static const struct map_subject regexp = {
	.module = &posthouse_module_map_regex,
	.type = "regexp",
	.suffix = "",
	.first = "/^alpha\\>$/ one\n/^beta$/!/x/ two,\n three\n/^gamma$/ $$\n",
	.second = "/^alpha$/ changed\n/^gamma$/ $$\n",
	.broken = "/^alpha$/ one\n/(/ two\n",
	.broken_says = "/table:2: bad pattern: missing closing parenthesis",
};

static void
conforms(void **unused)
{
	struct map_subject pcre = regex;

	map_conformance(&regex);
	pcre.type = "pcre";
	map_conformance(&pcre);
	map_conformance(&regexp);
}

/* One table, a key and its value; NULL: not found. */
struct find {
	const char *table, *key, *value;
};

static const struct find finds[] = {
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

/* The same in POSIX's syntax: what differs. */
static const struct find posix_finds[] = {
	{"/a/ 1", "xAx", "1"},
	{"/a/i 1", "xAx", NULL},
	{"/a$/ 1", "a\n", NULL},
	{"/a.b/ 1", "a\nb", "1"},
	{"/a.b/m 1", "a\nb", NULL},
	{"/^b$/m 1", "a\nb\nc", "1"},
	{"/a[^x]b/ 1", "a\nb", "1"},
	{"/a[^x]b/m 1", "a\nb", NULL},
	{"/[\\d]/ 1", "7", NULL},
	{"/[\\d]/ 1", "\\", "1"},
	{"/^\\d$/ 1", "d", "1"},
	{"/\\<ab\\>/ 1", "x-ab.c", "1"},
	{"/\\<ab\\>/ 1", "xab.c", NULL},
	{"/(a+)/ $1", "aaa", "aaa"},
	{"/(a+?)b/ $1", "aab", "aa"},
	{"/^(.*)-outgoing@(.*)$/!/^owner-/ 550 Use ${1}@${2} instead", "x-outgoing@h", "550 Use x@h instead"},
	{"/^(.*)-outgoing@(.*)$/!/^owner-/ 550 Use ${1}@${2} instead", "owner-x-outgoing@h", NULL},
	{"/a/!/B/i 1", "ab", "1"},
	{"/a/!/B/i 1", "aB", NULL},
	{"/a/ !b", "a", "!b"},
	{"if /a/!/b/\n/c/ 1\nendif", "ac", "1"},
	{"if /a/!/b/\n/c/ 1\nendif", "abc", NULL},
};

static void
try_one(const struct find *find, enum rules_syntax syntax, pcre2_match_context *context)
{
	ph_pool *pool = ph_pool_new(0);
	struct rules rules;
	ph_error error = {""};
	ph_span value;
	ph_found found;

	if (regex_parse(&rules, pool, "t", ph_span_of(find->table), syntax, &error) != 0)
		fail_msg("\"%s\": %s", find->table, error.text);
	found = rules_find(&rules, context, pool, "t", ph_span_of(find->key), &value, &error);
	if (found != (find->value != NULL ? PH_FOUND : PH_NOT_FOUND))
		fail_msg("\"%s\" in \"%s\": %d", find->key, find->table, found);
	if (found == PH_FOUND)
		assert_string_equal(value.data, find->value);
	rules_free(&rules);
	ph_pool_free(pool);
}

static void
finds_what_it_should(void **unused)
{
	pcre2_match_context *context = limited_context();

	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++)
		try_one(&finds[i], RULES_PERL, context);
	for (size_t i = 0; i < sizeof(posix_finds) / sizeof(posix_finds[0]); i++)
		try_one(&posix_finds[i], RULES_POSIX, context);
	pcre2_match_context_free(context);
}

/* ---- The translation, against regcomp(3) ----------------------------------------------------- */

static unsigned
chance(unsigned *seed, unsigned range)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 16) % range;
}

/* A pattern of a few pieces, each of which a regular expression may begin with. */
static void
make_pattern(char *out, size_t room, unsigned *seed)
{
	static const char *const atoms[] = {"a", "b", "\\.", ".", "[ab]", "[^a]", "[]a]", "[^]a]", "[a\\]", "[\\w]",
		"[a-c-]", "[[:alpha:]]", "[.[:space:]-]", "[[=a=]b]", "[a[.-.]c]", "\\w", "\\W", "\\s", "\\S", "\\d", "\\<", "\\>",
		"\\b", "\\B", "\\`", "\\'", "^", "$", "(a)", "(a|b)", "(a|bc)", "(ab)", "\\n", "\\0", "\\/", "{", "{x"};
	static const char *const repetitions[] = {"", "", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,1}", "{1,}", "{,2}",
		"*?", "+?", "??", "**", "+*", "++", "?+", "*+"};
	size_t size = 0;

	for (unsigned count = 1 + chance(seed, 4); count > 0; count--) {
		unsigned atom = chance(seed, sizeof(atoms) / sizeof(atoms[0]));
		/* Of what has no length a repetition means little, and not the same everywhere. */
		bool empty = (atom >= 20 && atom <= 27) || atom >= 35;

		size += (size_t)snprintf(out + size, room - size, "%s%s", atoms[atom], empty ? "" :
			repetitions[chance(seed, sizeof(repetitions) / sizeof(repetitions[0]))]);
	}
}

static bool
has_anchor(const char *pattern)
{
	for (const char *c = pattern; *c != '\0'; c++)
		if (*c == '$' || (*c == '^' && (c == pattern || c[-1] != '[')))
			return true;
	return false;
}

static void
compare(const char *pattern, const regex_t *theirs, const pcre2_code *ours, unsigned *seed)
{
	static const char all[] = "\naabbc.-\\w]d {";
	/* In the middle of a pattern glibc's anchors find ends of lines even without
	 * REG_NEWLINE. */
	const char *letters = has_anchor(pattern) ? all + 1 : all;
	pcre2_match_data *data = pcre2_match_data_create(10, NULL);

	for (int i = 0; i < 40; i++) {
		char key[9];
		size_t size = chance(seed, sizeof(key));
		bool expected;

		for (size_t j = 0; j < size; j++)
			key[j] = letters[chance(seed, (unsigned)strlen(letters))];
		key[size] = '\0';
		expected = regexec(theirs, key, 0, NULL, 0) == 0;
		if ((pcre2_match(ours, (PCRE2_SPTR)key, size, 0, 0, data, NULL) >= 0) != expected)
			fail_msg("/%s/ and \"%s\": expected %d", pattern, key, expected);
	}
	pcre2_match_data_free(data);
}

static void
means_what_posix_means(void **unused)
{
	unsigned seed = 1, tried = 0;

	for (int i = 0; i < 20000; i++) {
		bool lines = chance(&seed, 2);
		ph_pool *pool = ph_pool_new(0);
		char pattern[128];
		regex_t theirs;
		ph_error error = {""};

		make_pattern(pattern, sizeof(pattern), &seed);
		if (regcomp(&theirs, pattern, REG_EXTENDED | REG_NOSUB | (lines ? REG_NEWLINE : 0)) == 0) {
			const char *text = posix_translate(pool, ph_span_of(pattern), lines, &error);
			int code;
			size_t at;
			pcre2_code *ours = text == NULL ? NULL : pcre2_compile((PCRE2_SPTR)text, strlen(text),
				PCRE2_DOLLAR_ENDONLY | (lines ? PCRE2_MULTILINE : PCRE2_DOTALL), &code, &at, NULL);

			if (ours == NULL)
				fail_msg("/%s/: %s", pattern, text == NULL ? error.text : text);
			compare(pattern, &theirs, ours, &seed);
			pcre2_code_free(ours);
			regfree(&theirs);
			tried++;
		}
		ph_pool_free(pool);
	}
	assert_true(tried > 15000);
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
	{"/a/!/b/ 1", "t:1: unknown flag \"!\" behind the pattern"},
};

static const struct {
	const char *table, *error;
} posix_errors[] = {
	{"/a/s 1", "t:1: unknown flag \"s\" behind the pattern; the flags are i m"},
	{"/a/x 1", "t:1: the flag x asks for basic regular expressions, which are not supported"},
	{"/a{2}+/ 1", "t:1: bad pattern: \"+\" behind {…}: put what it repeats in parentheses"},
	{"/a+{2}/ 1", "t:1: bad pattern: {…} behind \"+\": put what it repeats in parentheses"},
	{"/[a/ 1", "t:1: bad pattern: missing terminating ]"},
	{"!/a/!/b/ 1", "t:1: a pattern with ! before it takes no second one"},
	{"/a/!/b/!/c/ 1", "t:1: a third pattern"},
	{"/a/!1", "t:1: expected a pattern in delimiters"},
	{"/(a)/!/b/ $2", "t:1: $2 in the value, but the pattern has 1 groups"},
};

static void
expect_error(const char *table, enum rules_syntax syntax, const char *expected)
{
	ph_pool *pool = ph_pool_new(0);
	struct rules rules;
	ph_error error = {""};

	assert_int_equal(regex_parse(&rules, pool, "t", ph_span_of(table), syntax, &error), -1);
	if (strncmp(error.text, expected, strlen(expected)) != 0)
		fail_msg("\"%s\": %s", table, error.text);
	ph_pool_free(pool);
}

static void
names_what_is_wrong(void **unused)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		expect_error(errors[i].table, RULES_PERL, errors[i].error);
	for (size_t i = 0; i < sizeof(posix_errors) / sizeof(posix_errors[0]); i++)
		expect_error(posix_errors[i].table, RULES_POSIX, posix_errors[i].error);
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
		cmocka_unit_test(means_what_posix_means),
		cmocka_unit_test(names_what_is_wrong),
		cmocka_unit_test(is_not_held_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
