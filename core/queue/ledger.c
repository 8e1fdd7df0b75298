/*
 * The ledger: what the storages are told of their messages, and when it is durable.
 *
 * Nothing that a worker said is acknowledged, and no message is called removed, before a sync that
 * began after it was noted. What a storage does not take (a full disk) is kept and told again, in
 * order; until then the queue gives out no more work.
 */
#include <stdlib.h>
#include <string.h>

#include <posthouse/log.h>

#include "queue/manager.h"

/* Milliseconds between the first that is noted and the sync. */
#define SYNC_DELAY 200
/* Between attempts to tell a storage that refuses, milliseconds. */
#define RETRY 1000

/* A note that its storage did not take. */
struct debt {
	struct storage *storage;
	uint64_t handle, token;
	TAILQ_ENTRY(debt) link;
	char id[PH_QUEUE_ID_SIZE];
	size_t size; /* 0: a removal */
	char bytes[];
};

/* ---- Telling --------------------------------------------------------------------------------- */

static int
tell(struct storage *storage, uint64_t handle, uint64_t token, ph_span note, ph_error *error)
{
	storage->dirty = true;
	return note.size == 0 ? storage->ops->remove(storage->self, handle, token, error)
		: storage->ops->note(storage->self, handle, token, note, error);
}

static void
owe(struct manager *manager, const struct message *message, ph_span note)
{
	struct debt *debt = malloc(sizeof(*debt) + note.size);

	if (debt == NULL) {
		ph_log(PH_LOG_ERROR, "%s: no memory to note what became of it", message->id);
		return; /* what it says is done again after a restart */
	}
	*debt = (struct debt){.storage = message->storage, .handle = message->handle,
		.token = message->token, .size = note.size};
	memcpy(debt->id, message->id, sizeof(debt->id));
	if (note.size > 0)
		memcpy(debt->bytes, note.data, note.size);
	TAILQ_INSERT_TAIL(&manager->debts, debt, link);
}

static void
put(struct manager *manager, struct message *message, ph_span note)
{
	struct storage *storage = message->storage;
	ph_error error = {""};

	if (!TAILQ_EMPTY(&manager->debts)) {
		owe(manager, message, note);
	} else if (tell(storage, message->handle, message->token, note, &error) == -1) {
		ph_log(PH_LOG_ERROR, "%s: %s: cannot note what became of it, it is kept: %s",
			message->id, storage->name, error.text);
		owe(manager, message, note);
	}
	ph_unpark(manager->syncer);
}

void
manager_note(struct manager *manager, struct message *message, ph_span notes)
{
	if (notes.size > 0)
		put(manager, message, notes);
}

/* Its name is kept until the removal is durable; without memory nobody hears of it. */
static void
depart(struct manager *manager, const struct message *message)
{
	if (manager->departed_count == manager->departed_room) {
		size_t room = manager->departed_room * 2 + 64;
		void *bigger = realloc(manager->departed, room * sizeof(*manager->departed));

		if (bigger == NULL)
			return;
		manager->departed = bigger;
		manager->departed_room = room;
	}
	memcpy(manager->departed[manager->departed_count++], message->id, PH_QUEUE_ID_SIZE);
}

void
manager_remove(struct manager *manager, struct message *message)
{
	put(manager, message, (ph_span){NULL, 0});
	depart(manager, message);
	scheduler_remove(manager->scheduler, message);
}

/* What is owed is told now, the oldest first. False: a storage still refuses. */
static bool
pay(struct manager *manager)
{
	struct debt *debt;
	ph_error error;

	while ((debt = TAILQ_FIRST(&manager->debts)) != NULL) {
		const struct message *message =
			scheduler_find(manager->scheduler, debt->storage, debt->id);

		/* it may have been moved meanwhile */
		if (tell(debt->storage, message != NULL ? message->handle : debt->handle,
			message != NULL ? message->token : debt->token,
			(ph_span){debt->bytes, debt->size}, &error) == -1)
			return false;
		TAILQ_REMOVE(&manager->debts, debt, link);
		free(debt);
	}
	return true;
}

bool
manager_is_in_debt(const struct manager *manager)
{
	return !TAILQ_EMPTY(&manager->debts);
}

void
ledger_free(struct manager *manager)
{
	struct debt *debt;

	while ((debt = TAILQ_FIRST(&manager->debts)) != NULL) {
		TAILQ_REMOVE(&manager->debts, debt, link);
		free(debt);
	}
	free(manager->departed);
}

/* ---- Making it durable ----------------------------------------------------------------------- */

static bool
sync_storage(struct manager *manager, struct storage *storage)
{
	ph_error error = {""};

	if (!storage->owned || !storage->dirty)
		return true;
	storage->dirty = false;
	if (storage->ops->sync(storage->self, &error) == 0)
		return true;
	storage->dirty = true;
	if (!manager->unsound)
		ph_log(PH_LOG_ERROR,
			"%s: results cannot be made durable, nothing is acknowledged: %s",
			storage->name, error.text);
	return false;
}

static bool
sync_all(struct manager *manager)
{
	bool sound = pay(manager);

	for (size_t i = 0; i < manager->storage_count; i++)
		sound &= sync_storage(manager, &manager->storages[i]);
	if (sound && manager->unsound)
		ph_log(PH_LOG_INFO, "results are durable again");
	manager->unsound = !sound;
	return sound;
}

static void
log_departed(struct manager *manager, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		ph_log_as("qmgr", PH_LOG_INFO, "%s: removed", manager->departed[i]);
		manager_logged(manager);
	}
	manager->departed_count -= count;
	memmove(manager->departed, manager->departed + count,
		manager->departed_count * sizeof(*manager->departed));
}

int
manager_sync(struct manager *manager)
{
	struct peer *peer;
	size_t departed;
	bool sound;

	/* one at a time: who comes later waits for what the other one has begun, then for its
	 * own */
	while (manager->syncing)
		if (ph_sleep(ph_in(2)) == PH_WAIT_CANCELLED)
			return -1;
	manager->syncing = true;
	/* acknowledge only what was noted before this sync began */
	TAILQ_FOREACH(peer, &manager->peers, link)
		peer->syncing = peer->ack_count;
	departed = manager->departed_count;
	sound = sync_all(manager);
	manager->syncing = false;
	if (!sound)
		return -1;
	if (departed > 0)
		log_departed(manager, departed);
	peers_send_acks(manager);
	manager_wake(manager);
	return 0;
}

static bool
is_dirty(const struct manager *manager)
{
	const struct peer *peer;

	for (size_t i = 0; i < manager->storage_count; i++)
		if (manager->storages[i].dirty)
			return true;
	TAILQ_FOREACH(peer, &manager->peers, link)
		if (peer->ack_count > 0)
			return true;
	return manager_is_in_debt(manager);
}

void
ledger_run(void *argument)
{
	struct manager *manager = argument;

	for (;;) {
		while (!is_dirty(manager))
			if (ph_park(PH_NEVER) == PH_WAIT_CANCELLED)
				return;
		/* what else comes meanwhile goes with the same sync */
		if (ph_sleep(ph_in(manager->unsound ? RETRY : SYNC_DELAY)) == PH_WAIT_CANCELLED)
			return;
		manager_sync(manager);
	}
}
