#include "session/rates.h"

#include <stdalign.h>
#include <stdatomic.h>

/*
 * A counter: 13 bits of the hash of the client it was counted for, how much of its limit is used up
 * (in eighths), the second in which the window began, the count. Who takes over a slot wipes them;
 * what its predecessor's process writes after that, or does not wipe because it dies, reads as
 * zero, for it is another client's, but for one in 8,192.
 */
enum {
	COUNT_BITS = 22,
	START_BITS = 26, /* two years, modulo */
	LEVEL_BITS = 3,
	START_AT = COUNT_BITS,
	LEVEL_AT = START_AT + START_BITS,
	CHECK_AT = LEVEL_AT + LEVEL_BITS,
	LEVELS = 1 << LEVEL_BITS,
	LEVEL_HALF = LEVELS / 2,
	LEVEL_FULL = LEVELS - 1
};
#define COUNT_MOST ((1u << COUNT_BITS) - 1)
#define START_MOST ((1u << START_BITS) - 1)

enum {
	SLOTS = 65536, /* a power of two */
	BUCKET = 16,   /* slots side by side, any of which a client may have */
	ATTEMPTS = 8,  /* against others who change the same slot */
	LATE_CLOCK = 300 /* seconds; a process that stands still for less is ended */
};

/* A line of the cache. Free with the client 0. */
struct slot {
	alignas(64) _Atomic uint64_t client;
	_Atomic uint64_t counters[RATE_EVENTS];
};

struct rates {
	struct slot slots[SLOTS];
};

size_t
rates_size(void)
{
	return sizeof(struct rates);
}

/* ---- A counter ------------------------------------------------------------------------------- */

static uint64_t
make(uint64_t client, unsigned level, uint32_t start, uint32_t count)
{
	return client >> CHECK_AT << CHECK_AT | (uint64_t)level << LEVEL_AT |
		(uint64_t)(start & START_MOST) << START_AT | count;
}

static uint32_t
count_of(uint64_t counter)
{
	return (uint32_t)counter & COUNT_MOST;
}

static unsigned
level_of(uint64_t counter)
{
	return (unsigned)(counter >> LEVEL_AT) & LEVEL_FULL;
}

/* Another process may have read its clock a little later than this one. */
static uint32_t
age_of(uint64_t counter, uint32_t now)
{
	uint32_t age = (now - (uint32_t)(counter >> START_AT)) & START_MOST;

	return age <= START_MOST - LATE_CLOCK ? age : 0;
}

/* Does it count for that client, in a window that is not over? */
static bool
counts(uint64_t counter, uint64_t client, const struct rate_request *request)
{
	uint32_t unit = request->unit < START_MOST / 2 ? request->unit : START_MOST / 2;

	return count_of(counter) > 0 && (counter ^ client) >> CHECK_AT == 0 &&
		age_of(counter, request->now) <= unit;
}

/* How much of a limit is used up, in eighths; the last one only when all of it is. */
static unsigned
level_for(uint32_t count, uint32_t limit)
{
	uint64_t level = (uint64_t)count * LEVELS / limit;

	if (count >= limit)
		return LEVEL_FULL;
	return level < LEVEL_FULL ? (unsigned)level : LEVEL_FULL - 1;
}

/* The counter after one more event. */
static uint64_t
next(uint64_t counter, const struct rate_request *request)
{
	uint32_t count = 1, start = request->now;

	if (counts(counter, request->client, request)) {
		count = count_of(counter) < COUNT_MOST ? count_of(counter) + 1 : COUNT_MOST;
		start = (uint32_t)(counter >> START_AT);
	}
	return make(request->client, level_for(count, request->limit), start, count);
}

/* ---- What a slot is worth -------------------------------------------------------------------- */

/* A slot that may have to give way. */
struct candidate {
	struct slot *slot;
	uint64_t client;
	uint64_t worth; /* what would be lost: the level, the count, how young it is; 0: nothing */
};

