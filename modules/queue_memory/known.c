#include "known.h"

#include <stdlib.h>
#include <string.h>

static size_t
known_home(const struct known *known, uint64_t handle)
{
	return (size_t)((handle * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & known->mask;
}

static size_t
known_slot(const struct known *known, uint64_t handle)
{
	size_t slot = known_home(known, handle);

	while (known->slots[slot] != 0 && known->slots[slot] != handle)
		slot = (slot + 1) & known->mask;
	return slot;
}

static int
known_grow(struct known *known)
{
	size_t room = known->slots == NULL ? 256 : (known->mask + 1) * 2;
	struct known grown = {.slots = calloc(room, sizeof(uint64_t)), .mask = room - 1};

	if (grown.slots == NULL)
		return -1;
	for (size_t i = 0; known->slots != NULL && i <= known->mask; i++)
		if (known->slots[i] != 0)
			grown.slots[known_slot(&grown, known->slots[i])] = known->slots[i];
	free(known->slots);
	known->slots = grown.slots;
	known->mask = grown.mask;
	return 0;
}

static int
line_push(struct known *known, uint64_t handle)
{
	if (known->line_first + known->line_count == known->line_room) {
		size_t room = known->line_count * 2 + 256;
		uint64_t *line = malloc(room * sizeof *line);

		if (line == NULL)
			return -1;
		if (known->line_count > 0)
			memcpy(line, known->line + known->line_first,
				known->line_count * sizeof *line);
		free(known->line);
		known->line = line;
		known->line_first = 0;
		known->line_room = room;
	}
	known->line[known->line_first + known->line_count++] = handle;
	return 0;
}

int
known_add(struct known *known, uint64_t handle)
{
	size_t slot;

	if ((known->slots == NULL || known->count >= known->mask / 2) && known_grow(known) == -1)
		return -1;
	slot = known_slot(known, handle);
	if (known->slots[slot] != 0)
		return 0;
	if (line_push(known, handle) == -1)
		return -1;
	known->slots[slot] = handle;
	known->count++;
	return 1;
}

void
known_remove(struct known *known, uint64_t handle)
{
	size_t slot, next;

	if (known->slots == NULL || handle == 0)
		return;
	slot = known_slot(known, handle);
	if (known->slots[slot] == 0)
		return;
	known->count--;
	/* Those behind it move up, unless they are before their home then. */
	for (next = (slot + 1) & known->mask; known->slots[next] != 0;
		next = (next + 1) & known->mask) {
		size_t home = known_home(known, known->slots[next]);

		if (((next - home) & known->mask) < ((next - slot) & known->mask))
			continue;
		known->slots[slot] = known->slots[next];
		slot = next;
	}
	known->slots[slot] = 0;
}

bool
known_next(struct known *known, uint64_t *handle)
{
	if (known->line_count == 0)
		return false;
	*handle = known->line[known->line_first++];
	known->line_count--;
	return true;
}

static int
handle_compare(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void
known_sort(struct known *known)
{
	if (known->line_count > 0)
		qsort(known->line + known->line_first, known->line_count, sizeof(uint64_t),
			handle_compare);
}

void
known_clear(struct known *known)
{
	free(known->slots);
	free(known->line);
	*known = (struct known){0};
}
