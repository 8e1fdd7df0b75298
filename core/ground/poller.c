#include "ground/poller.h"

#include <errno.h>
#include <event2/event.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "ground/task.h"

enum {
	BATCH = 128
};

static struct {
	int fd; /* 0: not open */
	struct event *event;
} poller;

static uint8_t
flags_of(uint32_t events)
{
	uint8_t flags = 0;

	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		flags |= PH_READABLE;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		flags |= PH_WRITABLE;
	if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		flags |= POLLER_HANGUP;
	return flags;
}

/* Only marks: nobody is run, so no entry of the batch can go away. */
static void
look(evutil_socket_t fd, short what, void *argument)
{
	static struct epoll_event events[BATCH];
	int count;

	do {
		count = epoll_wait(poller.fd, events, BATCH, 0);
		for (int i = 0; i < count; i++) {
			struct poller_entry *entry = events[i].data.ptr;

			entry->ready |= flags_of(events[i].events);
			if (entry->ready & entry->wants)
				task_wake(entry->task, entry);
		}
	} while (count == BATCH);
}

static bool
poller_open(void)
{
	if (poller.fd > 0)
		return true;
	poller.fd = epoll_create1(EPOLL_CLOEXEC);
	if (poller.fd == -1)
		return false;
	poller.event = event_new(loop_base(), poller.fd, EV_READ | EV_PERSIST, look, NULL);
	if (poller.event != NULL && event_add(poller.event, NULL) == 0)
		return true;
	poller_close();
	return false;
}

void
poller_close(void)
{
	if (poller.event != NULL)
		event_free(poller.event);
	if (poller.fd > 0)
		close(poller.fd);
	poller.event = NULL;
	poller.fd = 0;
}

/* What cannot be polled (a file) is always ready. */
static void
enter(struct poller_entry *entry, int fd)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = entry};

	if (poller_open() && epoll_ctl(poller.fd, EPOLL_CTL_ADD, fd, &event) == 0)
		entry->registered = true;
	else
		entry->ready = PH_READABLE | PH_WRITABLE;
}

ph_wait
poller_wait(struct poller_entry *entry, int fd, int what, ph_deadline deadline)
{
	ph_wait result;

	entry->task = ph_task_self();
	if (entry->task.generation == 0) {
		result = ph_wait_fd(fd, what, deadline);
		if (result == PH_WAIT_OK)
			entry->ready |= (uint8_t)what;
		return result;
	}
	if (!entry->registered)
		enter(entry, fd);
	if (entry->ready & what)
		return task_spend();
	entry->wants = (uint8_t)what;
	result = task_wait(entry, deadline);
	entry->wants = 0;
	return result;
}

/* A descriptor may live on in another process, and its registration with it. */
void
poller_forget(struct poller_entry *entry, int fd)
{
	if (entry->registered && poller.fd > 0)
		epoll_ctl(poller.fd, EPOLL_CTL_DEL, fd, NULL);
	entry->registered = false;
}
