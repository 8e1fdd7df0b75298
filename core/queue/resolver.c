/*
 * The resolver of a configuration: its classes of domains, its transports, this host's addresses.
 */
#include "queue/resolve.h"

#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "config/config.h"

/* Owned by the resolver; the addresses that mail to [literal] means. */
struct known {
	const struct config *config;
	ph_address *own;
	size_t own_count, own_room;
};

static enum domain_class
classify(void *context, const char *domain, ph_error *error)
{
	const struct known *known = context;

	return domain_class(config_settings(known->config), domain, error);
}

static bool
match_address(void *context, const ph_address *address)
{
	const struct known *known = context;

	for (size_t i = 0; i < known->own_count; i++)
		if (ph_address_equal(&known->own[i], address))
			return true;
	return false;
}

static const struct instance *
find_transport(void *context, const char *name)
{
	const struct known *known = context;

	return config_find(known->config, PH_CLASS_TRANSPORT, name);
}

static int
add_own(struct known *known, const ph_address *address)
{
	if (match_address(known, address))
		return 0;
	if (known->own_count == known->own_room) {
		size_t room = known->own_room * 2 + 8;
		ph_address *bigger = realloc(known->own, room * sizeof(*bigger));

		if (bigger == NULL)
			return -1;
		known->own = bigger;
		known->own_room = room;
	}
	known->own[known->own_count++] = *address;
	return 0;
}

static int
add_sockaddr(struct known *known, const struct sockaddr *name)
{
	ph_address address = {0};

	if (name == NULL)
		return 0;
	if (name->sa_family == AF_INET) {
		address.family = AF_INET;
		memcpy(address.bytes, &((const struct sockaddr_in *)(const void *)name)->sin_addr,
			4);
	} else if (name->sa_family == AF_INET6) {
		address.family = AF_INET6;
		memcpy(address.bytes, &((const struct sockaddr_in6 *)(const void *)name)->sin6_addr,
			16);
	} else {
		return 0;
	}
	return add_own(known, &address);
}

static int
add_interfaces(struct known *known)
{
	struct ifaddrs *list, *at;
	int result = 0;

	if (getifaddrs(&list) == -1)
		return 0;
	for (at = list; at != NULL && result == 0; at = at->ifa_next)
		result = add_sockaddr(known, at->ifa_addr);
	freeifaddrs(list);
	return result;
}

static int
add_name(struct known *known, const char *name)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list, *at;
	int result = 0;

	if (getaddrinfo(name, NULL, &hints, &list) != 0)
		return 0;
	for (at = list; at != NULL && result == 0; at = at->ai_next)
		result = add_sockaddr(known, at->ai_addr);
	freeaddrinfo(list);
	return result;
}

static int
find_own_addresses(struct known *known, const ph_strings *interfaces)
{
	int result = 0;

	for (size_t i = 0; i < interfaces->count && result == 0; i++) {
		const char *name = interfaces->items[i];
		size_t size = strlen(name);
		ph_address address;

		if (ph_strcasecmp(name, "all") == 0)
			result = add_interfaces(known);
		else if (ph_strcasecmp(name, "loopback-only") == 0)
			result = add_name(known, "localhost");
		else if (ph_address_parse(size > 2 && name[0] == '[' ? (ph_span){name + 1, size - 2}
			: ph_span_of(name), &address) == 0)
			result = add_own(known, &address);
		else
			result = add_name(known, name);
	}
	return result;
}

int
resolver_open(struct resolver *resolver, const struct config *config, ph_error *error)
{
	const struct settings *settings = config_settings(config);
	struct known *known = calloc(1, sizeof(*known));

	if (known == NULL)
		return ph_error_set(error, "no memory");
	known->config = config;
	*resolver = (struct resolver){
		.settings = settings,
		.context = known,
		.classify = classify,
		.is_own_address = match_address,
		.find = find_transport,
	};
	if (find_own_addresses(known, &settings->inet_interfaces) == -1) {
		resolver_close(resolver);
		return ph_error_set(error, "no memory");
	}
	return 0;
}

void
resolver_close(struct resolver *resolver)
{
	struct known *known = resolver->context;

	if (known != NULL)
		free(known->own);
	free(known);
	resolver->context = NULL;
}
