#include "intake/rewrite.h"

#include <string.h>
#include <strings.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "intake/address_map.h"
#include "intake/complete.h"
#include "intake/source_route.h"

/* As in canonical tables of a ring: so many results in turn are too many. */
#define NESTING_MAX 10
/* Hosts that a sender may name one behind the other. */
#define ROUTE_MAX 20

static bool
has_class(const ph_strings *list, enum rewrite_class class)
{
	static const char *const names[] = {"envelope_sender", "envelope_recipient", "header_sender",
		"header_recipient"};

	return message_has_word(list, names[class]);
}

static bool
is_set(const ph_map *map)
{
	return map != NULL && !ph_map_is_empty(map);
}

bool
rewrite_is_configured(const struct settings *settings)
{
	return is_set(settings->canonical_maps) || is_set(settings->sender_canonical_maps) ||
		is_set(settings->recipient_canonical_maps) || settings->masquerade_domains.count > 0;
}

/* ---- Lookups ----------------------------------------------------------------------------------- */

static int
fail(struct ph_filter_message *message, const char *parameter, const char *address, const char *why)
{
	ph_log_as("cleanup", PH_LOG_WARNING,
		"%s: %s lookup problem for %s: %s -- message not accepted, try again later",
		message->envelope.id, parameter, address, why);
	ph_filter_reply(message, 451, "4.3.0", "<%.160s>: Temporary lookup failure", address);
	return -1;
}

static int
fail_nesting(struct ph_filter_message *message, const char *parameter, const char *what,
	const char *address)
{
	ph_log_as("cleanup", PH_LOG_WARNING,
		"%s: unreasonable %s map %s for %s -- message not accepted, try again later",
		message->envelope.id, parameter, what, address);
	ph_filter_reply(message, 451, "4.6.0", "Alias expansion error");
	return -1;
}

int
rewrite_lookup(struct ph_filter_message *message, const char *parameter, const ph_map *map,
	const char *address, bool propagate, ph_strings *found)
{
	ph_error error = {""};

	switch (address_map_find(message->pool, message->settings, map, address, propagate, found,
		&error)) {
	case PH_FOUND:
		return 1;
	case PH_NOT_FOUND:
		return 0;
	case PH_FAILED:
		break;
	}
	return fail(message, parameter, address, *error.text != '\0' ? error.text : "out of memory");
}

/* ---- Canonical --------------------------------------------------------------------------------- */

static int
map_one(struct ph_filter_message *message, const char *parameter, const ph_map *map,
	const char **address)
{
	bool propagate = message_has_word(&message->settings->propagate_unmatched_extensions, "canonical");
	const char *first = *address;

	for (int i = 0; i < NESTING_MAX; i++) {
		ph_strings list;
		int found = rewrite_lookup(message, parameter, map, *address, propagate, &list);

		if (found != 1)
			return found;
		if (list.count > 1)
			ph_log_as("cleanup", PH_LOG_WARNING, "%s: %s: multi-valued entry for %s: using %s",
				message->envelope.id, parameter, *address, list.items[0]);
		if (strcasecmp(list.items[0], *address) == 0) {
			*address = list.items[0];
			return 0;
		}
		*address = list.items[0];
	}
	return fail_nesting(message, parameter, "nesting", first);
}

static int
map_canonical(struct ph_filter_message *message, enum rewrite_class class, const char **address)
{
	const struct settings *settings = message->settings;

	if (is_set(settings->sender_canonical_maps) &&
		(class == REWRITE_ENVELOPE_SENDER || class == REWRITE_HEADER_SENDER) &&
		has_class(&settings->sender_canonical_classes, class) &&
		map_one(message, "sender_canonical_maps", settings->sender_canonical_maps, address) == -1)
		return -1;
	if (is_set(settings->recipient_canonical_maps) &&
		(class == REWRITE_ENVELOPE_RECIPIENT || class == REWRITE_HEADER_RECIPIENT) &&
		has_class(&settings->recipient_canonical_classes, class) &&
		map_one(message, "recipient_canonical_maps", settings->recipient_canonical_maps, address) ==
			-1)
		return -1;
	if (is_set(settings->canonical_maps) && has_class(&settings->canonical_classes, class))
		return map_one(message, "canonical_maps", settings->canonical_maps, address);
	return 0;
}

