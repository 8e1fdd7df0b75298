/*
 * The verification cache: see verify_cache.h.
 */
#include "queue/verify_cache.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "config/settings.h"
#include "ground/siphash.h"

/* A probe that has not come back after so many seconds is lost. */
#define PROBE_TIME 1000
/* A time that lies further ahead is of a clock that was wrong, seconds. */
#define CLOCK_SLACK 3600
#define FIRST_SIZE 256

struct entry {
	struct entry *hash_next;
	TAILQ_ENTRY(entry) link;
	int64_t updated;
	int64_t probed;      /* when somebody was last told to send a probe; 0: nobody */
	uint64_t hash;
	enum verify_status status;
	size_t address_size;
	char bytes[];        /* the address and the text, each with its NUL */
};

TAILQ_HEAD(entries, entry);

struct verify_cache {
	struct verify_limits limits;
	uint64_t secret[2];  /* addresses come from strangers */
	struct entry **slots;
	size_t size, count;  /* the size is a power of two */
	struct entries good, bad;
};

struct verify_limits
verify_limits_of(const struct settings *settings)
{
	return (struct verify_limits){.entries = (size_t)settings->address_verify_cache_limit,
		.positive_expire = settings->address_verify_positive_expire_time / 1000,
		.positive_refresh = settings->address_verify_positive_refresh_time / 1000,
		.negative_expire = settings->address_verify_negative_expire_time / 1000,
		.negative_refresh = settings->address_verify_negative_refresh_time / 1000,
		.negative = settings->address_verify_negative_cache};
}

struct verify_cache *
verify_cache_new(const struct verify_limits *limits)
{
	struct verify_cache *cache = calloc(1, sizeof(*cache));

	if (cache == NULL)
		return NULL;
	cache->limits = *limits;
	cache->size = FIRST_SIZE;
	TAILQ_INIT(&cache->good);
	TAILQ_INIT(&cache->bad);
	cache->slots = calloc(cache->size, sizeof(*cache->slots));
	if (cache->slots == NULL ||
		getrandom(cache->secret, sizeof(cache->secret), 0) != (ssize_t)sizeof(cache->secret)) {
		verify_cache_free(cache);
		return NULL;
	}
	return cache;
}

/* ---- Entries --------------------------------------------------------------------------------- */

static struct entries *
list_of(struct verify_cache *cache, const struct entry *entry)
{
	return entry->status == VERIFY_DELIVERABLE ? &cache->good : &cache->bad;
}

static struct entry **
slot_of(const struct verify_cache *cache, uint64_t hash, ph_span address)
{
	struct entry **at = &cache->slots[hash & (cache->size - 1)];

	while (*at != NULL && !((*at)->hash == hash && (*at)->address_size == address.size &&
		memcmp((*at)->bytes, address.data, address.size) == 0))
		at = &(*at)->hash_next;
	return at;
}

static struct entry *
find(const struct verify_cache *cache, ph_span address)
{
	return *slot_of(cache, siphash(cache->secret, address), address);
}

static void
erase(struct verify_cache *cache, struct entry *entry)
{
	struct entry **at = slot_of(cache, entry->hash,
		(ph_span){entry->bytes, entry->address_size});

	*at = entry->hash_next;
	TAILQ_REMOVE(list_of(cache, entry), entry, link);
	cache->count--;
	free(entry);
}

void
verify_cache_free(struct verify_cache *cache)
{
	struct entry *entry;

	if (cache == NULL)
		return;
	while ((entry = TAILQ_FIRST(&cache->good)) != NULL ||
		(entry = TAILQ_FIRST(&cache->bad)) != NULL)
		erase(cache, entry);
	free(cache->slots);
	free(cache);
}

size_t
verify_cache_count(const struct verify_cache *cache)
{
	return cache->count;
}

/* Without memory the chains get longer. */
static void
grow(struct verify_cache *cache)
{
	size_t size = cache->size * 2;
	struct entry **slots = calloc(size, sizeof(*slots));

	if (slots == NULL)
		return;
	for (size_t i = 0; i < cache->size; i++)
		while (cache->slots[i] != NULL) {
			struct entry *moved = cache->slots[i];

			cache->slots[i] = moved->hash_next;
			moved->hash_next = slots[moved->hash & (size - 1)];
			slots[moved->hash & (size - 1)] = moved;
		}
	free(cache->slots);
	cache->slots = slots;
	cache->size = size;
}

/* Whoever makes up addresses pushes out what is known of others that were made up. */
static void
make_room(struct verify_cache *cache)
{
	while (cache->count > 0 && cache->count >= cache->limits.entries)
		erase(cache, !TAILQ_EMPTY(&cache->bad) ? TAILQ_FIRST(&cache->bad)
			: TAILQ_FIRST(&cache->good));
}

