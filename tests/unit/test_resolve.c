/* Where an address goes: one table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "config/config.h"
#include "queue/resolve.h"

static const struct instance transports[] = {
	{.name = "local"}, {.name = "smtp"}, {.name = "relay"}, {.name = "error"},
};

static ph_found
is_final(void *context, const char *domain, ph_error *error)
{
	if (strcmp(domain, "broken.example") == 0) {
		ph_error_set(error, "hash:/etc/domains: cannot be read");
		return PH_FAILED;
	}
	return ph_strcasecmp(domain, "here.example") == 0 ? PH_FOUND : PH_NOT_FOUND;
}

static ph_found
is_relay(void *context, const char *domain, ph_error *error)
{
	return ph_strcasecmp(domain, "behind.example") == 0 ? PH_FOUND : PH_NOT_FOUND;
}

static bool
is_own_address(void *context, const ph_address *address)
{
	ph_address own;

	return ph_address_parse(ph_span_of("192.0.2.1"), &own) == 0 && ph_address_equal(&own, address);
}

static const struct instance *
find(void *context, const char *name)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(transports[i].name, name) == 0)
			return &transports[i];
	return NULL;
}

static struct resolver
resolver_with(const char *relayhost, const char *default_transport)
{
	return (struct resolver){.myhostname = "mail.here.example", .local_transport = "local",
		.relay_transport = "relay", .default_transport = default_transport,
		.relayhost = relayhost, .is_final = is_final, .is_relay = is_relay,
		.is_own_address = is_own_address, .find = find};
}

static void
test_table(void **state)
{
	static const struct {
		const char *address, *relayhost, *default_transport;
		enum resolve_result result;
		const char *transport, *nexthop, *status;
	} cases[] = {
		{"u@here.example", "", "smtp", RESOLVE_OK, "local", "here.example", ""},
		{"u@HERE.example", "[mx]:587", "smtp", RESOLVE_OK, "local", "HERE.example", ""},
		{"u", "", "smtp", RESOLVE_OK, "local", "mail.here.example", ""},
		{"u@[192.0.2.1]", "", "smtp", RESOLVE_OK, "local", "[192.0.2.1]", ""},
		{"u@[192.0.2.9]", "", "smtp", RESOLVE_OK, "smtp", "[192.0.2.9]", ""},
		{"u@there.example", "", "smtp", RESOLVE_OK, "smtp", "there.example", ""},
		{"u@there.example", "[mx.isp.example]:587", "smtp", RESOLVE_OK, "smtp",
			"[mx.isp.example]:587", ""},
		{"u@there.example", "[mx.isp.example]", "smtp:[other]:25", RESOLVE_OK, "smtp",
			"[other]:25", ""},
		{"u@there.example", "", "error:5.1.2 mail is off", RESOLVE_OK, "error", "5.1.2 mail is off",
			""},
		{"u@behind.example", "", "smtp", RESOLVE_OK, "relay", "behind.example", ""},
		{"u@behind.example", "hub.example", "smtp", RESOLVE_OK, "relay", "hub.example", ""},
		{"\"a@b\"@here.example", "", "smtp", RESOLVE_OK, "local", "here.example", ""},
		{"u@m\xc3\xbcnchen.example", "", "smtp", RESOLVE_OK, "smtp", "m\xc3\xbcnchen.example", ""},
		{"u@there.example", "", "nosuch", RESOLVE_DEFER, NULL, "", "4.3.5"},
		{"u@broken.example", "", "smtp", RESOLVE_DEFER, NULL, "", "4.3.0"},
		{"u@", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.3"},
		{"@here.example", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.3"},
		{"", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.3"},
		{"u@-bad-.example", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.2"},
		{"u@[192.0.2]", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.2"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct resolver resolver = resolver_with(cases[i].relayhost, cases[i].default_transport);
		ph_pool *pool = ph_pool_new(0);
		struct resolved resolved;

		assert_int_equal(resolve_address(&resolver, cases[i].address, pool, &resolved), 0);
		print_message("%s\n", cases[i].address);
		assert_int_equal(resolved.result, cases[i].result);
		assert_string_equal(resolved.status, cases[i].status);
		if (cases[i].transport != NULL)
			assert_string_equal(resolved.transport->name, cases[i].transport);
		assert_string_equal(resolved.nexthop, cases[i].nexthop);
		ph_pool_free(pool);
	}
}

/* A route of the message's own, whatever the address is. */
static void
test_filter(void **state)
{
	struct resolver resolver = resolver_with("[mx]:587", "smtp");
	ph_pool *pool = ph_pool_new(0);
	struct resolved resolved;

	assert_int_equal(resolve_filter(&resolver, "smtp:[127.0.0.1]:10025", "u@here.example", pool,
		&resolved), 0);
	assert_int_equal(resolved.result, RESOLVE_OK);
	assert_string_equal(resolved.transport->name, "smtp");
	assert_string_equal(resolved.nexthop, "[127.0.0.1]:10025");
	assert_int_equal(resolve_filter(&resolver, "relay:", "u@here.example", pool, &resolved), 0);
	assert_string_equal(resolved.nexthop, "here.example");
	assert_int_equal(resolve_filter(&resolver, "nosuch:x", "u@here.example", pool, &resolved), 0);
	assert_int_equal(resolved.result, RESOLVE_DEFER);
	assert_string_equal(resolved.reason, "transport \"nosuch\" is not configured");
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
