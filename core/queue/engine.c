/*
 * The engine of the queue manager: tasks that claim what the storages have, run the scheduler, and
 * tend the storages.
 */
#include <stdlib.h>
#include <string.h>

#include <posthouse/log.h>

#include "queue/manager.h"
#include "queue/probe.h"

/* Messages of one claim. */
#define CLAIM_BATCH 256
/* Milliseconds. */
#define ANNOUNCE_TIME 1000
#define TEND_INTERVAL 3000
#define LOST_JOB_TIME 2000
#define LEASE 600000

/* ---- Claiming -------------------------------------------------------------------------------- */

/* When is it to be tried, on the monotonic clock? What lies further ahead than any wait that we
 * make comes from a clock that was wrong: that is now. */
static int64_t
due_of(struct manager *manager, const struct message *message)
{
	int64_t now = ph_now(), delay = 0, due;

	if (message->due != 0)
		delay = (message->due - ph_wall_clock()) / 1000;
	if (delay < 0 || delay > manager->limits.maximal_backoff)
		delay = 0;
	due = now + delay;
	/* a worker may have it in hand */
	if (message->arrival < manager->owned_since && due < manager->announced)
		due = manager->announced;
	return due;
}

int64_t
manager_earliest(const struct manager *manager)
{
	int64_t now = ph_now();

	return now < manager->announced ? manager->announced : now;
}

static void
take_up(struct manager *manager, struct storage *storage, const struct ph_queue_item *item)
{
	struct message *message = scheduler_find(manager->scheduler, storage, item->id);
	ph_error error = {""};
	int64_t due;

	if (message != NULL) {
		/* it was moved within its storage */
		message->handle = item->handle;
		message->token = item->token;
		return;
	}
	if ((message = message_new(storage, item, &error)) == NULL) {
		ph_log(PH_LOG_ERROR, "%s: %s", item->id, error.text);
		return;
	}
	if (*error.text != '\0')
		ph_log(PH_LOG_ERROR, "%s: held: its %s cannot be read: %s", message->id,
			message->body == NULL ? "envelope" : "history", error.text);
	due = due_of(manager, message);
	if (message->body != NULL && (manager->recovering || message->hold || due > ph_now() ||
		scheduler_active_count(manager->scheduler) >= manager->limits.active_messages / 2))
		message_close(message);
	if (scheduler_add(manager->scheduler, message, due) == -1) {
		ph_log(PH_LOG_ERROR, "%s: no memory to take it up", message->id);
		message_free(message);
	}
}

static bool
claim(struct manager *manager, struct storage *storage, struct ph_queue_item *items)
{
	ph_error error;
	int count;

	storage->more = false;
	count = storage->ops->claim(storage->self, items, CLAIM_BATCH, LEASE, &error);
	if (count == -1)
		ph_log(PH_LOG_ERROR, "%s: cannot read new messages: %s", storage->name, error.text);
	for (int i = 0; i < count; i++)
		take_up(manager, storage, &items[i]);
	if (count == CLAIM_BATCH)
		storage->more = true;
	return count > 0;
}

static void
claim_all(struct manager *manager)
{
	struct ph_queue_item *items = NULL;

	for (size_t i = 0; i < manager->storage_count; i++) {
		struct storage *storage = &manager->storages[i];

		if (!storage->owned || !storage->more)
			continue;
		if (items == NULL && (items = calloc(CLAIM_BATCH, sizeof(*items))) == NULL)
			return;
		claim(manager, storage, items);
	}
	free(items);
}

static bool
has_more(const struct manager *manager)
{
	for (size_t i = 0; i < manager->storage_count; i++)
		if (manager->storages[i].owned && manager->storages[i].more)
			return true;
	return false;
}

