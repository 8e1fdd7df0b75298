#include "session/peername.h"

#include <sys/socket.h>

#include <posthouse/address.h>
#include <posthouse/dns.h>

/* Is the address among those of the name? */
static ph_found
points_back(ph_pool *pool, const char *name, const ph_address *client)
{
	ph_dns_type type = client->family == AF_INET ? PH_DNS_A : PH_DNS_AAAA;
	const ph_dns_answer *answer = ph_dns_query(pool, type, name);

	if (ph_dns_status(answer) == PH_DNS_TEMPFAIL)
		return PH_FAILED;
	for (size_t i = 0; i < ph_dns_count(answer); i++) {
		ph_address address = ph_dns_address(answer, i);

		if (ph_address_equal(&address, client))
			return PH_FOUND;
	}
	return PH_NOT_FOUND;
}

ph_found
peername_find(ph_pool *pool, const ph_address *client, const char **name)
{
	const ph_dns_answer *answer;
	ph_found found;

	if (client->family != AF_INET && client->family != AF_INET6)
		return PH_NOT_FOUND;
	answer = ph_dns_reverse(pool, client);
	if (ph_dns_status(answer) == PH_DNS_TEMPFAIL)
		return PH_FAILED;
	if (ph_dns_count(answer) == 0 || !ph_is_hostname(ph_dns_name(answer, 0)))
		return PH_NOT_FOUND;
	found = points_back(pool, ph_dns_name(answer, 0), client);
	if (found == PH_FOUND)
		*name = ph_dns_name(answer, 0);
	return found;
}
