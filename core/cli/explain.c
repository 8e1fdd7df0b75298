/*
 * posthouse explain: what the policy would say to a session, and why. The configuration, the modules
 * and the lookups are the real ones; nothing is sent, queued or counted.
 */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <posthouse/address.h>
#include <posthouse/listener.h>

#include "cli/cli.h"
#include "config/grow.h"
#include "config/nearest.h"
#include "ground/dnsclient.h"
#include "ground/logger.h"
#include "ground/loop.h"
#include "ground/sockaddr.h"
#include "process/endpoints.h"
#include "process/owner.h"
#include "session/interfaces.h"

/* ---- The configuration ------------------------------------------------------------------------ */

static bool
speaks_smtp(const struct instance *listener)
{
	const struct ph_listener_ops *ops = listener->ops;

	return (ops->flags & PH_LISTENER_SMTP) != 0;
}

/* The listener of that name; without a name the first that speaks SMTP. NULL: it was said why. */
static struct instance *
find_listener(const struct config *config, const char *name)
{
	struct nearest nearest = nearest_to(name != NULL ? name : "");
	struct instance *listener;
	char hint[160];

	for (size_t i = 0; (listener = config_instance(config, PH_CLASS_LISTENER, i)) != NULL; i++) {
		if (!speaks_smtp(listener))
			continue;
		if (name == NULL || strcmp(listener->name, name) == 0)
			return listener;
		nearest_try(&nearest, listener->name);
	}
	if (name == NULL)
		cli_error("explain: the configuration has no listener that speaks SMTP");
	else
		cli_error("explain: --listener %s: no such listener speaks SMTP%s", name,
			nearest_hint(&nearest, hint, sizeof(hint)));
	return NULL;
}

static struct config *
load_config(const char *path)
{
	struct problems *problems = problems_new();
	struct config *config = problems != NULL ? config_load(path, -1, problems) : NULL;

	if (config == NULL && problems != NULL)
		problems_print(problems, stderr);
	problems_free(problems);
	if (config != NULL)
		config_set_current(config);
	return config;
}

/* A table that cannot be opened is noted: whatever looks into it will say that it failed. */
static int
open_tables(struct explain *explain)
{
	const char **texts = NULL;
	size_t room = 0, count = 0;
	struct instance *map;
	ph_error error = {""};

	for (size_t i = 0; (map = config_instance(explain->config, PH_CLASS_MAP, i)) != NULL; i++) {
		if (instance_open(map, &error) == 0)
			continue;
		texts = grow(explain->story.pool, texts, count, &room, sizeof(*texts));
		texts[count++] = memory_or_die(ph_pool_printf(explain->story.pool, "%s; %s", error.text,
			geteuid() == 0 ? "the daemon does not start without it"
				       : "run this as root, or as mail_owner, to have it asked"));
	}
	explain->unreadable = (ph_strings){count, texts};
	return 0;
}

static int
open_restrictions(const struct config *config, ph_error *error)
{
	struct instance *instance;

	for (size_t i = 0; (instance = config_instance(config, PH_CLASS_RESTRICTION, i)) != NULL; i++)
		if (instance_open(instance, error) == -1)
			return -1;
	return 0;
}

/* ---- Addresses of ours ------------------------------------------------------------------------ */

static bool
is_loopback(const ph_address *address)
{
	static const uint8_t v6[16] = {[15] = 1};

	return address->family == AF_INET ? address->bytes[0] == 127 : memcmp(address->bytes, v6, 16) == 0;
}

/* How well an endpoint suits a client. */
static int
suits(const struct endpoint *endpoint, const struct rehearsal *rehearsal)
{
	const ph_address *client = &rehearsal->client;

	if (endpoint->is_unix || endpoint->listener != rehearsal->listener)
		return 0;
	if (endpoint->address.family != client->family)
		return 1;
	return is_loopback(&endpoint->address) == is_loopback(client) ? 3 : 2;
}

