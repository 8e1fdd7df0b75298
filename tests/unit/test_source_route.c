/* Routes in local parts: which are taken, by which parameter, and what they lead to. */
#include "test.h"

#include <string.h>

#include "intake/complete.h"
#include "intake/source_route.h"

enum { PERCENT = 1, BANG = 2, QUOTES = 4, ALL = 7 };

/* NULL: as it is. */
static const struct {
	unsigned rules;
	const char *address, *route;
} cases[] = {
	{ALL, "user@here.example", NULL},
	{ALL, "user", NULL},
	{PERCENT, "user%far.example@here.example", "user@far.example"},
	{PERCENT, "user%far.example", "user@far.example"},
	{PERCENT, "a%b.example%far.example@here.example", "a%b.example@far.example"},
	{PERCENT, "user%[192.0.2.1]", "user@[192.0.2.1]"},
	{BANG | QUOTES, "user%far.example@here.example", NULL},
	{PERCENT, "user%@here.example", NULL},
	{PERCENT, "%far.example@here.example", NULL},
	{PERCENT, "user%far..example@here.example", NULL},
	{PERCENT, "100%@here.example", NULL},
	{BANG, "far.example!user@here.example", "user@far.example"},
	{BANG, "a.example!b.example!user", "b.example!user@a.example"},
	{PERCENT | QUOTES, "far.example!user", NULL},
	{BANG, "!user", NULL},
	{BANG, "far.example!", NULL},
	{ALL, "a.example!user%b.example", "user%b.example@a.example"},
	{QUOTES, "\"user@far.example\"@here.example", "user@far.example"},
	{QUOTES, "\"a@b.example@far.example\"@here.example", "\"a@b.example\"@far.example"},
	{QUOTES, "\"user@far.example,x\"@here.example", NULL},
	{QUOTES, "\"a user@far.example\"@here.example", NULL},
	{QUOTES, "\"a@\"@here.example", NULL},
	{PERCENT | BANG, "\"user@far.example\"@here.example", NULL},
	{PERCENT, "\"a b%far.example\"@here.example", NULL},
	{PERCENT | QUOTES, "\"ab.%far.example\"@here.example", "\"ab.\"@far.example"},
	{QUOTES, "\"user> x@far.example\"@here.example", NULL},
};

static void
routes(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct settings settings = {.allow_percent_hack = cases[i].rules & PERCENT,
			.swap_bangpath = cases[i].rules & BANG, .resolve_dequoted_address = cases[i].rules & QUOTES};
		ph_pool *pool = ph_pool_new(0);
		const char *route = source_route(pool, &settings, cases[i].address);

		assert_string_equal(route, cases[i].route != NULL ? cases[i].route : cases[i].address);
		assert_true(cases[i].route == NULL || source_route_is_possible(cases[i].address));
		ph_pool_free(pool);
	}
}

/* Many hosts, one behind the other, end. */
static void
completes(void **state)
{
	const struct settings settings = {.allow_percent_hack = true, .swap_bangpath = true,
		.append_at_myorigin = true, .myorigin = "origin.example", .mydomain = "domain.example",
		.append_dot_mydomain = true, .empty_address_recipient = "MAILER-DAEMON"};
	char bangs[1000] = "user";
	ph_pool *pool = ph_pool_new(0);

	assert_string_equal(recipient_complete(pool, &settings, ""), "MAILER-DAEMON@origin.example");
	assert_string_equal(recipient_complete(pool, &settings, "user%host"), "user@host.domain.example");
	assert_string_equal(address_complete(pool, &settings, "host!user"), "user@host.domain.example");
	assert_string_equal(address_complete(pool, &settings, "100%"), "100%@origin.example");
	for (int i = 0; i < 60; i++)
		strcat(bangs, "%a.x");
	assert_string_equal(recipient_complete(pool, &settings, bangs),
		ph_pool_printf(pool, "%.*s@a.x", (int)strlen(bangs) - 4, bangs));
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(routes), cmocka_unit_test(completes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
