/*
 * What a next hop of transport_error says: "5.1.1 no such user", "4.7.1 come back later", "go
 * away".
 */
#ifndef TRANSPORT_ERROR_VERDICT_H
#define TRANSPORT_ERROR_VERDICT_H

#include <posthouse/base.h>

struct verdict {
	bool later;
	char status[12];
	const char *text; /* within the next hop, or constant */
};

/* Pure. Without an enhanced status code (RFC 3463) of class 4 or 5 it is 5.0.0. */
struct verdict verdict_of(const char *nexthop);

#endif