static struct candidate
look_at(struct slot *slot, const struct rate_request *request)
{
	struct candidate result = {.slot = slot, .client = atomic_load(&slot->client)};

	for (size_t i = 0; result.client != 0 && i < RATE_EVENTS; i++) {
		uint64_t counter = atomic_load(&slot->counters[i]), worth;

		if (!counts(counter, result.client, request))
			continue;
		worth = (uint64_t)level_of(counter) << LEVEL_AT |
			(uint64_t)count_of(counter) << START_BITS |
			(START_MOST - age_of(counter, request->now));
		result.worth = worth > result.worth ? worth : result.worth;
	}
	return result;
}

/* The one of least worth below a level; NULL: none. Those in the set are passed over. */
static const struct candidate *
find_least(const struct candidate *candidates, unsigned level, unsigned passed_over)
{
	const struct candidate *least = NULL;

	for (unsigned i = 0; i < BUCKET; i++)
		if ((passed_over & 1u << i) == 0 && level_of(candidates[i].worth) < level &&
			(least == NULL || candidates[i].worth < least->worth))
			least = &candidates[i];
	return least;
}

/* Which one gives way; {0}: all have used up a limit. */
static struct candidate
choose(struct slot *bucket, const struct rate_request *request)
{
	struct candidate candidates[BUCKET];
	const struct candidate *least;
	unsigned connected = 0;

	for (size_t i = 0; i < BUCKET; i++) {
		candidates[i] = look_at(&bucket[i], request);
		if (candidates[i].worth == 0)
			return candidates[i];
	}
	while ((least = find_least(candidates, LEVEL_HALF, connected)) != NULL) {
		if (request->is_connected == NULL || !request->is_connected(least->client))
			return *least;
		connected |= 1u << (least - candidates);
	}
	least = find_least(candidates, LEVEL_FULL, 0);
	return least != NULL ? *least : (struct candidate){0};
}

/* ---- Slots ----------------------------------------------------------------------------------- */

static struct slot *
find(struct slot *bucket, uint64_t client)
{
	for (size_t i = 0; i < BUCKET; i++)
		if (atomic_load(&bucket[i].client) == client)
			return &bucket[i];
	return NULL;
}

/* Gives a slot to a client, unless another process was faster. */
static bool
take_over(struct candidate *chosen, uint64_t client)
{
	uint64_t old[RATE_EVENTS];
	struct slot *slot = chosen->slot;

	for (size_t i = 0; i < RATE_EVENTS; i++)
		old[i] = atomic_load(&slot->counters[i]);
	if (!atomic_compare_exchange_strong(&slot->client, &chosen->client, client))
		return false;
	for (size_t i = 0; i < RATE_EVENTS; i++)
		(void)atomic_compare_exchange_strong(&slot->counters[i], &old[i], 0);
	return true;
}

/* The client's slot; of two, which two processes took in the same moment, both take the first.
 * NULL: it gets none, or another process was faster. */
static struct slot *
take(struct slot *bucket, const struct rate_request *request, bool *full)
{
	struct slot *slot = find(bucket, request->client);
	uint64_t own = request->client;
	struct candidate chosen;

	if (slot != NULL)
		return slot;
	chosen = choose(bucket, request);
	*full = chosen.slot == NULL;
	if (chosen.slot == NULL || !take_over(&chosen, own))
		return NULL;
	slot = find(bucket, own);
	if (slot != NULL && slot != chosen.slot)
		(void)atomic_compare_exchange_strong(&chosen.slot->client, &own, 0);
	return slot;
}

/* The new count; 0: the slot is not the client's any more. The counter is read before the slot's
 * owner: what was counted for the next one is not taken for ours. */
static uint32_t
count(struct slot *slot, const struct rate_request *request)
{
	_Atomic uint64_t *counter = &slot->counters[request->event];
	uint64_t old = atomic_load(counter), new;

	do {
		if (atomic_load(&slot->client) != request->client)
			return 0;
		new = next(old, request);
	} while (!atomic_compare_exchange_weak(counter, &old, new));
	return count_of(new);
}

uint32_t
rates_count(struct rates *rates, const struct rate_request *request)
{
	struct slot *bucket = &rates->slots[request->client % (SLOTS / BUCKET) * BUCKET];
	bool full = false;

	for (int i = 0; i < ATTEMPTS && !full; i++) {
		struct slot *slot = take(bucket, request, &full);
		uint32_t result = slot != NULL ? count(slot, request) : 0;

		if (result > 0)
			return result;
	}
	return 0;
}
