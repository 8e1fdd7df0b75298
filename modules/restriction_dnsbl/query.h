/*
 * The names that DNS lists are asked for. Pure.
 */
#ifndef RESTRICTION_DNSBL_QUERY_H
#define RESTRICTION_DNSBL_QUERY_H

#include <posthouse/base.h>

/* A domain name of letters, digits, hyphens and underscores, whose last label is not all digits. */
bool query_is_domain(ph_span name);

/* The name for an address: its bytes (IPv6: its hexadecimal digits) in reverse order before the list's
 * domain. NULL: it is neither IPv4 nor IPv6, or there is no memory. */
const char *query_of_address(ph_pool *pool, const ph_address *address, const char *list);

/* The name for a domain, given as one or as a mail address in it, with or without a final dot. NULL: it is
 * no domain name of several labels, as address literals and "unknown" are none, or there is no memory. */
const char *query_of_domain(ph_pool *pool, const char *object, const char *list);

#endif
