#include "process/endpoints.h"

#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <sys/un.h>

enum { PROTOCOLS_ALL, PROTOCOLS_IPV4, PROTOCOLS_IPV6 };

static bool
wanted_family(const ph_endpoints *endpoints, int family)
{
	int protocols = endpoints->settings->inet_protocols;

	return family == AF_INET ? protocols != PROTOCOLS_IPV6 : protocols != PROTOCOLS_IPV4;
}

static bool
same_endpoint(const struct endpoint *a, const struct endpoint *b)
{
	if (a->is_unix != b->is_unix)
		return false;
	if (a->is_unix)
		return strcmp(a->path, b->path) == 0;
	return a->address.family == b->address.family && a->address.port == b->address.port &&
		memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes)) == 0;
}

static int
add_endpoint(ph_endpoints *endpoints, const struct endpoint *endpoint, ph_error *error)
{
	for (size_t i = 0; i < endpoints->count; i++) {
		const struct endpoint *other = &endpoints->items[i];

		if (!same_endpoint(other, endpoint))
			continue;
		if (other->listener == endpoint->listener)
			return 0; /* two names of one address */
		if (endpoint->is_unix || endpoint->address.port)
			return ph_error_set(error,
				"listener %s has the same address and port already",
				other->listener->name);
	}
	if (endpoints->count == endpoints->room) {
		size_t room = endpoints->room ? 2 * endpoints->room : 16;
		struct endpoint *items = ph_pool_array(endpoints->pool, room, sizeof(*items));

		if (!items)
			return ph_error_set(error, "out of memory");
		if (endpoints->count)
			memcpy(items, endpoints->items, endpoints->count * sizeof(*items));
		endpoints->items = items;
		endpoints->room = room;
	}
	endpoints->items[endpoints->count++] = *endpoint;
	return 0;
}

static int
add_address(ph_endpoints *endpoints, const char *text, uint16_t port, bool optional,
	ph_error *error)
{
	struct endpoint endpoint = {.listener = endpoints->listener, .optional = optional};

	if (ph_address_parse(ph_span_of(text), &endpoint.address) == -1)
		return ph_error_set(error, "%s is no address", text);
	endpoint.address.port = port;
	if (!wanted_family(endpoints, endpoint.address.family))
		return 0;
	return add_endpoint(endpoints, &endpoint, error);
}

/* Both families; IPv6 is optional where there is IPv4 beside it. Two sockets and not one for both:
 * so the addresses of clients are what they are, not mapped. */
static int
add_both(ph_endpoints *endpoints, const char *ipv4, const char *ipv6, uint16_t port,
	ph_error *error)
{
	bool optional = wanted_family(endpoints, AF_INET);

	if (add_address(endpoints, ipv4, port, false, error) == -1)
		return -1;
	return add_address(endpoints, ipv6, port, optional, error);
}

static int
add_host(ph_endpoints *endpoints, const char *name, uint16_t port, ph_error *error)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_family = AF_UNSPEC}, *list, *item;
	size_t before = endpoints->count, found = 0;
	int failed = getaddrinfo(name, NULL, &hints, &list);

	if (failed)
		return ph_error_set(error, "inet_interfaces: %s: %s", name, gai_strerror(failed));
	for (item = list; item && !failed; item = item->ai_next) {
		struct endpoint endpoint = {.listener = endpoints->listener};

		if (item->ai_family == AF_INET)
			memcpy(endpoint.address.bytes,
				&((const struct sockaddr_in *)(const void *)item->ai_addr)->sin_addr, 4);
		else if (item->ai_family == AF_INET6)
			memcpy(endpoint.address.bytes,
				&((const struct sockaddr_in6 *)(const void *)item->ai_addr)->sin6_addr, 16);
		else
			continue;
		if (!wanted_family(endpoints, item->ai_family))
			continue;
		endpoint.address.family = (uint16_t)item->ai_family;
		endpoint.address.port = port;
		endpoint.optional = item->ai_family == AF_INET6 &&
			wanted_family(endpoints, AF_INET);
		found++;
		failed = add_endpoint(endpoints, &endpoint, error);
	}
	freeaddrinfo(list);
	/* A host that has IPv6 addresses only must be listened on. */
	if (found && endpoints->count == before + 1)
		endpoints->items[before].optional = false;
	if (!failed && !found)
		return ph_error_set(error, "inet_interfaces: %s has no address of inet_protocols",
			name);
	return failed;
}

int
ph_endpoint_inet(ph_endpoints *endpoints, const ph_address *address_or_null, uint16_t port,
	ph_error *error)
{
	const ph_strings *interfaces = &endpoints->settings->inet_interfaces;
	ph_address address;
	int result = 0;

	if (address_or_null) {
		struct endpoint endpoint = {.listener = endpoints->listener,
			.address = *address_or_null};

		endpoint.address.port = port;
		return add_endpoint(endpoints, &endpoint, error);
	}
	for (size_t i = 0; i < interfaces->count && !result; i++) {
		const char *name = interfaces->items[i];
		size_t length = strlen(name);
		char bare[64];

		/* "[::1]" is an address too. */
		if (length > 2 && length < sizeof(bare) && name[0] == '[' &&
			name[length - 1] == ']') {
			memcpy(bare, name + 1, length - 2);
			bare[length - 2] = '\0';
			name = bare;
		}
		if (ph_strcasecmp(name, "all") == 0)
			result = add_both(endpoints, "0.0.0.0", "::", port, error);
		else if (ph_strcasecmp(name, "loopback-only") == 0)
			result = add_both(endpoints, "127.0.0.1", "::1", port, error);
		else if (ph_address_parse(ph_span_of(name), &address) == 0)
			result = add_address(endpoints, name, port, false, error);
		else
			result = add_host(endpoints, name, port, error);
	}
	return result;
}

int
ph_endpoint_unix(ph_endpoints *endpoints, const char *name, unsigned mode, ph_error *error)
{
	struct endpoint endpoint = {.listener = endpoints->listener, .is_unix = true, .mode = mode};

	if (!*name || *name == '.' || strchr(name, '/'))
		return ph_error_set(error, "\"%s\" is no name for a socket in run_directory", name);
	endpoint.path = ph_pool_printf(endpoints->pool, "%s/%s", endpoints->settings->run_directory,
		name);
	if (!endpoint.path)
		return ph_error_set(error, "out of memory");
	/* Room for the name under which it is made before it is renamed. */
	if (strlen(endpoint.path) + 12 > sizeof(((struct sockaddr_un *)0)->sun_path))
		return ph_error_set(error, "%s: too long for the path of a socket", endpoint.path);
	return add_endpoint(endpoints, &endpoint, error);
}

void
endpoints_collect(struct ph_endpoints *endpoints, ph_pool *pool, const struct config *config,
	struct problems *problems)
{
	const struct instance *listener;

	*endpoints = (struct ph_endpoints){.pool = pool, .settings = config_settings(config)};
	for (size_t i = 0; (listener = config_instance(config, PH_CLASS_LISTENER, i)); i++) {
		const struct ph_listener_ops *ops = listener->ops;
		size_t before = endpoints->count;
		ph_error error = {""};

		endpoints->listener = listener;
		if (!ops->endpoints)
			continue;
		if (ops->endpoints(listener->self, endpoints, &error) == -1)
			problems_add(problems, listener->file, listener->line, "listener %s: %s",
				listener->name, error.text);
		else if (endpoints->count == before)
			problems_warn(problems, listener->file, listener->line,
				"listener %s listens nowhere", listener->name);
	}
}
