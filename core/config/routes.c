#include "config/routes.h"

#include <string.h>

#include "config/mapaddress.h"

static ph_found
found_in(struct routes *routes, const ph_map *map, ph_found found)
{
	if (found == PH_FOUND)
		routes->table = ph_map_name(map);
	return found;
}

/* "sub.example.com" has ".example.com" and ".com"; or "example.com" and "com". */
static ph_found
find_parents(struct routes *routes, const ph_map *map, bool dotless)
{
	const char *dot = routes->domain;
	ph_found found = PH_NOT_FOUND;

	while (found == PH_NOT_FOUND && *dot != '[' && (dot = strchr(dot + 1, '.')) != NULL)
		found = ph_map_lookup_fixed(routes->pool, map, dotless ? dot + 1 : dot,
			&routes->value, routes->error);
	return found;
}

static bool
is_dotless(const struct settings *settings)
{
	const ph_strings *list = &settings->parent_domain_matches_subdomains;

	for (size_t i = 0; i < list->count; i++)
		if (ph_strcasecmp(list->items[i], "transport_maps") == 0)
			return true;
	return false;
}

ph_found
routes_transport(struct routes *routes)
{
	const ph_map *map = routes->settings->transport_maps;
	ph_found found;

	if (ph_map_is_empty(map))
		return PH_NOT_FOUND;
	found = map_lookup_address(routes->pool, routes->settings, map, routes->address, 0,
		&routes->value, NULL, routes->error);
	if (found == PH_NOT_FOUND)
		found = ph_map_lookup(routes->pool, map, routes->domain, &routes->value,
			routes->error);
	if (found == PH_NOT_FOUND)
		found = find_parents(routes, map, is_dotless(routes->settings));
	if (found == PH_NOT_FOUND)
		found = ph_map_lookup_fixed(routes->pool, map, "*", &routes->value, routes->error);
	return found_in(routes, map, found);
}

static ph_found
find_address(struct routes *routes, const ph_map *map, const char *address)
{
	return found_in(routes, map,
		map_lookup_address(routes->pool, routes->settings, map, address,
		PH_ADDRESS_USER | PH_ADDRESS_DOMAIN, &routes->value, NULL, routes->error));
}

ph_found
routes_relocated(struct routes *routes)
{
	return find_address(routes, routes->settings->relocated_maps, routes->address);
}

static ph_found
find_sender(struct routes *routes, const ph_map *map, const char *nobody)
{
	ph_found found;

	if (ph_map_is_empty(map))
		return PH_NOT_FOUND;
	found = find_address(routes, map, *routes->sender == '\0' ? nobody : routes->sender);
	return found == PH_FOUND && ph_strcasecmp(routes->value, "DUNNO") == 0 ? PH_NOT_FOUND
		: found;
}

ph_found
routes_sender_transport(struct routes *routes)
{
	return find_sender(routes, routes->settings->sender_dependent_default_transport_maps,
		routes->settings->empty_address_default_transport_maps_lookup_key);
}

ph_found
routes_sender_relayhost(struct routes *routes)
{
	return find_sender(routes, routes->settings->sender_dependent_relayhost_maps,
		routes->settings->empty_address_relayhost_maps_lookup_key);
}
