#include "session/sockaddress.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

ph_address
sockaddress_read(const struct sockaddr *address)
{
	const struct sockaddr_in *v4 = (const void *)address;
	const struct sockaddr_in6 *v6 = (const void *)address;
	ph_address result = {.family = address->sa_family};

	if (address->sa_family == AF_INET) {
		result.port = ntohs(v4->sin_port);
		memcpy(result.bytes, &v4->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		result.port = ntohs(v6->sin6_port);
		if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
			result.family = AF_INET;
			memcpy(result.bytes, v6->sin6_addr.s6_addr + 12, 4);
		} else {
			result.scope = v6->sin6_scope_id;
			memcpy(result.bytes, &v6->sin6_addr, 16);
		}
	}
	return result;
}
