#include "intake/address_map.h"

#include <string.h>
#include <strings.h>

#include <posthouse/address.h>

#include "intake/complete.h"
#include "intake/mailbox_list.h"

struct search {
	ph_pool *pool;
	const struct settings *settings;
	const ph_map *map;
	ph_error *error;
	const char *address, *domain;
	ph_span local, user;   /* user: local without the extension */
	const char *extension; /* with its delimiter; "": none */
	const char *value;
	bool stripped;         /* it was found without its extension */
};

/* ---- Keys -------------------------------------------------------------------------------------- */

/* Where the extension begins: not at the first character, not in quoted local parts. */
static void
split_extension(struct search *search)
{
	const char *delimiters = search->settings->recipient_delimiter;

	search->user = search->local;
	search->extension = "";
	if (delimiters == NULL || *delimiters == '\0' || search->local.size == 0 ||
		search->local.data[0] == '"')
		return;
	for (size_t i = 1; i < search->local.size; i++) {
		if (strchr(delimiters, search->local.data[i]) == NULL)
			continue;
		search->user.size = i;
		search->extension = ph_pool_copy(search->pool,
			(ph_span){search->local.data + i, search->local.size - i});
		return;
	}
}

static ph_found
ask(struct search *search, ph_span local, const char *at, const char *domain)
{
	const char *key = ph_pool_printf(search->pool, "%.*s%s%s", (int)local.size, local.data, at, domain);

	if (key == NULL)
		return PH_FAILED;
	return ph_map_lookup_fixed(search->pool, search->map, key, &search->value, search->error);
}

/* The same key without the extension, if there is one. */
static ph_found
ask_both(struct search *search, const char *at, const char *domain, bool whole)
{
	ph_found found = whole ? ask(search, search->local, at, domain) : PH_NOT_FOUND;

	if (found != PH_NOT_FOUND || *search->extension == '\0')
		return found;
	found = ask(search, search->user, at, domain);
	search->stripped = found == PH_FOUND;
	return found;
}

static ph_found
is_own_domain(struct search *search)
{
	if (strcasecmp(search->domain, origin_domain(search->settings)) == 0)
		return PH_FOUND;
	if (search->settings->mydestination == NULL)
		return PH_NOT_FOUND;
	return ph_match(search->settings->mydestination, search->domain, search->error);
}

static ph_found
find(struct search *search)
{
	static const ph_span nobody = {"", 0};
	ph_found found = ph_map_lookup(search->pool, search->map, search->address, &search->value,
		search->error);

	if (found != PH_NOT_FOUND)
		return found;
	if (*search->domain == '\0')
		return ask_both(search, "", "", false);
	if ((found = ask_both(search, "@", search->domain, false)) != PH_NOT_FOUND)
		return found;
	if ((found = is_own_domain(search)) == PH_FOUND)
		found = ask_both(search, "", "", true);
	if (found != PH_NOT_FOUND)
		return found;
	return ask(search, nobody, "@", search->domain);
}

/* ---- Values ------------------------------------------------------------------------------------ */

struct values {
	struct search *search;
	bool propagate;
	const char **items;
	size_t count, room;
};

static int
append(struct values *values, const char *address)
{
	if (address == NULL)
		return -1;
	if (values->count == values->room) {
		size_t room = values->room == 0 ? 4 : values->room * 2;
		const char **grown = ph_pool_array(values->search->pool, room, sizeof(*grown));

		if (grown == NULL)
			return -1;
		if (values->count > 0)
			memcpy(grown, values->items, values->count * sizeof(*grown));
		values->items = grown;
		values->room = room;
	}
	values->items[values->count++] = address;
	return 0;
}

static int
take(void *context, const char *address)
{
	struct values *values = context;
	struct search *search = values->search;

	address = address_complete(search->pool, search->settings, address);
	if (address == NULL)
		return -1;
	if (values->propagate && search->stripped && *address != '"') {
		ph_span local = ph_address_local_part(address);

		address = ph_pool_printf(search->pool, "%.*s%s%s", (int)local.size, local.data,
			search->extension, address + local.size);
	}
	return append(values, address);
}

/* "@other.example": the same user in another domain. */
static int
take_domain(struct values *values, const char *value)
{
	struct search *search = values->search;

	if (!ph_is_hostname(value + 1))
		return -1;
	return append(values, ph_pool_printf(search->pool, "%.*s%s", (int)search->local.size,
		search->local.data, value));
}

ph_found
address_map_find(ph_pool *pool, const struct settings *settings, const ph_map *map,
	const char *address, bool propagate, ph_strings *list, ph_error *error)
{
	struct search search = {.pool = pool, .settings = settings, .map = map, .error = error,
		.address = address, .domain = ph_address_domain(address),
		.local = ph_address_local_part(address)};
	struct values values = {.search = &search, .propagate = propagate};
	ph_error syntax = {""};

	if (map == NULL || ph_map_is_empty(map))
		return PH_NOT_FOUND;
	split_extension(&search);
	ph_found found = search.extension != NULL ? find(&search) : PH_FAILED;

	if (found != PH_FOUND)
		return found;
	int result = *search.value == '@'
		? take_domain(&values, search.value)
		: mailbox_list_parse(pool, ph_span_of(search.value), take, &values, &syntax);

	if (result == -1 || values.count == 0) {
		ph_error_set(error, "%s: the value of %s, \"%.100s\", is no list of addresses",
			ph_map_name(map), address, search.value);
		return PH_FAILED;
	}
	*list = (ph_strings){values.count, values.items};
	return PH_FOUND;
}
