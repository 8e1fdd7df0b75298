#include "../../tests/unit/map_conformance.h"
#include "pairs.h"

#include <string.h>

extern const struct ph_module posthouse_module_map_inline;

static const struct map_subject subjects[] = {
	{.module = &posthouse_module_map_inline, .type = "inline", .flags = MAP_NO_FILE,
		.first = "{ alpha=one, { Beta = two, three }\n gamma=$ }"},
	{.module = &posthouse_module_map_inline, .type = "static", .flags = MAP_NO_FILE | MAP_ANY_KEY,
		.first = "{ one }"},
	{.module = &posthouse_module_map_inline, .type = "static", .flags = MAP_NO_FILE | MAP_ANY_KEY,
		.first = "one"},
	{.module = &posthouse_module_map_inline, .type = "fail", .flags = MAP_NO_FILE | MAP_ANY_FAILS,
		.first = "on purpose"},
	{.module = &posthouse_module_map_inline, .type = "randmap", .flags = MAP_NO_FILE | MAP_ANY_KEY,
		.first = "{ one, one\n{ one } }"},
};

static void
conforms(void **unused)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		map_conformance(&subjects[i]);
}

static void
says_why_it_fails(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};

	map_setup(&f, &subjects[3]);
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, "x", NULL), PH_FAILED);
	assert_string_equal(map_find_error(), "every lookup fails: on purpose");
	map_teardown(&f);
}

/* Of three texts each must come; that one does not in 1000 lookups has a probability of 1e-176. */
static void
chance_leaves_none_out(void **unused)
{
	struct map_subject subject = {.module = &posthouse_module_map_inline, .type = "randmap",
		.flags = MAP_NO_FILE, .first = "{ a, { b, c }, {{d}} }"};
	static const char *const texts[] = {"a", "b, c", "{d}"};
	unsigned seen = 0;
	struct map_fixture f;
	ph_error error = {""};

	map_setup(&f, &subject);
	assert_int_equal(map_open(&f, &error), 0);
	for (size_t i = 0; i < 1000; i++) {
		const char *value = NULL;
		unsigned known = 0;

		assert_int_equal(map_find(&f, "x", &value), PH_FOUND);
		for (size_t j = 0; j < 3; j++)
			known |= strcmp(value, texts[j]) == 0 ? 1U << j : 0;
		assert_int_not_equal(known, 0);
		seen |= known;
	}
	assert_int_equal(seen, 7);
	map_teardown(&f);
}

/* A table, a key and its value; NULL: not found. */
static const struct {
	const char *text, *key, *value;
} finds[] = {
	{"{a=b}", "a", "b"},
	{" { a=b } ", "a", "b"},
	{"{a=b,c=d}", "c", "d"},
	{"{a=b c=d}", "c", "d"},
	{"{a=b,, ,c=d,}", "c", "d"},
	{"{ {a = b, c = d} }", "a", "b, c = d"},
	{"{ { a b = c } }", "a b", "c"},
	{"{a={b, c}}", "a", "{b, c}"},
	{"{ { a = {b} {c} } }", "a", "{b} {c}"},
	{"{a=b=c}", "a", "b=c"},
	{"{A=B}", "a", "B"},
	{"{A=B}", "A", NULL},
	{"{ 192.0.2.1=OK, {192.0.2.2 = REJECT not you} }", "192.0.2.2", "REJECT not you"},
};

static void
finds_what_it_should(void **unused)
{
	for (size_t i = 0; i < sizeof(finds) / sizeof(finds[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		const struct pair *pair;
		struct pairs pairs;
		ph_error error = {""};

		if (pairs_parse(&pairs, pool, ph_span_of(finds[i].text), &error) != 0)
			fail_msg("%s: %s", finds[i].text, error.text);
		pair = pairs_find(&pairs, ph_span_of(finds[i].key));
		if ((pair == NULL) != (finds[i].value == NULL))
			fail_msg("%s: %s", finds[i].text, finds[i].key);
		if (pair != NULL)
			assert_string_equal(pair->value.data, finds[i].value);
		ph_pool_free(pool);
	}
}

/* What posthouse check says. */
static const struct {
	const char *type, *text, *error;
} errors[] = {
	{"inline", "", "a table of type inline needs a text: path = '…'"},
	{"inline", "a=b", "\"a=b\": expected { key=value, … }"},
	{"inline", "{}", "\"{}\": expected { key=value, … }, found no entry"},
	{"inline", "{ , }", "\"{ , }\": expected { key=value, … }, found no entry"},
	{"inline", "{a=b", "\"{a=b\": a brace is not closed"},
	{"inline", "{a=b} c", "\" c\": unexpected text behind a closing brace"},
	{"inline", "{a}", "\"a\": expected key=value, or { key = value } for one with spaces"},
	{"inline", "{a = b}", "\"a\": expected key=value, or { key = value } for one with spaces"},
	{"inline", "{=b}", "\"=b\": expected a key before the ="},
	{"inline", "{a=}", "\"a=\": expected a value behind the ="},
	{"inline", "{{a=b}c}", "\"c\": unexpected text behind a closing brace"},
	{"inline", "{a=b, A=c}", "\"a\": this key is there twice"},
	{"randmap", "", "a table of type randmap needs a text: path = '…'"},
	{"randmap", "a", "\"a\": expected { text, { text with spaces }, … }"},
	{"randmap", "{,}", "\"{,}\": expected { text, { text with spaces }, … }, found no entry"},
	{"randmap", "{a, {}}", "\"{}\": expected a text within the braces"},
	{"randmap", "{a, {b}c}", "\"c\": unexpected text behind a closing brace"},
	{"randmap", "{a", "\"{a\": a brace is not closed"},
	{"static", "{a", "\"{a\": a brace is not closed"},
	{"static", "{ }", "expected a text within the braces"},
	{"fail", "", "a table of type fail needs a text: path = '…'"},
};

static void
names_what_is_wrong(void **unused)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct map_subject subject = {.module = &posthouse_module_map_inline, .type = errors[i].type,
			.flags = MAP_NO_FILE, .first = "x"};
		const struct ph_life *life = subject.module->life;
		struct map_fixture f;
		ph_error error = {""};

		if (strcmp(errors[i].type, "inline") == 0 || strcmp(errors[i].type, "randmap") == 0)
			subject.first = "{a=b}";
		map_setup(&f, &subject);
		*(const char **)f.self = errors[i].text; /* the path is its first field */
		assert_int_equal(life->check(f.self, &error), -1);
		assert_string_equal(error.text, errors[i].error);
		error.text[0] = '\0';
		assert_int_equal(map_open(&f, &error), -1);
		assert_string_equal(error.text, errors[i].error);
		map_teardown(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(says_why_it_fails),
		cmocka_unit_test(chance_leaves_none_out),
		cmocka_unit_test(finds_what_it_should),
		cmocka_unit_test(names_what_is_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
