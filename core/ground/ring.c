#include "ground/ring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	DATAGRAMS = 64,    /* of one sendmmsg() */
	PIPE_PIECE = 4096  /* what a pipe that polls writable takes without blocking (PIPE_BUF) */
};

bool
ring_put(struct ring *ring, const char *line, size_t size)
{
	if (size > sizeof(ring->bytes) - ring->used) {
		ring->dropped++;
		return false;
	}
	memcpy(ring->bytes + ring->used, line, size);
	ring->used += size;
	return true;
}

static void
take(struct ring *ring, size_t count)
{
	ring->used -= count;
	memmove(ring->bytes, ring->bytes + count, ring->used);
}

/* A full disk took a part of a line: other processes would go on in the middle of it, so the part
 * is cut off again, unless somebody has done so. Returns what stays written. */
static size_t
cut_torn_line(const struct ring *ring, size_t written)
{
	const char *newline = memrchr(ring->bytes, '\n', written);
	size_t whole = newline == NULL ? 0 : (size_t)(newline + 1 - ring->bytes);
	off_t end = lseek(ring->fd, 0, SEEK_CUR);
	struct stat status;

	if (end == -1 || fstat(ring->fd, &status) == -1 || status.st_size != end ||
		ftruncate(ring->fd, end - (off_t)(written - whole)) == -1)
		return written;
	return whole;
}

static void
drain_file(struct ring *ring)
{
	ssize_t written;

	do
		written = write(ring->fd, ring->bytes, ring->used);
	while (written == -1 && errno == EINTR);
	if (written <= 0)
		return;
	if ((size_t)written < ring->used && ring->bytes[written - 1] != '\n')
		take(ring, cut_torn_line(ring, (size_t)written));
	else
		take(ring, (size_t)written);
}

/* The description may be shared with strangers (a terminal), so it is not made non-blocking. */
static void
drain_pipe(struct ring *ring)
{
	size_t sent = 0;

	while (sent < ring->used) {
		struct pollfd poller = {.fd = ring->fd, .events = POLLOUT};
		size_t piece = ring->used - sent;
		ssize_t written;

		if (piece > PIPE_PIECE)
			piece = PIPE_PIECE;
		if (poll(&poller, 1, 0) != 1 || (poller.revents & POLLOUT) == 0)
			break;
		written = write(ring->fd, ring->bytes + sent, piece);
		if (written <= 0)
			break;
		sent += (size_t)written;
	}
	take(ring, sent);
}

int
ring_connect_syslog(void)
{
	const struct sockaddr_un log = {.sun_family = AF_UNIX, .sun_path = "/dev/log"};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd == -1)
		return -1;
	if (connect(fd, (const struct sockaddr *)&log, sizeof(log)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The log daemon comes and goes; a connection is tried once a second. */
static bool
reconnect(struct ring *ring)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (now.tv_sec < ring->retry_at)
		return false;
	ring->retry_at = now.tv_sec + 1;
	if (ring->fd != -1)
		close(ring->fd);
	ring->fd = ring_connect_syslog();
	return ring->fd != -1;
}

/* Fills the vectors from the start of the ring; the newlines are not sent. */
static unsigned
fill_datagrams(struct ring *ring, struct mmsghdr *messages, struct iovec *parts)
{
	char *at = ring->bytes;
	char *end = ring->bytes + ring->used;
	unsigned count = 0;

	while (at < end && count < DATAGRAMS) {
		char *newline = memchr(at, '\n', (size_t)(end - at));

		if (newline == NULL)
			newline = end;
		parts[count] = (struct iovec){.iov_base = at, .iov_len = (size_t)(newline - at)};
		messages[count] = (struct mmsghdr){
			.msg_hdr = {.msg_iov = &parts[count], .msg_iovlen = 1}};
		count++;
		at = newline + (newline < end);
	}
	return count;
}

static bool
is_lost(int error)
{
	return error == ECONNREFUSED || error == ENOTCONN || error == ECONNRESET ||
		error == EPIPE || error == ENOENT || error == EBADF;
}

static void
drain_syslog(struct ring *ring)
{
	static struct mmsghdr messages[DATAGRAMS];
	static struct iovec parts[DATAGRAMS];

	if (ring->fd == -1 && !reconnect(ring))
		return;
	while (ring->used > 0) {
		unsigned count = fill_datagrams(ring, messages, parts);
		int sent = sendmmsg(ring->fd, messages, count, MSG_NOSIGNAL | MSG_DONTWAIT);
		size_t bytes = 0;

		if (sent == -1 && errno == EMSGSIZE)
			sent = 1; /* nobody would take this line */
		if (sent <= 0) {
			if (sent == -1 && is_lost(errno) && reconnect(ring))
				continue;
			return;
		}
		for (int i = 0; i < sent; i++)
			bytes += parts[i].iov_len + 1;
		take(ring, bytes < ring->used ? bytes : ring->used);
	}
}

bool
ring_drain(struct ring *ring)
{
	if (ring->used == 0)
		return true;
	switch (ring->kind) {
	case RING_FILE:
		drain_file(ring);
		break;
	case RING_PIPE:
		drain_pipe(ring);
		break;
	case RING_SYSLOG:
		drain_syslog(ring);
		break;
	}
	return ring->used == 0;
}
