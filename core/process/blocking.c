/* Channels for processes without a loop: one frame at a time, nothing read ahead. */
#include "process/frame.h"
#include "process/process.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
channel_connect_blocking(const char *path, ph_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof(address.sun_path))
		return ph_error_set(error, "%s: the path of a socket has at most %zu bytes", path,
			sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1)
		return ph_error_set(error, "socket: %s", strerror(errno));
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == -1) {
		ph_error_set(error, "%s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* Waits for the descriptor; deadline -1: for ever. 1, 0 when time is up, or -1. */
static int
wait_for(int fd, short what, int64_t deadline, ph_error *error)
{
	for (;;) {
		struct pollfd entry = {.fd = fd, .events = what};
		int64_t left = -1;

		if (deadline != -1) {
			left = deadline - process_clock();
			if (left < 0)
				left = 0;
			if (left > 3600 * 1000)
				left = 3600 * 1000;
		}
		int ready = poll(&entry, 1, (int)left);
		if (ready > 0)
			return 1;
		if (ready == 0 && deadline != -1 && process_clock() >= deadline)
			return 0;
		if (ready == -1 && errno != EINTR)
			return ph_error_set(error, "poll: %s", strerror(errno));
	}
}

static int
send_all(int fd, const char *data, size_t size, const int *fds, size_t count, ph_error *error)
{
	while (size) {
		ssize_t sent = frame_send(fd, data, size, fds, count, 0);

		if (sent == -1 && errno == EAGAIN) {
			if (wait_for(fd, POLLOUT, -1, error) == -1)
				return -1;
			continue;
		}
		if (sent == -1)
			return ph_error_set(error, "send: %s", strerror(errno));
		data += sent;
		size -= (size_t)sent;
		count = 0; /* they went with the first byte */
	}
	return 0;
}

int
channel_send_blocking(int fd, unsigned type, ph_span payload, const int *fds, size_t count,
	ph_error *error)
{
	char header[FRAME_HEADER];

	if (payload.size > CHANNEL_MAX_PAYLOAD || count > CHANNEL_MAX_FDS)
		return ph_error_set(error, "send: the frame is too large");
	frame_header(header, type, payload.size, count);
	if (send_all(fd, header, sizeof(header), fds, count, error) == -1)
		return -1;
	return send_all(fd, payload.data, payload.size, NULL, 0, error);
}

struct receiver {
	int fd;
	int64_t deadline;
	int fds[CHANNEL_MAX_FDS];
	size_t fd_count;
};

static void
receiver_drop(struct receiver *receiver, size_t keep)
{
	while (receiver->fd_count > keep)
		close(receiver->fds[--receiver->fd_count]);
}

/* 1; 0 when the peer closed before the first byte; -1. */
static int
receive_all(struct receiver *receiver, char *data, size_t size, ph_error *error)
{
	for (size_t done = 0; done < size;) {
		int fds[CHANNEL_MAX_FDS];
		size_t count;
		int ready = wait_for(receiver->fd, POLLIN, receiver->deadline, error);

		if (ready == -1)
			return -1;
		if (!ready)
			return ph_error_set(error, "no answer in time");
		ssize_t got = frame_recv(receiver->fd, data + done, size - done, fds, &count);
		if (got == -1 && errno == EAGAIN)
			continue;
		if (got == -1)
			return ph_error_set(error, "receive: %s", strerror(errno));
		for (size_t i = 0; i < count; i++) {
			if (receiver->fd_count < CHANNEL_MAX_FDS)
				receiver->fds[receiver->fd_count++] = fds[i];
			else
				close(fds[i]);
		}
		if (!got && !done)
			return 0;
		if (!got)
			return ph_error_set(error, "the connection ended within a message");
		done += (size_t)got;
	}
	return 1;
}

int
channel_receive_blocking(int fd, ph_pool *pool, unsigned *type, ph_span *payload, int *fds,
	size_t *fd_count, int64_t timeout_ms, ph_error *error)
{
	struct receiver receiver = {.fd = fd,
		.deadline = timeout_ms < 0 ? -1 : process_clock() + timeout_ms};
	char header[FRAME_HEADER];
	size_t size, count;
	int result = receive_all(&receiver, header, sizeof(header), error);

	if (result != 1)
		goto out;
	result = -1;
	if (!frame_header_parse(header, type, &size, &count) || receiver.fd_count < count) {
		ph_error_set(error, "receive: that is no message of ours");
		goto out;
	}
	char *data = ph_pool_alloc(pool, size + 1);
	if (!data) {
		ph_error_set(error, "receive: out of memory");
		goto out;
	}
	*payload = (ph_span){data, size};
	if (size && receive_all(&receiver, data, size, error) != 1) {
		ph_error_set(error, "the connection ended within a message");
		goto out;
	}
	if (fds && fd_count) {
		receiver_drop(&receiver, count);
		memcpy(fds, receiver.fds, receiver.fd_count * sizeof(int));
		*fd_count = receiver.fd_count;
		return 1;
	}
	result = 1;
out:
	receiver_drop(&receiver, 0);
	if (fd_count && result != 1)
		*fd_count = 0;
	return result;
}
