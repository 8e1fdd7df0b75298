/*
 * Resolving: see resolve.h. What counts, as administrators know it: the class of the domain gives a
 * transport; a next hop written with it comes before relayhost, and that before the domain;
 * transport_maps goes before all of this, and relocated_maps before that.
 */
#include "queue/resolve.h"

#include <posthouse/address.h>

#include <string.h>

#include "config/routes.h"
#include "ground/statuscode.h"

/* One address at work. */
struct work {
	const struct resolver *resolver;
	struct routes routes;
	struct resolved *resolved;
	const char *name;    /* of the transport */
};

/* ---- Results --------------------------------------------------------------------------------- */

static int
settle(struct resolved *resolved, enum resolve_result result, const char *status,
	const char *reason)
{
	resolved->result = result;
	resolved->status = status;
	resolved->reason = reason;
	return reason == NULL ? -1 : 0;
}

static int
fail(struct work *work)
{
	const char *text = work->routes.error->text;

	return settle(work->resolved, RESOLVE_DEFER, "4.3.0", *text == '\0'
		? "address cannot be resolved now" : ph_pool_strdup(work->routes.pool, text));
}

/* "error" and "retry" say it themselves when no transport has that name. */
static int
say(struct resolved *resolved, enum resolve_result result, const char *text, ph_pool *pool)
{
	char status[12];
	size_t size = statuscode_read(text, status, sizeof(status));
	bool retry = result == RESOLVE_DEFER;
	const char *code = size > 0 && (status[0] == '4') == retry ? ph_pool_strdup(pool, status)
		: retry ? "4.0.0" : "5.0.0";

	text += size;
	if (*text == '\0')
		text = retry ? "mail is deferred" : "mail is refused";
	return code == NULL ? -1 : settle(resolved, result, code, text);
}

static bool
is_on_demand(const struct work *work)
{
	const ph_strings *names = &work->resolver->settings->defer_transports;

	for (size_t i = 0; i < names->count; i++)
		if (strcmp(names->items[i], work->name) == 0)
			return true;
	return false;
}

