#include "process/link.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int
link_open(struct link *link, int fd)
{
	int flags = fcntl(fd, F_GETFL);

	*link = (struct link){.fd = fd};
	if (flags == -1 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) == -1) {
		link_close(link);
		return -1;
	}
	return 0;
}

void
link_close(struct link *link)
{
	if (link->fd != -1)
		close(link->fd);
	frame_reader_free(&link->in);
	frame_writer_free(&link->out);
	link->fd = -1;
}

int
link_pair(int pair[2], ph_error *error)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == -1)
		return ph_error_set(error, "socketpair: %s", strerror(errno));
	return 0;
}

int
link_send(struct link *link, unsigned type, ph_span payload, const int *fds, size_t count)
{
	if (link->fd == -1 || frame_put(&link->out, type, payload, fds, count) == -1)
		return -1;
	return frame_flush(&link->out, link->fd) == FRAME_BROKEN ? -1 : 0;
}

struct pollfd
link_poll(const struct link *link)
{
	return (struct pollfd){
		.fd = link->fd,
		.events = (short)(POLLIN | (frame_waiting(&link->out) ? POLLOUT : 0)),
	};
}

void
link_drop_fds(const struct frame *frame)
{
	for (size_t i = 0; i < frame->fd_count; i++)
		close(frame->fds[i]);
}

static int
link_read(struct link *link, void (*handle)(void *context, const struct frame *frame), void *context)
{
	struct frame frame;
	enum frame_result result;

	do {
		result = frame_fill(&link->in, link->fd);
		if (result == FRAME_AGAIN)
			return 0;
		if (result != FRAME_OK)
			return -1;
		while ((result = frame_next(&link->in, &frame)) == FRAME_OK) {
			handle(context, &frame);
			if (link->fd == -1)
				return 0;
		}
		if (result == FRAME_BROKEN)
			return -1;
	} while (link->in.more);
	return 0;
}

int
link_service(struct link *link, short revents, void (*frame)(void *context, const struct frame *frame),
	void *context)
{
	if (link->fd == -1)
		return 0;
	if (revents & POLLOUT && frame_flush(&link->out, link->fd) == FRAME_BROKEN)
		revents |= POLLIN; /* what the peer still said is read before its end shows */
	if (revents & (POLLIN | POLLHUP | POLLERR))
		return link_read(link, frame, context);
	return 0;
}
