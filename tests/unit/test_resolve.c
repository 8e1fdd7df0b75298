/* Where an address goes: one table. */
#include "test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"
#include "queue/resolve.h"

static const struct instance transports[] = {
	{.name = "local"}, {.name = "smtp"}, {.name = "relay"}, {.name = "lmtp"}, {.name = "discard"},
};

/* Pairs of a key and a value; the value "FAILS" does. The table "patterns" has patterns. */
struct ph_map {
	const char *name;
	const char *entries[9];
};

static ph_found
look_up(const ph_map *map, const char *key, const char **value, ph_error *error)
{
	for (size_t i = 0; map != NULL && map->entries[i] != NULL; i += 2) {
		if (ph_strcasecmp(map->entries[i], key) != 0)
			continue;
		if (strcmp(map->entries[i + 1], "FAILS") == 0) {
			ph_error_set(error, "%s: is away", map->name);
			return PH_FAILED;
		}
		*value = map->entries[i + 1];
		return PH_FOUND;
	}
	return PH_NOT_FOUND;
}

#define PLAYED(result, name, ...) \
	result __wrap_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__)

PLAYED(ph_found, ph_map_lookup, ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error)
{
	return look_up(map, key, value, error);
}

PLAYED(ph_found, ph_map_lookup_fixed, ph_pool *pool, const ph_map *map, const char *key,
	const char **value, ph_error *error)
{
	return map != NULL && strcmp(map->name, "patterns") == 0 ? PH_NOT_FOUND : look_up(map, key, value, error);
}

PLAYED(bool, ph_map_is_empty, const ph_map *map) { return map == NULL; }
PLAYED(const char *, ph_map_name, const ph_map *map) { return map->name; }

