#include "scan.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE (64 * 1024)
#define PIECE 4096

/* What the disk does not give back reads as zeros, piece by piece: the rest can be had. */
static ssize_t
scan_salvage(struct scan *scan, uint64_t at)
{
	uint64_t left = at < (uint64_t)scan->file_size ? (uint64_t)scan->file_size - at : 0;
	size_t size = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE;

	scan->unreadable = true;
	memset(scan->buffer, 0, size);
	for (size_t done = 0; done < size; done += PIECE) {
		size_t some = size - done < PIECE ? size - done : PIECE;

		if (file_read_at(scan->files, scan->fd, scan->buffer + done, some,
			    (int64_t)(at + done)) == -1 &&
			errno != EIO)
			return -1;
	}
	return (ssize_t)size;
}

/* Shows size bytes at an offset; NULL at the end of the file, or with error set. */
static const unsigned char *
scan_bytes(struct scan *scan, uint64_t at, size_t size)
{
	ssize_t n;

	if (at >= scan->buffer_at && at + size <= scan->buffer_at + scan->buffer_size)
		return scan->buffer + (at - scan->buffer_at);
	scan->buffer_size = 0;
	n = file_read_at(scan->files, scan->fd, scan->buffer, BUFFER_SIZE, (int64_t)at);
	if (n == -1 && errno == EIO)
		n = scan_salvage(scan, at);
	if (n == -1)
		scan->error = errno;
	if (n < (ssize_t)size)
		return NULL;
	scan->buffer_at = at;
	scan->buffer_size = (size_t)n;
	return scan->buffer;
}

/* The CRC of a run of the file. false: the file ends before it, or with error set. */
static bool
scan_crc(struct scan *scan, uint64_t at, uint64_t size, uint32_t *crc)
{
	*crc = 0;
	while (size > 0) {
		size_t some = size < BUFFER_SIZE ? (size_t)size : BUFFER_SIZE;
		const unsigned char *bytes = scan_bytes(scan, at, some);

		if (bytes == NULL)
			return false;
		*crc = record_crc(*crc, bytes, some);
		at += some;
		size -= some;
	}
	return true;
}

static bool
scan_room(struct scan *scan, void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room == 0 ? 64 : *room * 2;
	void *grown;

	if (count < *room)
		return true;
	grown = realloc(*array, more * size);
	if (grown == NULL) {
		scan->error = ENOMEM;
		return false;
	}
	*array = grown;
	*room = more;
	return true;
}

static void
scan_add(struct scan *scan, const struct record *record)
{
	void *records = scan->records;

	if (scan_room(scan, &records, scan->count, &scan->room, sizeof *record)) {
		scan->records = records;
		scan->records[scan->count++] = *record;
	}
}

/* An ID that can be shown to people, or "". */
static void
damage_name(struct damage *damage, const char *id)
{
	size_t i = 0;

	while (i < PH_QUEUE_ID_SIZE - 1 && isalnum((unsigned char)id[i]))
		i++;
	memset(damage->id, 0, sizeof damage->id);
	if (i >= 4 && id[i] == '\0')
		memcpy(damage->id, id, i);
}

static void
scan_damage(struct scan *scan, uint64_t offset, uint64_t size, const struct record *record,
	bool message)
{
	void *damages = scan->damages;
	struct damage damage = {.offset = offset, .size = size, .message = message};

	damage_name(&damage, record->id);
	if (scan_room(scan, &damages, scan->damage_count, &scan->damage_room, sizeof damage)) {
		scan->damages = damages;
		scan->damages[scan->damage_count++] = damage;
	}
}

static bool
scan_content_whole(struct scan *scan, const struct record *record)
{
	uint32_t crc;

	if (record->type != RECORD_MESSAGE || (record->flags & RECORD_BIG) != 0)
		return true;
	return scan_crc(scan, record->offset + RECORD_HEADER + record->envelope_size,
		       record->content_size, &crc) &&
		crc == record->content_crc;
}

/* Is everything of the record there that its reader relies on? */
static bool
scan_body_whole(struct scan *scan, const struct record *record)
{
	uint64_t size = record_size(record);
	uint32_t crc;

	if (size > (uint64_t)scan->file_size ||
		record->offset > (uint64_t)scan->file_size - size)
		return false;
	if (record->type == RECORD_GAP)
		return true;
	if (!scan_crc(scan, record->offset + RECORD_HEADER, record->envelope_size, &crc) ||
		crc != record->envelope_crc)
		return false;
	return !scan->whole || !scan->verify || scan_content_whole(scan, record);
}

