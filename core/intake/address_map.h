/*
 * Lookups of addresses in tables as canonical(5) and virtual(5) have them.
 */
#ifndef INTAKE_ADDRESS_MAP_H
#define INTAKE_ADDRESS_MAP_H

#include "config/settings.h"

/*
 * Asks for user+extension@domain, user@domain, user+extension and user (when the domain is myorigin
 * or in mydestination), and @domain; tables of patterns see the whole address only. The result is a
 * list of complete addresses in the pool: "@other" stands for the same user there; the extension is
 * appended when propagate says so and the key was found without it. A value that is no list of
 * addresses, or an empty one, is PH_FAILED. map NULL: nothing is found.
 */
ph_found address_map_find(ph_pool *pool, const struct settings *settings, const ph_map *map,
	const char *address, bool propagate, ph_strings *found, ph_error *error);

#endif
