#include "intake/complete.h"

#include <string.h>

#include <posthouse/address.h>

#include "config/origin.h"

const char *
address_complete(ph_pool *pool, const struct settings *settings, const char *address)
{
	if (*address == '\0')
		return address;
	ph_span local = ph_address_local_part(address);
	const char *domain = ph_address_domain(address);

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
