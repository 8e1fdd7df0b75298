/*
 * From records to the owner's state.
 */
#include "owner.h"

#include <stdlib.h>
#include <string.h>

/* ---- The ring of messages that nobody claimed yet -------------------------------------------- */

int
fifo_push(struct fifo *fifo, uint32_t number)
{
	if (fifo->count == fifo->room) {
		size_t room = fifo->room == 0 ? 256 : fifo->room * 2;
		uint32_t *numbers = malloc(room * sizeof *numbers);

		if (numbers == NULL)
			return -1;
		for (size_t i = 0; i < fifo->count; i++)
			numbers[i] = fifo->numbers[(fifo->first + i) & (fifo->room - 1)];
		free(fifo->numbers);
		*fifo = (struct fifo){numbers, 0, fifo->count, room};
	}
	fifo->numbers[(fifo->first + fifo->count++) & (fifo->room - 1)] = number;
	return 0;
}

bool
fifo_pop(struct fifo *fifo, uint32_t *number)
{
	if (fifo->count == 0)
		return false;
	*number = fifo->numbers[fifo->first];
	fifo->first = (fifo->first + 1) & (fifo->room - 1);
	fifo->count--;
	return true;
}

/* Puts the number back that was popped last. Nothing was pushed since. */
void
fifo_unpop(struct fifo *fifo)
{
	fifo->first = (fifo->first - 1) & (fifo->room - 1);
	fifo->count++;
}

/* ---- Records --------------------------------------------------------------------------------- */

static uint64_t
note_bytes(uint32_t size)
{
	struct record record = {.envelope_size = size};

	return record_size(&record);
}

static uint64_t
entry_bytes(const struct entry *entry)
{
	struct record record = {.flags = entry->record_flags, .content_size = entry->content_size,
		.envelope_size = entry->envelope_size};

	return record_size(&record);
}

void
owner_discard(struct owner *owner, struct name name)
{
	if (owner->trash_count == owner->trash_room) {
		size_t room = owner->trash_room == 0 ? 16 : owner->trash_room * 2;
		struct name *trash = realloc(owner->trash, room * sizeof *trash);

		if (trash == NULL)
			return; /* a sweep finds it later */
		owner->trash = trash;
		owner->trash_room = room;
	}
	owner->trash[owner->trash_count++] = name;
}

/* Forgets an entry: what was alive by it is dead. */
static void
entry_drop(struct owner *owner, struct entry *entry)
{
	struct log *log = logs_find(&owner->logs, HANDLE_NUMBER(entry->handle));

	if ((entry->state & ENTRY_PRESENT) != 0 && log != NULL) {
		log_count(log, entry_bytes(entry), false);
		if ((entry->record_flags & RECORD_BIG) != 0)
			owner_discard(owner,
				(struct name){.kind = NAME_BIG, .number = log->number,
					.identity = log->identity,
					.offset = HANDLE_OFFSET(entry->handle)});
	}
	for (uint32_t n = entry->first_note; n != INDEX_NONE;) {
		const struct note *note = index_note(&owner->index, n);
		struct log *holder = logs_find(&owner->logs, HANDLE_NUMBER(note->handle));

		if (holder != NULL)
			log_count(holder, note_bytes(note->size), false);
		n = note->next;
	}
	index_remove(&owner->index, entry);
}

static int
apply_message(struct owner *owner, struct log *log, const struct record *record)
{
	struct entry *entry = index_get(&owner->index, HANDLE(log->number, record->offset));

	if (entry == NULL)
		return -1;
	if ((entry->state & ENTRY_PRESENT) != 0)
		return 0;
	entry->arrival = record->arrival;
	entry->content_size = record->content_size;
	entry->envelope_size = (uint32_t)record->envelope_size;
	entry->record_flags = record->flags;
	memcpy(entry->id, record->id, sizeof entry->id);
	entry->state |= ENTRY_PRESENT | (owner->recovering ? ENTRY_COLD : 0);
	log_count(log, record_size(record), true);
	if ((entry->state & ENTRY_REMOVED) != 0)
		entry_drop(owner, entry);
	else if (!owner->recovering &&
		fifo_push(&owner->unclaimed, index_number(&owner->index, entry)) == -1) {
		entry->state &= ~(uint32_t)ENTRY_PRESENT; /* to be read again */
		log_count(log, record_size(record), false);
		return -1;
	}
	return 0;
}

/* Can the message of this place still be read later? */
static bool
place_is_open(const struct owner *owner, uint64_t place)
{
	const struct log *log = logs_find(&owner->logs, HANDLE_NUMBER(place));

	return log != NULL && (!log->sealed || owner->recovering) &&
		(owner->recovering || HANDLE_OFFSET(place) >= log->scanned);
}

