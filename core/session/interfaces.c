/*
 * The addresses of this host on which it receives mail: learnt once, when the role starts.
 */
#include "session/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "session/sockaddress.h"

static struct {
	size_t count, room;
	ph_address *items;
} interfaces;

static int
add(ph_address added)
{
	added.port = 0;
	if ((added.family != AF_INET && added.family != AF_INET6) || interfaces_have(&added))
		return 0;
	if (interfaces.count == interfaces.room) {
		size_t room = interfaces.room == 0 ? 8 : interfaces.room * 2;
		ph_address *items = reallocarray(interfaces.items, room, sizeof(*items));

		if (items == NULL)
			return -1;
		interfaces.items = items;
		interfaces.room = room;
	}
	interfaces.items[interfaces.count++] = added;
	return 0;
}

static bool
is_wildcard(const ph_address *address)
{
	static const uint8_t zero[16];

	return memcmp(address->bytes, zero, sizeof(zero)) == 0;
}

/* The addresses of all interfaces; IPv4 only for a socket that has only these. */
static int
add_all(int family)
{
	struct ifaddrs *list;
	int result = 0;

	if (getifaddrs(&list) == -1)
		return -1;
	for (const struct ifaddrs *i = list; i != NULL && result == 0; i = i->ifa_next)
		if (i->ifa_addr != NULL &&
			(family == AF_INET6 || i->ifa_addr->sa_family == AF_INET))
			result = add(sockaddress_read(i->ifa_addr));
	freeifaddrs(list);
	return result;
}

int
interfaces_add(const ph_address *address, ph_error *error)
{
	if ((is_wildcard(address) ? add_all(address->family) : add(*address)) == -1)
		return ph_error_set(error, "addresses of this host: %s", strerror(errno));
	return 0;
}

int
interfaces_open(const int *fds, size_t count, ph_error *error)
{
	interfaces_close();
	for (size_t i = 0; i < count; i++) {
		struct sockaddr_storage name;
		struct sockaddr *any = (struct sockaddr *)&name;
		socklen_t size = sizeof(name);
		ph_address address;

		memset(&name, 0, sizeof(name));
		if (getsockname(fds[i], any, &size) == -1)
			return ph_error_set(error, "address of a listening socket: %s",
				strerror(errno));
		if (any->sa_family != AF_INET && any->sa_family != AF_INET6)
			continue;
		address = sockaddress_read(any);
		if (interfaces_add(&address, error) == -1)
			return -1;
	}
	return 0;
}

void
interfaces_close(void)
{
	free(interfaces.items);
	memset(&interfaces, 0, sizeof(interfaces));
}

bool
interfaces_have(const ph_address *address)
{
	for (size_t i = 0; i < interfaces.count; i++)
		if (ph_address_equal(&interfaces.items[i], address))
			return true;
	return false;
}
