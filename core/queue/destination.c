/*
 * Destinations: their queues, how much they are trusted with, and those that do not answer.
 */
#include "queue/schedule_inside.h"

#include <stdlib.h>
#include <string.h>

static uint32_t
hash_key(const struct route *route, const char *key)
{
	uint32_t hash = 2166136261u ^ (uint32_t)((uintptr_t)route >> 4);

	for (; *key != '\0'; key++)
		hash = (hash ^ (unsigned char)*key) * 16777619u;
	return hash;
}

static void
lower(char *text)
{
	for (; *text != '\0'; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text += 'a' - 'A';
}

struct route *
scheduler_route(struct scheduler *scheduler, const struct instance *instance, const char *name,
	bool local)
{
	struct route *route;
	size_t size = strlen(name) + 1;

	TAILQ_FOREACH(route, &scheduler->routes, link)
		if (strcmp(route->name, name) == 0)
			return route;
	if ((route = calloc(1, sizeof(*route) + size)) == NULL)
		return NULL;
	route->instance = instance;
	route->name = memcpy(route + 1, name, size);
	route->local = local;
	TAILQ_INIT(&route->ready);
	TAILQ_INSERT_TAIL(&scheduler->routes, route, link);
	return route;
}

/* ---- Coming and going ------------------------------------------------------------------------ */

static void
unlist(struct scheduler *scheduler, struct destination *destination)
{
	switch (destination->listed) {
	case DESTINATION_READY:
		TAILQ_REMOVE(&destination->route->ready, destination, link);
		break;
	case DESTINATION_IDLE:
		TAILQ_REMOVE(&scheduler->idle, destination, link);
		scheduler->idle_count--;
		break;
	case DESTINATION_UNLISTED:
		break;
	}
	destination->listed = DESTINATION_UNLISTED;
}

static void
destination_free(struct scheduler *scheduler, struct destination *destination)
{
	struct destination **at =
		&scheduler->by_key[destination->hash & (scheduler->by_key_size - 1)];

	unlist(scheduler, destination);
	while (*at != destination)
		at = &(*at)->hash_next;
	*at = destination->hash_next;
	scheduler->destination_count--;
	free(destination->status);
	free(destination->reason);
	free(destination);
}

static void
rehash(struct scheduler *scheduler)
{
	size_t size = scheduler->by_key_size * 2;
	struct destination **table = calloc(size, sizeof(struct destination *));

	if (table == NULL)
		return; /* slower, but as good */
	for (size_t i = 0; i < scheduler->by_key_size; i++)
		while (scheduler->by_key[i] != NULL) {
			struct destination *moved = scheduler->by_key[i];

			scheduler->by_key[i] = moved->hash_next;
			moved->hash_next = table[moved->hash & (size - 1)];
			table[moved->hash & (size - 1)] = moved;
		}
	free(scheduler->by_key);
	scheduler->by_key = table;
	scheduler->by_key_size = size;
}

static struct destination *
destination_new(struct scheduler *scheduler, struct route *route, const char *key,
	const char *nexthop)
{
	size_t key_size = strlen(key) + 1, nexthop_size = strlen(nexthop) + 1;
	struct destination *destination = calloc(1, sizeof(*destination) + key_size + nexthop_size);
	char *texts;

	if (destination == NULL)
		return NULL;
	texts = (char *)(destination + 1);
	destination->key = memcpy(texts, key, key_size);
	destination->nexthop = memcpy(texts + key_size, nexthop, nexthop_size);
	destination->route = route;
	destination->hash = hash_key(route, key);
	destination->limit = route->local ? scheduler->limits.local_concurrency
		: scheduler->limits.concurrency;
	/* a local user's mailbox need not be tried out: nobody but us would be overrun */
	destination->window = route->local ? destination->limit
		: scheduler->limits.initial_concurrency;
	if (destination->window > destination->limit)
		destination->window = destination->limit;
	TAILQ_INIT(&destination->entries);
	if (scheduler->destination_count >= scheduler->by_key_size)
		rehash(scheduler);
	destination->hash_next =
		scheduler->by_key[destination->hash & (scheduler->by_key_size - 1)];
	scheduler->by_key[destination->hash & (scheduler->by_key_size - 1)] = destination;
	scheduler->destination_count++;
	return destination;
}

struct destination *
scheduler_destination(struct scheduler *scheduler, struct route *route, const char *nexthop,
	const char *user)
{
	size_t size = strlen(nexthop) + strlen(user) + 2;
	char *key = malloc(size);
	struct destination *at;
	uint32_t hash;

	if (key == NULL)
		return NULL;
	/* a space is in no next hop's name: the two parts cannot run into each other */
	strcpy(stpcpy(stpcpy(key, nexthop), *user == '\0' ? "" : " "), user);
	lower(key);
	hash = hash_key(route, key);
	for (at = scheduler->by_key[hash & (scheduler->by_key_size - 1)]; at != NULL;
		at = at->hash_next)
		if (at->hash == hash && at->route == route && strcmp(at->key, key) == 0)
			break;
	if (at == NULL)
		at = destination_new(scheduler, route, key, nexthop);
	free(key);
	return at;
}

/* What the destination has shown is remembered for a while; the oldest memory goes first. */
static void
retire(struct scheduler *scheduler, struct destination *destination)
{
	bool remember = destination->dead_until > scheduler->now ||
		(!destination->route->local &&
		destination->window != scheduler->limits.initial_concurrency);

	if (!remember) {
		destination_free(scheduler, destination);
		return;
	}
	if (destination->listed != DESTINATION_IDLE) {
		unlist(scheduler, destination);
		destination->listed = DESTINATION_IDLE;
		TAILQ_INSERT_TAIL(&scheduler->idle, destination, link);
		scheduler->idle_count++;
	}
	if (scheduler->idle_count > scheduler->limits.destinations)
		destination_free(scheduler, TAILQ_FIRST(&scheduler->idle));
}

void
destination_update(struct scheduler *scheduler, struct destination *destination)
{
	bool queued = !TAILQ_EMPTY(&destination->entries);
	bool ready = queued && destination->busy < destination->window;

	if (!queued && destination->busy == 0) {
		retire(scheduler, destination);
		return;
	}
	if (ready == (destination->listed == DESTINATION_READY))
		return;
	unlist(scheduler, destination);
	if (ready) {
		destination->listed = DESTINATION_READY;
		TAILQ_INSERT_TAIL(&destination->route->ready, destination, link);
	}
}

void
destination_rotate(struct scheduler *scheduler, struct destination *destination)
{
	unlist(scheduler, destination);
	destination_update(scheduler, destination);
}

void
destinations_free(struct scheduler *scheduler)
{
	struct route *route;

	for (size_t i = 0; i < scheduler->by_key_size; i++)
		while (scheduler->by_key[i] != NULL)
			destination_free(scheduler, scheduler->by_key[i]);
	while ((route = TAILQ_FIRST(&scheduler->routes)) != NULL) {
		TAILQ_REMOVE(&scheduler->routes, route, link);
		free(route);
	}
}

/* ---- Queues ---------------------------------------------------------------------------------- */

void
entry_free(struct entry *entry)
{
	TAILQ_REMOVE(&entry->destination->entries, entry, of_destination);
	TAILQ_REMOVE(&entry->message->body->entries, entry, of_message);
	free(entry->numbers);
	free(entry);
}

static struct entry *
find_entry(struct destination *destination, struct message *message)
{
	struct entry *entry = TAILQ_LAST(&destination->entries, entry_list);

	if (entry == NULL || entry->message == message)
		return entry;
	TAILQ_FOREACH(entry, &message->body->entries, of_message)
		if (entry->destination == destination)
			return entry;
	return NULL;
}

static struct entry *
entry_new(struct destination *destination, struct message *message)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (entry == NULL)
		return NULL;
	entry->message = message;
	entry->destination = destination;
	TAILQ_INSERT_TAIL(&destination->entries, entry, of_destination);
	TAILQ_INSERT_TAIL(&message->body->entries, entry, of_message);
	return entry;
}

