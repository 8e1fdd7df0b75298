#include "nexthop.h"

#include <posthouse/address.h>

#include <string.h>
#include <strings.h>

static int
parse_port(const char *text, uint16_t *port)
{
	static const struct {
		const char *name;
		uint16_t port;
	} services[] = {{"smtp", 25}, {"submission", 587}, {"lmtp", 24}};
	int64_t number;

	for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
		if (strcasecmp(text, services[i].name) == 0) {
			*port = services[i].port;
			return 0;
		}
	}
	if (ph_parse_int(ph_span_of(text), 1, 65535, &number) == -1)
		return -1;
	*port = (uint16_t)number;
	return 0;
}

static bool
parse_address(const char *host, ph_address *address)
{
	if (strncasecmp(host, "ipv6:", 5) == 0)
		host += 5;
	return ph_address_parse(ph_span_of(host), address) == 0;
}

int
nexthop_parse(const char *text, uint16_t default_port, struct nexthop *hop, ph_error *error)
{
	const char *rest, *host = text;
	size_t size;

	memset(hop, 0, sizeof *hop);
	hop->port = default_port;
	hop->use_mx = text[0] != '[';
	if (hop->use_mx) {
		rest = strrchr(text, ':');
		/* An IPv6 address without brackets has more than one colon and no port. */
		if (rest != NULL && memchr(text, ':', (size_t)(rest - text)) != NULL)
			return ph_error_set(error,
				"next hop \"%s\": write an IPv6 address in brackets", text);
		size = rest != NULL ? (size_t)(rest - text) : strlen(text);
	} else {
		host++;
		rest = strchr(host, ']');
		if (rest == NULL)
			return ph_error_set(error, "next hop \"%s\": the bracket is not closed",
				text);
		size = (size_t)(rest - host);
		rest++;
		if (*rest == '\0')
			rest = NULL;
		else if (*rest != ':')
			return ph_error_set(error,
				"next hop \"%s\": expected \":port\" after the bracket", text);
	}
	if (size == 0 || size >= sizeof hop->host)
		return ph_error_set(error, "next hop \"%s\": no host name", text);
	memcpy(hop->host, host, size);
	if (rest != NULL && parse_port(rest + 1, &hop->port) == -1)
		return ph_error_set(error,
			"next hop \"%s\": \"%s\" is no port (1 to 65535, smtp, submission, lmtp)",
			text, rest + 1);
	hop->is_address = parse_address(hop->host, &hop->address);
	if (hop->is_address)
		hop->use_mx = false;
	else if (!ph_is_hostname(hop->host))
		return ph_error_set(error, "next hop \"%s\": no valid host name", text);
	/* A port turns MX lookups off no more than in the field's other mailers: domain:port has
	 * MX. */
	hop->address.port = hop->port;
	return 0;
}

int
nexthop_parse_lmtp(const char *text, uint16_t default_port, struct nexthop *hop, ph_error *error)
{
	static const char in_unix[] = "unix:", in_inet[] = "inet:";

	if (strncasecmp(text, in_unix, sizeof in_unix - 1) == 0) {
		memset(hop, 0, sizeof *hop);
		hop->path = text + sizeof in_unix - 1;
		return *hop->path != '\0' ? 0
			: ph_error_set(error, "next hop \"%s\": no path of a socket, "
			"as in unix:private/lmtp", text);
	}
	if (strncasecmp(text, in_inet, sizeof in_inet - 1) == 0)
		text += sizeof in_inet - 1;
	if (nexthop_parse(text, default_port, hop, error) == -1)
		return -1;
	hop->use_mx = false;
	return 0;
}