/* The instance for what was chosen. */
static int
finish(struct work *work)
{
	struct resolved *resolved = work->resolved;
	ph_pool *pool = work->routes.pool;

	resolved->transport = work->resolver->find(work->resolver->context, work->name);
	if (resolved->transport != NULL) {
		resolved->on_demand = is_on_demand(work);
		return 0;
	}
	if (strcmp(work->name, "error") == 0)
		return say(resolved, RESOLVE_REFUSE, resolved->nexthop, pool);
	if (strcmp(work->name, "retry") == 0)
		return say(resolved, RESOLVE_DEFER, resolved->nexthop, pool);
	return settle(resolved, RESOLVE_DEFER, "4.3.5",
		ph_pool_printf(pool, "transport \"%s\" is not configured", work->name));
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* The name in "name:nexthop"; nexthop: what stands behind the colon, "" nothing. NULL: no
 * memory. */
static const char *
split(ph_pool *pool, const char *text, const char **nexthop)
{
	size_t size = strcspn(text, ":");

	*nexthop = text[size] == '\0' ? "" : text + size + 1;
	return ph_pool_copy(pool, (ph_span){text, size});
}

/* The transport of a parameter, and its next hop if it has one: has_nexthop. */
static int
take(struct work *work, const char *parameter, const char *text, bool *has_nexthop)
{
	struct resolved *resolved = work->resolved;
	const char *nexthop;

	work->name = split(work->routes.pool, text, &nexthop);
	if (work->name == NULL)
		return -1;
	resolved->transport_parameter = parameter;
	*has_nexthop = *nexthop != '\0';
	resolved->nexthop = *has_nexthop ? nexthop : work->routes.domain;
	resolved->nexthop_parameter = *has_nexthop ? parameter : NULL;
	return 0;
}

static void
take_table(struct work *work)
{
	work->resolved->table = work->routes.table;
	work->resolved->answer = work->routes.value;
}

/* What relays: a host of the sender's, or the one for all. PH_FAILED: the table could not be
 * asked. */
static ph_found
take_relayhost(struct work *work)
{
	struct resolved *resolved = work->resolved;
	const char *relayhost = work->resolver->settings->relayhost;
	ph_found found = work->routes.sender == NULL ? PH_NOT_FOUND
		: routes_sender_relayhost(&work->routes);

	if (found == PH_FOUND) {
		resolved->nexthop = work->routes.value;
		resolved->nexthop_parameter = "sender_dependent_relayhost_maps";
		take_table(work);
	} else if (found == PH_NOT_FOUND && *relayhost != '\0') {
		resolved->nexthop = relayhost;
		resolved->nexthop_parameter = "relayhost";
	}
	return found;
}

static int
choose_default(struct work *work, bool *has_nexthop)
{
	static const char parameter[] = "sender_dependent_default_transport_maps";
	ph_found found = work->routes.sender == NULL ? PH_NOT_FOUND
		: routes_sender_transport(&work->routes);

	if (found == PH_FAILED)
		return fail(work);
	if (found == PH_NOT_FOUND)
		return take(work, "default_transport", work->resolver->settings->default_transport,
			has_nexthop);
	take_table(work);
	return take(work, parameter, work->routes.value, has_nexthop);
}

/* By the class of the domain. */
static int
choose(struct work *work)
{
	const struct settings *settings = work->resolver->settings;
	bool has_nexthop = false;
	int result = 0;

	switch (work->resolved->class) {
	case DOMAIN_FAILED:
		return fail(work);
	case DOMAIN_LOCAL:
		return take(work, "local_transport", settings->local_transport, &has_nexthop);
	case DOMAIN_VIRTUAL_ALIAS:
		return take(work, "virtual_alias_domains",
			"error:5.1.1 User unknown in virtual alias table", &has_nexthop);
	case DOMAIN_VIRTUAL_MAILBOX:
		return take(work, "virtual_transport", settings->virtual_transport, &has_nexthop);
	case DOMAIN_RELAY:
		result = take(work, "relay_transport", settings->relay_transport, &has_nexthop);
		break;
	case DOMAIN_FOREIGN:
		result = choose_default(work, &has_nexthop);
		break;
	}
	if (result == 0 && work->resolved->result == RESOLVE_OK && !has_nexthop &&
		take_relayhost(work) == PH_FAILED)
		return fail(work);
	return result;
}

/* transport(5): "transport:nexthop", ":nexthop" leaves the transport, "transport:" takes the
 * domain, ":" is no opinion. */
static int
override(struct work *work)
{
	struct resolved *resolved = work->resolved;
	const char *name, *nexthop;

	switch (routes_transport(&work->routes)) {
	case PH_FAILED:
		return fail(work);
	case PH_NOT_FOUND:
		return 0;
	case PH_FOUND:
		break;
	}
	if ((name = split(work->routes.pool, work->routes.value, &nexthop)) == NULL)
		return -1;
	if (*name == '\0' && *nexthop == '\0')
		return 0;
	if (*name != '\0') {
		work->name = name;
		resolved->transport_parameter = "transport_maps";
		resolved->nexthop = strcmp(name, "error") == 0 || strcmp(name, "retry") == 0
			? "Address is undeliverable" : work->routes.domain;
		resolved->nexthop_parameter = NULL;
	}
	if (*nexthop != '\0') {
		resolved->nexthop = nexthop;
		resolved->nexthop_parameter = "transport_maps";
	}
	take_table(work);
	return 0;
}

static int
relocate(struct work *work)
{
	switch (routes_relocated(&work->routes)) {
	case PH_FAILED:
		return fail(work);
	case PH_NOT_FOUND:
		return 0;
	case PH_FOUND:
		break;
	}
	work->resolved->transport_parameter = "relocated_maps";
	take_table(work);
	return settle(work->resolved, RESOLVE_REFUSE, "5.1.6",
		ph_pool_printf(work->routes.pool, "User has moved to %s", work->routes.value));
}

static int
find_route(struct work *work)
{
	struct resolved *resolved = work->resolved;
	int result = choose(work);

	if (result == 0 && resolved->result == RESOLVE_OK && work->routes.sender != NULL)
		result = override(work);
	if (result == 0 && resolved->result == RESOLVE_OK && work->routes.sender != NULL)
		result = relocate(work);
	return result == 0 && resolved->result == RESOLVE_OK ? finish(work) : result;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

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

static enum domain_class
classify(const struct resolver *resolver, const char *domain, ph_error *error)
{
	ph_address literal;

	if (*domain == '\0' || (*domain == '[' && ph_is_literal(domain, &literal) &&
		resolver->is_own_address(resolver->context, &literal)))
		return DOMAIN_LOCAL;
	return *domain == '[' ? DOMAIN_FOREIGN
		: resolver->classify(resolver->context, domain, error);
}

/* Without the dot at its end, which no table has. NULL: no memory. */
static const char *
without_dot(ph_pool *pool, const char *address)
{
	size_t size = strlen(address);

	return size < 2 || address[size - 1] != '.' || *ph_address_domain(address) == '\0' ? address
		: ph_pool_copy(pool, (ph_span){address, size - 1});
}

int
resolve_address(const struct resolver *resolver, const char *sender, const char *address,
	ph_pool *pool, struct resolved *resolved)
{
	ph_error error = {""};
	const char *domain;

	*resolved = (struct resolved){.result = RESOLVE_OK, .nexthop = "", .status = "", .reason = ""};
	if ((address = without_dot(pool, address)) == NULL)
		return -1;
	domain = ph_address_domain(address);
	if (*address == '\0' || *address == '@' ||
		(*domain == '\0' && strchr(address, '@') != NULL &&
		address[strlen(address) - 1] == '@'))
		return settle(resolved, RESOLVE_REFUSE, "5.1.3", "bad address syntax");
	if (*domain == '[' ? !ph_is_literal(domain, NULL) : *domain != '\0' && !is_domain(domain))
		return settle(resolved, RESOLVE_REFUSE, "5.1.2",
			"bad destination system address syntax");
	resolved->class = classify(resolver, domain, &error);
	return find_route(&(struct work){.resolver = resolver, .resolved = resolved,
		.routes = {.settings = resolver->settings, .pool = pool, .address = address,
		.sender = sender,
			.domain = *domain == '\0' ? resolver->settings->myhostname : domain,
			.error = &error}});
}

int
resolve_route(const struct resolver *resolver, const char *route, const char *nexthop,
	const char *address, ph_pool *pool, struct resolved *resolved)
{
	const char *domain = ph_address_domain(address);
	struct work work = {.resolver = resolver, .resolved = resolved,
		.routes = {.pool = pool,
		.domain = *nexthop != '\0' ? nexthop : *domain != '\0' ? domain
			: resolver->settings->myhostname}};
	bool has_nexthop;

	*resolved = (struct resolved){.result = RESOLVE_OK, .nexthop = "", .status = "", .reason = ""};
	if (take(&work, "FILTER", route, &has_nexthop) == -1)
		return -1;
	/* they may outlive what they were given as */
	resolved->nexthop = ph_pool_strdup(pool, resolved->nexthop);
	return resolved->nexthop == NULL ? -1 : finish(&work);
}
