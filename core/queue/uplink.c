/*
 * Links: see uplink.h.
 */
#include "queue/uplink.h"

#include <stdlib.h>
#include <unistd.h>

#include <posthouse/task.h>

#include "process/channel.h"

/* Between attempts, milliseconds: the time of announcing after a restart of the queue role must
 * hold several of them. */
#define RETRY 50

struct uplink {
	const char *name, *path;
	const struct uplink_ops *ops;
	void *context;
	struct channel *channel; /* NULL: down */
	ph_task task;
	bool ending; /* nobody but the task knows of the link any more: it frees it */
};

static void
frame(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct uplink *link = context;

	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	link->ops->frame(link->context, type, payload);
}

static void
closed(struct channel *channel, void *context)
{
	struct uplink *link = context;

	link->channel = NULL;
	ph_unpark(link->task);
}

static const struct channel_ops ops = {.frame = frame, .closed = closed};

static void
try_connect(struct uplink *link)
{
	int fd = channel_connect_blocking(link->path, NULL);

	if (fd == -1)
		return;
	if ((link->channel = channel_open(link->name, fd, &ops, link)) == NULL)
		close(fd);
	else
		link->ops->up(link->context);
}

static void
run(void *argument)
{
	struct uplink *link = argument;
	ph_wait wait = PH_WAIT_OK;

	while (!link->ending && wait != PH_WAIT_CANCELLED) {
		if (link->channel == NULL)
			try_connect(link);
		wait = link->channel == NULL ? ph_sleep(ph_in(RETRY)) : ph_park(PH_NEVER);
	}
	if (link->ending)
		free(link);
}

struct uplink *
uplink_open(const char *name, const char *path, const struct uplink_ops *uplink_ops, void *context,
	ph_error *error)
{
	struct uplink *link = calloc(1, sizeof(*link));

	if (link == NULL) {
		ph_error_set(error, "no memory");
		return NULL;
	}
	*link = (struct uplink){.name = name, .path = path, .ops = uplink_ops, .context = context};
	link->task = ph_task_spawn(name, run, link);
	if (!ph_task_alive(link->task)) {
		ph_error_set(error, "no task is left");
		free(link);
		return NULL;
	}
	return link;
}

void
uplink_close(struct uplink *link)
{
	if (link == NULL)
		return;
	if (link->channel != NULL)
		channel_close(link->channel);
	link->channel = NULL;
	/* Not joined: who closes may be cancelled, and then no wait is one. */
	link->ending = true;
	if (ph_task_alive(link->task))
		ph_task_cancel(link->task);
	else
		free(link);
}

bool
uplink_is_up(const struct uplink *link)
{
	return link != NULL && link->channel != NULL;
}

int
uplink_send(struct uplink *link, unsigned type, ph_span payload)
{
	return uplink_is_up(link) ? channel_send(link->channel, type, payload) : -1;
}
