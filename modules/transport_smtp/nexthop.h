/*
 * The next hop as relayhost and transport tables write it: "domain", "host:port", "[host]",
 * "[host]:port", "[address]", "[IPv6:address]:port". Brackets turn off MX lookups.
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
};

/* 0, or -1 and what is wrong with the text. */
int nexthop_parse(const char *text, uint16_t default_port, struct nexthop *hop, ph_error *error);

#endif
