/*
 * Modules for the tests of the loader and of the configuration, from one source: the makefile says
 * which by defining one of the names below.
 */
#include <posthouse/filter.h>
#include <posthouse/listener.h>
#include <posthouse/map.h>
#include <posthouse/queue.h>
#include <posthouse/restriction.h>
#include <posthouse/transport.h>

#include <stdio.h>
#include <string.h>

#if defined(OTHER_ABI)
#undef PH_ABI_MAJOR
#define PH_ABI_MAJOR 7
#elif defined(NEWER_MINOR)
#undef PH_ABI_MINOR
#define PH_ABI_MINOR 99
#elif defined(OTHER_MAGIC)
#undef PH_MODULE_MAGIC
#define PH_MODULE_MAGIC 1
#endif

#if defined(MAP_TYPES)
struct map {
	const char *path;
};

static const struct ph_param map_params[] = {
	{.name = "path", .type = PH_PATH, .flags = PH_SECTION_ONLY, .offset = offsetof(struct map, path)},
};

/* Every key has the type for its value, as the function and as the instance knows it. */
static ph_found
find_first(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	*value = (ph_span){"first", 5};
	return PH_FOUND;
}

static ph_found
find_second(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	*value = (ph_span){"second", 6};
	return PH_FOUND;
}

static const struct ph_map_ops types[] = {
	{.size = sizeof(struct ph_map_ops), .find = find_first, .type = "first"},
	{.size = sizeof(struct ph_map_ops), .find = find_second, .type = "second"},
};

PH_MODULE(map_types, "1.0", "two types of tables for tests", PH_MAP_TABLE(types),
	PH_INSTANCE(struct map, map_params));
#elif defined(MAP_NESTED)
struct map {
	const ph_map *tables;
};

static const struct ph_param map_params[] = {
	{.name = "path", .type = PH_MAP_REF, .flags = PH_SECTION_ONLY, .offset = offsetof(struct map, tables)},
};

static ph_found
map_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	*value = (ph_span){"nested", 6};
	return PH_FOUND;
}

PH_MODULE(map_nested, "1.0", "tables of tables for tests", PH_MAP(.find = map_find),
	PH_INSTANCE(struct map, map_params));
#elif defined(TRANSPORT_LAZY)
struct lazy {
	const ph_map *tables;
	const ph_match_list *names;
};

/* Defaults with tables whose module nobody loads. */
static const struct ph_param lazy_params[] = {
	{.name = "lazy_tables", .type = PH_MAP_REF, .offset = offsetof(struct lazy, tables),
		.default_value = "second:/etc/lazy"},
	{.name = "lazy_names", .type = PH_MATCH_LIST, .offset = offsetof(struct lazy, names),
		.default_value = "a.example, first:/etc/names"},
};

PH_MODULE(transport_lazy, "1.0", "a transport for tests", PH_TRANSPORT(.flags = 0),
	PH_INSTANCE(struct lazy, lazy_params));
#elif defined(MAP_NAME)
struct map {
	const char *path;
	bool test_folding;
};

static const struct ph_param map_params[] = {
	{.name = "path", .type = PH_PATH, .flags = PH_SECTION_ONLY, .offset = offsetof(struct map, path)},
	{.name = "test_folding", .type = PH_BOOL, .offset = offsetof(struct map, test_folding),
		.default_value = "yes"},
};

#if defined(UNDEFINED_SYMBOL)
extern ph_found ph_from_a_later_release(void *, ph_pool *, ph_span, ph_span *, ph_error *);
#define FIND ph_from_a_later_release
#else
#define FIND find
/* The key "fails" fails, "known" is found, and so is the last part of the path. */
static ph_found
find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	static const char known[] = "known", fails[] = "fails";

	if (key.size == 5 && __builtin_memcmp(key.data, fails, 5) == 0)
		return PH_FAILED;
	if (key.size != 5 || __builtin_memcmp(key.data, known, 5) != 0)
		return PH_NOT_FOUND;
	*value = (ph_span){"value", 5};
	return PH_FOUND;
}
#endif

#define EXPANDED(name, ...) PH_MODULE(name, __VA_ARGS__)
EXPANDED(MAP_NAME, "1.0", "a table for tests", PH_MAP(.find = FIND),
	PH_INSTANCE(struct map, map_params));
