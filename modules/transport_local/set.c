#include "set.h"

#include <string.h>

static size_t
hash_of(const char *text)
{
	size_t hash = 5381;

	for (; *text != '\0'; text++) {
		char c = *text >= 'A' && *text <= 'Z' ? (char)(*text + 'a' - 'A') : *text;

		hash = hash * 33 ^ (unsigned char)c;
	}
	return hash ^ hash >> 15;
}

static const char **
set_slot(const struct set *set, const char *text)
{
	size_t slot = hash_of(text) & (set->room - 1);

	while (set->slots[slot] != NULL && (set->exact ? strcmp(set->slots[slot], text) :
		ph_strcasecmp(set->slots[slot], text)) != 0)
		slot = (slot + 1) & (set->room - 1);
	return &set->slots[slot];
}

int
set_add(struct set *set, ph_pool *pool, const char *text)
{
	const char **slot;

	if (set->count * 2 >= set->room) {
		struct set larger = {.room = set->room > 0 ? set->room * 4 : 16,
			.count = set->count,
			.exact = set->exact};

		larger.slots = ph_pool_array(pool, larger.room, sizeof(*larger.slots));
		if (larger.slots == NULL)
			return -1;
		for (size_t i = 0; i < set->room; i++)
			if (set->slots[i] != NULL)
				*set_slot(&larger, set->slots[i]) = set->slots[i];
		*set = larger;
	}
	slot = set_slot(set, text);
	if (*slot != NULL)
		return 0;
	*slot = text;
	set->count++;
	return 1;
}
