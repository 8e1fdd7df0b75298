/*
 * Streams to others: connecting without blocking.
 */
#include <errno.h>
#include <netinet/in.h>
#include <posthouse/stream.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ground/sockaddr.h"

static int
connect_result(int fd)
{
	socklen_t size = sizeof(int);
	int result = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &result, &size) == -1 ? errno : result;
}

/* Completes a connect() in progress: 0, an errno, or a result of a wait below zero. */
static int
finish(int fd, ph_deadline deadline)
{
	ph_wait result = ph_wait_fd(fd, PH_WRITABLE, deadline);

	return result == PH_WAIT_OK ? connect_result(fd) : (int)result;
}

static int
start(int fd, const struct sockaddr *to, socklen_t size, ph_deadline deadline)
{
	if (connect(fd, to, size) == 0)
		return 0;
	if (errno == EINPROGRESS || errno == EINTR)
		return finish(fd, deadline);
	return errno;
}

/* The caller knows where to: only why not is said. */
static ph_stream *
refuse(int result, ph_error *error)
{
	if (result == PH_WAIT_TIMEOUT)
		ph_error_set(error, "Connection timed out");
	else if (result == PH_WAIT_CANCELLED)
		ph_error_set(error, "Connection attempt cancelled");
	else
		ph_error_set(error, "%s", strerror(result));
	return NULL;
}

/* 0 and the stream, or an errno, or a result of a wait below zero. */
static int
connect_to(const struct sockaddr *to, socklen_t to_size, const struct sockaddr *from,
	socklen_t from_size, ph_deadline deadline, ph_stream **stream)
{
	int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int result = 0;

	if (fd == -1)
		return errno;
	if (from != NULL && bind(fd, from, from_size) == -1)
		result = errno;
	if (result == 0)
		result = start(fd, to, to_size, deadline);
	if (result == 0) {
		*stream = ph_stream_new(fd);
		result = *stream == NULL ? ENOMEM : 0;
	}
	if (result != 0)
		close(fd);
	return result;
}

socklen_t
sockaddr_fill(struct sockaddr_storage *storage, const ph_address *address)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET, .sin_port = htons(address->port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(address->port),
		.sin6_scope_id = address->scope};

	memset(storage, 0, sizeof(*storage));
	if (address->family == AF_INET) {
		memcpy(&in4.sin_addr, address->bytes, sizeof(in4.sin_addr));
		memcpy(storage, &in4, sizeof(in4));
		return sizeof(in4);
	}
	if (address->family == AF_INET6) {
		memcpy(&in6.sin6_addr, address->bytes, sizeof(in6.sin6_addr));
		memcpy(storage, &in6, sizeof(in6));
		return sizeof(in6);
	}
	return 0;
}

void
sockaddr_read(const struct sockaddr_storage *storage, ph_address *address)
{
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	*address = (ph_address){.family = storage->ss_family};
	if (storage->ss_family == AF_INET) {
		memcpy(&in4, storage, sizeof(in4));
		memcpy(address->bytes, &in4.sin_addr, sizeof(in4.sin_addr));
		address->port = ntohs(in4.sin_port);
	} else if (storage->ss_family == AF_INET6) {
		memcpy(&in6, storage, sizeof(in6));
		memcpy(address->bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
		address->port = ntohs(in6.sin6_port);
		address->scope = in6.sin6_scope_id;
	}
}

ph_stream *
ph_stream_connect(const ph_address *address, const ph_address *source, ph_deadline deadline,
	ph_error *error)
{
	struct sockaddr_storage to, from;
	socklen_t to_size = sockaddr_fill(&to, address);
	socklen_t from_size = source == NULL ? 0 : sockaddr_fill(&from, source);
	ph_stream *stream = NULL;
	int result;

	if (to_size == 0)
		return refuse(EAFNOSUPPORT, error);
	result = connect_to((const struct sockaddr *)&to, to_size,
		from_size == 0 ? NULL : (const struct sockaddr *)&from, from_size, deadline,
		&stream);
	return result == 0 ? stream : refuse(result, error);
}

/* A full backlog of a Unix-domain socket answers EAGAIN and never becomes writable: it is tried
 * again until the deadline. */
ph_stream *
ph_stream_connect_unix(const char *path, ph_deadline deadline, ph_error *error)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t size = strlen(path);
	ph_stream *stream = NULL;
	int result;

	if (size >= sizeof(to.sun_path))
		return refuse(ENAMETOOLONG, error);
	memcpy(to.sun_path, path, size);
	for (;;) {
		result = connect_to(
			(const struct sockaddr *)&to, sizeof(to), NULL, 0, deadline, &stream);
		if (result != EAGAIN)
			break;
		result = PH_WAIT_TIMEOUT;
		if (ph_in(0) >= deadline)
			break;
		result = ph_sleep(ph_in(10));
		if (result != PH_WAIT_OK)
			break;
	}
	return result == 0 ? stream : refuse(result, error);
}
