/*
 * What is known of addresses that were verified: a table in memory with a most of entries. Times
 * are seconds of the wall clock, given from outside.
 */
#ifndef QUEUE_VERIFY_CACHE_H
#define QUEUE_VERIFY_CACHE_H

#include "queue/verify_record.h"

struct settings;
struct verify_cache;

struct verify_limits {
	size_t entries;
	int64_t positive_expire, positive_refresh, negative_expire, negative_refresh; /* seconds */
	bool negative; /* is a failure remembered? */
};

struct verify_answer {
	enum verify_status status;
	const char *text;  /* until the cache changes; never NULL */
	bool probe;        /* it is time to find out (again) */
};

/* What the parameters address_verify_… say. */
struct verify_limits verify_limits_of(const struct settings *settings);

/* NULL: no memory. */
struct verify_cache *verify_cache_new(const struct verify_limits *limits);
void verify_cache_free(struct verify_cache *cache);
size_t verify_cache_count(const struct verify_cache *cache);

/* From when on a record is probed again, and when it is forgotten. */
void verify_cache_times(const struct verify_cache *cache, const struct verify_record *record,
	int64_t *refresh, int64_t *expire);
/* Is that the address, in any case, or is it in that domain ("example.com", "@example.com")?
 * "ALL": yes. */
bool verify_address_is(ph_span address, const char *what);
/* Forgets those addresses. How many. */
size_t verify_cache_remove(struct verify_cache *cache, const char *what);

/* What is known of an address now. An entry that has expired is forgotten; with answer->probe the
 * caller sends a probe: for some time nobody else is told to. */
void verify_cache_look(struct verify_cache *cache, ph_span address, int64_t now,
	struct verify_answer *answer);
/*
 * The outcome of a probe. A failure does not take the place of a success that has not expired: that
 * goes when its time is over, or a later probe renews it. True: it was remembered (and the record
 * is to be kept); the oldest of those that failed, or of all, may have gone for it.
 */
bool verify_cache_put(struct verify_cache *cache, const struct verify_record *record, int64_t now);
/* The same for what a file has: the last one holds. False: it has expired, or there is no
 * memory. */
bool verify_cache_load(struct verify_cache *cache, const struct verify_record *record, int64_t now);
/* Calls fn with all, the oldest first of those that failed and then of the others. */
void verify_cache_each(const struct verify_cache *cache,
	void (*fn)(void *context, const struct verify_record *record), void *context);

#endif