/* ---- Masquerading ------------------------------------------------------------------------------ */

/* Is domain the parent or below it? */
static bool
is_within(const char *domain, const char *parent)
{
	size_t size = strlen(domain), parent_size = strlen(parent);

	if (size < parent_size || strcasecmp(domain + size - parent_size, parent) != 0)
		return false;
	return size == parent_size || domain[size - parent_size - 1] == '.';
}

/* What stays of a domain: the first entry that fits decides. */
static const char *
masquerade_domain(const ph_strings *list, const char *domain)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *entry = list->items[i];
		bool cut = true;

		for (; *entry == '!'; entry++)
			cut = !cut;
		if (*entry != '\0' && is_within(domain, entry))
			return cut ? domain + strlen(domain) - strlen(entry) : domain;
	}
	return domain;
}

static int
masquerade(struct ph_filter_message *message, enum rewrite_class class, const char **address)
{
	const struct settings *settings = message->settings;
	const char *domain = ph_address_domain(*address), *kept;
	ph_error error = {""};

	if (settings->masquerade_domains.count == 0 || !has_class(&settings->masquerade_classes, class))
		return 0;
	kept = masquerade_domain(&settings->masquerade_domains, domain);
	if (kept == domain)
		return 0;
	const char *user = ph_address_unquoted(message->pool, *address);
	ph_found found = user == NULL ? PH_FAILED
		: settings->masquerade_exceptions == NULL ? PH_NOT_FOUND
		: ph_match(settings->masquerade_exceptions, user, &error);

	if (found == PH_FAILED)
		return fail(message, "masquerade_exceptions", *address, error.text);
	if (found == PH_FOUND)
		return 0;
	*address = ph_pool_printf(message->pool, "%.*s%s", (int)(domain - *address), *address, kept);
	return *address != NULL ? 0 : fail(message, "masquerade_domains", "", "out of memory");
}

int
rewrite_address(struct ph_filter_message *message, enum rewrite_class class, const char *address,
	const char **rewritten)
{
	const char *complete = address_complete(message->pool, message->settings, address);

	if (complete == NULL)
		return fail(message, "myorigin", address, "out of memory");
	*rewritten = complete;
	if (message->no_mappings)
		return 0;
	if (map_canonical(message, class, rewritten) == -1)
		return -1;
	return masquerade(message, class, rewritten);
}

/* ---- Routes ------------------------------------------------------------------------------------ */

/* One host. 1: there was one; 0; -1. */
static int
take_host(struct ph_filter_message *message, const char **address)
{
	const ph_match_list *ours = message->settings->mydestination;
	ph_error error = {""};
	const char *route;

	switch (ours != NULL ? ph_match(ours, ph_address_domain(*address), &error) : PH_NOT_FOUND) {
	case PH_FAILED:
		return fail(message, "mydestination", *address, error.text);
	case PH_NOT_FOUND:
		return 0;
	case PH_FOUND:
		break;
	}
	route = source_route(message->pool, message->settings, *address);
	if (route == *address)
		return 0;
	if (route != NULL)
		route = address_complete(message->pool, message->settings, route);
	if (route == NULL)
		return fail(message, "mydestination", *address, "out of memory");
	*address = route;
	return 1;
}

int
rewrite_route(struct ph_filter_message *message, const char *address, const char **rewritten)
{
	int taken = 1;

	*rewritten = address;
	for (int i = 0; i < ROUTE_MAX && taken == 1; i++)
		taken = source_route_is_possible(*rewritten) ? take_host(message, rewritten) : 0;
	return taken == -1 ? -1 : 0;
}

/* ---- Virtual aliases --------------------------------------------------------------------------- */

/* An address on its way; parent is the one it came from, or itself. */
struct node {
	const char *address;
	size_t parent, depth;
};

struct expansion {
	struct ph_filter_message *message;
	struct node *nodes;
	size_t count, room;
	size_t *slots;      /* number + 1 of a node, by the hash of its address; 2 * room of them */
};

static size_t
hash_address(const char *address)
{
	uint32_t hash = 2166136261u;

	for (; *address != '\0'; address++) {
		unsigned char c = (unsigned char)*address;

		hash = (hash ^ (c >= 'A' && c <= 'Z' ? c + 32u : c)) * 16777619u;
	}
	return hash;
}

