/*
 * The queue role: one process that owns the queue.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <posthouse/log.h>

#include "ground/logger.h"
#include "process/channel.h"
#include "process/role.h"
#include "queue/client.h"
#include "queue/manager.h"
#include "queue/probe.h"

#define BLAMES_MAX 64
/* Between attempts to own a storage that failed, milliseconds. */
#define OWN_RETRY 1000

/* A death that was reported before the queue was read. */
struct blame {
	char id[PH_QUEUE_ID_SIZE];
	char instance[64], role[16];
};

struct queue_role {
	struct role *role;
	struct manager *manager;
	struct resolver resolver;
	struct channel_listener *queue, *control;
	ph_task owner;
	bool ready;             /* owned and read */
	size_t blame_count;
	struct blame blames[BLAMES_MAX];
};

/* ---- Opening --------------------------------------------------------------------------------- */

static int
open_instances(struct role *role, ph_error *error)
{
	struct instance *instance;

	for (size_t i = 0; (instance = config_instance(role->config, PH_CLASS_QUEUE, i)) != NULL;
		i++)
		if (instance_open(instance, error) == -1)
			return -1;
	return config_open_maps(role->config, error);
}

static int
role_open(struct role *role, ph_error *error)
{
	struct queue_role *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return ph_error_set(error, "no memory");
	role->data = q;
	q->role = role;
	if (open_instances(role, error) == -1)
		return -1;
	if (config_instance(role->config, PH_CLASS_QUEUE, 0) == NULL)
		return ph_error_set(error,
			"mail has no place to stay: no queue module is loaded; add load(queue_log)");
	return resolver_open(&q->resolver, role->config, error);
}

/* ---- Starting -------------------------------------------------------------------------------- */

static void
accept_peer(int fd, void *context)
{
	peer_accept(context, fd);
}

static int
listen_all(struct queue_role *q, ph_error *error)
{
	const char *folder = q->role->settings->run_directory;
	char path[512];

	snprintf(path, sizeof(path), "%s/queue", folder);
	q->queue = channel_listen(path, 0600, accept_peer, q->manager, error);
	snprintf(path, sizeof(path), "%s/control", folder);
	q->control = channel_listen(path, 0666, control_accept, q->manager, error);
	return q->queue == NULL || q->control == NULL ? -1 : 0;
}

static void
use_blames(struct queue_role *q)
{
	for (size_t i = 0; i < q->blame_count; i++)
		manager_blame(q->manager, q->blames[i].id, q->blames[i].instance,
			q->blames[i].role);
	q->blame_count = 0;
}

/* A report was queued by this very process. */
static void
announce_own(void *context, const struct instance *instance)
{
	struct manager *manager = context;
	struct storage *storage = manager_storage(manager, instance->name);
	char hint[512];
	size_t size;

	if (storage == NULL || !storage->owned)
		return;
	size = storage->ops->hint == NULL ? 0
		: storage->ops->hint(storage->self, hint, sizeof(hint));
	if (size > 0 && storage->ops->hinted != NULL)
		storage->ops->hinted(storage->self, (ph_span){hint, size});
	storage->more = true;
	manager_wake(manager);
}

/* Waits until the previous owner has let go, reads the queue, and opens for business. Only then are
 * the sockets ours: until now the previous owner's serve. */
static void
own(void *argument)
{
	struct queue_role *q = argument;
	ph_error error = {""};

	while (manager_own(q->manager, &error) == -1) {
		if (ph_task_cancelled())
			return;
		ph_log(PH_LOG_ERROR, "the queue cannot be taken over: %s", error.text);
		if (ph_sleep(ph_in(OWN_RETRY)) == PH_WAIT_CANCELLED)
			return;
	}
	q->ready = true;
	use_blames(q);
	queue_client_set_local(announce_own, q->manager);
	manager_announce(q->manager);
	if ((q->manager->probes = probes_open(q->manager)) == NULL)
		ph_error_set(&error, "no memory for address verification");
	else if (listen_all(q, &error) == 0 && manager_start(q->manager, &error) == 0)
		return;
	ph_log(PH_LOG_FATAL, "the queue cannot be served: %s", error.text);
	logger_flush();
	_exit(EX_OSERR); /* another one tries */
}

static int
start_instances(struct role *role, ph_error *error)
{
	static const enum ph_class classes[] = {PH_CLASS_QUEUE, PH_CLASS_MAP, PH_CLASS_FILTER};
	struct instance *instance;

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++)
		for (size_t i = 0; (instance = config_instance(role->config, classes[c], i)) != NULL; i++)
			if (instance->opened && instance_start(instance, error) == -1)
				return -1;
	return 0;
}

static int
role_start(struct role *role, ph_error *error)
{
	struct queue_role *q = role->data;
	struct instance *instance;

	if (start_instances(role, error) == -1)
		return -1;
	q->manager = manager_new(role->settings, &q->resolver);
	if (q->manager == NULL)
		return ph_error_set(error, "no memory");
	for (size_t i = 0; (instance = config_instance(role->config, PH_CLASS_QUEUE, i)) != NULL;
		i++)
		if (manager_add_storage(q->manager, instance, instance->self, instance->ops,
			instance->name) == -1)
			return ph_error_set(error, "no memory");
	q->owner = ph_task_spawn("queue owner", own, q);
	return ph_task_alive(q->owner) ? 0 : ph_error_set(error, "no task is left");
}

/* ---- Ending ---------------------------------------------------------------------------------- */

static void
stop_instances(struct role *role)
{
	static const enum ph_class classes[] = {PH_CLASS_FILTER, PH_CLASS_MAP, PH_CLASS_QUEUE};
	struct instance *instance;

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++)
		for (size_t i = 0; (instance = config_instance(role->config, classes[c], i)) != NULL; i++) {
			if (instance->started)
				instance_stop(instance);
			if (instance->opened)
				instance_close(instance);
		}
}

static void
role_stop(struct role *role)
{
	struct queue_role *q = role->data;

	if (q == NULL)
		return;
	role->data = NULL;
	ph_task_cancel(q->owner);
	ph_task_join(q->owner, ph_in(5000));
	if (ph_task_alive(q->owner))
		return; /* it waits for the storage, in vain: the process ends anyway */
	queue_client_set_local(NULL, NULL);
	/* the paths stay: they may be the successor's */
	channel_unlisten(q->queue);
	channel_unlisten(q->control);
	if (q->manager != NULL && manager_stop(q->manager) == -1)
		return; /* the process ends anyway */
	manager_free(q->manager);
	resolver_close(&q->resolver);
	stop_instances(role);
	free(q);
}

static void
role_drain(struct role *role)
{
	role_stop(role);
	role_done(role);
}

void
queue_blame(const char *queue_id, const char *instance, const char *role_name)
{
	struct role *role = role_current();
	struct queue_role *q = role == NULL || role->ops != &queue_role ? NULL : role->data;
	struct blame *blame;

	if (q == NULL)
		return;
	if (q->ready) {
		manager_blame(q->manager, queue_id, instance, role_name);
		return;
	}
	if (q->blame_count == BLAMES_MAX)
		return;
	blame = &q->blames[q->blame_count++];
	snprintf(blame->id, sizeof(blame->id), "%s", queue_id);
	snprintf(blame->instance, sizeof(blame->instance), "%s", instance);
	snprintf(blame->role, sizeof(blame->role), "%s", role_name);
}

const struct role_ops queue_role = {
	.name = "queue",
	.component = "qmgr",
	.open = role_open,
	.start = role_start,
	.drain = role_drain,
	.stop = role_stop,
};
