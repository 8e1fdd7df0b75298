#include "process/channel.h"

#include <event2/event.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/loop.h"
#include "process/frame.h"

/*
 * One reader task for each channel. Its event is level-triggered and stays registered: a frame
 * costs one recvmsg and no epoll_ctl. Only when something arrives while the callee of a frame is
 * still busy, the event is taken out until the reader waits again.
 *
 * The struct lives until the reader has ended and no flush is promised to the loop any more.
 */
struct channel {
	int fd;
	const struct channel_ops *ops;
	void *context;
	ph_task reader;
	struct event *readable;
	struct event *writable; /* added only while the peer does not read */
	struct frame_reader in;
	struct frame_writer out;
	struct ucred peer;
	bool waiting;  /* the reader is parked for input */
	bool ready;    /* there is input */
	bool paused;   /* the read event is out */
	bool flushing; /* a flush at the end of the round is promised */
	bool blocked;  /* waits for writable */
	bool broken;   /* nothing can be sent any more */
	bool closed;   /* channel_close() was called */
	bool ended;    /* the reader has ended */
};

static void
channel_free(struct channel *channel)
{
	frame_reader_free(&channel->in);
	frame_writer_free(&channel->out);
	free(channel);
}

/* Lets go of everything that the loop knows of. */
static void
channel_shut(struct channel *channel)
{
	if (channel->readable)
		event_free(channel->readable);
	if (channel->writable)
		event_free(channel->writable);
	channel->readable = channel->writable = NULL;
	if (channel->fd != -1)
		close(channel->fd);
	channel->fd = -1;
	channel->broken = true;
}

static void
on_readable(int fd, short what, void *argument)
{
	struct channel *channel = argument;

	(void)fd, (void)what;
	if (!channel->waiting || channel->ready) {
		event_del(channel->readable);
		channel->paused = true;
	}
	channel->ready = true;
	if (channel->waiting)
		ph_unpark(channel->reader);
}

static void
flush(struct channel *channel)
{
	if (channel->broken || channel->blocked)
		return;
	switch (frame_flush(&channel->out, channel->fd)) {
	case FRAME_OK:
		break;
	case FRAME_AGAIN:
		channel->blocked = true;
		event_add(channel->writable, NULL);
		break;
	case FRAME_END:
	case FRAME_BROKEN:
		/* What the peer had sent before is still read; the reader sees the end itself. */
		channel->broken = true;
		frame_writer_free(&channel->out);
		break;
	}
}

static void
on_writable(int fd, short what, void *argument)
{
	struct channel *channel = argument;

	(void)fd, (void)what;
	channel->blocked = false;
	flush(channel);
}

static void
on_round_end(void *argument)
{
	struct channel *channel = argument;

	channel->flushing = false;
	if (channel->ended)
		channel_free(channel);
	else
		flush(channel);
}

/* Hands over the frames in the buffer. False: the channel is to end. */
static bool
handle_frames(struct channel *channel)
{
	struct frame frame;

	while (!channel->closed) {
		switch (frame_next(&channel->in, &frame)) {
		case FRAME_OK:
			channel->ops->frame(channel, channel->context, frame.type, frame.payload,
				frame.fds, frame.fd_count);
			break;
		case FRAME_AGAIN:
			return true;
		case FRAME_END:
		case FRAME_BROKEN:
			return false;
		}
	}
	return false;
}

/* Waits for input. False: cancelled or closed. */
static bool
wait_readable(struct channel *channel)
{
	if (channel->in.more)
		return ph_yield() == PH_WAIT_OK; /* a busy peer must not have the loop for itself */
	channel->ready = false;
	if (channel->paused) {
		channel->paused = false;
		event_add(channel->readable, NULL);
	}
	channel->waiting = true;
	while (!channel->ready && !channel->closed)
		if (ph_park(PH_NEVER) == PH_WAIT_CANCELLED)
			break;
	channel->waiting = false;
	return channel->ready && !channel->closed;
}

static void
reader_run(void *argument)
{
	struct channel *channel = argument;

	while (!channel->closed && wait_readable(channel)) {
		enum frame_result result = frame_fill(&channel->in, channel->fd);

		if (result == FRAME_END || result == FRAME_BROKEN || !handle_frames(channel))
			break;
	}
	if (!channel->closed) {
		channel->broken = true;
		if (channel->ops->closed)
			channel->ops->closed(channel, channel->context);
	}
	if (!channel->closed)
		channel_shut(channel);
	channel->ended = true;
	if (!channel->flushing)
		channel_free(channel);
}

static int
set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags == -1 ? -1 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

struct channel *
channel_open(const char *name, int fd, const struct channel_ops *ops, void *context)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	socklen_t size = sizeof(channel->peer);

	if (!channel)
		return NULL;
	channel->fd = fd;
	channel->ops = ops;
	channel->context = context;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &channel->peer, &size) == -1)
		channel->peer = (struct ucred){.pid = 0, .uid = (uid_t)-1, .gid = (gid_t)-1};
	if (set_nonblocking(fd) == -1)
		goto fail;
	channel->readable = event_new(loop_base(), fd, EV_READ | EV_PERSIST, on_readable, channel);
	channel->writable = event_new(loop_base(), fd, EV_WRITE, on_writable, channel);
	if (!channel->readable || !channel->writable || event_add(channel->readable, NULL) == -1)
		goto fail;
	channel->reader = ph_task_spawn(name, reader_run, channel);
	if (!ph_task_alive(channel->reader))
		goto fail;
	return channel;
fail:
	channel->fd = -1; /* still the caller's */
	channel_shut(channel);
	free(channel);
	return NULL;
}

void
channel_close(struct channel *channel)
{
	if (!channel || channel->closed)
		return;
	flush(channel); /* one attempt: a farewell gets out where the peer reads */
	channel->closed = true;
	channel_shut(channel);
	if (channel->waiting)
		ph_unpark(channel->reader);
}

int
channel_send_fds(struct channel *channel, unsigned type, ph_span payload, const int *fds,
	size_t count)
{
	if (channel->broken || channel->closed ||
		frame_put(&channel->out, type, payload, fds, count) == -1)
		return -1;
	if (!channel->flushing && !channel->blocked) {
		channel->flushing = true;
		loop_at_round_end(on_round_end, channel);
	}
	return 0;
}

int
channel_send(struct channel *channel, unsigned type, ph_span payload)
{
	return channel_send_fds(channel, type, payload, NULL, 0);
}

bool
channel_is_open(const struct channel *channel)
{
	return !channel->broken && !channel->closed;
}

size_t
channel_pending(const struct channel *channel)
{
	return frame_waiting(&channel->out);
}

int
channel_peer(const struct channel *channel, uid_t *uid, pid_t *pid)
{
	if (channel->peer.uid == (uid_t)-1)
		return -1;
	*uid = channel->peer.uid;
	*pid = channel->peer.pid;
	return 0;
}
