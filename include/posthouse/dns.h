/*
 * posthouse/dns.h: DNS lookups that wait in the task and block nobody.
 *
 * Answers come from a validating resolver. A name that does not exist, a name without records of
 * the type, and a failure are three different things.
 */
#ifndef POSTHOUSE_DNS_H
#define POSTHOUSE_DNS_H

#include <posthouse/base.h>
#include <posthouse/task.h>

PH_BEGIN_DECLS

typedef enum ph_dns_type {
	PH_DNS_A = 1,
	PH_DNS_NS = 2,
	PH_DNS_CNAME = 5,
	PH_DNS_PTR = 12,
	PH_DNS_MX = 15,
	PH_DNS_TXT = 16,
	PH_DNS_AAAA = 28,
	PH_DNS_TLSA = 52
} ph_dns_type;

typedef enum ph_dns_result {
	PH_DNS_FOUND,
	PH_DNS_NODATA,    /* the name exists, without a record of this type */
	PH_DNS_NXDOMAIN,  /* the name does not exist */
	PH_DNS_TEMPFAIL   /* no answer, a server's failure, a bogus signature, cancelled: try later */
} ph_dns_result;

typedef struct ph_dns_answer ph_dns_answer;

/*
 * Looks up records; waits, up to dns_timeout. The name is absolute, with or without a final dot;
 * one that is no domain name gives NXDOMAIN. CNAMEs are followed. The answer lives in the pool and
 * is never NULL. Records of MX come sorted by preference.
 */
PH_API const ph_dns_answer *ph_dns_query(ph_pool *pool, ph_dns_type type, const char *name);
/* The PTR records of an address (in-addr.arpa, ip6.arpa). */
PH_API const ph_dns_answer *ph_dns_reverse(ph_pool *pool, const ph_address *address);

PH_API ph_dns_result ph_dns_status(const ph_dns_answer *answer);
/* Why a lookup failed, for a log line or a reply; "" otherwise. */
PH_API const char *ph_dns_reason(const ph_dns_answer *answer);
/* Was the answer validated by DNSSEC? */
PH_API bool ph_dns_secure(const ph_dns_answer *answer);
/* How many records. An index out of range gives "", 0 or no address. */
PH_API size_t ph_dns_count(const ph_dns_answer *answer);
/* The host name in an MX, NS, CNAME or PTR record, in lower case, without a final dot ("" for the
 * root, which in an MX record means "takes no mail", RFC 7505). */
PH_API const char *ph_dns_name(const ph_dns_answer *answer, size_t index);
/* The preference of an MX record. */
PH_API unsigned ph_dns_preference(const ph_dns_answer *answer, size_t index);
/* The address of an A or AAAA record. */
PH_API ph_address ph_dns_address(const ph_dns_answer *answer, size_t index);
/* The raw data of a record (TXT, TLSA, …), as in RFC 1035. */
PH_API ph_span ph_dns_data(const ph_dns_answer *answer, size_t index);

PH_END_DECLS

#endif
