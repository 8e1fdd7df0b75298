/*
 * Waiting for a descriptor, once. Sockets with traffic are streams, which register theirs for good.
 */
#include <event2/event.h>
#include <event2/event_struct.h>
#include <poll.h>

#include "ground/task.h"

struct waiter {
	struct event event;
	ph_task task;
};

static void
descriptor_ready(evutil_socket_t fd, short what, void *argument)
{
	struct waiter *waiter = argument;

	task_wake(waiter->task, waiter);
}

static ph_wait
poll_descriptor(int fd, int what, ph_deadline deadline)
{
	struct pollfd poller = {.fd = fd};

	if (what & PH_READABLE)
		poller.events |= POLLIN;
	if (what & PH_WRITABLE)
		poller.events |= POLLOUT;
	for (;;) {
		int64_t left = deadline == PH_NEVER ? 60000 : deadline - ph_now();

		if (left < 0)
			left = 0;
		if (poll(&poller, 1, left > 60000 ? 60000 : (int)left) > 0)
			return PH_WAIT_OK;
		if (deadline != PH_NEVER && deadline <= ph_now())
			return PH_WAIT_TIMEOUT;
	}
}

/* A descriptor that cannot be waited for (a file, a closed one) counts as ready: the call that
 * follows tells. */
ph_wait
ph_wait_fd(int fd, int what, ph_deadline deadline)
{
	struct waiter waiter = {.task = ph_task_self()};
	short events = 0;
	ph_wait result;

	if (waiter.task.generation == 0)
		return poll_descriptor(fd, what, deadline);
	if (what & PH_READABLE)
		events |= EV_READ;
	if (what & PH_WRITABLE)
		events |= EV_WRITE;
	event_assign(&waiter.event, loop_base(), fd, events, descriptor_ready, &waiter);
	if (event_add(&waiter.event, NULL) == -1)
		return ph_task_cancelled() ? PH_WAIT_CANCELLED : PH_WAIT_OK;
	result = task_wait(&waiter, deadline);
	event_del(&waiter.event);
	return result;
}
