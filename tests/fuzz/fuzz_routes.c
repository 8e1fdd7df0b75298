/*
 * Tables that route and rewrite an address: transport(5), relocated(5), the routes of senders, canonical(5).
 * The input has the address, the sender, and the entries of a table, which plays them all. What comes
 * of it is a transport and a next hop, or a status with a reason; two times the same.
 */
#include "fuzz.h"

#include "intake/address_map.h"
#include "queue/resolve.h"

#include <posthouse/address.h>
#include <posthouse/table.h>

#include <string.h>

#include "config/config.h"

struct ph_map {
	ph_span text;
};

static const struct instance transports[] = {{.name = "local"}, {.name = "smtp"}, {.name = "relay"}};

struct search {
	ph_pool *pool;
	ph_span key;
	const char *value;
};

static int
compare(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct search *search = context;

	if (!ph_span_equal_nocase(key, search->key))
		return 0;
	search->value = ph_pool_copy(search->pool, value);
	return 1;
}

static ph_found
look_up(ph_pool *pool, const ph_map *map, const char *key, const char **value, ph_error *error)
{
	struct search search = {.pool = pool, .key = ph_span_of(key)};

	if (map == NULL)
		return PH_NOT_FOUND;
	/* a table that is broken behind the entry cannot be asked either */
	if (ph_table_parse("fuzz", map->text, PH_TABLE_PAIRS, compare, &search, error) == -1)
		return PH_FAILED;
	*value = search.value;
	return search.value != NULL ? PH_FOUND : PH_NOT_FOUND;
}

#define PLAYED(result, name, ...) \
	result __wrap_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__)

PLAYED(ph_found, ph_map_lookup, ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error)
{
	return look_up(pool, map, key, value, error);
}

PLAYED(ph_found, ph_map_lookup_fixed, ph_pool *pool, const ph_map *map, const char *key,
	const char **value, ph_error *error)
{
	return look_up(pool, map, key, value, error);
}

PLAYED(bool, ph_map_is_empty, const ph_map *map) { return map == NULL; }
PLAYED(const char *, ph_map_name, const ph_map *map) { return "fuzz"; }

static enum domain_class
classify(void *context, const char *domain, ph_error *error)
{
	return *domain == 'l' ? DOMAIN_LOCAL : *domain == 'r' ? DOMAIN_RELAY : *domain == 'v'
		? DOMAIN_VIRTUAL_MAILBOX : DOMAIN_FOREIGN;
}

static bool
is_own_address(void *context, const ph_address *address)
{
	return false;
}

static const struct instance *
find(void *context, const char *name)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(transports[i].name, name) == 0)
			return &transports[i];
	return NULL;
}

static void
check_resolved(const struct resolved *resolved)
{
	CHECK((resolved->result == RESOLVE_OK) == (resolved->transport != NULL));
	CHECK((resolved->table == NULL) == (resolved->answer == NULL));
	/* a table may hold any other character */
	CHECK(strchr(resolved->nexthop, '\n') == NULL);
	if (resolved->result == RESOLVE_OK)
		return;
	CHECK(resolved->status[0] == (resolved->result == RESOLVE_DEFER ? '4' : '5'));
	CHECK(*resolved->reason != '\0' && strchr(resolved->reason, '\n') == NULL);
}

static void
resolve(const struct settings *settings, ph_pool *pool, const char *sender, const char *address)
{
	struct resolver resolver = {.settings = settings, .classify = classify,
		.is_own_address = is_own_address, .find = find};
	struct resolved first, second;

	CHECK(resolve_address(&resolver, sender, address, pool, &first) == 0);
	check_resolved(&first);
	CHECK(resolve_address(&resolver, sender, address, pool, &second) == 0);
	CHECK(first.result == second.result && first.transport == second.transport &&
		strcmp(first.nexthop, second.nexthop) == 0 && strcmp(first.reason, second.reason) == 0);
}

static void
rewrite(const struct settings *settings, ph_pool *pool, const char *address)
{
	ph_error error = {""};
	ph_strings list;
	ph_found found = address_map_find(pool, settings, settings->transport_maps, address, true, &list,
		&error);

	CHECK(found != PH_FAILED || error.text[0] != '\0');
	if (found != PH_FOUND)
		return;
	CHECK(list.count > 0);
	for (size_t i = 0; i < list.count; i++)
		CHECK(*list.items[i] != '\0' && strpbrk(list.items[i], "\r\n") == NULL);
}

/* The address in a line, as a session would take it. NULL: it would not. */
static const char *
take_address(ph_pool *pool, ph_span *text)
{
	const char *end = memchr(text->data, '\n', text->size);
	size_t size = end != NULL ? (size_t)(end - text->data) : text->size;
	const char *path = ph_pool_printf(pool, "<%.*s>", (int)size, text->data), *address;
	ph_span rest;
	ph_error error;

	text->data += size + (end != NULL);
	text->size -= size + (end != NULL);
	if (ph_path_parse(pool, ph_span_of(path), PH_PATH_EMPTY_OK | PH_PATH_UTF8, &address, &rest,
		&error) == -1)
		return NULL;
	return address;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(16 << 20);
	ph_span text = {(const char *)data, size};
	const char *address = size < 4096 ? take_address(pool, &text) : NULL;
	const char *sender = address != NULL ? take_address(pool, &text) : NULL;
	struct ph_map map = {text};
	struct settings settings = {.myhostname = "mail.local.example", .myorigin = "local.example",
		.mydomain = "local.example", .local_transport = "local", .relay_transport = "relay",
		.default_transport = "smtp", .virtual_transport = "lmtp:unix:private/lmtp", .relayhost = "",
		.recipient_delimiter = "+-", .append_at_myorigin = true, .append_dot_mydomain = true,
		.empty_address_default_transport_maps_lookup_key = "<>",
		.empty_address_relayhost_maps_lookup_key = "<>", .transport_maps = &map};

	if (sender != NULL && *address != '\0') {
		resolve(&settings, pool, sender, address);
		rewrite(&settings, pool, address);
		settings.relocated_maps = size % 2 == 0 ? &map : NULL;
		settings.sender_dependent_relayhost_maps = &map;
		settings.sender_dependent_default_transport_maps = &map;
		resolve(&settings, pool, sender, address);
	}
	ph_pool_free(pool);
	return 0;
}
