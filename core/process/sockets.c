#include "process/sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, PORT_ATTEMPTS = 20 };

static uint16_t
port_of_address(const struct sockaddr_storage *address)
{
	return ntohs(address->ss_family == AF_INET
			? ((const struct sockaddr_in *)(const void *)address)->sin_port
			: ((const struct sockaddr_in6 *)(const void *)address)->sin6_port);
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) == -1)
		return 0;
	return port_of_address(&address);
}

/* Is the socket the one that is asked for? A port that the kernel picked stays the listener's, also
 * when the configuration names it later or no longer. */
static bool
matches(const struct listening *item, const struct socket_request *request)
{
	const struct socket_request *have = &item->request;

	if (have->is_unix != request->is_unix)
		return false;
	if (have->is_unix)
		return strcmp(have->path, request->path) == 0;
	if (have->address.family != request->address.family ||
		memcmp(have->address.bytes, request->address.bytes, sizeof(have->address.bytes)) != 0)
		return false;
	if (request->address.port)
		return port_of(item->fd) == request->address.port;
	return have->address.port == 0 && strcmp(have->listener, request->listener) == 0;
}

static struct listening *
sockets_find(struct sockets *sockets, const struct socket_request *request)
{
	for (size_t i = 0; i < sockets->count; i++)
		if (matches(&sockets->items[i], request))
			return &sockets->items[i];
	return NULL;
}

static socklen_t
make_address(const ph_address *address, uint16_t port, struct sockaddr_storage *storage)
{
	*storage = (struct sockaddr_storage){0};
	if (address->family == AF_INET) {
		struct sockaddr_in *in = (void *)storage;

		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		memcpy(&in->sin_addr, address->bytes, 4);
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (void *)storage;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	in6->sin6_scope_id = address->scope;
	memcpy(&in6->sin6_addr, address->bytes, 16);
	return sizeof(*in6);
}

/* The port of another address of the same listener, where the kernel picks: all are to have one. */
static uint16_t
picked_port(const struct sockets *sockets, const struct socket_request *request)
{
	for (size_t i = 0; i < sockets->count; i++) {
		const struct socket_request *other = &sockets->items[i].request;

		if (!other->is_unix && !other->address.port &&
			strcmp(other->listener, request->listener) == 0)
			return port_of(sockets->items[i].fd);
	}
	return 0;
}

static void
set_shared(int fd, int on)
{
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
}

/* Our own sockets on that port: may another one be bound beside them? How many there are. */
static size_t
set_port_shared(const struct sockets *sockets, const struct socket_request *request, uint16_t port,
	int on)
{
	size_t count = 0;

	for (size_t i = 0; i < sockets->count; i++) {
		const struct listening *item = &sockets->items[i];

		if (!item->request.is_unix &&
			item->request.address.family == request->address.family &&
			port_of(item->fd) == port) {
			set_shared(item->fd, on);
			count++;
		}
	}
	return count;
}

/* 0.0.0.0:25 and 127.0.0.1:25 exclude each other, and a reload that goes from one to the other
 * needs both for a while. The socket options say so for no longer than the call takes: others, a
 * second daemon of the same user too, are still told that the port is in use. */
static int
bind_beside(const struct sockets *sockets, const struct socket_request *request, int fd,
	const struct sockaddr_storage *address, socklen_t size)
{
	uint16_t port = port_of_address(address);
	int result, failed;

	if (!set_port_shared(sockets, request, port, 1)) {
		errno = EADDRINUSE; /* it is a stranger's */
		return -1;
	}
	set_shared(fd, 1);
	result = bind(fd, (const struct sockaddr *)address, size) == 0 ? listen(fd, BACKLOG) : -1;
	failed = errno;
	set_shared(fd, 0);
	set_port_shared(sockets, request, port, 0);
	errno = failed;
	return result;
}

/* A descriptor, or -1 with errno. */
static int
open_inet(const struct sockets *sockets, const struct socket_request *request, uint16_t port)
{
	struct sockaddr_storage address;
	socklen_t size = make_address(&request->address, port, &address);
	int on = 1;
	int fd = socket(request->address.family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd == -1)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		(request->address.family != AF_INET6 ||
			setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0)) {
		if (bind(fd, (const struct sockaddr *)&address, size) == 0) {
			if (listen(fd, BACKLOG) == 0)
				return fd;
		} else if (errno == EADDRINUSE && port &&
			bind_beside(sockets, request, fd, &address, size) == 0) {
			return fd;
		}
	}
	int failed = errno;
	close(fd);
	errno = failed;
	return -1;
}

