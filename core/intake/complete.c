#include "intake/complete.h"

#include <string.h>

#include <posthouse/address.h>

#include "config/origin.h"
#include "intake/source_route.h"

const char *
address_complete(ph_pool *pool, const struct settings *settings, const char *address)
{
	if (*address == '\0')
		return address;
	ph_span local = ph_address_local_part(address);
	const char *domain = ph_address_domain(address);
	size_t size = strlen(domain);

	/* the root of the DNS, which no table has */
	if (size > 1 && domain[size - 1] == '.' && domain[size - 2] != '.') {
		address = ph_pool_copy(pool, (ph_span){address, strlen(address) - 1});
		return address != NULL ? address_complete(pool, settings, address) : NULL;
	}
	if (*domain == '\0' && source_route_is_possible(address)) {
		const char *route = source_route(pool, settings, address);

		if (route == NULL || route != address)
			return route != NULL ? address_complete(pool, settings, route) : NULL;
	}
	if (*domain == '\0') {
		if (!settings->append_at_myorigin)
			return address;
		return ph_pool_printf(pool, "%.*s@%s", (int)local.size, local.data, origin_domain(settings));
	}
	if (!settings->append_dot_mydomain || strchr(domain, '.') != NULL || domain[0] == '[')
		return address;
	return ph_pool_printf(pool, "%s.%s", address, settings->mydomain);
}

const char *
recipient_complete(ph_pool *pool, const struct settings *settings, const char *address)
{
	return address_complete(pool, settings,
		*address != '\0' ? address : settings->empty_address_recipient);
}