#elif defined(QUEUE_TEST)
PH_MODULE(queue_test, "1.0", "a queue for tests", PH_QUEUE(.flags = 0));
#elif defined(TRANSPORT_TEST)
struct transport {
	int64_t test_connect_timeout;
};

static const struct ph_param transport_params[] = {
	{.name = "test_connect_timeout", .type = PH_TIME, .flags = PH_PER_SECTION,
		.offset = offsetof(struct transport, test_connect_timeout), .default_value = "30s",
		.min = 1000, .max = 3600000},
};

PH_MODULE(transport_test, "1.0", "a transport for tests", PH_TRANSPORT(.flags = 0),
	PH_INSTANCE(struct transport, transport_params));
#elif defined(RESTRICTION_TEST)
static ph_verdict
no_opinion(const ph_rule *rule, ph_session *session)
{
	return PH_DUNNO;
}

static int
needs_dot(const void *instance, ph_pool *pool, const char *argument, const void **prepared,
	ph_error *error)
{
	*prepared = strchr(argument, '.');
	if (*prepared != NULL)
		return 0;
	snprintf(error->text, sizeof(error->text), "expected a domain with a dot");
	return -1;
}

static const struct ph_restriction restrictions[] = {
	{.name = "permit_mynetworks", .stage = PH_STAGE_CLIENT, .check = no_opinion,
		.doc = "Permits our networks."},
	{.name = "permit_sasl_authenticated", .stage = PH_STAGE_CLIENT, .check = no_opinion,
		.doc = "Permits users."},
	{.name = "reject_unauth_destination", .stage = PH_STAGE_RECIPIENT | PH_REFUSES_STRANGERS,
		.check = no_opinion, .doc = "Refuses to relay."},
	{.name = "defer_unauth_destination", .stage = PH_STAGE_RECIPIENT | PH_REFUSES_STRANGERS,
		.check = no_opinion, .doc = "Refuses to relay for now."},
	{.name = "reject_rbl_client", .stage = PH_STAGE_CLIENT, .argument = PH_ARGUMENT_STRING,
		.check = no_opinion, .prepare = needs_dot, .doc = "Asks a list."},
	{.name = "reject_unknown_client", .stage = PH_STAGE_CLIENT, .check = no_opinion,
		.instead = "reject_unknown_client_hostname", .doc = "An old name."},
	{.name = "check_sender_access", .stage = PH_STAGE_SENDER, .argument = PH_ARGUMENT_MAP,
		.check = no_opinion, .doc = "Asks a table."},
};

PH_MODULE(restriction_test, "1.0", "restrictions for tests", PH_RESTRICTION_TABLE(restrictions));
#elif defined(RESTRICTION_OTHER)
static ph_verdict
no_opinion(const ph_rule *rule, ph_session *session)
{
	return PH_DUNNO;
}

PH_MODULE(restriction_other, "1.0", "another for tests",
	PH_RESTRICTION("reject_other", PH_STAGE_CLIENT, PH_NO_ARGUMENT, no_opinion));
#elif defined(LISTENER_TEST)
struct listener {
	int64_t port;
	const char *test_banner;
	int test_level;
	ph_strings test_words;
};

static const struct ph_param listener_params[] = {
	{.name = "port", .type = PH_INT, .flags = PH_SECTION_ONLY, .offset = offsetof(struct listener, port),
		.default_value = "25", .max = 65535},
	{.name = "test_banner", .type = PH_STRING, .flags = PH_PER_SECTION,
		.offset = offsetof(struct listener, test_banner), .default_value = "$myhostname ESMTP"},
	{.name = "test_level", .type = PH_ENUM, .flags = PH_PER_SECTION,
		.offset = offsetof(struct listener, test_level), .default_value = "none",
		.choices = "none, may, encrypt"},
	{.name = "test_words", .type = PH_STRINGS, .flags = PH_PER_SECTION,
		.offset = offsetof(struct listener, test_words), .default_value = "a, b"},
};

static int
check(void *self, ph_error *error)
{
	const struct listener *listener = self;
	static const char text[] = "port 666 is not for mail";

	if (listener->port != 666)
		return 0;
	for (size_t i = 0; i < sizeof(text); i++)
		error->text[i] = text[i];
	return -1;
}

PH_MODULE(listener_test, "1.0", "a listener for tests", PH_LISTENER(.flags = 0),
	PH_INSTANCE(struct listener, listener_params), PH_LIFE(.check = check));
#endif
