/*
 * Answers of the DNS, parsed. Pure: bytes in, records out (RFC 1035).
 */
#ifndef GROUND_DNSPACKET_H
#define GROUND_DNSPACKET_H

#include <posthouse/dns.h>

enum {
	DNS_NAME_WIRE = 255,  /* the longest name on the wire */
	DNS_NAME_TEXT = 1024  /* and as text, each byte written \DDD */
};

struct dns_record {
	const char *name; /* MX, NS, CNAME, PTR; else "" */
	ph_span data;
	ph_address address;
	uint32_t order; /* a random number: the order of equal preferences */
	uint16_t preference;
};

/* Lives in the pool of the query, all of it. */
struct ph_dns_answer {
	ph_dns_result result;
	bool secure;
	const char *reason;
	size_t count;
	struct dns_record *records;
};

/* The records of that type in the answer section; result FOUND, NODATA or NXDOMAIN. Any other
 * RCODE, a truncated or malformed packet: -1. rcode is set when there is a header. */
int dns_parse(ph_pool *pool, ph_dns_type type, const uint8_t *packet, size_t size,
	struct ph_dns_answer *answer, unsigned *rcode);
/* Is it a name that can be asked for: labels of 1 to 63 printable bytes, 253 in all? */
bool dns_is_name(ph_span name);
/* "MX". */
const char *dns_type_name(ph_dns_type type);

#endif
