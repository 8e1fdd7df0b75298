/*
 * Resolving: see resolve.h. Precedence as administrators know it: a next hop written with a
 * *_transport, then relayhost, then the recipient's domain.
 */
#include "queue/resolve.h"

#include <posthouse/address.h>

#include <string.h>

static int
refuse(struct resolved *resolved, const char *status, const char *reason)
{
	resolved->result = RESOLVE_REFUSE;
	resolved->status = status;
	resolved->reason = reason;
	return 0;
}

static int
defer(struct resolved *resolved, const char *status, const char *reason)
{
	resolved->result = RESOLVE_DEFER;
	resolved->status = status;
	resolved->reason = reason == NULL ? "address cannot be resolved now" : reason;
	return 0;
}

/* "name:nexthop" → the instance, and the next hop unless it is empty. */
static int
route(const struct resolver *resolver, const char *transport, const char *nexthop, ph_pool *pool,
	struct resolved *resolved)
{
	const char *colon = strchr(transport, ':');
	char *name = ph_pool_copy(pool, (ph_span){transport,
		colon == NULL ? strlen(transport) : (size_t)(colon - transport)});

	if (name == NULL)
		return -1;
	if (colon != NULL && colon[1] != '\0')
		nexthop = colon + 1;
	resolved->transport = resolver->find(resolver->context, name);
	if (resolved->transport == NULL)
		return defer(resolved, "4.3.5", ph_pool_printf(pool, "transport \"%s\" is not configured", name));
	resolved->nexthop = ph_pool_strdup(pool, nexthop);
	return resolved->nexthop == NULL ? -1 : 0;
}

/* A name that DNS could have, or one in UTF-8. */
static bool
is_domain(const char *domain)
{
	if (*domain == '\0' || strlen(domain) > 255)
		return false;
	for (const char *at = domain; *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80)
			return true;
	return ph_is_hostname(domain);
}

static ph_found
is_ours(const struct resolver *resolver, const char *domain, ph_error *error)
{
	ph_address literal;

	if (*domain == '\0')
		return PH_FOUND;
	if (*domain == '[' && ph_is_literal(domain, &literal))
		return resolver->is_own_address(resolver->context, &literal) ? PH_FOUND : PH_NOT_FOUND;
	return resolver->is_final(resolver->context, domain, error);
}

int
resolve_address(const struct resolver *resolver, const char *address, ph_pool *pool,
	struct resolved *resolved)
{
	const char *domain = ph_address_domain(address);
	const char *offsite = *resolver->relayhost != '\0' ? resolver->relayhost : domain;
	ph_error error = {""};
	ph_found found;

	*resolved = (struct resolved){.result = RESOLVE_OK, .nexthop = "", .status = "", .reason = ""};
	if (*address == '\0' || *address == '@' || (*domain == '\0' && strchr(address, '@') != NULL &&
		address[strlen(address) - 1] == '@'))
		return refuse(resolved, "5.1.3", "bad address syntax");
	if (*domain == '[' ? !ph_is_literal(domain, NULL) : *domain != '\0' && !is_domain(domain))
		return refuse(resolved, "5.1.2", "bad destination system address syntax");
	if ((found = is_ours(resolver, domain, &error)) == PH_FAILED)
		return defer(resolved, "4.3.0", ph_pool_strdup(pool, error.text));
	if (found == PH_FOUND) {
		resolved->local = true;
		return route(resolver, resolver->local_transport,
			*domain == '\0' ? resolver->myhostname : domain, pool, resolved);
	}
	if ((found = resolver->is_relay(resolver->context, domain, &error)) == PH_FAILED)
		return defer(resolved, "4.3.0", ph_pool_strdup(pool, error.text));
	resolved->relay = found == PH_FOUND;
	return route(resolver,
		found == PH_FOUND ? resolver->relay_transport : resolver->default_transport, offsite,
		pool, resolved);
}

int
resolve_filter(const struct resolver *resolver, const char *filter, const char *address, ph_pool *pool,
	struct resolved *resolved)
{
	const char *domain = ph_address_domain(address);

	*resolved = (struct resolved){.result = RESOLVE_OK, .nexthop = "", .status = "", .reason = ""};
	return route(resolver, filter, *domain != '\0' ? domain : resolver->myhostname, pool, resolved);
}
