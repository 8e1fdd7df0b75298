/* Named sockets on which channels begin. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "process/channel.h"

struct channel_listener {
	int fd;
	void (*accept)(int fd, void *context);
	void *context;
	ph_task task;
	bool stopped;
};

/* Binds under a name of its own and renames it: at no time is there nothing, or nobody, under the
 * path, and a process that is about to end cannot take its successor's socket away. */
static int
bind_path(int fd, const char *path, unsigned mode, ph_error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s.%ld", path,
		(long)getpid());

	if (length < 0 || (size_t)length >= sizeof(address.sun_path))
		return ph_error_set(error, "%s: the path of a socket has at most %zu bytes", path,
			sizeof(address.sun_path) - 12);
	unlink(address.sun_path);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == -1)
		return ph_error_set(error, "%s: %s", address.sun_path, strerror(errno));
	if (chmod(address.sun_path, mode) == -1 || listen(fd, 1024) == -1 ||
		rename(address.sun_path, path) == -1) {
		ph_error_set(error, "%s: %s", path, strerror(errno));
		unlink(address.sun_path);
		return -1;
	}
	return 0;
}

static bool
accept_one(struct channel_listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd != -1) {
		listener->accept(fd, listener->context);
		return true;
	}
	/* Out of descriptors or memory: that passes, and spinning does not help it. */
	if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		return ph_sleep(ph_in(100)) != PH_WAIT_CANCELLED;
	return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
}

static void
listener_run(void *argument)
{
	struct channel_listener *listener = argument;

	while (!listener->stopped && ph_wait_fd(listener->fd, PH_READABLE, PH_NEVER) == PH_WAIT_OK)
		if (!accept_one(listener))
			break;
	close(listener->fd);
	free(listener);
}

struct channel_listener *
channel_listen(const char *path, unsigned mode, void (*accept)(int fd, void *context),
	void *context, ph_error *error)
{
	struct channel_listener *listener = calloc(1, sizeof(*listener));

	if (!listener) {
		ph_error_set(error, "%s: out of memory", path);
		return NULL;
	}
	*listener = (struct channel_listener){.accept = accept, .context = context};
	listener->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd == -1) {
		ph_error_set(error, "%s: %s", path, strerror(errno));
		goto fail;
	}
	if (bind_path(listener->fd, path, mode, error) == -1)
		goto fail;
	listener->task = ph_task_spawn("listener", listener_run, listener);
	if (!ph_task_alive(listener->task)) {
		ph_error_set(error, "%s: no task is left", path);
		goto fail;
	}
	return listener;
fail:
	if (listener->fd != -1)
		close(listener->fd);
	free(listener);
	return NULL;
}

void
channel_unlisten(struct channel_listener *listener)
{
	if (!listener)
		return;
	/* The task closes the socket and frees the handle; the path stays: it may be the
	 * successor's. */
	listener->stopped = true;
	shutdown(listener->fd, SHUT_RDWR);
	ph_task_cancel(listener->task);
}