/* The slot of an address, free or with its node. */
static size_t *
slot_of(struct expansion *e, const char *address)
{
	size_t mask = 2 * e->room - 1, at = hash_address(address) & mask;

	while (e->slots[at] != 0 && strcasecmp(e->nodes[e->slots[at] - 1].address, address) != 0)
		at = (at + 1) & mask;
	return &e->slots[at];
}

static int
grow(struct expansion *e)
{
	size_t room = e->room == 0 ? 8 : e->room * 2;
	struct node *nodes = ph_pool_array(e->message->pool, room, sizeof(*nodes));

	e->slots = ph_pool_array(e->message->pool, 2 * room, sizeof(*e->slots));
	if (nodes == NULL || e->slots == NULL)
		return -1;
	if (e->count > 0)
		memcpy(nodes, e->nodes, e->count * sizeof(*nodes));
	memset(e->slots, 0, 2 * room * sizeof(*e->slots));
	e->nodes = nodes;
	e->room = room;
	for (size_t i = 0; i < e->count; i++)
		*slot_of(e, nodes[i].address) = i + 1;
	return 0;
}

static int
add(struct expansion *e, const char *address, size_t parent, size_t depth)
{
	if (e->count == e->room && grow(e) == -1)
		return fail(e->message, "virtual_alias_maps", address, "out of memory");
	e->nodes[e->count] = (struct node){address, parent, depth};
	*slot_of(e, address) = ++e->count;
	return 0;
}

static bool
is_ancestor(const struct expansion *e, size_t ancestor, size_t node)
{
	while (node != ancestor && e->nodes[node].parent != node)
		node = e->nodes[node].parent;
	return node == ancestor;
}

/* One result of node number from: an address that was there before is done, unless it led here. */
static int
take_result(struct expansion *e, size_t from, const char *address, rewrite_emit_fn *emit,
	void *context)
{
	const struct settings *settings = e->message->settings;
	size_t before = *slot_of(e, address);

	if (before != 0 && !is_ancestor(e, before - 1, from))
		return 0;
	if (before != 0) {
		if (before - 1 != from)
			ph_log_as("cleanup", PH_LOG_WARNING, "%s: virtual_alias_maps: loop: %s leads back to %s",
				e->message->envelope.id, e->nodes[from].address, address);
		return emit(context, address);
	}
	if ((int64_t)strlen(address) > settings->virtual_alias_address_length_limit)
		return fail_nesting(e->message, "virtual_alias_maps", "result length",
			e->nodes[0].address);
	if ((int64_t)e->count > settings->virtual_alias_expansion_limit)
		return fail_nesting(e->message, "virtual_alias_maps", "expansion size",
			e->nodes[0].address);
	return add(e, address, from, e->nodes[from].depth + 1);
}

static int
expand_node(struct expansion *e, size_t number, rewrite_emit_fn *emit, void *context)
{
	const struct settings *settings = e->message->settings;
	const char *address = e->nodes[number].address;
	bool propagate = message_has_word(&settings->propagate_unmatched_extensions, "virtual");
	ph_strings list;
	int found = rewrite_lookup(e->message, "virtual_alias_maps", settings->virtual_alias_maps,
		address, propagate, &list);

	if (found == -1)
		return -1;
	if (found == 0)
		return emit(context, address);
	if ((int64_t)e->nodes[number].depth >= settings->virtual_alias_recursion_limit)
		return fail_nesting(e->message, "virtual_alias_maps", "nesting", e->nodes[0].address);
	for (size_t i = 0; i < list.count; i++)
		if (take_result(e, number, list.items[i], emit, context) == -1)
			return -1;
	return 0;
}

int
rewrite_expand(struct ph_filter_message *message, const char *address, rewrite_emit_fn *emit,
	void *context)
{
	struct expansion e = {.message = message};

	if (!is_set(message->settings->virtual_alias_maps))
		return emit(context, address);
	if (add(&e, address, 0, 0) == -1)
		return -1;
	for (size_t i = 0; i < e.count; i++)
		if (expand_node(&e, i, emit, context) == -1)
			return -1;
	return 0;
}
