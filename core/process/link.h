/*
 * A framed socket in a process that only polls: frame.h's reader and writer with their descriptor.
 */
#ifndef PROCESS_LINK_H
#define PROCESS_LINK_H

#include <poll.h>

#include "process/frame.h"

struct link {
	int fd; /* -1: none */
	struct frame_reader in;
	struct frame_writer out;
};

/* Takes over fd, makes it non-blocking. 0 or -1 (the descriptor is closed). */
int link_open(struct link *link, int fd);
void link_close(struct link *link);
/* A pair of connected sockets, close-on-exec. 0 or -1. */
int link_pair(int pair[2], ph_error *error);
/* Sends, as far as the peer reads; the rest waits for link_service(). 0 or -1. */
int link_send(struct link *link, unsigned type, ph_span payload, const int *fds, size_t count);
/* What to poll for. */
struct pollfd link_poll(const struct link *link);
/* Does what poll() found to do and calls frame() for each frame; the callee closes descriptors. 0;
 * -1 when the peer is gone or sends nonsense (the caller closes the link). frame() may close it. */
int link_service(struct link *link, short revents,
	void (*frame)(void *context, const struct frame *frame), void *context);
/* Closes the descriptors of a frame that nobody wanted. */
void link_drop_fds(const struct frame *frame);

#endif