static int
entry_push(struct entry *entry, uint32_t number)
{
	if (entry->head > 0 && entry->head == entry->count)
		entry->head = entry->count = 0;
	if (entry->count == entry->room) {
		uint32_t room = entry->room == 0 ? 2 : entry->room * 2;
		uint32_t *bigger = realloc(entry->numbers, room * sizeof(*bigger));

		if (bigger == NULL)
			return -1;
		entry->numbers = bigger;
		entry->room = room;
	}
	entry->numbers[entry->count++] = number;
	return 0;
}

int
destination_queue(struct scheduler *scheduler, struct destination *destination,
	struct message *message, uint32_t number)
{
	struct entry *entry = find_entry(destination, message);

	if (entry == NULL && (entry = entry_new(destination, message)) == NULL) {
		destination_update(scheduler, destination);
		return -1;
	}
	if (entry_push(entry, number) == -1) {
		if (entry->head == entry->count)
			entry_free(entry);
		destination_update(scheduler, destination);
		return -1;
	}
	body_set_state(message->body, number, RCPT_QUEUED);
	destination_update(scheduler, destination);
	return 0;
}

/* ---- Trust ----------------------------------------------------------------------------------- */

bool
destination_is_dead(const struct scheduler *scheduler, struct destination *destination)
{
	if (destination->dead_until == 0)
		return false;
	if (destination->dead_until > scheduler->now)
		return true;
	destination->dead_until = 0;
	destination->proven = false;
	destination->window = scheduler->limits.initial_concurrency;
	if (destination->window > destination->limit)
		destination->window = destination->limit;
	return false;
}

