/*
 * Readiness of the descriptors of streams: an epoll instance of its own, edge-triggered, under the
 * loop. libevent cannot tell a reset from data, and a short read must not hide one.
 */
#ifndef GROUND_POLLER_H
#define GROUND_POLLER_H

#include <posthouse/task.h>

enum {
	POLLER_HANGUP = 4 /* beside PH_READABLE and PH_WRITABLE: the peer has closed, or an error */
};

/* One descriptor. Its owner clears a flag when a call has found it untrue. */
struct poller_entry {
	ph_task task; /* who waits */
	uint8_t ready;
	uint8_t wants;
	bool registered;
};

/* Waits until the descriptor is ready for what is wanted. */
ph_wait poller_wait(struct poller_entry *entry, int fd, int what, ph_deadline deadline);
/* Before the descriptor is closed. */
void poller_forget(struct poller_entry *entry, int fd);
void poller_close(void);

#endif
