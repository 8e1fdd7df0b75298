/*
 * The queue manager: its messages and storages, what the scheduler asks for, its beginning and end.
 */
#include "queue/manager.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/address.h>
#include <posthouse/log.h>
#include <posthouse/transport.h>

#include "queue/probe.h"

/* Milliseconds. */
#define STOP_TIME 5000
/* Deaths after which a message is held. */
#define DEATHS_MAX 3

/* ---- Messages -------------------------------------------------------------------------------- */

struct ph_queue_content *
manager_content(const struct message *message, ph_pool *pool, ph_error *error)
{
	const struct storage *storage = message->storage;
	struct ph_queue_content *content = ph_pool_alloc(pool, sizeof(*content));

	if (content == NULL) {
		ph_error_set(error, "no memory");
		return NULL;
	}
	content->size = sizeof(*content);
	switch (storage->ops->read(storage->self, message->handle, pool, content, error)) {
	case PH_FOUND:
		return content;
	case PH_NOT_FOUND:
		ph_error_set(error, "the message is gone");
		break;
	case PH_FAILED:
		break;
	}
	return NULL;
}

int
manager_load(struct message *message, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	struct ph_queue_content *content;
	int result = -1;

	if (message->body != NULL || pool == NULL) {
		ph_pool_free(pool);
		return message->body != NULL ? 0 : ph_error_set(error, "no memory");
	}
	if ((content = manager_content(message, pool, error)) != NULL) {
		close(content->fd);
		result = message->body != NULL ? 0
			: message_open(message, content->envelope, error);
	}
	ph_pool_free(pool);
	return result;
}

static void
put_note(struct manager *manager, struct message *message, const struct note *note)
{
	struct note_writer writer;

	note_writer_begin(&writer, manager->scratch);
	note_put(&writer, note);
	if (!writer.failed)
		manager_note(manager, message, note_bytes(&writer));
	ph_pool_reset(manager->scratch);
}

int
manager_hold(struct manager *manager, struct message *message, const char *reason)
{
	if (message->hold)
		return 0;
	message->hold = true;
	put_note(manager, message,
		&(const struct note){.type = NOTE_HOLD, .time = ph_wall_clock(), .text = reason});
	if (message->state == MESSAGE_WAITING) {
		scheduler_hold(manager->scheduler, message);
	} else if (message->state == MESSAGE_ACTIVE) {
		scheduler_unqueue(manager->scheduler, message);
		/* without a body it is being read, and held after that */
		if (message->body != NULL && body_is_idle(message->body))
			pass_over(manager, message);
	}
	return 1;
}

void
manager_release(struct manager *manager, struct message *message)
{
	if (!message->hold)
		return;
	message->hold = false;
	message->deaths = 0;
	put_note(manager, message,
		&(const struct note){.type = NOTE_RELEASE, .time = ph_wall_clock()});
	if (message->state == MESSAGE_HELD)
		scheduler_wait(manager->scheduler, message, manager_earliest(manager));
	else
		scheduler_feed(manager->scheduler, message);
	manager_wake(manager);
}

void
manager_blame(struct manager *manager, const char *queue_id, const char *instance, const char *role)
{
	struct message *message = scheduler_find(manager->scheduler, NULL, queue_id);

	if (message == NULL)
		return;
	message->deaths++;
	put_note(manager, message, &(const struct note){.type = NOTE_DEATH, .time = ph_wall_clock(),
		.attempt = message->deaths, .text = instance});
	ph_log(PH_LOG_WARNING, "%s: a %s process died with this message in hand, in %s",
		message->id, role, instance);
	if (message->deaths < DEATHS_MAX || message->hold)
		return;
	ph_log(PH_LOG_ERROR, "%s: held: it was in hand when %d processes died, the last in %s (%s)",
		message->id, DEATHS_MAX, instance, role);
	manager_hold(manager, message, "in hand when processes died");
}

/* ---- What the scheduler asks for ------------------------------------------------------------- */