void
destination_answered(struct destination *destination)
{
	destination->proven = true;
	destination->dead_until = 0;
	if (destination->window < destination->limit)
		destination->window++;
}

/* Everything queued there is put off, without an attempt, for the same reason. */
static void
suspend(struct scheduler *scheduler, struct destination *destination)
{
	struct entry *entry;
	struct message *message;

	while ((entry = TAILQ_FIRST(&destination->entries)) != NULL) {
		message = entry->message;
		for (; entry->head < entry->count; entry->head++) {
			uint32_t number = entry->numbers[entry->head];

			body_set_reason(message->body, number, destination->status,
				destination->reason, "none");
			body_set_state(message->body, number, RCPT_DEFERRED);
			scheduler->ops->suspended(scheduler->context, message, number);
		}
		entry_free(entry);
		message_check_over(scheduler, message);
	}
}

void
destination_failed(struct scheduler *scheduler, struct destination *destination, const char *status,
	const char *reason)
{
	char *new_status = strdup(status), *new_reason = strdup(reason);

	if (destination->proven && destination->window > 1) {
		destination->window /= 2;
		free(new_status);
		free(new_reason);
		return;
	}
	if (new_status == NULL || new_reason == NULL) {
		free(new_status);
		free(new_reason);
		return;
	}
	free(destination->status);
	free(destination->reason);
	destination->status = new_status;
	destination->reason = new_reason;
	destination->proven = false;
	destination->window = 1;
	destination->dead_until = scheduler->now + scheduler->limits.minimal_backoff;
	suspend(scheduler, destination);
}

void
scheduler_revive(struct scheduler *scheduler, const char *nexthop)
{
	struct destination *at, *next;

	for (at = TAILQ_FIRST(&scheduler->idle); at != NULL; at = next) {
		next = TAILQ_NEXT(at, link);
		if (nexthop == NULL || ph_strcasecmp(at->nexthop, nexthop) == 0)
			destination_free(scheduler, at);
	}
	for (size_t i = 0; i < scheduler->by_key_size; i++)
		for (at = scheduler->by_key[i]; at != NULL; at = at->hash_next)
			if (nexthop == NULL || ph_strcasecmp(at->nexthop, nexthop) == 0)
				at->dead_until = 0;
}
