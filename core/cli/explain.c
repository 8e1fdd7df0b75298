/*
 * posthouse explain: what the policy would say to a session, and why. The configuration, the
 * modules and the lookups are the real ones; nothing is sent, queued or counted.
 */
#include "cli/explain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <posthouse/listener.h>
#include <posthouse/transport.h>

#include "cli/cli.h"
#include "config/grow.h"
#include "config/nearest.h"
#include "ground/dnsclient.h"
#include "ground/logger.h"
#include "ground/loop.h"
#include "ground/sockaddr.h"
#include "intake/complete.h"
#include "process/conduit.h"
#include "process/endpoints.h"
#include "process/owner.h"
#include "process/process.h"
#include "process/protocol.h"
#include "session/interfaces.h"

/* ---- The configuration ----------------------------------------------------------------------- */

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

	for (size_t i = 0; (listener = config_instance(config, PH_CLASS_LISTENER, i)) != NULL;
		i++) {
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
		texts[count++] = memory_or_die(ph_pool_printf(explain->story.pool, "%s; %s",
			error.text, geteuid() == 0 ? "the daemon does not start without it"
				       : "run this as root, or as mail_owner, to have it asked"));
	}
	explain->unreadable = (ph_strings){count, texts};
	return 0;
}

static int
open_restrictions(const struct config *config, ph_error *error)
{
	struct instance *instance;

	for (size_t i = 0; (instance = config_instance(config, PH_CLASS_RESTRICTION, i)) != NULL;
		i++)
		if (instance_open(instance, error) == -1)
			return -1;
	return 0;
}

/* ---- Addresses of ours ----------------------------------------------------------------------- */