static int
load(void *context, struct message *message)
{
	ph_error error = {""};

	if (manager_load(message, &error) == 0)
		return 0;
	ph_log(PH_LOG_WARNING, "%s: %s: cannot be read: %s", message->id, message->storage->name,
		error.text);
	return -1;
}

static void
active(void *context, struct message *message)
{
	struct manager *manager = context;
	struct body *body = message->body;

	body->active_since = ph_wall_clock();
	ph_log_as("qmgr", PH_LOG_INFO, "%s: from=<%s>, size=%lld, nrcpt=%u (queue active)",
		message->id,
		body->envelope.sender, (long long)message->size, body_open_count(body));
	manager_logged(manager);
	if (body->envelope.hops <= (uint64_t)manager->settings->hopcount_limit)
		return;
	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].state == RCPT_TODO)
			pass_fail(manager, message, i, "5.4.6", "too many hops");
}

bool
manager_is_for_users(const struct instance *transport)
{
	const struct ph_transport_ops *ops = transport->ops;

	return (ops->flags & PH_TRANSPORT_LOCAL) != 0 && ops->rights_offset == 0;
}

static struct destination *
destination_of(struct manager *manager, struct message *message, uint32_t number,
	const struct resolved *resolved, ph_pool *pool)
{
	bool local = manager_is_for_users(resolved->transport);
	struct route *route = scheduler_route(manager->scheduler, resolved->transport,
		resolved->transport->name, local);
	const struct rcpt *rcpt = &message->body->rcpts[number];
	struct destination *destination = NULL;
	char *user = NULL;

	if (local && rcpt->target != NULL && *rcpt->target->user != '\0')
		user = ph_pool_strdup(pool, rcpt->target->user);
	else if (local)
		user = ph_pool_copy(pool, ph_address_local_part(rcpt->address));
	if (route != NULL)
		destination = scheduler_destination(manager->scheduler, route, resolved->nexthop,
			user == NULL ? "" : user);
	if (destination == NULL)
		pass_defer(manager, message, number, "4.3.0", "out of memory");
	return destination;
}

/* What the resolver is asked: copies, for a table may wait, and the body be gone then. */
struct ask {
	const struct resolver *resolver;
	const char *address, *route;
	const char *nexthop; /* of a route that names none */
	const char *sender; /* NULL: see resolve_address() */
};

static int
where_to(const struct ask *ask, ph_pool *pool, struct resolved *resolved)
{
	if (*ask->route != '\0')
		return resolve_route(ask->resolver, ask->route, ask->nexthop, ask->address, pool,
			resolved);
	return resolve_address(ask->resolver, ask->sender, ask->address, pool, resolved);
}

/* "transport:nexthop" that goes before what the address says; "". */
static const char *
route_of(const struct body *body, uint32_t number)
{
	return body->rcpts[number].kind == PH_TARGET_TRANSPORT ? body->rcpts[number].target->what
		: body->envelope.filter;
}

/* Is it a user, a mailbox, a command or a file: something that a transport of ours has chosen, and
 * that no table of routes knows? */
static bool
is_at_home(const struct rcpt *rcpt)
{
	return rcpt->kind >= PH_TARGET_USER && rcpt->kind <= PH_TARGET_FILE;
}

static int
copy_ask(const struct manager *manager, const struct body *body, uint32_t number, ph_pool *pool,
	struct ask *ask)
{
	const struct rcpt *rcpt = &body->rcpts[number];
	bool at_home = is_at_home(rcpt);

	*ask = (struct ask){
		.resolver = body->message->asking != NULL ? probe_resolver(manager)
			: &manager->resolver,
		.address = ph_pool_strdup(pool, rcpt->address),
		.route = ph_pool_strdup(pool, route_of(body, number)),
		.nexthop = rcpt->kind == PH_TARGET_TRANSPORT ? ""
			: manager->settings->default_filter_nexthop,
		.sender = at_home ? NULL : ph_pool_strdup(pool, body->envelope.sender)};
	return ask->address == NULL || ask->route == NULL || (!at_home && ask->sender == NULL) ? -1
		: 0;
}

