#include "process/conduit.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_READS = 64 };

int
conduit_open(struct conduit *conduit, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	*conduit = (struct conduit){.fd = fd};
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		conduit_close(conduit);
		return -1;
	}
	return 0;
}

void
conduit_close(struct conduit *conduit)
{
	if (conduit->fd != -1)
		close(conduit->fd);
	frame_reader_free(&conduit->in);
	frame_writer_free(&conduit->out);
	conduit->fd = -1;
}

int
conduit_pair(int pair[2], ph_error *error)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return ph_error_set(error, "socketpair: %s", strerror(errno));
	return 0;
}

int
conduit_send(struct conduit *conduit, unsigned type, ph_span payload, const int *fds, size_t count)
{
	if (conduit->fd == -1 || frame_put(&conduit->out, type, payload, fds, count) == -1)
		return -1;
	return frame_flush(&conduit->out, conduit->fd) == FRAME_BROKEN ? -1 : 0;
}

struct pollfd
conduit_poll(const struct conduit *conduit)
{
	return (struct pollfd){
		.fd = conduit->fd,
		.events = (short)(POLLIN | (frame_waiting(&conduit->out) ? POLLOUT : 0)),
	};
}

void
conduit_drop_fds(const struct frame *frame)
{
	for (size_t i = 0; i < frame->fd_count; i++)
		close(frame->fds[i]);
}

static int
conduit_read(struct conduit *conduit, void (*handle)(void *context, const struct frame *frame),
	void *context)
{
	struct frame frame;
	enum frame_result result;
	int reads = 0;

	/* One that sends and sends must not have us for itself: poll() tells of the rest. */
	do {
		result = frame_fill(&conduit->in, conduit->fd);
		if (result == FRAME_AGAIN)
			return 0;
		if (result != FRAME_OK)
			return -1;
		while ((result = frame_next(&conduit->in, &frame)) == FRAME_OK) {
			handle(context, &frame);
			if (conduit->fd == -1)
				return 0;
		}
		if (result == FRAME_BROKEN)
			return -1;
	} while (conduit->in.more && ++reads < MAX_READS);
	return 0;
}

int
conduit_service(struct conduit *conduit, short revents,
	void (*frame)(void *context, const struct frame *frame), void *context)
{
	if (conduit->fd == -1)
		return 0;
	if (revents & POLLOUT && frame_flush(&conduit->out, conduit->fd) == FRAME_BROKEN)
		revents |= POLLIN; /* what the peer still said is read before its end shows */
	if (revents & (POLLIN | POLLHUP | POLLERR))
		return conduit_read(conduit, frame, context);
	return 0;
}
