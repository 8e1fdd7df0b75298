/*
 * Mail addresses as keys of tables: the whole address first, then less and less of it.
 */
#include "config/mapaddress.h"

#include <string.h>

#include <posthouse/address.h>

#include "config/config.h"
#include "config/origin.h"

struct search {
	ph_pool *pool;
	const struct settings *settings;
	const ph_map *map;
	ph_error *error;
	const char *domain;
	ph_span local, user; /* user: local without its extension */
	const char *value;
	bool stripped;       /* it was found without the extension */
};

static ph_found
ask(struct search *search, ph_span local, const char *at, const char *domain)
{
	const char *key = ph_pool_printf(search->pool, "%.*s%s%s", (int)local.size, local.data, at, domain);

	if (key != NULL)
		return ph_map_lookup_fixed(search->pool, search->map, key, &search->value, search->error);
	ph_error_set(search->error, "%s: out of memory", ph_map_name(search->map));
	return PH_FAILED;
}

/* The same key without the extension, if there is one. */
static ph_found
ask_stripped(struct search *search, const char *at, const char *domain)
{
	ph_found found;

	if (search->user.size == search->local.size)
		return PH_NOT_FOUND;
	found = ask(search, search->user, at, domain);
	search->stripped = found == PH_FOUND;
	return found;
}

static ph_found
is_own_domain(struct search *search)
{
	if (ph_strcasecmp(search->domain, origin_domain(search->settings)) == 0)
		return PH_FOUND;
	if (search->settings->mydestination == NULL)
		return PH_NOT_FOUND;
	return ph_match(search->settings->mydestination, search->domain, search->error);
}

static ph_found
ask_user(struct search *search)
{
	ph_found found = is_own_domain(search);

	if (found == PH_FOUND)
		found = ask(search, search->local, "", "");
	else if (found == PH_NOT_FOUND)
		return found;
	return found == PH_NOT_FOUND ? ask_stripped(search, "", "") : found;
}

static ph_found
find(struct search *search, const char *address, unsigned flags)
{
	static const ph_span nobody = {"", 0};
	const char *at = *search->domain == '\0' ? "" : "@";
	ph_found found = ph_map_lookup(search->pool, search->map, address, &search->value, search->error);

	if (found == PH_NOT_FOUND)
		found = ask_stripped(search, at, search->domain);
	if (*search->domain == '\0')
		return found;
	if (found == PH_NOT_FOUND && (flags & PH_ADDRESS_USER) != 0)
		found = ask_user(search);
	if (found == PH_NOT_FOUND && (flags & PH_ADDRESS_DOMAIN) != 0)
		found = ask(search, nobody, "@", search->domain);
	return found;
}

ph_found
map_lookup_address(ph_pool *pool, const struct settings *settings, const ph_map *map,
	const char *address, unsigned flags, const char **value, const char **extension, ph_error *error)
{
	struct search search = {.pool = pool, .settings = settings, .map = map, .error = error,
		.domain = ph_address_domain(address), .local = ph_address_local_part(address),
		.user = ph_address_user(address, settings->recipient_delimiter)};
	ph_found found = ph_map_is_empty(map) ? PH_NOT_FOUND : find(&search, address, flags);

	if (found != PH_FOUND)
		return found;
	if (value != NULL)
		*value = search.value;
	if (extension == NULL)
		return found;
	*extension = search.stripped ? ph_pool_copy(pool, (ph_span){search.user.data + search.user.size,
		search.local.size - search.user.size}) : "";
	if (*extension != NULL)
		return found;
	ph_error_set(error, "%s: out of memory", ph_map_name(map));
	return PH_FAILED;
}

ph_found
ph_map_lookup_address(ph_pool *pool, const ph_map *map, const char *address, unsigned flags,
	const char **value, const char **extension, ph_error *error)
{
	return map_lookup_address(pool, config_settings(config_current()), map, address, flags, value,
		extension, error);
}
