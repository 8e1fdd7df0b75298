/* Paths of MAIL and RCPT; what comes out parses again to itself. */
#include "fuzz.h"

#include <posthouse/address.h>

#include <stdio.h>
#include <string.h>

#include "intake/source_route.h"

/* A route that an address hides leads to an address, by every rule that there is. */
static void
check_route(ph_pool *pool, const char *address)
{
	const struct settings settings = {.allow_percent_hack = true, .swap_bangpath = true,
		.resolve_dequoted_address = true};
	const char *route = source_route(pool, &settings, address);

	CHECK(route != NULL);
	CHECK(route == address || (source_route_is_possible(address) && *ph_address_domain(route) != '\0' &&
		strlen(route) <= strlen(address) + 2));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	unsigned flags = size > 0 ? data[0] & 7 : 0;
	const char *address, *again;
	ph_span rest;
	ph_error error;

	if (size > 0 && ph_path_parse(pool, (ph_span){(const char *)data + 1, size - 1}, flags, &address,
		&rest, &error) == 0) {
		char *path = ph_pool_printf(pool, "<%s>", address);

		CHECK(strpbrk(address, "\r\n") == NULL);
		CHECK(ph_path_parse(pool, ph_span_of(path), flags | PH_PATH_EMPTY_OK | PH_PATH_UTF8, &again, &rest,
			&error) == 0);
		CHECK(strcmp(address, again) == 0 && rest.size == 0);
		ph_address_domain(address);
		CHECK(ph_address_local_part(address).size <= strlen(address));
		CHECK(ph_address_unquoted(pool, address) != NULL);
		check_route(pool, address);
		ph_is_fqdn(address);
		ph_is_literal(address, NULL);
	}
	ph_pool_free(pool);
	return 0;
}
