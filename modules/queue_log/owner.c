#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bytes.h"
#include "writer.h"

#define OWN_RETRY 50                       /* milliseconds between attempts to get the lock */
#define OWNER_SEAL_AFTER (3600 * 1000)
#define LIST_EVERY (60 * 1000)
#define SWEEP_EVERY (3600 * 1000)
#define CHECKPOINT_EVERY (300 * 1000)
#define HINT_SIZE 16                       /* number, four bytes of zero, durable offset */

/* ---- Taking over and letting go -------------------------------------------------------------- */

static struct owner *
owner_new(struct storage *storage, ph_error *error)
{
	struct owner *owner = calloc(1, sizeof *owner);

	if (owner == NULL || index_init(&owner->index) == -1 ||
		(owner->pool = ph_pool_new(0)) == NULL) {
		if (owner != NULL)
			index_clear(&owner->index);
		free(owner);
		ph_error_set(error, "out of memory");
		return NULL;
	}
	owner->storage = storage;
	owner->lock_fd = -1;
	return owner;
}

void
owner_free(struct owner *owner)
{
	logs_clear(&owner->logs);
	index_clear(&owner->index);
	ph_pool_free(owner->pool);
	free(owner->unclaimed.numbers);
	free(owner->trash);
	if (owner->lock_fd != -1)
		close(owner->lock_fd);
	free(owner);
}

/* Waits until the previous owner is gone. */
static int
owner_lock(struct owner *owner, ph_error *error)
{
	const struct storage *storage = owner->storage;
	char *path = malloc(FILE_PATH_ROOM);

	if (path == NULL)
		return ph_error_set(error, "out of memory");
	snprintf(path, FILE_PATH_ROOM, "%s/owner.lock", storage->path);
	owner->lock_fd = storage->files->open(storage->files, path, O_RDWR | O_CREAT);
	free(path);
	if (owner->lock_fd == -1)
		return storage_error(storage, error, "cannot open owner.lock", errno);
	while (file_lock(owner->lock_fd, FILE_LOCK_WRITER, true) == -1) {
		if (errno != EAGAIN && errno != EACCES)
			return storage_error(storage, error, "cannot lock owner.lock", errno);
		if (ph_sleep(ph_in(OWN_RETRY)) == PH_WAIT_CANCELLED)
			return ph_error_set(error, "cancelled");
	}
	return 0;
}

static int
entry_compare(const void *a, const void *b)
{
	const struct entry *const *x = a, *const *y = b;

	if ((*x)->arrival != (*y)->arrival)
		return (*x)->arrival < (*y)->arrival ? -1 : 1;
	return (*x)->handle < (*y)->handle ? -1 : (*x)->handle > (*y)->handle;
}

/* All that was recovered waits for claim(), the oldest first. */
static int
owner_order(struct owner *owner, ph_error *error)
{
	struct entry **entries = calloc((size_t)owner->index.live + 1, sizeof(void *)), *entry;
	size_t count = 0;
	int result = 0;

	if (entries == NULL)
		return ph_error_set(error, "out of memory");
	for (uint32_t n = 0; (entry = index_next(&owner->index, &n)) != NULL;)
		if ((entry->state & ENTRY_PRESENT) != 0)
			entries[count++] = entry;
	qsort(entries, count, sizeof *entries, entry_compare);
	for (size_t i = 0; i < count && result == 0; i++)
		result = fifo_push(&owner->unclaimed, index_number(&owner->index, entries[i]));
	free(entries);
	return result == 0 ? 0 : ph_error_set(error, "out of memory");
}

static int
owner_recover(struct owner *owner, ph_error *error)
{
	int64_t began = ph_now();

	owner->recovering = true;
	if (owner_list(owner, error) == -1)
		return -1;
	owner_checkpoint_load(owner);
	for (size_t i = 0; i < owner->logs.count; i++)
		if (!owner->logs.items[i]->sealed)
			owner_read_log(owner, owner->logs.items[i]);
	owner->recovering = false;
	owner_purge(owner);
	if (owner_order(owner, error) == -1)
		return -1;
	if (owner->unclaimed.count > 0)
		ph_log(PH_LOG_INFO, "%s: %zu messages in %zu segments, read in %lld ms",
			owner->storage->path, owner->unclaimed.count, owner->logs.count,
			(long long)(ph_in(0) - began));
	return 0;
}

