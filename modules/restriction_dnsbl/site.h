/*
 * A DNS list as the configuration names it: its domain, which of its answers count, its weight. Pure.
 */
#ifndef RESTRICTION_DNSBL_SITE_H
#define RESTRICTION_DNSBL_SITE_H

#include <posthouse/module.h>

/* Which values each of the four bytes of an answer may have: one bit each. */
struct reply_filter {
	uint8_t allowed[4][32];
};

/* Texts and filter live in the pool that it was parsed into. */
struct site {
	const char *text;   /* domain and filter as written: "zen.example=127.0.0.[2..11]" */
	const char *domain; /* without a final dot */
	const struct reply_filter *filter; /* NULL: every answer counts */
	int64_t weight;     /* negative: a welcome list */
};

struct sites {
	size_t count;
	const struct site *items;
};

enum { SITE_WEIGHT_MAX = 1000000 };

/*
 * "domain", "domain=filter" and, when it may be weighted, either with "*weight" behind it (without one it
 * weighs 1). A filter is four fields with dots between them; a field is a number from 0 to 255, or
 * alternatives in brackets with semicolons between them, each a number or a range: [1;3;5..9]. 0, or -1
 * with an error that says what was expected.
 */
int site_parse(struct site *site, ph_pool *pool, ph_span text, bool weighted, ph_error *error);

/* The value of a parameter, a list of them; its name stands in errors. 0 or -1. */
int sites_parse(struct sites *sites, ph_pool *pool, const char *parameter, const ph_strings *texts,
	bool weighted, ph_error *error);

/* Does an address that the list gave count? Only IPv4 addresses do. */
bool site_counts(const struct site *site, const ph_address *address);

#endif
