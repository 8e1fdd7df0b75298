/*
 * A framed socket in a process that only polls: frame.h's reader and writer with their descriptor.
 */
#ifndef PROCESS_CONDUIT_H
#define PROCESS_CONDUIT_H

#include <poll.h>

#include "process/frame.h"

struct conduit {
	int fd; /* -1: none */
	struct frame_reader in;
	struct frame_writer out;
};

/* Takes over fd, makes it non-blocking. 0 or -1 (the descriptor is closed). */
int conduit_open(struct conduit *conduit, int fd);
void conduit_close(struct conduit *conduit);
/* A pair of connected sockets, close-on-exec. 0 or -1. */
int conduit_pair(int pair[2], ph_error *error);
/* Sends, as far as the peer reads; the rest waits for conduit_service(). 0 or -1. */
int conduit_send(struct conduit *conduit, unsigned type, ph_span payload, const int *fds,
	size_t count);
/* What to poll for. */
struct pollfd conduit_poll(const struct conduit *conduit);
/* Does what poll() found to do and calls frame() for each frame; the callee closes descriptors. 0;
 * -1 when the peer is gone or sends nonsense (the caller closes it). frame() may close it. */
int conduit_service(struct conduit *conduit, short revents,
	void (*frame)(void *context, const struct frame *frame), void *context);
/* Closes the descriptors of a frame that nobody wanted. */
void conduit_drop_fds(const struct frame *frame);

#endif
