#include "servers.h"

#include <string.h>

enum { HOSTS_MAX = 50 };

/* Whose hosts are looked for, for the log. */
struct search {
	struct lookup *lookup;
	const char *type;
	const char *what, *name;
};

static ph_found
find_addresses(const struct search *search, ph_dns_type type, const char *host)
{
	ph_session *session = search->lookup->session;
	const ph_dns_answer *answer = ph_dns_lookup(session, type, host);
	ph_found found = PH_NOT_FOUND;

	if (ph_dns_status(answer) == PH_DNS_TEMPFAIL)
		ph_log(PH_LOG_WARNING, "Unable to look up %s host %s for %s %s: %s", search->type, host,
			search->what, search->name, ph_dns_reason(answer));
	for (size_t i = 0; i < ph_dns_count(answer) && i < HOSTS_MAX && found == PH_NOT_FOUND; i++) {
		ph_address address = ph_dns_address(answer, i);

		found = keys_address(search->lookup, &address);
	}
	return found;
}

/* One host: its name, unless it is the object itself, and its addresses. */
static ph_found
find_host(const struct search *search, const char *host, bool by_name)
{
	ph_found found = by_name ? keys_domain(search->lookup, host) : PH_NOT_FOUND;

	if (found == PH_NOT_FOUND)
		found = find_addresses(search, PH_DNS_A, host);
	if (found == PH_NOT_FOUND)
		found = find_addresses(search, PH_DNS_AAAA, host);
	return found;
}

static ph_found
find_hosts(const struct search *search, const ph_dns_answer *answer)
{
	ph_found found = PH_NOT_FOUND;

	for (size_t i = 0; i < ph_dns_count(answer) && i < HOSTS_MAX && found == PH_NOT_FOUND; i++)
		if (ph_dns_name(answer, i)[0] != '\0')
			found = find_host(search, ph_dns_name(answer, i), true);
	return found;
}

static bool
failed(const struct search *search, const char *domain, const ph_dns_answer *answer)
{
	if (ph_dns_status(answer) != PH_DNS_TEMPFAIL)
		return false;
	ph_log(PH_LOG_WARNING, "Unable to look up %s host for %s: %s", search->type, domain,
		ph_dns_reason(answer));
	return true;
}

/* Without exchangers the domain is its own (RFC 5321, 5.1). */
static ph_found
find_exchangers(const struct search *search, const char *domain)
{
	const ph_dns_answer *answer = ph_dns_lookup(search->lookup->session, PH_DNS_MX, domain);

	if (failed(search, domain, answer))
		return PH_NOT_FOUND;
	return ph_dns_count(answer) > 0 ? find_hosts(search, answer) : find_host(search, domain, true);
}

/* Those of the nearest parent that has some: a host's name is rarely a zone. */
static ph_found
find_name_servers(const struct search *search, const char *domain)
{
	for (; domain != NULL && domain[0] != '\0'; domain = strchr(domain, '.')) {
		const ph_dns_answer *answer;

		domain += domain[0] == '.';
		answer = ph_dns_lookup(search->lookup->session, PH_DNS_NS, domain);
		if (failed(search, domain, answer))
			return PH_NOT_FOUND;
		if (ph_dns_count(answer) > 0)
			return find_hosts(search, answer);
	}
	return PH_NOT_FOUND;
}

ph_found
servers_find(struct lookup *lookup, enum servers servers, const char *domain, const char *what,
	const char *name)
{
	static const char *const types[] = {
		[SERVERS_NONE] = "", [SERVERS_A] = "A", [SERVERS_MX] = "MX", [SERVERS_NS] = "NS"};
	const struct search search = {lookup, types[servers], what, name};
	ph_address literal;

	/* An address, with or without brackets, is its own host, and has no name servers. */
	if (ph_is_literal(domain, &literal) || ph_address_parse(ph_span_of(domain), &literal) == 0)
		return servers != SERVERS_NS ? keys_address(lookup, &literal) : PH_NOT_FOUND;
	if (domain[0] == '[' || domain[0] == '\0')
		return PH_NOT_FOUND;
	switch (servers) {
	case SERVERS_A:
		return find_host(&search, domain, false);
	case SERVERS_MX:
		return find_exchangers(&search, domain);
	case SERVERS_NS:
		return find_name_servers(&search, domain);
	case SERVERS_NONE:
		break;
	}
	return PH_NOT_FOUND;
}
