#include "index.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK_BITS 12
#define BLOCK (1u << BLOCK_BITS)
#define FREE_HANDLE UINT64_MAX

static uint32_t
index_hash(uint64_t handle)
{
	return (uint32_t)((handle * UINT64_C(0x9e3779b97f4a7c15)) >> 32);
}

int
index_init(struct index *index)
{
	*index = (struct index){.entry_free = INDEX_NONE, .note_free = INDEX_NONE};
	index->slots = malloc(1024 * sizeof *index->slots);
	if (index->slots == NULL)
		return -1;
	index->slot_mask = 1023;
	memset(index->slots, 0xff, 1024 * sizeof *index->slots);
	return 0;
}

void
index_clear(struct index *index)
{
	for (uint32_t i = 0; i < (index->entry_count + BLOCK - 1) >> BLOCK_BITS; i++)
		free(index->entries[i]);
	for (uint32_t i = 0; i < (index->note_count + BLOCK - 1) >> BLOCK_BITS; i++)
		free(index->notes[i]);
	free(index->entries);
	free(index->notes);
	free(index->slots);
	*index = (struct index){0};
}

static struct entry *
entry_at(const struct index *index, uint32_t number)
{
	return index->entries[number >> BLOCK_BITS] + (number & (BLOCK - 1));
}

struct note *
index_note(const struct index *index, uint32_t number)
{
	return index->notes[number >> BLOCK_BITS] + (number & (BLOCK - 1));
}

/* The slot of a handle, or the free one where it would go. */
static uint32_t
index_slot(const struct index *index, uint64_t handle)
{
	uint32_t slot = index_hash(handle) & index->slot_mask;

	while (index->slots[slot] != INDEX_NONE &&
		entry_at(index, index->slots[slot])->handle != handle)
		slot = (slot + 1) & index->slot_mask;
	return slot;
}

struct entry *
index_find(const struct index *index, uint64_t handle)
{
	uint32_t number = index->slots[index_slot(index, handle)];

	return number == INDEX_NONE ? NULL : entry_at(index, number);
}

uint32_t
index_number(const struct index *index, const struct entry *entry)
{
	return index->slots[index_slot(index, entry->handle)];
}

struct entry *
index_entry(const struct index *index, uint32_t number)
{
	struct entry *entry;

	if (number >= index->entry_count)
		return NULL;
	entry = entry_at(index, number);
	return entry->handle == FREE_HANDLE ? NULL : entry;
}

static int
index_grow(struct index *index)
{
	uint32_t count = (index->slot_mask + 1) * 2, *old = index->slots;
	uint32_t *slots = malloc(count * sizeof *slots);

	if (slots == NULL)
		return -1;
	memset(slots, 0xff, count * sizeof *slots);
	index->slots = slots;
	index->slot_mask = count - 1;
	for (uint32_t i = 0; i < count / 2; i++)
		if (old[i] != INDEX_NONE)
			slots[index_slot(index, entry_at(index, old[i])->handle)] = old[i];
	free(old);
	return 0;
}

static uint32_t
entry_new(struct index *index)
{
	uint32_t number = index->entry_free, block = index->entry_count >> BLOCK_BITS;

	if (number != INDEX_NONE) {
		index->entry_free = entry_at(index, number)->first_note;
		return number;
	}
	if (index->entry_count == INDEX_NONE - 1)
		return INDEX_NONE;
	if ((index->entry_count & (BLOCK - 1)) == 0) {
		struct entry **grown = realloc(index->entries, (block + 1) * sizeof *grown);

		if (grown == NULL)
			return INDEX_NONE;
		index->entries = grown;
		if ((grown[block] = malloc(BLOCK * sizeof **grown)) == NULL)
			return INDEX_NONE;
	}
	return index->entry_count++;
}

struct entry *
index_get(struct index *index, uint64_t handle)
{
	struct entry *entry = index_find(index, handle);
	uint32_t number;

	if (entry != NULL)
		return entry;
	if (index->live >= index->slot_mask / 4 * 3 && index_grow(index) == -1)
		return NULL;
	number = entry_new(index);
	if (number == INDEX_NONE)
		return NULL;
	index->slots[index_slot(index, handle)] = number;
	entry = entry_at(index, number);
	*entry = (struct entry){.handle = handle, .first_note = INDEX_NONE,
		.last_note = INDEX_NONE};
	index->live++;
	return entry;
}

static uint32_t
note_new(struct index *index)
{
	uint32_t number = index->note_free, block = index->note_count >> BLOCK_BITS;

	if (number != INDEX_NONE) {
		index->note_free = index_note(index, number)->next;
		return number;
	}
	if (index->note_count == INDEX_NONE - 1)
		return INDEX_NONE;
	if ((index->note_count & (BLOCK - 1)) == 0) {
		struct note **grown = realloc(index->notes, (block + 1) * sizeof *grown);

		if (grown == NULL)
			return INDEX_NONE;
		index->notes = grown;
		if ((grown[block] = malloc(BLOCK * sizeof **grown)) == NULL)
			return INDEX_NONE;
	}
	return index->note_count++;
}

int
index_add_note(struct index *index, struct entry *entry, uint64_t handle, uint32_t size)
{
	uint32_t fresh, *link = &entry->first_note;

	/* Nearly always it is the newest. */
	if (entry->last_note != INDEX_NONE && index_note(index, entry->last_note)->handle < handle)
		link = &index_note(index, entry->last_note)->next;
	while (*link != INDEX_NONE && index_note(index, *link)->handle < handle)
		link = &index_note(index, *link)->next;
	if (*link != INDEX_NONE && index_note(index, *link)->handle == handle)
		return 0;
	fresh = note_new(index);
	if (fresh == INDEX_NONE)
		return -1;
	*index_note(index, fresh) = (struct note){handle, size, *link};
	if (*link == INDEX_NONE)
		entry->last_note = fresh;
	*link = fresh;
	entry->note_count++;
	return 1;
}

/* Frees the slot, and moves those behind it that would not be found any more. */
static void
slot_free(struct index *index, uint32_t slot)
{
	uint32_t next = slot;

	for (;;) {
		uint32_t home;

		index->slots[slot] = INDEX_NONE;
		do {
			next = (next + 1) & index->slot_mask;
			if (index->slots[next] == INDEX_NONE)
				return;
			home = index_hash(entry_at(index, index->slots[next])->handle) &
				index->slot_mask;
		} while (((next - home) & index->slot_mask) < ((next - slot) & index->slot_mask));
		index->slots[slot] = index->slots[next];
		slot = next;
	}
}

void
index_remove(struct index *index, struct entry *entry)
{
	uint32_t slot = index_slot(index, entry->handle), number = index->slots[slot];

	for (uint32_t note = entry->first_note, next; note != INDEX_NONE; note = next) {
		next = index_note(index, note)->next;
		index_note(index, note)->next = index->note_free;
		index->note_free = note;
	}
	slot_free(index, slot);
	entry->handle = FREE_HANDLE;
	entry->first_note = index->entry_free;
	index->entry_free = number;
	index->live--;
}

struct entry *
index_next(const struct index *index, uint32_t *number)
{
	while (*number < index->entry_count) {
		struct entry *entry = index_entry(index, (*number)++);

		if (entry != NULL)
			return entry;
	}
	return NULL;
}