static bool
insert(struct verify_cache *cache, const struct verify_record *record)
{
	size_t text = record->text.size > VERIFY_TEXT_MAX ? VERIFY_TEXT_MAX : record->text.size;
	struct entry *entry = calloc(1, sizeof(*entry) + record->address.size + text + 2), **at;

	if (entry == NULL)
		return false;
	make_room(cache);
	if (cache->count >= cache->size)
		grow(cache);
	*entry = (struct entry){.updated = record->updated, .status = record->status,
		.hash = siphash(cache->secret, record->address),
		.address_size = record->address.size};
	memcpy(entry->bytes, record->address.data, record->address.size);
	if (text > 0)
		memcpy(entry->bytes + record->address.size + 1, record->text.data, text);
	at = slot_of(cache, entry->hash, record->address);
	*at = entry;
	TAILQ_INSERT_TAIL(list_of(cache, entry), entry, link);
	cache->count++;
	return true;
}

/* ---- Those that an administrator means ------------------------------------------------------- */

bool
verify_address_is(ph_span address, const char *what)
{
	const char *at = memrchr(address.data, '@', address.size);
	bool whole = at == NULL || (strchr(what, '@') != NULL && *what != '@');
	size_t head = whole ? 0 : (size_t)(at + 1 - address.data);

	if (strcmp(what, "ALL") == 0)
		return true;
	return ph_span_equal_nocase((ph_span){address.data + head, address.size - head},
		ph_span_of(*what == '@' ? what + 1 : what));
}

size_t
verify_cache_remove(struct verify_cache *cache, const char *what)
{
	struct entries *const lists[] = {&cache->bad, &cache->good};
	size_t before = cache->count;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		for (struct entry *entry = TAILQ_FIRST(lists[i]), *next; entry; entry = next) {
			next = TAILQ_NEXT(entry, link);
			if (verify_address_is((ph_span){entry->bytes, entry->address_size}, what))
				erase(cache, entry);
		}
	return before - cache->count;
}

/* ---- Asking and telling ---------------------------------------------------------------------- */

static bool
is_older(int64_t updated, int64_t now, int64_t age)
{
	return now - updated > age || updated - now > CLOCK_SLACK;
}

static bool
has_expired(const struct verify_cache *cache, enum verify_status status, int64_t updated,
	int64_t now)
{
	const struct verify_limits *limits = &cache->limits;

	return is_older(updated, now, status == VERIFY_DELIVERABLE ? limits->positive_expire
		: limits->negative_expire);
}

void
verify_cache_look(struct verify_cache *cache, ph_span address, int64_t now,
	struct verify_answer *answer)
{
	struct entry *entry = find(cache, address);
	bool good;

	*answer = (struct verify_answer){VERIFY_IN_PROGRESS, "Address verification in progress", true};
	if (entry != NULL && has_expired(cache, entry->status, entry->updated, now)) {
		erase(cache, entry);
		entry = NULL;
	}
	if (entry == NULL)
		return;
	good = entry->status == VERIFY_DELIVERABLE;
	*answer = (struct verify_answer){.status = entry->status,
		.text = entry->bytes + entry->address_size + 1,
		.probe = is_older(entry->updated, now,
			good ? cache->limits.positive_refresh : cache->limits.negative_refresh) &&
			is_older(entry->probed, now, PROBE_TIME)};
	if (answer->probe)
		entry->probed = now;
}

void
verify_cache_times(const struct verify_cache *cache, const struct verify_record *record,
	int64_t *refresh, int64_t *expire)
{
	const struct verify_limits *limits = &cache->limits;
	bool good = record->status == VERIFY_DELIVERABLE;

	*refresh = record->updated + (good ? limits->positive_refresh : limits->negative_refresh);
	*expire = record->updated + (good ? limits->positive_expire : limits->negative_expire);
}

bool
verify_cache_put(struct verify_cache *cache, const struct verify_record *record, int64_t now)
{
	const struct entry *entry = find(cache, record->address);
	bool good = record->status == VERIFY_DELIVERABLE;

	if (!good && entry != NULL && entry->status == VERIFY_DELIVERABLE &&
		!has_expired(cache, entry->status, entry->updated, now))
		return false;
	return (good || cache->limits.negative) && verify_cache_load(cache, record, now);
}

bool
verify_cache_load(struct verify_cache *cache, const struct verify_record *record, int64_t now)
{
	struct entry *entry = find(cache, record->address);

	if (entry != NULL)
		erase(cache, entry);
	return !has_expired(cache, record->status, record->updated, now) && insert(cache, record);
}

void
verify_cache_each(const struct verify_cache *cache,
	void (*fn)(void *context, const struct verify_record *record), void *context)
{
	const struct entries *const lists[] = {&cache->bad, &cache->good};
	const struct entry *entry;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		TAILQ_FOREACH(entry, lists[i], link)
			fn(context, &(const struct verify_record){.status = entry->status,
				.updated = entry->updated,
				.address = {entry->bytes, entry->address_size},
				.text = ph_span_of(entry->bytes + entry->address_size + 1)});
}