static bool
is_loopback(const ph_address *address)
{
	static const uint8_t v6[16] = {[15] = 1};

	return address->family == AF_INET ? address->bytes[0] == 127
		: memcmp(address->bytes, v6, 16) == 0;
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

/* On a socket that is bound to no address in particular: the one from which the kernel would
 * answer. Nothing is sent. */
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

/* ---- What becomes of mail -------------------------------------------------------------------- */

static const char *
sender_of(const struct explain *explain)
{
	const char *sender = explain->script.sender;

	if (sender != NULL)
		sender = address_complete(explain->story.pool, config_settings(explain->config),
			sender);
	return sender != NULL ? sender : "";
}

static void
begin_outlook(struct explain *explain)
{
	const struct instance *listener = explain->script.rehearsal.listener;

	explain->maker.pool = explain->story.pool;
	explain->maker.settings = config_settings(explain->config);
	explain->maker.resolver = &explain->resolver;
	explain->maker.sender = sender_of(explain);
	explain->maker.filter = explain->story.message.filter;
	explain->maker.filter_why = "FILTER";
	if (explain->maker.filter == NULL && listener != NULL && *listener->policy->content_filter != '\0') {
		explain->maker.filter = listener->policy->content_filter;
		explain->maker.filter_why = "content_filter";
	}
}

const struct outlook *
explain_outlook(struct explain *explain, const char *address)
{
	begin_outlook(explain);
	return memory_or_die(outlook_make(&explain->maker, address));
}

const struct outlook *
explain_copies(struct explain *explain)
{
	ph_pool *pool = explain->story.pool;
	const char **items = NULL;
	size_t count = 0, room = 0;

	for (const struct exchange *e = explain->story.exchanges; e != NULL; e = e->next)
		if (strcmp(e->verb, "RCPT") == 0 && e->accepted) {
			items = grow(pool, items, count, &room, sizeof(*items));
			items[count++] = e->object;
		}
	begin_outlook(explain);
	return count > 0 ? outlook_copies(&explain->maker, &(ph_strings){count, items}) : NULL;
}

/* ---- The rehearsal --------------------------------------------------------------------------- */

/* What the daemon would log as a warning belongs to the story. */
static void
on_log(const char *component, ph_log_level level, const char *line, void *context)
{
	struct explain *explain = context;

	if (level != PH_LOG_WARNING && level != PH_LOG_ERROR)
		return;
	if (explain->maker.now != NULL)
		outlook_note(&explain->maker, line);
	else if (explain->story.now != NULL)
		story_note(&explain->story, line);
	else
		cli_error("%s", line);
}

/* Starts what a session asks: tables and restrictions, transports that can be asked what they would
 * do, and the one listener, if a session is rehearsed. */
static int
start(const struct explain *explain, ph_error *error)
{
	static const enum ph_class order[] = {PH_CLASS_MAP, PH_CLASS_RESTRICTION,
		PH_CLASS_TRANSPORT};
	struct instance *listener = (struct instance *)explain->script.rehearsal.listener,
		*instance;

	for (size_t c = 0; c < sizeof(order) / sizeof(order[0]); c++)
		for (size_t i = 0; (instance = config_instance(explain->config, order[c], i)) != NULL; i++)
			if (instance->opened && instance_start(instance, error) == -1)
				return -1;
	return listener != NULL ? instance_start(listener, error) : 0;
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

/* The spawner reads with the rights of users what local delivery asks it for. It ends with us. */
static int
begin_spawner(struct explain *explain, const struct owner *owner, ph_error *error)
{
	struct conduit link;
	int control[2], pair[2];
	pid_t parent = getpid(), pid;

	if (conduit_pair(control, error) == -1 || conduit_pair(pair, error) == -1)
		return -1;
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		(void)close(control[0]);
		(void)close(pair[1]);
		(void)close(pair[0]);
		spawner_run(&(struct process_setup){.config = explain->config, .owner = owner,
			.control_fd = control[1], .spawner_fd = -1, .parent = parent});
	}
	(void)close(control[1]);
	if (pid == -1 || conduit_open(&link, control[0]) == -1 ||
		conduit_send(&link, PARENT_SPAWNER, (ph_span){0}, &pair[0], 1) == -1)
		return ph_error_set(error, "the spawner cannot be started");
	(void)close(pair[0]);
	explain->spawner_fd = pair[1];
	return 0;
}

/* Those that can say what they would do. */
static int
open_transports(struct explain *explain, const struct owner *owner, ph_error *error)
{
	struct instance *transport;
	bool any = false;

	for (size_t i = 0; (transport = config_instance(explain->config, PH_CLASS_TRANSPORT, i)) != NULL; i++) {
		const struct ph_transport_ops *ops = transport->ops;

		if ((ops->flags & PH_TRANSPORT_REHEARSES) == 0)
			continue;
		if (instance_open(transport, error) == -1)
			return -1;
		any = true;
	}
	return any ? begin_spawner(explain, owner, error) : 0;
}

/* What a session asks beside tables. */
static int
open_session(struct explain *explain, ph_error *error)
{
	struct instance *listener = (struct instance *)explain->script.rehearsal.listener;

	if (listener == NULL)
		return 0;
	if (open_restrictions(explain->config, error) == -1 || instance_open(listener, error) == -1)
		return -1;
	return learn_addresses(explain, error);
}

/* What needs rights, and then what does not. */
static int
open_all(struct explain *explain, ph_error *error)
{
	const struct settings *settings = config_settings(explain->config);
	struct owner owner;

	if (owner_find(settings->mail_owner, &owner, error) == -1 || open_tables(explain) == -1 ||
		open_session(explain, error) == -1 ||
		resolver_open(&explain->resolver, explain->config, error) == -1 ||
		open_transports(explain, &owner, error) == -1)
		return -1;
	if (owner_become(&owner, error) == -1 || loop_open(error) == -1)
		return -1;
	if (explain->spawner_fd != -1)
		spawn_client_connect(explain->spawner_fd);
	return dnsclient_open(&settings->dns_servers, settings->dns_timeout,
		settings->dns_trust_anchor, error);
}

/* Opens everything and runs the task. An exit code. */
static int
run_task(struct explain *explain, void (*task)(void *explain))
{
	ph_error error = {""};

	logger_capture(on_log, explain);
	if (open_all(explain, &error) == -1) {
		cli_error("explain: %s", error.text);
		return EX_NOPERM;
	}
	if (!ph_task_alive(ph_task_spawn("explain", task, explain)))
		return EX_OSERR;
	loop_run();
	return fflush(stdout) == 0 ? explain->status : EX_IOERR;
}

/* An exit code. */
static int
run(struct explain *explain, const struct explain_options *options)
{
	explain->configuration = cli_config_path(options->config);
	explain->config = load_config(explain->configuration);
	if (explain->config == NULL)
		return EX_CONFIG;
	explain->script.rehearsal.listener = find_listener(explain->config, options->listener);
	if (explain->script.rehearsal.listener == NULL)
		return options->listener != NULL ? EX_USAGE : EX_CONFIG;
	explain->script.rehearsal.trail = &explain->story.trail;
	return run_task(explain, rehearse);
}

static struct explain *
new_explain(void)
{
	ph_pool *pool = memory_or_die(ph_pool_new(0));
	struct explain *explain = memory_or_die(ph_pool_alloc(pool, sizeof(*explain)));

	story_begin(&explain->story, pool);
	explain->spawner_fd = -1;
	return explain;
}

int
command_explain(int argc, char **argv)
{
	struct explain *explain = new_explain();
	struct explain_options options = {NULL, NULL};
	int status = explain_read_options(explain, &options, argc, argv);

	return status != 0 ? status : run(explain, &options);
}

/* ---- Addresses without a session ------------------------------------------------------------- */

/* What counts of all that an address becomes: the worst. */
static int
worst_of(const struct outlook *outlook)
{
	int status = outlook->fate == FATE_RETURNS ? EX_NOUSER
		: outlook->fate == FATE_WAITS ? EX_TEMPFAIL : EX_OK;

	for (const struct outlook *target = outlook->targets; target != NULL;
		target = target->next) {
		int other = worst_of(target);

		if (status == EX_OK || other == EX_NOUSER)
			status = other;
	}
	return status;
}

static void
verify_all(void *argument)
{
	struct explain *explain = argument;
	ph_error error = {""};

	if (start(explain, &error) == -1) {
		cli_error("%s", error.text);
		explain->status = EX_SOFTWARE;
		loop_stop();
		return;
	}
	for (size_t i = 0; i < explain->unreadable.count; i++)
		cli_error("%s", explain->unreadable.items[i]);
	for (size_t i = 0; i < explain->script.recipients.count; i++) {
		const char *address = explain->script.recipients.items[i];
		const struct outlook *outlook = explain_outlook(explain, address);
		int status = worst_of(outlook);

		if (explain->status != EX_NOUSER && status != EX_OK)
			explain->status = status;
		printf("%s... %s, ", address,
			status == EX_OK ? "deliverable" : status == EX_NOUSER ?
			"undeliverable" : "cannot be told for now");
		outlook_print(outlook, 0);
	}
	loop_stop();
}

int
explain_addresses(const char *config, const char *sender, const ph_strings *addresses)
{
	struct explain *explain = new_explain();

	explain->configuration = cli_config_path(config);
	explain->config = load_config(explain->configuration);
	if (explain->config == NULL)
		return EX_CONFIG;
	explain->script.sender = sender;
	explain->script.recipients = *addresses;
	return run_task(explain, verify_all);
}