/* What comes back to the sender of probes, and of notices to the postmaster, has nobody to go to,
 * and nobody is to be told. */
static bool
is_double_bounce(const struct manager *manager, const struct resolved *resolved,
	const char *address)
{
	return resolved->class == DOMAIN_LOCAL &&
		ph_span_equal_nocase(ph_address_local_part(address),
		ph_span_of(manager->settings->double_bounce_sender));
}

static struct destination *
find_destination(struct manager *manager, struct message *message, uint32_t number)
{
	struct destination *destination = NULL;
	ph_pool *pool = ph_pool_new(0);
	struct ask ask;
	struct resolved resolved;

	if (pool == NULL || copy_ask(manager, message->body, number, pool, &ask) == -1 ||
		where_to(&ask, pool, &resolved) == -1)
		resolved = (struct resolved){.result = RESOLVE_DEFER, .status = "4.3.0",
			.reason = "out of memory"};
	/* a table may have waited */
	if (message->state == MESSAGE_ACTIVE && message->body != NULL &&
		number < message->body->count && message->body->rcpts[number].state == RCPT_TODO)
		switch (resolved.result) {
		case RESOLVE_OK:
			if (is_double_bounce(manager, &resolved,
				message->body->rcpts[number].address))
				pass_throw_away(manager, message, number,
					"undeliverable postmaster notification discarded");
			else if (resolved.on_demand && !message->flushed)
				pass_defer(manager, message, number, "4.3.2",
					"deferred transport");
			else
				destination = destination_of(manager, message, number, &resolved,
					pool);
			break;
		case RESOLVE_DEFER:
			pass_defer(manager, message, number, resolved.status, resolved.reason);
			break;
		case RESOLVE_REFUSE:
			pass_fail(manager, message, number, resolved.status, resolved.reason);
			break;
		}
	ph_pool_free(pool);
	return destination;
}

static struct destination *
resolve(void *context, struct message *message, uint32_t number)
{
	if (message->asking != NULL && !probe_may_go(message)) {
		pass_defer(context, message, number, "4.3.0", "mail transport unavailable");
		return NULL;
	}
	if (message->body->rcpts[number].kind != PH_TARGET_FORWARD)
		return find_destination(context, message, number);
	forward_start(context, message, number);
	return NULL;
}

static void
send_job(void *context, struct job *job)
{
	peer_send_job(context, job);
}

static void
suspended(void *context, struct message *message, uint32_t number)
{
	const struct rcpt *rcpt = &message->body->rcpts[number];
	char *text = ph_pool_printf(message->body->pool, "delivery temporarily suspended: %s",
		rcpt->text == NULL ? "" : rcpt->text);

	pass_defer(context, message, number, rcpt->status == NULL ? "4.4.1" : rcpt->status,
		text == NULL ? "delivery temporarily suspended" : text);
}

static void
over(void *context, struct message *message)
{
	pass_over(context, message);
}

static const struct schedule_ops schedule_ops = {
	.load = load,
	.active = active,
	.resolve = resolve,
	.send = send_job,
	.suspended = suspended,
	.pass_over = over,
};

/* ---- Life ------------------------------------------------------------------------------------ */

struct storage *
manager_storage(struct manager *manager, const char *name)
{
	for (size_t i = 0; i < manager->storage_count; i++)
		if (strcmp(manager->storages[i].name, name) == 0)
			return &manager->storages[i];
	return NULL;
}

