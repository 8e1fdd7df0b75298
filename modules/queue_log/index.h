/*
 * The owner's index: what it knows of each message, by handle, in about a hundred bytes.
 */
#ifndef QUEUE_LOG_INDEX_H
#define QUEUE_LOG_INDEX_H

#include "record.h"

enum {
	ENTRY_PRESENT = 1, /* its record was read */
	ENTRY_REMOVED = 2, /* a removal was read before the message itself */
	ENTRY_CLAIMED = 4,
	ENTRY_COLD = 8     /* found by recovery: likely not in memory */
};

/* A message; without ENTRY_PRESENT it stands for notes whose message was not read yet. */
struct entry {
	uint64_t handle;
	int64_t arrival;
	uint64_t content_size;
	uint32_t envelope_size;
	uint32_t record_flags;
	uint32_t first_note, last_note; /* numbers of notes; INDEX_NONE */
	uint32_t note_count;
	uint32_t state;
	char id[PH_QUEUE_ID_SIZE];
};

/* Where a note lies. */
struct note {
	uint64_t handle;
	uint32_t size;
	uint32_t next;
};

#define INDEX_NONE UINT32_MAX

struct index {
	struct entry **entries; /* blocks; entries have a number for life */
	uint32_t entry_count;   /* numbers given out */
	uint32_t entry_free;
	uint32_t live;
	struct note **notes;
	uint32_t note_count;
	uint32_t note_free;
	uint32_t *slots; /* numbers of entries, by the hash of the handle */
	uint32_t slot_mask;
};

int index_init(struct index *index);
void index_clear(struct index *index);
/* NULL: not there. */
struct entry *index_find(const struct index *index, uint64_t handle);
/* Finds or makes one; NULL: no memory. */
struct entry *index_get(struct index *index, uint64_t handle);
uint32_t index_number(const struct index *index, const struct entry *entry);
/* NULL for a number that is free. */
struct entry *index_entry(const struct index *index, uint32_t number);
struct note *index_note(const struct index *index, uint32_t number);
/* Adds a note in the order of handles; one that is there already is not added twice.
 * 1: added, 0: known, -1: no memory. */
int index_add_note(struct index *index, struct entry *entry, uint64_t handle, uint32_t size);
void index_remove(struct index *index, struct entry *entry);
/* The next entry from a number on, in no order: *number is moved behind it. NULL: no more. */
struct entry *index_next(const struct index *index, uint32_t *number);

#endif
