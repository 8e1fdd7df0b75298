#include "cache.h"

#include <posthouse/task.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* More unused connections than this are not worth their descriptors. */
#define MAX_KEPT 200

struct connection_cache {
	struct client *first; /* most recently used first */
	size_t count;
	int64_t time_limit;
	ph_task keeper;       /* closes what expired; lives while something is kept */
};

static void
close_expired(struct connection_cache *cache, int64_t now)
{
	struct client **link = &cache->first;

	while (*link != NULL) {
		struct client *client = *link;

		if (client->expires > now) {
			link = &client->next;
			continue;
		}
		*link = client->next;
		cache->count--;
		client_close(client);
	}
}

static void
keep(void *argument)
{
	struct connection_cache *cache = argument;

	while (cache->first != NULL && !ph_task_cancelled()) {
		ph_sleep(ph_in(cache->time_limit / 2 + 1));
		close_expired(cache, ph_now());
	}
	cache->keeper = (ph_task){0, 0};
}

struct connection_cache *
cache_new(int64_t time_limit)
{
	struct connection_cache *cache = calloc(1, sizeof *cache);

	if (cache != NULL)
		cache->time_limit = time_limit;
	return cache;
}

void
cache_free(struct connection_cache *cache)
{
	if (cache == NULL)
		return;
	cache->time_limit = 0;
	ph_task_cancel(cache->keeper);
	ph_task_join(cache->keeper, ph_in(1000));
	close_expired(cache, PH_NEVER);
	free(cache);
}

struct client *
cache_take(struct connection_cache *cache, const char *key)
{
	for (struct client **link = &cache->first; *link != NULL; link = &(*link)->next) {
		struct client *client = *link;

		if (strcmp(client->key, key) != 0)
			continue;
		*link = client->next;
		cache->count--;
		return client;
	}
	return NULL;
}

void
cache_give(struct connection_cache *cache, const char *key, struct client *client)
{
	if (client->broken || cache->time_limit == 0 || cache->count >= MAX_KEPT ||
		(size_t)snprintf(client->key, sizeof client->key, "%s", key) >= sizeof client->key) {
		client_close(client);
		return;
	}
	client->expires = ph_now() + cache->time_limit;
	client->next = cache->first;
	cache->first = client;
	cache->count++;
	if (!ph_task_alive(cache->keeper))
		cache->keeper = ph_task_spawn("kept connections", keep, cache);
	if (!ph_task_alive(cache->keeper))
		close_expired(cache, PH_NEVER);
}
