#include "../../tests/unit/map_conformance.h"

#include "config/state.h"

#include <string.h>

extern const struct ph_module posthouse_module_map_compound, posthouse_module_map_flat;

#define FLAT(name) \
	{.module = &posthouse_module_map_compound, .type = name, .suffix = "", \
		.nested = &posthouse_module_map_flat, \
		.first = "alpha one\nbeta two, three\ngamma $\n", .second = "alpha changed\ngamma $\n", \
		.broken = "alpha new\nbeta\n", .broken_says = "/table:2: "}

static const struct map_subject subjects[] = {FLAT("unionmap"), FLAT("pipemap")};

static void
conforms(void **unused)
{
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++)
		map_conformance(&subjects[i]);
}

/* ---- Several tables -------------------------------------------------------------------------- */

enum { TABLES = 3 };

/* Types that answer with what they were asked, to see it: PATTERN one of patterns. */
static ph_found
echo(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const char *before = *(const char *const *)self;

	if (key.size >= 7 && memcmp(key.data, "nothing", 7) == 0)
		return PH_NOT_FOUND;
	if (key.size == 6 && memcmp(key.data, before, 4) == 0 && memcmp(key.data + 4, "!!", 2) == 0) {
		ph_error_set(error, "fails as it should");
		return PH_FAILED;
	}
	*value = ph_span_of(ph_pool_printf(pool, "%s(%.*s)", before, (int)key.size, key.data));
	return PH_FOUND;
}

static const struct ph_map_ops fixed_type = {.size = sizeof(fixed_type), .type = "fixed", .find = echo};
static const struct ph_map_ops pattern_type = {.size = sizeof(pattern_type), .type = "pattern",
	.flags = PH_MAP_PATTERNS, .find = echo};

/* A compound of up to three tables; a name with a capital is one of patterns. */
static const struct {
	const char *type;
	const char *tables[TABLES + 1];
	unsigned flags; /* what it is */
	const char *key, *value, *partial; /* what the key gets, whole and as a partial one; NULL: nothing */
} cases[] = {
	{"unionmap", {"aaaa", "bbbb"}, PH_MAP_FIXED, "Key", "aaaa(key),bbbb(key)", "aaaa(key),bbbb(key)"},
	{"unionmap", {"Aaaa", "Bbbb"}, PH_MAP_PATTERNS, "Key", "Aaaa(Key),Bbbb(Key)", NULL},
	{"unionmap", {"Aaaa", "bbbb", "Cccc"}, PH_MAP_PATTERNS | PH_MAP_FIXED, "Key",
		"Aaaa(Key),bbbb(key),Cccc(Key)", "Aaaa(Key),bbbb(key),Cccc(Key)"},
	{"unionmap", {"aaaa", "bbbb"}, PH_MAP_FIXED, "nothing", NULL, NULL},
	{"unionmap", {"aaaa", "bbbb"}, PH_MAP_FIXED, "bbbb!!", "failed", "failed"},
	{"pipemap", {"aaaa", "bbbb", "cccc"}, PH_MAP_FIXED, "Key", "cccc(bbbb(aaaa(key)))",
		"cccc(bbbb(aaaa(key)))"},
	{"pipemap", {"Aaaa", "bbbb"}, PH_MAP_PATTERNS, "Key", "bbbb(aaaa(key))", NULL},
	{"pipemap", {"aaaa", "Bbbb"}, PH_MAP_FIXED, "Key", "Bbbb(aaaa(key))", "Bbbb(aaaa(key))"},
	{"pipemap", {"aaaa", "bbbb"}, PH_MAP_FIXED, "nothing", NULL, NULL},
	{"pipemap", {"aaaa", "bbbb"}, PH_MAP_FIXED, "aaaa!!", "failed", "failed"},
};

static void
expect(const char *expected, const ph_map *map, const char *key, bool partial)
{
	ph_pool *pool = ph_pool_new(0);
	const char *value = NULL;
	ph_error error = {""};
	ph_found found = partial ? ph_map_lookup_fixed(pool, map, key, &value, &error) :
		ph_map_lookup(pool, map, key, &value, &error);

	if (expected == NULL) {
		assert_int_equal(found, PH_NOT_FOUND);
	} else if (strcmp(expected, "failed") == 0) {
		assert_int_equal(found, PH_FAILED);
		assert_non_null(strstr(error.text, "fails as it should"));
	} else {
		assert_int_equal(found, PH_FOUND);
		assert_string_equal(value, expected);
	}
	ph_pool_free(pool);
}

/* Asked as the core asks every table. */
static void
asks_each(void **unused)
{
	static const struct ph_module echoes = {.class_number = PH_CLASS_MAP, .name = "map_echo"};
	const struct ph_map_ops *types = posthouse_module_map_compound.operations;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct instance tables[TABLES], *list[TABLES];
		size_t count = 0;
		const ph_map *made;
		struct instance compound = {.module = &posthouse_module_map_compound, .name = "compound",
			.opened = true, .self = &made, .ops = &types[strcmp(cases[i].type, "pipemap") == 0]};
		struct instance *self = &compound;
		const ph_map *map;

		for (; cases[i].tables[count] != NULL; count++) {
			bool pattern = cases[i].tables[count][0] < 'a';

			tables[count] = (struct instance){.module = &echoes, .name = "echo", .opened = true,
				.ops = pattern ? &pattern_type : &fixed_type, .self = (void *)&cases[i].tables[count]};
			list[count] = &tables[count];
		}
		made = map_make(pool, list, count, NULL);
		map = map_make(pool, &self, 1, NULL);
		assert_int_equal(ph_map_flags(map), cases[i].flags);
		expect(cases[i].value, map, cases[i].key, false);
		expect(cases[i].partial, map, cases[i].key, true);
		ph_pool_free(pool);
	}
}

static void
needs_tables(void **unused)
{
	ph_pool *pool = ph_pool_new(0);
	const ph_map *none = map_make(pool, NULL, 0, NULL);
	ph_error error = {""};

	assert_int_equal(posthouse_module_map_compound.life->check(&none, &error), -1);
	assert_non_null(strstr(error.text, "needs tables: path = {type:path, type:path}"));
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(asks_each),
		cmocka_unit_test(needs_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
