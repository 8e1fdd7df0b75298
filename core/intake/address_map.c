#include "intake/address_map.h"

#include <string.h>

#include <posthouse/address.h>

#include "config/mapaddress.h"
#include "intake/complete.h"
#include "intake/mailbox_list.h"

struct search {
	ph_pool *pool;
	const struct settings *settings;
	ph_span local;
	const char *extension; /* what the key did not have */
};

/* ---- Values ---------------------------------------------------------------------------------- */

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
	if (values->propagate && *search->extension != '\0' && *address != '"') {
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
	struct search search = {.pool = pool, .settings = settings,
		.local = ph_address_local_part(address)};
	struct values values = {.search = &search, .propagate = propagate};
	ph_error syntax = {""};
	const char *value;
	ph_found found = map_lookup_address(pool, settings, map, address,
		PH_ADDRESS_USER | PH_ADDRESS_DOMAIN, &value, &search.extension, error);

	if (found != PH_FOUND)
		return found;
	int result = *value == '@' ? take_domain(&values, value)
		: mailbox_list_parse(pool, mailbox_list_commas(pool, value), take, &values, &syntax);

	if (result == -1 || values.count == 0) {
		ph_error_set(error, "%s: the value of %s, \"%.100s\", is no list of addresses",
			ph_map_name(map), address, value);
		return PH_FAILED;
	}
	*list = (ph_strings){values.count, values.items};
	return PH_FOUND;
}