int64_t
manager_round(struct manager *manager)
{
	int64_t due;

	claim_all(manager);
	/* what becomes of more work could not be noted either; the ledger wakes us */
	if (manager_is_in_debt(manager))
		return PH_NEVER;
	/* a message with one recipient in hand may have others in other hands */
	if (ph_now() < manager->announced)
		return manager->announced;
	due = scheduler_run(manager->scheduler, ph_now());
	return has_more(manager) ? ph_now() : due;
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

void
manager_wake(struct manager *manager)
{
	ph_unpark(manager->engine);
}

static void
engine(void *argument)
{
	struct manager *manager = argument;
	ph_wait wait = PH_WAIT_OK;

	while (!manager->stopping && wait != PH_WAIT_CANCELLED) {
		int64_t due = manager_round(manager);

		if (due <= ph_now())
			wait = ph_yield();
		else
			wait = ph_park(due);
	}
}

/* Leases that would end before the next time are renewed. What is not ours any more is forgotten:
 * its new owner has it. */
static void
renew_leases(struct manager *manager)
{
	struct scheduler *scheduler = manager->scheduler;
	struct message *message = scheduler_first(scheduler), *next;
	ph_error error;

	if (message != NULL)
		message->pins++;
	for (; message != NULL; message = next) {
		const struct ph_queue_ops *ops = message->storage->ops;

		if (ops->renew != NULL && message->state != MESSAGE_GONE &&
			ops->renew(message->storage->self, message->handle, &message->token, LEASE,
				&error) == -1) {
			ph_log(PH_LOG_WARNING, "%s: %s: it is not ours any more: %s", message->id,
				message->storage->name, error.text);
			if (message->state != MESSAGE_GONE)
				scheduler_remove(scheduler, message);
		}
		if ((next = TAILQ_NEXT(message, all)) != NULL)
			next->pins++;
		scheduler_unpin(scheduler, message);
	}
}

static void
tender(void *argument)
{
	struct manager *manager = argument;
	int64_t renewed = ph_now();

	while (ph_sleep(ph_in(TEND_INTERVAL)) == PH_WAIT_OK) {
		if (ph_now() - renewed > LEASE / 3) {
			renew_leases(manager);
			renewed = ph_now();
		}
		for (size_t i = 0; i < manager->storage_count; i++) {
			struct storage *storage = &manager->storages[i];

			if (storage->ops->tend != NULL)
				storage->ops->tend(storage->self);
			storage->more = true;
		}
		jobs_expire(manager->scheduler, ph_now() - LOST_JOB_TIME, ph_now());
		probes_expire(manager);
		manager_wake(manager);
	}
}

/* ---- Beginning ------------------------------------------------------------------------------- */

int
manager_own(struct manager *manager, ph_error *error)
{
	for (size_t i = 0; i < manager->storage_count; i++) {
		struct storage *storage = &manager->storages[i];

		/* one that we got before another one failed is ours already */
		if (!storage->owned && storage->ops->own(storage->self, error) == -1)
			return -1;
		storage->owned = storage->more = true;
	}
	manager->owned = true;
	manager->owned_since = ph_wall_clock();
	manager->recovering = true;
	do {
		claim_all(manager);
		if (ph_yield() == PH_WAIT_CANCELLED)
			return ph_error_set(error, "cancelled");
	} while (has_more(manager));
	manager->recovering = false;
	return 0;
}

void
manager_announce(struct manager *manager)
{
	if (scheduler_count(manager->scheduler) == 0)
		return; /* nobody can have anything of ours */
	manager->announced = ph_in(ANNOUNCE_TIME);
	scheduler_not_before(manager->scheduler, manager->announced);
}

int
manager_start(struct manager *manager, ph_error *error)
{
	manager->syncer = ph_task_spawn("queue sync", ledger_run, manager);
	manager->tender = ph_task_spawn("queue tend", tender, manager);
	manager->engine = ph_task_spawn("queue engine", engine, manager);
	if (manager->engine.generation == 0 || manager->tender.generation == 0 ||
		manager->syncer.generation == 0)
		return ph_error_set(error, "no task for the queue");
	return 0;
}