static int
apply_note(struct owner *owner, struct log *log, const struct record *record)
{
	struct entry *entry = index_find(&owner->index, record->place);

	if (entry == NULL && place_is_open(owner, record->place))
		entry = index_get(&owner->index, record->place);
	else if (entry == NULL)
		return 0;
	if (entry == NULL)
		return -1;
	if ((entry->state & ENTRY_REMOVED) != 0)
		return 0;
	switch (index_add_note(&owner->index, entry, HANDLE(log->number, record->offset),
		(uint32_t)record->envelope_size)) {
	case 1:
		log_count(log, record_size(record), true);
		return 0;
	case 0:
		return 0;
	default:
		return -1;
	}
}

/* A record about another segment is needed as long as that one exists. */
static int
apply_tomb(struct owner *owner, struct log *log, uint64_t place)
{
	struct log *other = logs_find(&owner->logs, HANDLE_NUMBER(place));

	if (other == NULL || other == log)
		return 0;
	if (log_add_tombs(other, log->number, 1) == -1)
		return -1;
	log_count(log, RECORD_HEADER, true);
	return 0;
}

static int
apply_remove(struct owner *owner, struct log *log, const struct record *record)
{
	struct entry *entry = index_find(&owner->index, record->place);

	if (apply_tomb(owner, log, record->place) == -1)
		return -1;
	if (entry == NULL && place_is_open(owner, record->place)) {
		entry = index_get(&owner->index, record->place);
		if (entry == NULL)
			return -1;
	}
	if (entry == NULL)
		return 0;
	if ((entry->state & ENTRY_PRESENT) != 0)
		entry_drop(owner, entry);
	else
		entry->state |= ENTRY_REMOVED;
	return 0;
}

static int
apply_abandon(struct owner *owner, struct log *log, const struct record *record)
{
	struct log *other = logs_find(&owner->logs, HANDLE_NUMBER(record->place));
	uint64_t from = HANDLE_OFFSET(record->place);
	struct entry *entry;

	/* Nothing of it was ever acknowledged, maybe: then no hint told of it. */
	if (other == NULL)
		other = owner_meet(owner, HANDLE_NUMBER(record->place));
	if (apply_tomb(owner, log, record->place) == -1)
		return -1;
	if (other == NULL || from >= other->abandoned_from)
		return 0;
	other->abandoned_from = from;
	for (uint32_t n = 0; (entry = index_next(&owner->index, &n)) != NULL;)
		if (HANDLE_NUMBER(entry->handle) == other->number &&
			HANDLE_OFFSET(entry->handle) >= from)
			entry_drop(owner, entry);
	return 0;
}

static int
apply_record(struct owner *owner, struct log *log, const struct record *record)
{
	if (record->offset >= log->abandoned_from)
		return 0;
	switch ((enum record_type)record->type) {
	case RECORD_MESSAGE:
		return apply_message(owner, log, record);
	case RECORD_NOTE:
		return apply_note(owner, log, record);
	case RECORD_REMOVE:
		return apply_remove(owner, log, record);
	case RECORD_ABANDON:
		return apply_abandon(owner, log, record);
	case RECORD_SEAL:
	case RECORD_GAP:
		return 0;
	}
	/* A newer version knows what this is: its segment is left as it is. */
	log->pinned = true;
	return 0;
}

void
owner_apply(struct owner *owner, struct log *log, const struct scan *scan)
{
	if (scan->damage_count > 0)
		owner_report(owner, log, scan);
	for (size_t i = 0; i < scan->count; i++) {
		const struct record *record = scan->records + i;

		if (record->offset < log->scanned)
			continue;
		owner->changed = true;
		if (apply_record(owner, log, record) == -1) {
			log->scanned = record->offset;
			ph_log(PH_LOG_ERROR, "%s: out of memory", owner->storage->path);
			return;
		}
		log->scanned = record->offset + record_size(record);
	}
	if (scan->end > log->scanned)
		log->scanned = scan->end;
	if (scan->durable > log->limit)
		log->limit = scan->durable;
	if (scan->whole && scan->error == 0) {
		log->sealed = true;
		log->sealed_at = ph_in(0);
		log->size = log->scanned;
	}
	if (scan->unreadable)
		log->pinned = true;
}

void
owner_purge(struct owner *owner)
{
	struct entry *entry;

	for (uint32_t n = 0; (entry = index_next(&owner->index, &n)) != NULL;)
		if ((entry->state & ENTRY_PRESENT) == 0 && !place_is_open(owner, entry->handle))
			entry_drop(owner, entry);
}
