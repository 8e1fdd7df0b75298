/*
 * A sweep over the networks from the lowest address up, inner ones behind those that they lie in.
 * On entering a network its rules change their state, on leaving it they change back; after each
 * change the first rule that holds is asked for.
 *
 * The number of a rule counts what keeps it from holding: that the address is not in its network
 * (or is, with "!"), and each "if" around it that does not hold.
 */
#include "ranges.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "first.h"

enum { DEEPEST = 129 }; /* networks in each other: one for each length of a prefix */

/* A network in hand: its rules, and what held outside of it. */
struct level {
	size_t from, to;   /* of order */
	uint8_t last[16];  /* its last address */
	uint32_t outside;
};

struct sweep {
	const struct rules *rules;
	struct ranges *ranges;
	struct first first;
	const struct rule **order; /* those of the family that have a network */
	size_t order_count;
	struct level levels[DEEPEST];
	size_t depth;
	uint32_t holds;
};

static int
compare(const void *a, const void *b)
{
	const struct rule *left = *(const struct rule *const *)a,
		*right = *(const struct rule *const *)b;
	int order = memcmp(left->bytes, right->bytes, sizeof(left->bytes));

	return order != 0 ? order : (left->length > right->length) - (left->length < right->length);
}

/* ---- Output ---------------------------------------------------------------------------------- */

/* From this address on: holds. A range that came out empty is forgotten. */
static void
put(struct sweep *s, const uint8_t *first)
{
	struct ranges *r = s->ranges;

	if (r->count > 0 && memcmp(r->items[r->count - 1].first, first, r->width) == 0)
		r->count--;
	if (r->count > 0 && r->items[r->count - 1].rule == s->holds)
		return;
	memcpy(r->items[r->count].first, first, sizeof(r->items->first));
	r->items[r->count++].rule = s->holds;
}

/* ---- Entering and leaving -------------------------------------------------------------------- */

static void
switch_rules(struct sweep *s, const struct level *level, bool enter)
{
	for (size_t i = level->from; i < level->to; i++) {
		const struct rule *rule = s->order[i];
		size_t index = (size_t)(rule - s->rules->items);
		int32_t amount = enter == rule->negated ? 1 : -1;

		if (rule->kind == RULE_IF)
			first_add(&s->first, index + 1, rule->endif, amount);
		else
			first_add(&s->first, index, index + 1, amount);
	}
}

static void
ask(struct sweep *s)
{
	size_t index = first_zero(&s->first);

	s->holds = index < s->rules->count ? (uint32_t)index + 1 : 0;
}

static void
enter(struct sweep *s, size_t from, size_t to)
{
	const struct rule *rule = s->order[from];
	struct level *level = &s->levels[s->depth++];

	*level = (struct level){.from = from, .to = to, .outside = s->holds};
	memcpy(level->last, rule->bytes, sizeof(level->last));
	for (size_t bit = rule->length; bit < 8 * s->ranges->width; bit++)
		level->last[bit / 8] |= (uint8_t)(0x80u >> bit % 8);
	switch_rules(s, level, true);
	ask(s);
	put(s, rule->bytes);
}

/* The address behind the last one; false: there is none. */
static bool
step(uint8_t *bytes, size_t width)
{
	while (width-- > 0)
		if (++bytes[width] != 0)
			return true;
	return false;
}

static void
leave(struct sweep *s)
{
	struct level *level = &s->levels[--s->depth];

	switch_rules(s, level, false);
	s->holds = level->outside;
	if (step(level->last, s->ranges->width))
		put(s, level->last);
}

static void
sweep(struct sweep *s)
{
	static const uint8_t lowest[16];
	size_t from = 0, to;

	ask(s);
	put(s, lowest);
	for (; from < s->order_count; from = to) {
		const uint8_t *bytes = s->order[from]->bytes;

		for (to = from + 1; to < s->order_count &&
			compare(&s->order[from], &s->order[to]) == 0;)
			to++;
		while (s->depth > 0 &&
			memcmp(s->levels[s->depth - 1].last, bytes, s->ranges->width) < 0)
			leave(s);
		enter(s, from, to);
	}
	while (s->depth > 0)
		leave(s);
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* How things stand outside of all networks. What is of the other family never holds. */
static int
make_first(struct sweep *s, uint16_t family)
{
	const struct rules *rules = s->rules;
	int32_t *numbers = calloc(rules->count + 1, sizeof(*numbers));
	int32_t around = 0; /* ifs that do not hold */
	size_t depth = 0;
	bool counted[65];   /* of the ifs around: does it not hold? */
	int result;

	if (numbers == NULL)
		return -1;
	for (size_t i = 0; i < rules->count; i++) {
		const struct rule *rule = &rules->items[i];
		bool off = rule->family != family || !rule->negated;

		if (rule->kind == RULE_ENDIF)
			around -= counted[--depth];
		numbers[i] = rule->kind == RULE_MATCH ? around + off : INT32_MAX / 4;
		if (rule->kind == RULE_IF)
			around += counted[depth++] = off;
	}
	result = first_make(&s->first, numbers, rules->count);
	free(numbers);
	return result;
}

static int
make_order(struct sweep *s, uint16_t family)
{
	const struct rules *rules = s->rules;

	s->order = calloc(rules->count + 1, sizeof(*s->order));
	if (s->order == NULL)
		return -1;
	for (size_t i = 0; i < rules->count; i++)
		if (rules->items[i].family == family)
			s->order[s->order_count++] = &rules->items[i];
	qsort(s->order, s->order_count, sizeof(*s->order), compare);
	return 0;
}

int
ranges_make(struct ranges *ranges, const struct rules *rules, uint16_t family, ph_pool *pool)
{
	struct sweep *s = calloc(1, sizeof(*s));
	int result = -1;

	*ranges = (struct ranges){.width = family == AF_INET ? 4 : 16};
	if (s == NULL)
		return -1;
	s->rules = rules;
	s->ranges = ranges;
	if (make_order(s, family) == 0 && s->order_count > 0) {
		/* Each network begins one range, and one begins behind it. */
		ranges->items = ph_pool_array(pool, 2 * s->order_count + 1, sizeof(*ranges->items));
		if (ranges->items != NULL && make_first(s, family) == 0) {
			sweep(s);
			result = 0;
		}
	} else if (s->order != NULL) {
		result = 0;
	}
	first_free(&s->first);
	free(s->order);
	free(s);
	return result;
}

const struct rule *
ranges_find(const struct ranges *ranges, const struct rules *rules, const uint8_t *bytes)
{
	size_t low = 0, high = ranges->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(ranges->items[middle].first, bytes, ranges->width) <= 0)
			low = middle + 1;
		else
			high = middle;
	}
	/* The first range begins at the lowest address. */
	return low > 0 && ranges->items[low - 1].rule > 0 ?
		&rules->items[ranges->items[low - 1].rule - 1] : NULL;
}
