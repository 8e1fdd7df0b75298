/* Which keys a table is asked for an address, in which order, and what is told of the extension. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/map.h>

#include "config/mapaddress.h"

struct ph_map {
	const char *key; /* the only one that it has */
	bool patterns;   /* then it must not be asked for parts */
	char asked[400];
};

static ph_found
ask(ph_pool *pool, ph_map *map, const char *key, const char **value, ph_error *error)
{
	size_t size = strlen(map->asked);

	snprintf(map->asked + size, sizeof(map->asked) - size, "%s%s", size == 0 ? "" : " ", key);
	if (strncmp(key, "fails", 5) == 0) {
		ph_error_set(error, "away");
		return PH_FAILED;
	}
	if (strcmp(map->key, key) != 0)
		return PH_NOT_FOUND;
	*value = "found";
	return PH_FOUND;
}

#define PLAYED(result, name, ...) \
	result __wrap_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__)

PLAYED(ph_found, ph_map_lookup, ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error)
{
	return ask(pool, (ph_map *)(uintptr_t)map, key, value, error);
}

PLAYED(ph_found, ph_map_lookup_fixed, ph_pool *pool, const ph_map *map, const char *key,
	const char **value, ph_error *error)
{
	return map->patterns ? PH_NOT_FOUND : ask(pool, (ph_map *)(uintptr_t)map, key, value, error);
}

PLAYED(bool, ph_map_is_empty, const ph_map *map) { return map == NULL; }
PLAYED(const char *, ph_map_name, const ph_map *map) { return "table"; }

PLAYED(ph_found, ph_match, const ph_match_list *list, const char *name, ph_error *error)
{
	return strcmp(name, "broken.example") == 0 ? PH_FAILED
		: strcmp(name, "here.example") == 0 ? PH_FOUND : PH_NOT_FOUND;
}

#define BOTH (PH_ADDRESS_USER | PH_ADDRESS_DOMAIN)

static void
keys(void **state)
{
	static const struct {
		const char *address, *key;
		unsigned flags;
		ph_found found;
		const char *extension, *asked;
	} cases[] = {
		{"u@far.example", "", BOTH, PH_NOT_FOUND, "", "u@far.example @far.example"},
		{"u+x@far.example", "", BOTH, PH_NOT_FOUND, "", "u+x@far.example u@far.example @far.example"},
		{"u@here.example", "", BOTH, PH_NOT_FOUND, "", "u@here.example u @here.example"},
		{"u-x+y@here.example", "", BOTH, PH_NOT_FOUND, "",
			"u-x+y@here.example u@here.example u-x+y u @here.example"},
		{"u@MAIL.example", "u", BOTH, PH_FOUND, "", "u@MAIL.example u"},
		{"u+x@here.example", "", 0, PH_NOT_FOUND, "", "u+x@here.example u@here.example"},
		{"u+x@here.example", "", PH_ADDRESS_DOMAIN, PH_NOT_FOUND, "",
			"u+x@here.example u@here.example @here.example"},
		{"u+x@here.example", "u+x@here.example", BOTH, PH_FOUND, "", "u+x@here.example"},
		{"u+x@here.example", "u@here.example", BOTH, PH_FOUND, "+x", "u+x@here.example u@here.example"},
		{"u+x@here.example", "u+x", BOTH, PH_FOUND, "", "u+x@here.example u@here.example u+x"},
		{"u+@here.example", "u", BOTH, PH_FOUND, "+", "u+@here.example u@here.example u+ u"},
		{"u+x@far.example", "@far.example", BOTH, PH_FOUND, "",
			"u+x@far.example u@far.example @far.example"},
		{"u+x", "u", BOTH, PH_FOUND, "+x", "u+x u"},
		{"u", "", BOTH, PH_NOT_FOUND, "", "u"},
		{"+x@far.example", "", 0, PH_NOT_FOUND, "", "+x@far.example"},
		{"\"u+x\"@far.example", "", 0, PH_NOT_FOUND, "", "\"u+x\"@far.example"},
		{"fails@far.example", "", BOTH, PH_FAILED, "", "fails@far.example"},
		{"fails+x@far.example", "", BOTH, PH_FAILED, "", "fails+x@far.example"},
		{"u@broken.example", "", BOTH, PH_FAILED, "", "u@broken.example"},
	};
	const struct settings settings = {.myorigin = "mail.example", .recipient_delimiter = "-+",
		.mydestination = (const ph_match_list *)&cases};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *value = "", *extension = "";
		ph_map map = {.key = cases[i].key};
		ph_error error = {""};

		assert_int_equal(map_lookup_address(pool, &settings, &map, cases[i].address, cases[i].flags,
			&value, &extension, &error), cases[i].found);
		assert_string_equal(map.asked, cases[i].asked);
		assert_string_equal(extension, cases[i].extension);
		assert_string_equal(value, cases[i].found == PH_FOUND ? "found" : "");
	}
	ph_pool_free(pool);
}

static void
patterns_see_the_whole(void **state)
{
	const struct settings settings = {.myorigin = "mail.example", .recipient_delimiter = "+"};
	ph_map map = {.key = "u@mail.example", .patterns = true};
	ph_pool *pool = ph_pool_new(0);
	const char *value;
	ph_error error;

	assert_int_equal(map_lookup_address(pool, &settings, &map, "u+x@mail.example", BOTH, &value, NULL,
		&error), PH_NOT_FOUND);
	assert_string_equal(map.asked, "u+x@mail.example");
	assert_int_equal(map_lookup_address(pool, &settings, NULL, "u@mail.example", BOTH, NULL, NULL,
		&error), PH_NOT_FOUND);
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys),
		cmocka_unit_test(patterns_see_the_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
