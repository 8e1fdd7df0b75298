#include "intake/source_route.h"

#include <string.h>

#include <posthouse/address.h>

bool
source_route_is_possible(const char *address)
{
	ph_span local = ph_address_local_part(address);

	for (size_t i = 0; i < local.size; i++)
		if (strchr("@%!", local.data[i]) != NULL)
			return true;
	return false;
}

static bool
is_host(const char *name)
{
	return ph_is_hostname(name) || ph_is_literal(name, NULL);
}

/* user@host in its canonical form; NULL: it is none. */
static const char *
make_address(ph_pool *pool, ph_span user, const char *host)
{
	const char *text = ph_pool_printf(pool, "<%.*s@%s>", (int)user.size, user.data, host), *address;
	ph_error error;
	ph_span rest;

	if (text == NULL || user.size == 0 || !is_host(host) ||
		ph_path_parse(pool, ph_span_of(text), PH_PATH_UTF8, &address, &rest, &error) == -1 ||
		rest.size > 0)
		return NULL;
	return address;
}

static const char *
swap(ph_pool *pool, const char *local, const char *bang)
{
	const char *host = ph_pool_copy(pool, (ph_span){local, (size_t)(bang - local)});

	return host != NULL ? make_address(pool, ph_span_of(bang + 1), host) : NULL;
}

const char *
source_route(ph_pool *pool, const struct settings *settings, const char *address)
{
	const char *local = ph_address_unquoted(pool, address), *found = NULL, *at;

	if (local == NULL)
		return NULL;
	if (*address == '"' && !settings->resolve_dequoted_address)
		return address;
	if ((at = strrchr(local, '@')) != NULL)
		found = make_address(pool, (ph_span){local, (size_t)(at - local)}, at + 1);
	else if (settings->swap_bangpath && (at = strchr(local, '!')) != NULL)
		found = swap(pool, local, at);
	else if (settings->allow_percent_hack && (at = strrchr(local, '%')) != NULL)
		found = make_address(pool, (ph_span){local, (size_t)(at - local)}, at + 1);
	return found != NULL ? found : address;
}