int
owner_own(struct storage *storage, ph_error *error)
{
	struct owner *owner;
	int64_t now;

	if (storage->owner != NULL)
		return ph_error_set(error, "%s: owned already", storage->path);
	if (storage_ready(storage, error) == -1 || (owner = owner_new(storage, error)) == NULL)
		return -1;
	/* Notes are in the order of their segments: ours come after those of the last owner. */
	if (owner_lock(owner, error) == -1 ||
		writer_barrier(storage->writer, REQUEST_SEAL, error) == -1 ||
		owner_recover(owner, error) == -1) {
		owner_free(owner);
		return -1;
	}
	writer_seal_after(storage->writer, OWNER_SEAL_AFTER);
	now = ph_in(0);
	owner->list_at = now + LIST_EVERY;
	owner->sweep_at = now;
	owner->checkpoint_at = now + CHECKPOINT_EVERY;
	storage->owner = owner;
	return 0;
}

int
owner_disown(struct storage *storage, ph_error *error)
{
	struct owner *owner = storage->owner;
	int result;

	if (owner == NULL)
		return 0;
	storage->owner = NULL;
	result = writer_barrier(storage->writer, REQUEST_SEAL, error);
	writer_seal_after(storage->writer, storage->seal_after);
	if (result == 0)
		result = owner_checkpoint_save(owner, error);
	owner_free(owner);
	return result;
}

/* ---- Hints ----------------------------------------------------------------------------------- */

static void
owner_hint(struct owner *owner, uint32_t number, uint64_t durable)
{
	struct log *log = logs_find(&owner->logs, number);
	int64_t size;

	if (log == NULL)
		log = owner_meet(owner, number);
	if (log == NULL || log->sealed || durable <= log->limit)
		return;
	/* A hint comes from another process: it may be wrong, but not lead beyond the file. */
	if (owner_open_log(owner, log) == 0 && (size = file_size(log->fd)) != -1 &&
		durable <= (uint64_t)size)
		log->limit = durable;
}

void
owner_hinted(struct owner *owner, ph_span hint)
{
	if (hint.size == 0)
		owner->list_at = 0; /* it may have begun a segment of which nobody has heard */
	for (; hint.size >= HINT_SIZE; hint.data += HINT_SIZE, hint.size -= HINT_SIZE) {
		const unsigned char *bytes = (const unsigned char *)hint.data;

		owner_hint(owner, get32(bytes), get64(bytes + 8));
	}
}

/* Reads what hints, and this process' own writer, say is there. */
static void
owner_read_new(struct owner *owner)
{
	struct place places[PLACES_MAX];
	unsigned count = writer_places(owner->storage->writer, places);

	for (unsigned i = 0; i < count; i++)
		owner_hint(owner, places[i].number, places[i].durable);
	for (size_t i = 0; i < owner->logs.count; i++)
		owner_read_hinted(owner, owner->logs.items[i]);
}

/* ---- Claiming -------------------------------------------------------------------------------- */

/* A note to be read, or the message itself. */
struct piece {
	struct log *log;
	uint64_t handle;
	uint64_t size;  /* of the envelope or note */
	size_t notes;   /* of a message: how many pieces follow for its notes */
	ph_span bytes;  /* out */
	int failed;     /* out: 0; -1: it is damaged; an errno: try again */
};

struct fetch {
	struct owner *owner;
	struct piece *pieces;
	size_t count;
};

/* Reads header and envelope in one go, and believes neither without its CRC. */
static int
piece_read(struct owner *owner, struct piece *piece)
{
	size_t size = RECORD_HEADER + (size_t)piece->size;
	uint64_t offset = HANDLE_OFFSET(piece->handle);
	unsigned char *bytes = ph_pool_alloc(owner->pool, size);
	struct record record;
	ssize_t n;

	if (bytes == NULL)
		return ENOMEM;
	if (piece->log == NULL || piece->log->fd == -1)
		return ENFILE;
	n = file_read_at(owner->storage->files, piece->log->fd, bytes, size, (int64_t)offset);
	if (n == -1 && errno != EIO)
		return errno;
	if (n != (ssize_t)size ||
		record_decode(bytes, piece->log->identity, offset, &record) != RECORD_FITS ||
		record.envelope_size != piece->size ||
		record.envelope_crc != record_crc(0, bytes + RECORD_HEADER, piece->size))
		return -1;
	piece->bytes = (ph_span){(char *)bytes + RECORD_HEADER, piece->size};
	return 0;
}

static void
fetch_run(void *argument)
{
	struct fetch *fetch = argument;

	for (size_t i = 0; i < fetch->count; i++)
		fetch->pieces[i].failed = piece_read(fetch->owner, fetch->pieces + i);
}