static enum domain_class
classify(void *context, const char *domain, ph_error *error)
{
	static const struct {
		const char *domain;
		enum domain_class class;
	} domains[] = {
		{"here.example", DOMAIN_LOCAL}, {"behind.example", DOMAIN_RELAY},
		{"alias.example", DOMAIN_VIRTUAL_ALIAS}, {"box.example", DOMAIN_VIRTUAL_MAILBOX},
	};

	if (strcmp(domain, "broken.example") == 0) {
		ph_error_set(error, "hash:/etc/domains: cannot be read");
		return DOMAIN_FAILED;
	}
	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
		if (ph_strcasecmp(domain, domains[i].domain) == 0)
			return domains[i].class;
	return DOMAIN_FOREIGN;
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

static const struct settings plain = {.myhostname = "mail.here.example", .myorigin = "mail.here.example",
	.local_transport = "local", .relay_transport = "relay", .default_transport = "smtp",
	.virtual_transport = "lmtp:unix:private/lmtp", .relayhost = "", .recipient_delimiter = "+",
	.empty_address_default_transport_maps_lookup_key = "<>",
	.empty_address_relayhost_maps_lookup_key = "<>"};

static struct resolver
resolver_of(const struct settings *settings)
{
	return (struct resolver){.settings = settings, .classify = classify,
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
		{"u@there.example", "", "error:5.1.2 mail is off", RESOLVE_REFUSE, NULL, "5.1.2 mail is off",
			"5.1.2"},
		{"u@there.example", "", "retry:", RESOLVE_DEFER, NULL, "there.example", "4.0.0"},
		{"u@alias.example", "", "smtp", RESOLVE_REFUSE, NULL,
			"5.1.1 User unknown in virtual alias table", "5.1.1"},
		{"u@box.example", "hub.example", "smtp", RESOLVE_OK, "lmtp", "unix:private/lmtp", ""},
		{"u@there.example.", "", "smtp", RESOLVE_OK, "smtp", "there.example", ""},
		{"u@behind.example", "", "smtp", RESOLVE_OK, "relay", "behind.example", ""},
		{"u@behind.example", "hub.example", "smtp", RESOLVE_OK, "relay", "hub.example", ""},
		{"\"a@b\"@here.example", "", "smtp", RESOLVE_OK, "local", "here.example", ""},
		{"u@m\xc3\xbcnchen.example", "", "smtp", RESOLVE_OK, "smtp", "m\xc3\xbcnchen.example", ""},
		{"u@there.example", "", "nosuch", RESOLVE_DEFER, NULL, "there.example", "4.3.5"},
		{"u@broken.example", "", "smtp", RESOLVE_DEFER, NULL, "", "4.3.0"},
		{"u@", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.3"},
		{"@here.example", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.3"},
		{"", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.3"},
		{"u@-bad-.example", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.2"},
		{"u@[192.0.2]", "", "smtp", RESOLVE_REFUSE, NULL, "", "5.1.2"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct settings settings = plain;
		struct resolver resolver = resolver_of(&settings);
		ph_pool *pool = ph_pool_new(0);
		struct resolved resolved;

		settings.relayhost = cases[i].relayhost;
		settings.default_transport = cases[i].default_transport;
		assert_int_equal(resolve_address(&resolver, "s@far.example", cases[i].address, pool, &resolved),
			0);
		print_message("%s\n", cases[i].address);
		assert_int_equal(resolved.result, cases[i].result);
		assert_string_equal(resolved.status, cases[i].status);
		if (cases[i].transport != NULL)
			assert_string_equal(resolved.transport->name, cases[i].transport);
		assert_string_equal(resolved.nexthop, cases[i].nexthop);
		ph_pool_free(pool);
	}
}

/* Tables: what goes before what. */
static void
test_tables(void **state)
{
	static const ph_map transport = {"transport", {"to@far.example", "smtp:[one]:26", "far.example",
		":[two]", ".sub.example", "relay:", "gone.example", "error:5.1.2 it is gone"}};
	static const ph_map more = {"more", {"*", "smtp:star", "here.example", ":", "later.example",
		"retry:4.7.1 not now"}};
	static const ph_map patterns = {"patterns", {"to@far.example", "relay:[p]", "*", "smtp:never",
		".sub.example", "smtp:never"}};
	static const ph_map broken = {"broken", {"far.example", "FAILS"}};
	static const ph_map hosts = {"hosts", {"s@far.example", "[mine]:587", "@there.example", "DUNNO", "<>",
		"[nobody]"}};
	static const ph_map defaults = {"defaults", {"s@far.example", "lmtp:", "@there.example",
		"discard:[d]", "<>", "DUNNO"}};
	static const ph_map moved = {"moved", {"to@far.example", "to@new.example", "@old.example", "nowhere"}};
	static const ph_map moved_broken = {"moved", {"to@far.example", "FAILS"}};
	static const struct {
		const ph_map *transport, *hosts, *defaults, *moved;
		const char *sender, *address;
		enum resolve_result result;
		const char *transport_name, *nexthop, *status, *reason;
	} cases[] = {
		/* transport(5) */
		{&transport, 0, 0, 0, "", "to@far.example", RESOLVE_OK, "smtp", "[one]:26", "", ""},
		{&transport, 0, 0, 0, "", "to+x@far.example", RESOLVE_OK, "smtp", "[one]:26", "", ""},
		{&transport, 0, 0, 0, "", "u@FAR.example", RESOLVE_OK, "smtp", "[two]", "", ""},
		{&transport, 0, 0, 0, "", "u@a.b.sub.example", RESOLVE_OK, "relay", "a.b.sub.example", "", ""},
		{&transport, 0, 0, 0, "", "u@sub.example", RESOLVE_OK, "smtp", "hub.example", "", ""},
		{&transport, 0, 0, 0, "", "u@gone.example", RESOLVE_REFUSE, NULL, NULL, "5.1.2", "it is gone"},
		{&transport, 0, 0, 0, NULL, "to@far.example", RESOLVE_OK, "smtp", "hub.example", "", ""},
		{&more, 0, 0, 0, "", "u@there.example", RESOLVE_OK, "smtp", "star", "", ""},
		{&more, 0, 0, 0, "", "u@alias.example", RESOLVE_OK, "smtp", "star", "", ""},
		{&more, 0, 0, 0, "", "u@here.example", RESOLVE_OK, "local", "here.example", "", ""},
		{&more, 0, 0, 0, "", "u@later.example", RESOLVE_DEFER, NULL, NULL, "4.7.1", "not now"},
		{&patterns, 0, 0, 0, "", "to@far.example", RESOLVE_OK, "relay", "[p]", "", ""},
		{&patterns, 0, 0, 0, "", "u@a.sub.example", RESOLVE_OK, "smtp", "hub.example", "", ""},
		{&broken, 0, 0, 0, "", "u@far.example", RESOLVE_DEFER, NULL, NULL, "4.3.0", "broken: is away"},
		/* by the sender */
		{0, &hosts, 0, 0, "s@far.example", "u@far.example", RESOLVE_OK, "smtp", "[mine]:587", "", ""},
		{0, &hosts, 0, 0, "s+x@far.example", "u@behind.example", RESOLVE_OK, "relay", "[mine]:587", "",
			""},
		{0, &hosts, 0, 0, "s@there.example", "u@far.example", RESOLVE_OK, "smtp", "hub.example", "", ""},
		{0, &hosts, 0, 0, "", "u@far.example", RESOLVE_OK, "smtp", "[nobody]", "", ""},
		{0, &hosts, 0, 0, "s@far.example", "u@here.example", RESOLVE_OK, "local", "here.example", "", ""},
		{&transport, &hosts, 0, 0, "s@far.example", "u@far.example", RESOLVE_OK, "smtp", "[two]", "", ""},
		{0, &broken, 0, 0, "far.example", "u@far.example", RESOLVE_DEFER, NULL, NULL, "4.3.0",
			"broken: is away"},
		{0, 0, &defaults, 0, "s@far.example", "u@far.example", RESOLVE_OK, "lmtp", "hub.example", "", ""},
		{0, &hosts, &defaults, 0, "s@there.example", "u@far.example", RESOLVE_OK, "discard", "[d]", "", ""},
		{0, 0, &defaults, 0, "", "u@far.example", RESOLVE_OK, "smtp", "hub.example", "", ""},
		{0, 0, &defaults, 0, "s@far.example", "u@behind.example", RESOLVE_OK, "relay", "hub.example", "", ""},
		{0, 0, &broken, 0, "far.example", "u@far.example", RESOLVE_DEFER, NULL, NULL, "4.3.0",
			"broken: is away"},
		/* moved */
		{&transport, 0, 0, &moved, "", "to@far.example", RESOLVE_REFUSE, NULL, NULL, "5.1.6",
			"User has moved to to@new.example"},
		{0, 0, 0, &moved, "", "any@old.example", RESOLVE_REFUSE, NULL, NULL, "5.1.6",
			"User has moved to nowhere"},
		{0, 0, 0, &moved_broken, "", "to@far.example", RESOLVE_DEFER, NULL, NULL, "4.3.0",
			"moved: is away"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct settings settings = plain;
		struct resolver resolver = resolver_of(&settings);
		ph_pool *pool = ph_pool_new(0);
		struct resolved resolved;

		settings.relayhost = "hub.example";
		settings.transport_maps = cases[i].transport;
		settings.sender_dependent_relayhost_maps = cases[i].hosts;
		settings.sender_dependent_default_transport_maps = cases[i].defaults;
		settings.relocated_maps = cases[i].moved;
		print_message("%zu: %s\n", i, cases[i].address);
		assert_int_equal(resolve_address(&resolver, cases[i].sender, cases[i].address, pool, &resolved),
			0);
		assert_int_equal(resolved.result, cases[i].result);
		assert_string_equal(resolved.status, cases[i].status);
		assert_string_equal(resolved.reason, cases[i].reason);
		if (cases[i].transport_name != NULL) {
			assert_string_equal(resolved.transport->name, cases[i].transport_name);
			assert_string_equal(resolved.nexthop, cases[i].nexthop);
		}
		ph_pool_free(pool);
	}
}

/* A route of the message's own, whatever the address is. */
static void
test_filter(void **state)
{
	struct resolver resolver = resolver_of(&plain);
	ph_pool *pool = ph_pool_new(0);
	struct resolved resolved;

	assert_int_equal(resolve_route(&resolver, "smtp:[127.0.0.1]:10025", "", "u@here.example",
		pool, &resolved), 0);
	assert_int_equal(resolved.result, RESOLVE_OK);
	assert_string_equal(resolved.transport->name, "smtp");
	assert_string_equal(resolved.nexthop, "[127.0.0.1]:10025");
	assert_int_equal(resolve_route(&resolver, "relay:", "", "u@here.example", pool, &resolved), 0);
	assert_string_equal(resolved.nexthop, "here.example");
	assert_int_equal(resolve_route(&resolver, "relay:", "x.example", "u@here.example", pool, &resolved), 0);
	assert_string_equal(resolved.nexthop, "x.example");
	assert_int_equal(resolve_route(&resolver, "nosuch:x", "", "u@here.example", pool, &resolved), 0);
	assert_int_equal(resolved.result, RESOLVE_DEFER);
	assert_string_equal(resolved.reason, "transport \"nosuch\" is not configured");
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
