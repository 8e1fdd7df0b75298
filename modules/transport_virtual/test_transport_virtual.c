#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lookup.h"
#include "place.h"

/* ---- Paths ----------------------------------------------------------------------------------- */

static void
makes_paths(void **unused)
{
	static const struct {
		const char *base, *value, *expected; /* NULL: refused */
	} cases[] = {
		{"/var/mail", "example/joe", "/var/mail/example/joe"},
		{"/var/mail/", "example/joe/", "/var/mail/example/joe/"},
		{"/var/mail", "/joe", "/var/mail/joe"},
		{"/var/mail", ".joe/..x/...", "/var/mail/.joe/..x/..."},
		{"", "/home/joe/Maildir/", "/home/joe/Maildir/"},
		{"/", "joe", "/joe"},
		{"", "joe", NULL},
		{"/var/mail", "", NULL},
		{"/var/mail", "/", NULL},
		{"/var/mail", "//", NULL},
		{"/var/mail", ".", NULL},
		{"/var/mail", "./", NULL},
		{"/var/mail", "..", NULL},
		{"/var/mail", "../joe", NULL},
		{"/var/mail", "joe/..", NULL},
		{"/var/mail", "joe/../sue/", NULL},
		{"/var/mail", "joe/./x", NULL},
		{"/var/mail", "//../x", NULL},
	};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_error error = {""};
		const char *path = place_path(pool, cases[i].base, cases[i].value, &error);

		if (cases[i].expected == NULL ? path != NULL || *error.text == '\0' :
			path == NULL || strcmp(path, cases[i].expected) != 0)
			fail_msg("%s %s: %s %s", cases[i].base, cases[i].value, path, error.text);
	}
	ph_pool_free(pool);
}

static void
reads_numbers(void **unused)
{
	static const struct {
		const char *value;
		int64_t min;
		uint32_t number; /* 0: refused */
	} cases[] = {
		{"5000", 100, 5000}, {"100", 100, 100}, {"99", 100, 0}, {"0", 1, 0}, {"-1", 1, 0}, {"", 1, 0},
		{"5000 ", 100, 0}, {"five", 1, 0}, {"4294967294", 1, 4294967294u}, {"4294967295", 1, 0},
		{"4294967296", 1, 0}, {"18446744073709551616", 1, 0}, {"4294967396", 1, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_error error = {""};
		uint32_t number = 0;
		int result = place_number("uid", cases[i].value, cases[i].min, &number, &error);

		if (number != cases[i].number || (result == 0) != (cases[i].number != 0))
			fail_msg("%s: %d %u %s", cases[i].value, result, (unsigned)number, error.text);
	}
}

/* ---- Tables ---------------------------------------------------------------------------------- */

/* Tables of the test: the map is a pointer to pairs, with NULL at the end; the value "!" fails. */
static ph_found
find(const ph_map *map, const char *key, const char **value, ph_error *error)
{
	for (const char *const *pair = (const void *)map; *pair != NULL; pair += 2) {
		if (strcmp(pair[0], key) != 0)
			continue;
		*value = pair[1];
		if (strcmp(pair[1], "!") != 0)
			return PH_FOUND;
		ph_error_set(error, "out of order");
		return PH_FAILED;
	}
	return PH_NOT_FOUND;
}

ph_found __wrap_ph_map_lookup_address(ph_pool *pool, const ph_map *map, const char *address,
	unsigned flags, const char **value, const char **extension, ph_error *error);
ph_found __wrap_ph_map_lookup_fixed(ph_pool *pool, const ph_map *map, const char *key,
	const char **value, ph_error *error);

ph_found
__wrap_ph_map_lookup_address(ph_pool *pool, const ph_map *map, const char *address, unsigned flags,
	const char **value, const char **extension, ph_error *error)
{
	assert_int_equal(flags, PH_ADDRESS_DOMAIN);
	return find(map, address, value, error);
}

/* Only these keys stand in tables of fixed strings. */
ph_found
__wrap_ph_map_lookup_fixed(ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error)
{
	return strncmp(key, "fixed", 5) == 0 ? find(map, key, value, error) : PH_NOT_FOUND;
}

static void
finds_rights(void **unused)
{
	static const char *const boxes[] = {"joe@x", "joe", "few@x", "few", "bad@x", "bad", "low@x", "low",
		"torn@x", "!", "nouid@x", "n", "nogid@x", "n", "latest@x", "l", "a/b@x", "p", "fixed/b@x", "f", NULL};
	static const char *const uids[] = {"joe@x", "5000", "few@x", "!", "bad@x", "x", "low@x", "99",
		"nogid@x", "5000", "latest@x", "5000", "fixed/b@x", "5000", NULL};
	static const char *const gids[] = {"joe@x", "8", "latest@x", "0", "fixed/b@x", "5000", NULL};
	const struct virtual virtual = {.virtual_mailbox_maps = (const void *)boxes,
		.virtual_uid_maps = (const void *)uids, .virtual_gid_maps = (const void *)gids,
		.virtual_minimum_uid = 100};
	static const struct {
		const char *recipient;
		int outcome;
		const char *status, *text;
	} cases[] = {
		{"joe@x", PH_USER_SENT, "", ""},
		{"sue@x", PH_USER_BOUNCED, "5.1.1", "unknown user: \"sue@x\""},
		{"torn@x", PH_USER_DEFERRED, "4.3.0", "mailbox lookup: out of order"},
		{"few@x", PH_USER_DEFERRED, "4.3.0", "virtual_uid_maps lookup: out of order"},
		{"bad@x", PH_USER_DEFERRED, "4.3.5", "recipient bad@x: bad uid \"x\" in virtual_uid_maps"},
		{"low@x", PH_USER_DEFERRED, "4.3.5", "below virtual_minimum_uid (100)"},
		{"nouid@x", PH_USER_DEFERRED, "4.3.5", "recipient nouid@x: not found in virtual_uid_maps"},
		{"nogid@x", PH_USER_DEFERRED, "4.3.5", "recipient nogid@x: not found in virtual_gid_maps"},
		{"latest@x", PH_USER_DEFERRED, "4.3.5", "bad gid \"0\" in virtual_gid_maps"},
		{"a/b@x", PH_USER_BOUNCED, "5.1.1", "unknown user"},
		{"fixed/b@x", PH_USER_SENT, "", ""},
	};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ph_user_rights rights = {.size = sizeof(rights), .outcome = 77};

		lookup_rights(pool, &virtual, cases[i].recipient, &rights);
		if (rights.outcome != cases[i].outcome || strcmp(rights.status, cases[i].status) != 0 ||
			strstr(rights.text, cases[i].text) == NULL)
			fail_msg("%s: %d %s %s", cases[i].recipient, rights.outcome, rights.status, rights.text);
		if (strcmp(cases[i].recipient, "joe@x") == 0 && (rights.uid != 5000 || rights.gid != 8))
			fail_msg("%u:%u", (unsigned)rights.uid, (unsigned)rights.gid);
	}
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(makes_paths),
		cmocka_unit_test(reads_numbers),
		cmocka_unit_test(finds_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