static bool
is_wildcard(const ph_address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

/* On a socket that is bound to no address in particular: the one from which the kernel would answer.
 * Nothing is sent. */
static void
find_own_address(struct rehearsal *rehearsal)
{
	ph_address target = rehearsal->client;
	uint16_t port = rehearsal->server.port;
	struct sockaddr_storage name;
	struct sockaddr *any = (struct sockaddr *)&name;
	socklen_t size;
	int fd = socket(target.family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return;
	target.port = 9;
	size = sockaddr_fill(&name, &target);
	if (connect(fd, any, size) == 0 && (size = sizeof(name), getsockname(fd, any, &size) == 0))
		sockaddr_read(&name, &rehearsal->server);
	rehearsal->server.port = port;
	(void)close(fd);
}

/* Learns where the daemon listens: permit_inet_interfaces asks for it; and to which of these the
 * client would connect. */
static int
learn_addresses(struct explain *explain, ph_error *error)
{
	struct rehearsal *rehearsal = &explain->script.rehearsal;
	struct problems *problems = problems_new();
	struct ph_endpoints endpoints;
	int best = 0;

	if (problems == NULL)
		return ph_error_set(error, "out of memory");
	endpoints_collect(&endpoints, explain->story.pool, explain->config, problems);
	problems_free(problems);
	for (size_t i = 0; i < endpoints.count; i++) {
		const struct endpoint *endpoint = &endpoints.items[i];

		if (endpoint->is_unix)
			continue;
		if (interfaces_add(&endpoint->address, error) == -1)
			return -1;
		if (suits(endpoint, rehearsal) > best) {
			best = suits(endpoint, rehearsal);
			rehearsal->server = endpoint->address;
		}
	}
	if (best > 0 && is_wildcard(&rehearsal->server))
		find_own_address(rehearsal);
	return 0;
}

/* ---- Where mail goes -------------------------------------------------------------------------- */

/* What kind of address it is. */
static const char *
class_of(const struct resolved *resolved, const char *domain, ph_pool *pool)
{
	if (resolved->class == DOMAIN_FOREIGN)
		return ph_pool_printf(pool, "none of mydestination, virtual_alias_domains, "
			"virtual_mailbox_domains, relay_domains has %s", domain);
	if (domain[0] == '[')
		return ph_pool_printf(pool, "%s is an address of this host", domain);
	return ph_pool_printf(pool, "%s has %s", domain_class_parameter(resolved->class), domain);
}

/* Which parameters decided, and what tables said. */
static const char *
reason_of(const struct explain *explain, const char *address, const struct resolved *resolved)
{
	const char *domain = ph_address_domain(address), *hop = resolved->nexthop_parameter;
	ph_pool *pool = explain->story.pool;
	bool relayhost = hop != NULL && strcmp(hop, "relayhost") == 0;
	const char *text = domain[0] == '\0' ? "an address without a domain is of this host"
		: class_of(resolved, domain, pool);

	if (text != NULL && relayhost)
		text = ph_pool_printf(pool, "%s; relayhost is set", text);
	if (text != NULL && resolved->table != NULL)
		text = ph_pool_printf(pool, "%s; %s: %s has \"%s\"", text,
			hop != NULL && !relayhost ? hop : resolved->transport_parameter, resolved->table,
			resolved->answer);
	return text != NULL ? text : "out of memory";
}

struct route
explain_route(struct explain *explain, const char *address)
{
	const char *filter = explain->story.message.filter;
	struct route route = {.address = address, .nexthop = "", .why = "out of memory"};
	ph_pool *pool = explain->story.pool;
	struct resolved resolved;

	if ((filter != NULL ? resolve_filter(&explain->resolver, filter, address, pool, &resolved)
		: resolve_address(&explain->resolver, explain->script.sender != NULL ? explain->script.sender : "",
			address, pool, &resolved)) == -1)
		return route;
	route.refused = resolved.result == RESOLVE_REFUSE;
	if (resolved.result != RESOLVE_OK) {
		route.why = ph_pool_printf(pool, "%s %s%s%s", resolved.status, resolved.reason,
			resolved.transport_parameter != NULL ? "; " : "",
			resolved.transport_parameter != NULL ? reason_of(explain, address, &resolved) : "");
		return route;
	}
	route.transport = resolved.transport->name;
	route.nexthop = resolved.nexthop;
	route.why = filter != NULL ? "FILTER says so" : reason_of(explain, address, &resolved);
	return route;
}

/* ---- The rehearsal ---------------------------------------------------------------------------- */

/* What the daemon would log as a warning belongs to the story. */
static void
on_log(const char *component, ph_log_level level, const char *line, void *context)
{
	struct explain *explain = context;

	if (level != PH_LOG_WARNING && level != PH_LOG_ERROR)
		return;
	if (explain->story.now != NULL)
		story_note(&explain->story, line);
	else
		cli_error("%s", line);
}

/* Starts what a session asks: tables and restrictions, and the one listener. */
static int
start(const struct explain *explain, ph_error *error)
{
	static const enum ph_class order[] = {PH_CLASS_MAP, PH_CLASS_RESTRICTION};
	struct instance *instance;

	for (size_t c = 0; c < sizeof(order) / sizeof(order[0]); c++)
		for (size_t i = 0; (instance = config_instance(explain->config, order[c], i)) != NULL; i++)
			if (instance->opened && instance_start(instance, error) == -1)
				return -1;
	return instance_start((struct instance *)explain->script.rehearsal.listener, error);
}

static void
show(void *context, const struct exchange *exchange)
{
	struct explain *explain = context;

	if (!exchange->accepted)
		explain->status = 1;
	if (explain->json)
		return;
	if (exchange == explain->story.exchanges)
		explain_text_head(explain);
	explain_text_exchange(explain, exchange);
}

static void
rehearse(void *argument)
{
	struct explain *explain = argument;
	ph_error error = {""};

	if (start(explain, &error) == -1 ||
		script_play(&explain->script, &explain->story, show, explain, &error) == -1) {
		cli_error("explain: %s", error.text);
		explain->status = EX_SOFTWARE;
	} else if (explain->json) {
		explain_json(explain);
	} else {
		explain_text_result(explain);
	}
	loop_stop();
}

/* What needs rights, and then what does not. */
static int
open_all(struct explain *explain, ph_error *error)
{
	const struct settings *settings = config_settings(explain->config);
	struct instance *listener = (struct instance *)explain->script.rehearsal.listener;
	struct owner owner;

	if (owner_find(settings->mail_owner, &owner, error) == -1 || open_tables(explain) == -1 ||
		open_restrictions(explain->config, error) == -1 || instance_open(listener, error) == -1 ||
		learn_addresses(explain, error) == -1 ||
		resolver_open(&explain->resolver, explain->config, error) == -1)
		return -1;
	if (owner_become(&owner, error) == -1 || loop_open(error) == -1)
		return -1;
	return dnsclient_open(&settings->dns_servers, settings->dns_timeout, settings->dns_trust_anchor,
		error);
}

/* An exit code. */
static int
run(struct explain *explain, const struct explain_options *options)
{
	ph_error error = {""};

	explain->configuration = cli_config_path(options->config);
	explain->config = load_config(explain->configuration);
	if (explain->config == NULL)
		return EX_CONFIG;
	explain->script.rehearsal.listener = find_listener(explain->config, options->listener);
	if (explain->script.rehearsal.listener == NULL)
		return options->listener != NULL ? EX_USAGE : EX_CONFIG;
	explain->script.rehearsal.trail = &explain->story.trail;
	logger_capture(on_log, explain);
	if (open_all(explain, &error) == -1) {
		cli_error("explain: %s", error.text);
		return EX_NOPERM;
	}
	if (!ph_task_alive(ph_task_spawn("explain", rehearse, explain)))
		return EX_OSERR;
	loop_run();
	return fflush(stdout) == 0 ? explain->status : EX_IOERR;
}

int
command_explain(int argc, char **argv)
{
	ph_pool *pool = memory_or_die(ph_pool_new(0));
	struct explain *explain = memory_or_die(ph_pool_alloc(pool, sizeof(*explain)));
	struct explain_options options = {NULL, NULL};
	int status;

	story_begin(&explain->story, pool);
	status = explain_read_options(explain, &options, argc, argv);
	return status != 0 ? status : run(explain, &options);
}