/* The next header that fits, after a place where none is. false: there is none. */
static bool
scan_search(struct scan *scan, uint64_t *at)
{
	uint64_t next = *at + 8;

	while (next + RECORD_HEADER <= (uint64_t)scan->file_size) {
		uint64_t left = (uint64_t)scan->file_size - next;
		size_t some = left < BUFFER_SIZE ? (size_t)left : BUFFER_SIZE, from = 0;
		const unsigned char *bytes = scan_bytes(scan, next, some);

		if (bytes == NULL)
			return false;
		if (record_search(bytes, some, next, scan->identity, &from)) {
			*at = next + from;
			return true;
		}
		next += from;
	}
	return false;
}

/* One record. false: it was the last. */
static bool
scan_record(struct scan *scan, uint64_t *at, const struct record *record)
{
	uint64_t size = record_size(record);
	bool whole = scan_body_whole(scan, record);

	if (scan->error != 0 || (!whole && !scan->whole))
		return false;
	if (record->durable > scan->durable)
		scan->durable = record->durable;
	if (whole)
		scan_add(scan, record);
	else
		scan_damage(scan, *at, size, record, record->type == RECORD_MESSAGE);
	*at += size;
	if (whole && record->type == RECORD_SEAL)
		scan->sealed = true;
	return scan->error == 0 && !scan->sealed;
}

/* A place without a header. false: nothing follows. */
static bool
scan_hole(struct scan *scan, uint64_t *at, const struct record *record)
{
	uint64_t next = *at;

	if (!scan->whole || !scan_search(scan, &next)) {
		if (scan->whole && scan->error == 0 && *at < scan->durable)
			scan_damage(scan, *at, 0, record, true);
		return false;
	}
	scan_damage(scan, *at, next - *at, record, true);
	*at = next;
	return true;
}

/* While the writer lives, what lies beyond the durable part does not exist yet. */
static void
scan_trim(struct scan *scan)
{
	uint64_t bound = scan->limit > scan->durable ? scan->limit : scan->durable;

	while (scan->count > 0) {
		const struct record *last = scan->records + scan->count - 1;

		if (last->offset + record_size(last) <= bound)
			break;
		scan->end = last->offset;
		scan->count--;
	}
}

/* What follows the highest offset known durable has to prove itself. */
static void
scan_judge(struct scan *scan)
{
	size_t kept = scan->count;

	while (kept > 0 && scan->records[kept - 1].offset >= scan->durable)
		kept--;
	for (size_t i = kept; i < scan->count && scan->error == 0; i++) {
		const struct record *record = scan->records + i;

		if (scan->verify || scan_content_whole(scan, record))
			scan->records[kept++] = *record;
		else
			scan_damage(scan, record->offset, record_size(record), record, true);
	}
	if (scan->error == 0)
		scan->count = kept;
	for (size_t i = 0; i < scan->damage_count; i++)
		scan->damages[i].corrupt = scan->damages[i].offset < scan->durable;
}

static void
scan_pass(struct scan *scan)
{
	uint64_t at = scan->from;
	bool more = true;

	while (more && scan->error == 0) {
		struct record record;
		const unsigned char *bytes = scan_bytes(scan, at, RECORD_HEADER);

		if (bytes == NULL)
			break;
		if (record_decode(bytes, scan->identity, at, &record) == RECORD_FITS)
			more = scan_record(scan, &at, &record);
		else
			more = scan_hole(scan, &at, &record);
	}
	scan->end = at;
}

int
scan_run(struct scan *scan)
{
	scan->file_size = file_size(scan->fd);
	scan->durable = scan->limit;
	scan->end = scan->from;
	scan->buffer = malloc(BUFFER_SIZE);
	if (scan->buffer == NULL || scan->file_size == -1) {
		scan->error = errno;
		return -1;
	}
	scan_pass(scan);
	if (scan->whole && scan->error == 0)
		scan_judge(scan);
	else
		scan_trim(scan);
	free(scan->buffer);
	scan->buffer = NULL;
	return scan->error == 0 ? 0 : -1;
}

void
scan_clear(struct scan *scan)
{
	free(scan->records);
	free(scan->damages);
	scan->records = NULL;
	scan->damages = NULL;
	scan->count = scan->room = scan->damage_count = scan->damage_room = 0;
}
