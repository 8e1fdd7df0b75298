#include "connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <posthouse/module.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ADDRESSES_MAX = 8 };

/* The host's own resolver (/etc/hosts, NSS, services(5)): it blocks, so it runs on a thread. */
struct resolving {
	char host[256], port[64];
	int outcome;                /* of getaddrinfo() */
	ph_address addresses[ADDRESSES_MAX];
	size_t count;
};

static void
take_address(struct resolving *job, const struct sockaddr *name)
{
	ph_address *address = &job->addresses[job->count];
	struct sockaddr_in in4;
	struct sockaddr_in6 in6;

	*address = (ph_address){.family = name->sa_family};
	if (name->sa_family == AF_INET) {
		memcpy(&in4, name, sizeof(in4));
		memcpy(address->bytes, &in4.sin_addr, sizeof(in4.sin_addr));
		address->port = ntohs(in4.sin_port);
		job->count++;
	} else if (name->sa_family == AF_INET6) {
		memcpy(&in6, name, sizeof(in6));
		memcpy(address->bytes, &in6.sin6_addr, sizeof(in6.sin6_addr));
		address->port = ntohs(in6.sin6_port);
		address->scope = in6.sin6_scope_id;
		job->count++;
	}
}

static void
resolve(void *argument)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC};
	struct resolving *job = argument;
	struct addrinfo *found = NULL;

	job->outcome = getaddrinfo(job->host, job->port, &hints, &found);
	for (struct addrinfo *i = job->outcome == 0 ? found : NULL; i != NULL && job->count < ADDRESSES_MAX;
		i = i->ai_next)
		take_address(job, i->ai_addr);
	if (job->outcome == 0)
		freeaddrinfo(found);
}

/* One address after the other; each has its share of the time. */
static ph_stream *
try_addresses(const struct resolving *job, int64_t timeout, ph_error *error)
{
	ph_stream *stream = NULL;

	ph_error_set(error, "the name has no address");
	for (size_t i = 0; i < job->count && stream == NULL && !ph_task_cancelled(); i++)
		stream = ph_stream_connect(&job->addresses[i], NULL, ph_in(timeout / (int64_t)job->count),
			error);
	return stream;
}

static ph_stream *
connect_name(const struct service *service, int64_t timeout, ph_error *error)
{
	struct resolving *job = calloc(1, sizeof(*job));
	ph_stream *stream = NULL;

	if (job == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	snprintf(job->host, sizeof(job->host), "%s", service->host);
	snprintf(job->port, sizeof(job->port), "%s", service->port);
	if (ph_blocking(resolve, free, job, ph_in(timeout)) != PH_WAIT_OK) {
		ph_error_set(error, "looking up %s took too long", service->host);
		return NULL;
	}
	if (job->outcome == 0)
		stream = try_addresses(job, timeout, error);
	else
		ph_error_set(error, "looking up %s: %s", service->host, gai_strerror(job->outcome));
	free(job);
	return stream;
}

static ph_stream *
connect_path(const char *path, int64_t timeout, ph_error *error)
{
	char whole[256];

	if (path[0] == '/')
		return ph_stream_connect_unix(path, ph_in(timeout), error);
	if (snprintf(whole, sizeof(whole), "%s/%s", ph_global("queue_directory"), path) >=
		(int)sizeof(whole)) {
		ph_error_set(error, "%s", strerror(ENAMETOOLONG));
		return NULL;
	}
	return ph_stream_connect_unix(whole, ph_in(timeout), error);
}

ph_stream *
service_connect(const struct service *service, int64_t timeout, ph_error *error)
{
	ph_address address;
	int64_t port;

	if (service->host == NULL)
		return connect_path(service->path, timeout, error);
	if (ph_address_parse(ph_span_of(service->host), &address) != 0 ||
		ph_parse_int(ph_span_of(service->port), 1, 65535, &port) != 0)
		return connect_name(service, timeout, error);
	address.port = (uint16_t)port;
	return ph_stream_connect(&address, NULL, ph_in(timeout), error);
}