static struct schedule_limits
limits_of(const struct settings *settings)
{
	struct schedule_limits limits = {
		.active_messages = (uint32_t)settings->qmgr_message_active_limit,
		.initial_concurrency = (uint32_t)settings->initial_destination_concurrency,
		.concurrency = (uint32_t)settings->default_destination_concurrency_limit,
		.local_concurrency = (uint32_t)settings->local_destination_concurrency_limit,
		.job_recipients = (uint32_t)settings->default_destination_recipient_limit,
		.window = (uint32_t)(settings->qmgr_message_recipient_limit / 10),
		.spread = 8,
		.destinations = 10000,
		.minimal_backoff = settings->minimal_backoff_time,
		.maximal_backoff = settings->maximal_backoff_time,
	};

	/* "0" is no limit to some; here a bound stands for it */
	if (limits.active_messages == 0)
		limits.active_messages = 1;
	if (limits.initial_concurrency == 0)
		limits.initial_concurrency = 1;
	if (limits.concurrency == 0)
		limits.concurrency = 1000;
	if (limits.local_concurrency == 0)
		limits.local_concurrency = 1000;
	/* their results must fit in one frame */
	if (limits.job_recipients == 0 || limits.job_recipients > 400)
		limits.job_recipients = 400;
	if (limits.window < 100)
		limits.window = 100;
	return limits;
}

int
manager_add_storage(struct manager *manager, const struct instance *instance, void *self,
	const struct ph_queue_ops *ops, const char *name)
{
	struct storage *bigger = realloc(manager->storages,
		(manager->storage_count + 1) * sizeof(*bigger));

	if (bigger == NULL)
		return -1;
	manager->storages = bigger;
	manager->storages[manager->storage_count++] = (struct storage){.instance = instance,
		.self = self, .ops = ops, .name = name};
	return 0;
}

struct manager *
manager_new(const struct settings *settings, const struct resolver *resolver)
{
	struct manager *manager = calloc(1, sizeof(*manager));

	if (manager == NULL)
		return NULL;
	manager->settings = settings;
	manager->resolver = *resolver;
	manager->limits = limits_of(settings);
	manager->scratch = ph_pool_new(0);
	manager->random = (uint32_t)ph_wall_clock() | 1;
	TAILQ_INIT(&manager->peers);
	TAILQ_INIT(&manager->visitors);
	TAILQ_INIT(&manager->reports);
	TAILQ_INIT(&manager->forwards);
	TAILQ_INIT(&manager->debts);
	manager->scheduler = scheduler_new(&manager->limits, &schedule_ops, manager);
	if (manager->scheduler == NULL || manager->scratch == NULL) {
		manager_free(manager);
		return NULL;
	}
	/* results of an earlier life must not meet jobs of this one */
	jobs_number_from(manager->scheduler, (uint64_t)ph_wall_clock() << 8);
	return manager;
}

void
manager_free(struct manager *manager)
{
	if (manager == NULL)
		return;
	peers_close(manager);
	visitors_close(manager);
	bounces_forget(manager);
	forwards_forget(manager);
	ledger_free(manager);
	scheduler_free(manager->scheduler);
	probes_free(manager->probes);
	ph_pool_free(manager->scratch);
	free(manager->storages);
	free(manager);
}

static void
end_task(ph_task task)
{
	ph_task_cancel(task);
	ph_task_join(task, ph_in(5000));
}

static bool
manager_is_writing(const struct manager *manager)
{
	return manager->busy > 0 || manager->reporters > 0 || manager->forwarders > 0;
}

/* Requests, reports and forwarded messages that have begun come to their end. */
static void
wait_until_quiet(struct manager *manager)
{
	ph_deadline patience = ph_in(STOP_TIME);

	while (manager_is_writing(manager) && ph_now() < patience)
		if (ph_sleep(ph_in(10)) == PH_WAIT_CANCELLED)
			break;
}

int
manager_stop(struct manager *manager)
{
	ph_error error;
	int probing;

	manager->stopping = true;
	end_task(manager->engine);
	end_task(manager->tender);
	wait_until_quiet(manager);
	probing = probes_close(manager->probes);
	end_task(manager->syncer);
	if (manager->owned)
		manager_sync(manager);
	for (size_t i = 0; i < manager->storage_count; i++) {
		struct storage *storage = &manager->storages[i];

		if (storage->owned && storage->ops->disown(storage->self, &error) == -1)
			ph_log(PH_LOG_ERROR, "%s: %s", storage->name, error.text);
		storage->owned = false;
	}
	manager->owned = false;
	return manager_is_writing(manager) ? -1 : probing;
}
