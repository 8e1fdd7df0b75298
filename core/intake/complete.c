#include "intake/complete.h"

#include <string.h>

#include <posthouse/address.h>

#include "config/origin.h"
#include "intake/source_route.h"

/* What a user and a host are completed with. */
struct completion {
	const struct settings *settings;
	const char *origin; /* NULL: nothing */
	const char *domain; /* NULL: nothing */
};

static const char *
complete(ph_pool *pool, const struct completion *with, const char *address)
{
	if (*address == '\0')
		return address;
	ph_span local = ph_address_local_part(address);
	const char *domain = ph_address_domain(address);
	size_t size = strlen(domain);

	/* the root of the DNS, which no table has */
	if (size > 1 && domain[size - 1] == '.' && domain[size - 2] != '.') {
		address = ph_pool_copy(pool, (ph_span){address, strlen(address) - 1});
		return address != NULL ? complete(pool, with, address) : NULL;
	}
	if (*domain == '\0' && source_route_is_possible(address)) {
		const char *route = source_route(pool, with->settings, address);

		if (route == NULL || route != address)
			return route != NULL ? complete(pool, with, route) : NULL;
	}
	if (*domain == '\0')
		return with->origin == NULL ? address
			: ph_pool_printf(pool, "%.*s@%s", (int)local.size, local.data,
			with->origin);
	if (with->domain == NULL || strchr(domain, '.') != NULL || domain[0] == '[')
		return address;
	return ph_pool_printf(pool, "%s.%s", address, with->domain);
}

const char *
address_complete(ph_pool *pool, const struct settings *settings, const char *address)
{
	const struct completion with = {settings,
		settings->append_at_myorigin ? origin_domain(settings) : NULL,
		settings->append_dot_mydomain ? settings->mydomain : NULL};

	return complete(pool, &with, address);
}

const char *
address_complete_remote(ph_pool *pool, const struct settings *settings, const char *address)
{
	const char *domain = settings->remote_header_rewrite_domain;
	const struct completion with = {settings, settings->append_at_myorigin ? domain : NULL,
		settings->append_dot_mydomain ? domain : NULL};

	return complete(pool, &with, address);
}

const char *
recipient_complete(ph_pool *pool, const struct settings *settings, const char *address)
{
	return address_complete(pool, settings,
		*address != '\0' ? address : settings->empty_address_recipient);
}