static struct piece
piece_of(struct owner *owner, uint64_t handle, uint64_t size)
{
	struct piece piece = {.log = logs_find(&owner->logs, HANDLE_NUMBER(handle)),
		.handle = handle, .size = size};

	if (piece.log != NULL) {
		owner_open_log(owner, piece.log);
		piece.log->users++;
	}
	return piece;
}

/* Pops entries that are to be claimed now. Their number. */
static size_t
claim_pop(struct owner *owner, struct entry **entries, size_t max, size_t *pieces, bool *cold)
{
	size_t count = 0;
	uint32_t number;

	while (count < max && fifo_pop(&owner->unclaimed, &number)) {
		struct entry *entry = index_entry(&owner->index, number);

		if (entry == NULL || (entry->state & ENTRY_PRESENT) == 0 ||
			(entry->state & ENTRY_CLAIMED) != 0)
			continue;
		*cold = *cold || (entry->state & ENTRY_COLD) != 0;
		*pieces += 1 + entry->note_count;
		entry->state |= ENTRY_CLAIMED;
		entries[count++] = entry;
	}
	return count;
}

static size_t
claim_pieces(struct owner *owner, struct entry **entries, size_t count, struct piece *pieces)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		pieces[n] = piece_of(owner, entries[i]->handle, entries[i]->envelope_size);
		pieces[n++].notes = entries[i]->note_count;
		for (uint32_t at = entries[i]->first_note; at != INDEX_NONE;) {
			const struct note *note = index_note(&owner->index, at);

			pieces[n++] = piece_of(owner, note->handle, note->size);
			at = note->next;
		}
	}
	return n;
}

/* A message whose envelope or notes changed on disk since they were read: it is left in its place,
 * which is then kept. */
static void
claim_damaged(struct owner *owner, const struct piece *piece, const char *id)
{
	owner->storage->corrupt_count++;
	if (piece->log != NULL)
		piece->log->pinned = true;
	ph_log(PH_LOG_ERROR, "%s/%08x.seg: offset %llu: a record of message %s cannot be read",
		owner->storage->path, HANDLE_NUMBER(piece->handle),
		(unsigned long long)HANDLE_OFFSET(piece->handle), id);
}

/* Fills an item. 0, or what failed of its first piece that did. */
static int
claim_item(struct owner *owner, const struct entry *entry, const struct piece *pieces,
	struct ph_queue_item *item)
{
	size_t notes = pieces[0].notes;
	ph_span *spans = ph_pool_array(owner->pool, notes + 1, sizeof *spans);

	*item = (struct ph_queue_item){.size = sizeof *item, .handle = entry->handle, .token = 1,
		.arrival = entry->arrival, .content_size = (int64_t)entry->content_size,
		.flags = entry->record_flags & ~RECORD_BIG, .note_count = (uint32_t)notes,
		.envelope = pieces[0].bytes, .notes = notes == 0 ? NULL : spans};
	memcpy(item->id, entry->id, sizeof item->id);
	for (size_t i = 0; i <= notes; i++) {
		if (pieces[i].failed == -1)
			claim_damaged(owner, pieces + i, entry->id);
		if (pieces[i].failed != 0 || spans == NULL)
			return spans == NULL ? ENOMEM : pieces[i].failed;
		if (i > 0)
			spans[i - 1] = pieces[i].bytes;
	}
	return 0;
}

static void
fetch_release(struct fetch *fetch)
{
	for (size_t i = 0; i < fetch->count; i++) {
		struct log *log = fetch->pieces[i].log;

		if (log != NULL && --log->users == 0 && log->sealed)
			log_close(log);
	}
	free(fetch->pieces);
	fetch->pieces = NULL;
}

/* Reads the entries into items. The number of items; *failed is an errno of those that were put
 * back to be tried again. */
static size_t
claim_fetch(struct owner *owner, struct entry **entries, size_t count, struct fetch *fetch,
	bool cold, struct ph_queue_item *items, int *failed)
{
	size_t given = 0, at = 0;
	ph_error error;

	fetch->owner = owner;
	fetch->count = claim_pieces(owner, entries, count, fetch->pieces);
	if (!cold || helper_call(owner->storage->helper, fetch_run, fetch, &error) == -1)
		fetch_run(fetch);
	for (size_t i = 0; i < count; i++) {
		const struct piece *pieces = fetch->pieces + at;
		struct ph_queue_item item;
		int result = claim_item(owner, entries[i], pieces, &item);

		at += 1 + pieces[0].notes;
		if (result == 0)
			ph_queue_item_put(items, given++, &item);
		if (result > 0) {
			*failed = result;
			entries[i]->state &= ~(uint32_t)ENTRY_CLAIMED;
			fifo_push(&owner->unclaimed, index_number(&owner->index, entries[i]));
		}
	}
	fetch_release(fetch);
	return given;
}

