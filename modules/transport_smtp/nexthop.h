/*
 * The next hop as relayhost and transport tables write it: "domain", "host:port", "[host]",
 * "[host]:port", "[address]", "[IPv6:address]:port". Brackets turn off MX lookups. For LMTP, where
 * there are none, also "unix:path" and "inet:" before any of these.
 */
#ifndef SMTP_NEXTHOP_H
#define SMTP_NEXTHOP_H

#include <posthouse/base.h>

struct nexthop {
	char host[256];     /* without brackets, without "IPv6:" */
	uint16_t port;
	bool use_mx;
	bool is_address;    /* host is an address; it is in address */
	ph_address address;
	const char *path;   /* of a Unix-domain socket, a part of the text; NULL: none, and host counts */
};

/* 0, or -1 and what is wrong with the text. */
int nexthop_parse(const char *text, uint16_t default_port, struct nexthop *hop, ph_error *error);
int nexthop_parse_lmtp(const char *text, uint16_t default_port, struct nexthop *hop,
	ph_error *error);

#endif