/* Made under another name and renamed, so that an old socket in its place is simply replaced. */
static int
open_unix(const struct socket_request *request)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0),
		failed = ENAMETOOLONG;

	if (fd == -1)
		return -1;
	if ((size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s.new", request->path) <
		sizeof(address.sun_path)) {
		unlink(address.sun_path);
		if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
			chmod(address.sun_path, request->mode & 0777) == 0 &&
			listen(fd, BACKLOG) == 0 && rename(address.sun_path, request->path) == 0)
			return fd;
		failed = errno;
		unlink(address.sun_path);
	}
	close(fd);
	errno = failed;
	return -1;
}

static void
describe(const struct socket_request *request, char *text, size_t size)
{
	char address[PH_ADDRESS_TEXT];

	if (request->is_unix)
		snprintf(text, size, "%s", request->path);
	else if (request->address.family == AF_INET)
		snprintf(text, size, "%s:%u", ph_address_text(&request->address, address),
			request->address.port);
	else
		snprintf(text, size, "[%s]:%u", ph_address_text(&request->address, address),
			request->address.port);
}

static void
listening_close(struct listening *item)
{
	if (item->request.is_unix)
		unlink(item->request.path);
	close(item->fd);
	free((void *)(uintptr_t)item->request.listener);
	free((void *)(uintptr_t)item->request.path);
}

static int
sockets_add(struct sockets *sockets, const struct socket_request *request, int fd,
	unsigned generation)
{
	if (sockets->count == sockets->room) {
		size_t room = sockets->room ? 2 * sockets->room : 16;
		struct listening *items = realloc(sockets->items, room * sizeof(*items));

		if (!items)
			return -1;
		sockets->items = items;
		sockets->room = room;
	}
	struct listening item = {.request = *request, .fd = fd, .generation = generation};
	item.request.listener = strdup(request->listener);
	item.request.path = strdup(request->path ? request->path : "");
	if (!item.request.listener || !item.request.path) {
		free((void *)(uintptr_t)item.request.listener);
		free((void *)(uintptr_t)item.request.path);
		return -1;
	}
	sockets->items[sockets->count++] = item;
	return 0;
}

/* Drops the items behind the first count. */
static void
sockets_cut(struct sockets *sockets, size_t count)
{
	while (sockets->count > count)
		listening_close(&sockets->items[--sockets->count]);
}

/* One socket: 0, or -1 with errno. */
static int
acquire_one(struct sockets *sockets, const struct socket_request *request, unsigned generation,
	int *fd)
{
	struct listening *item = sockets_find(sockets, request);

	if (item) {
		item->generation = generation;
		*fd = item->fd;
		return 0;
	}
	uint16_t port = request->address.port;
	if (!request->is_unix && !port)
		port = picked_port(sockets, request);
	*fd = request->is_unix ? open_unix(request) : open_inet(sockets, request, port);
	if (*fd == -1)
		return -1;
	if (sockets_add(sockets, request, *fd, generation) == 0)
		return 0;
	close(*fd);
	*fd = -1;
	errno = ENOMEM;
	return -1;
}

static bool
may_be_missing(const struct socket_request *request, int failed)
{
	return request->optional && (failed == EAFNOSUPPORT || failed == EADDRNOTAVAIL);
}

int
sockets_acquire(struct sockets *sockets, const struct socket_request *requests, size_t count,
	unsigned generation, int *fds, ph_error *error)
{
	size_t before = sockets->count;
	char text[200];

	for (int attempt = 1;; attempt++) {
		size_t i = 0;

		while (i < count && (acquire_one(sockets, &requests[i], generation, &fds[i]) == 0 ||
				may_be_missing(&requests[i], errno)))
			i++;
		if (i == count)
			return 0;
		int failed = errno;
		sockets_cut(sockets, before);
		/* The port that the kernel picked for one address was taken on another. */
		if (failed == EADDRINUSE && !requests[i].is_unix && !requests[i].address.port &&
			attempt < PORT_ATTEMPTS)
			continue;
		describe(&requests[i], text, sizeof(text));
		return ph_error_set(error, "listener %s: cannot listen on %s: %s",
			requests[i].listener, text, strerror(failed));
	}
}

void
sockets_keep(struct sockets *sockets, unsigned generation)
{
	size_t kept = 0;

	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->items[i].generation != generation) {
			listening_close(&sockets->items[i]);
			continue;
		}
		sockets->items[i].serves = true;
		sockets->items[kept++] = sockets->items[i];
	}
	sockets->count = kept;
}

void
sockets_forget(struct sockets *sockets, unsigned generation)
{
	size_t kept = 0;

	for (size_t i = 0; i < sockets->count; i++) {
		if (sockets->items[i].generation == generation && !sockets->items[i].serves)
			listening_close(&sockets->items[i]);
		else
			sockets->items[kept++] = sockets->items[i];
	}
	sockets->count = kept;
}

void
sockets_close(struct sockets *sockets)
{
	sockets_cut(sockets, 0);
	free(sockets->items);
	*sockets = (struct sockets){0};
}