int
owner_claim(struct owner *owner, struct ph_queue_item *items, size_t max, ph_error *error)
{
	struct entry **entries = calloc(max + 1, sizeof(void *));
	struct fetch fetch = {0};
	size_t count, pieces = 0, given = 0;
	int failed = 0;
	bool cold = false;

	if (entries == NULL)
		return ph_error_set(error, "out of memory");
	ph_pool_reset(owner->pool);
	owner_read_new(owner);
	/* When all that were tried are damaged there may be others. */
	while (given == 0 && failed == 0 &&
		(count = claim_pop(owner, entries, max, &pieces, &cold)) > 0) {
		fetch.pieces = calloc(pieces, sizeof *fetch.pieces);
		if (fetch.pieces == NULL) {
			failed = ENOMEM;
			for (size_t i = count; i-- > 0; fifo_unpop(&owner->unclaimed))
				entries[i]->state &= ~(uint32_t)ENTRY_CLAIMED;
		} else {
			given = claim_fetch(owner, entries, count, &fetch, cold, items, &failed);
		}
		pieces = 0;
	}
	free(entries);
	if (given == 0 && failed != 0)
		return storage_error(owner->storage, error, "cannot read messages", failed);
	return (int)given;
}

/* ---- Notes ----------------------------------------------------------------------------------- */

static int
owner_put(struct owner *owner, enum record_type type, uint64_t handle, ph_span bytes,
	ph_error *error)
{
	struct request *request = request_new(REQUEST_KEEP, 1, bytes.size);
	const struct entry *entry = index_find(&owner->index, handle);

	if (request == NULL)
		return ph_error_set(error, "out of memory");
	request->record = (struct record){.type = type, .envelope_size = bytes.size,
		.place = handle, .arrival = ph_wall_clock()};
	if (entry != NULL)
		memcpy(request->record.id, entry->id, sizeof entry->id);
	if (bytes.size > 0)
		memcpy(request_extra(request), bytes.data, bytes.size);
	request->parts[0] = (struct iovec){request_extra(request), bytes.size};
	if (writer_submit(owner->storage->writer, request) == 0)
		return 0;
	free(request);
	return ph_error_set(error, "%s: too much waits to be written", owner->storage->path);
}

int
owner_note(struct owner *owner, uint64_t handle, ph_span note, ph_error *error)
{
	return owner_put(owner, RECORD_NOTE, handle, note, error);
}

int
owner_remove(struct owner *owner, uint64_t handle, ph_error *error)
{
	return owner_put(owner, RECORD_REMOVE, handle, (ph_span){0}, error);
}

/* ---- Tending --------------------------------------------------------------------------------- */

/* Asks of each living segment whether its writer is gone, and what later headers say. */
static void
owner_read_living(struct owner *owner)
{
	for (size_t i = 0; i < owner->logs.count; i++)
		if (!owner->logs.items[i]->sealed && owner->logs.items[i]->users == 0)
			owner_read_log(owner, owner->logs.items[i]);
}

/* When a name in the folder came, went or changed last, nanoseconds; 0 when that cannot be told. */
static int64_t
owner_folder_time(const struct owner *owner)
{
	struct stat status;

	if (stat(owner->storage->path, &status) == -1)
		return 0;
	return (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
}

/* A writer may have come and gone without a word: while no owner listened, say. Its segment
 * shows. */
static void
owner_look_around(struct owner *owner, int64_t now)
{
	int64_t changed = owner_folder_time(owner);
	ph_error error;

	if (now < owner->list_at && changed == owner->folder_changed)
		return;
	owner->list_at = now + LIST_EVERY; /* a hint may ask for another look meanwhile */
	owner->folder_changed = changed;
	if (owner_list(owner, &error) == -1)
		owner->list_at = now;
}

void
owner_tend(struct owner *owner)
{
	int64_t now = ph_in(0);
	ph_error error;

	if (owner->tending)
		return;
	owner->tending = true;
	owner_look_around(owner, now);
	owner_read_new(owner);
	owner_read_living(owner);
	owner_reclaim(owner);
	owner_compact(owner);
	if (now >= owner->sweep_at) {
		owner_sweep(owner);
		owner_purge(owner);
		owner->sweep_at = now + SWEEP_EVERY;
	}
	if (now >= owner->checkpoint_at) {
		if (owner->changed && owner_checkpoint_save(owner, &error) == -1)
			ph_log(PH_LOG_WARNING, "%s", error.text);
		owner->checkpoint_at = now + CHECKPOINT_EVERY;
	}
	owner->tending = false;
}
