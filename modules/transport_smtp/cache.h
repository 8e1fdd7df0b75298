/*
 * Connections that are kept after a delivery, for the next one to the same next hop.
 */
#ifndef SMTP_CACHE_H
#define SMTP_CACHE_H

#include "client.h"

struct connection_cache;

/* time_limit: how long an unused connection is kept, milliseconds; 0: not at all. */
struct connection_cache *cache_new(int64_t time_limit);
/* Says QUIT on all of them and frees the cache; in a task. */
void cache_free(struct connection_cache *cache);
/* The connection used last, or NULL. It is the caller's. */
struct client *cache_take(struct connection_cache *cache, const char *key);
/* Keeps a sound connection, closes another. */
void cache_give(struct connection_cache *cache, const char *key, struct client *client);

#endif
