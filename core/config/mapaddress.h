/*
 * Mail addresses as keys of tables.
 */
#ifndef CONFIG_MAPADDRESS_H
#define CONFIG_MAPADDRESS_H

#include "config/settings.h"

/* ph_map_lookup_address() under these settings. */
ph_found map_lookup_address(ph_pool *pool, const struct settings *settings, const ph_map *map,
	const char *address, unsigned flags, const char **value, const char **extension, ph_error *error);

#endif
