/*
 * Batches: what came together is written together, by one synchronous write.
 */
#include "writing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_BYTES (8u << 20)
#define BATCH_PARTS 1000

size_t
request_bytes(const struct request *request)
{
	return (size_t)record_size(&request->record);
}

static void
request_finish(struct writer *writer, struct request *request, int error, const char *what)
{
	request->error = error;
	request->what = what;
	wake_begin(writer->storage->wake);
	wake_finish(writer->storage->wake, &request->waiter);
	wake_end(writer->storage->wake);
}

/* A record that nobody waits for stays until it is durable, in its order. */
static void
request_defer(struct writer *writer, struct request *request)
{
	request->next = NULL;
	if (writer->deferred == NULL)
		writer->retry_at = writing_clock() + RETRY_AFTER;
	*writer->deferred_end = request;
	writer->deferred_end = &request->next;
}

static void
request_fail(struct writer *writer, struct request *request, int error, const char *what)
{
	if (request->kind == REQUEST_KEEP)
		request_defer(writer, request);
	else
		request_finish(writer, request, error, what);
}

/* The batch is durable: tell all who wait for it at once. */
static void
batch_done(struct writer *writer)
{
	struct request *request, *next;
	size_t kept = 0;

	wake_begin(writer->storage->wake);
	for (request = writer->batch; request != NULL; request = next) {
		next = request->next;
		if (request->kind == REQUEST_KEEP) {
			kept += request_bytes(request);
			free(request);
		} else {
			wake_finish(writer->storage->wake, &request->waiter);
		}
	}
	wake_end(writer->storage->wake);
	pthread_mutex_lock(&writer->mutex);
	writer->kept_bytes -= kept;
	pthread_mutex_unlock(&writer->mutex);
}

/* The batch failed: its segment is given up, and what it may have left is disowned before anybody
 * hears of it. */
static void
batch_failed(struct writer *writer, int error, const char *what)
{
	const struct storage *storage = writer->storage;
	struct request *request = writer->batch, *next;
	uint64_t identity = writer->segment.identity;

	writing_failed(writer, error, what);
	for (; request != NULL; request = request->next)
		if (request->big != NULL)
			big_unplace(storage, HANDLE_NUMBER(request->handle), identity,
				HANDLE_OFFSET(request->handle));
	writing_drop(writer);
	writing_open(writer);
	for (request = writer->batch; request != NULL; request = next) {
		next = request->next;
		request_fail(writer, request, error, what);
	}
}

static void
batch_reset(struct writer *writer)
{
	writer->batch = NULL;
	writer->batch_end = &writer->batch;
	writer->part_count = 0;
	writer->batch_placed = false;
	writer->batch_tail = writer->segment.tail;
}

static void
batch_flush(struct writer *writer)
{
	const struct storage *storage = writer->storage;
	struct segment *segment = &writer->segment;

	if (writer->batch == NULL)
		return;
	if (writer->batch_placed &&
		storage->files->sync_directory(storage->files, storage->path) == -1) {
		batch_failed(writer, errno, "cannot sync the folder");
	} else if (file_write_at(storage->files, segment->fd, writer->parts,
			   (int)writer->part_count, (int64_t)segment->tail, true) == -1) {
		batch_failed(writer, errno, "cannot write messages");
	} else {
		segment->tail = segment->durable = writer->batch_tail;
		writing_publish(writer);
		batch_done(writer);
	}
	batch_reset(writer);
}

static void
batch_part(struct writer *writer, const void *data, size_t size)
{
	if (size > 0)
		writer->parts[writer->part_count++] =
			(struct iovec){.iov_base = (void *)(uintptr_t)data, .iov_len = size};
}

static int
batch_room(struct writer *writer, size_t more)
{
	size_t room = writer->part_count + more;
	struct iovec *parts;

	if (room <= writer->part_room)
		return 0;
	room = room < BATCH_PARTS ? BATCH_PARTS : room * 2;
	parts = realloc(writer->parts, room * sizeof *parts);
	if (parts == NULL)
		return -1;
	writer->parts = parts;
	writer->part_room = room;
	return 0;
}

static void
request_crc(struct request *request)
{
	struct record *record = &request->record;

	if (request->part_count > 0)
		record->envelope_crc = record_crc(0, request->parts[0].iov_base,
			request->parts[0].iov_len);
	if (request->big != NULL)
		return;
	record->content_crc = 0;
	for (int i = 1; i < request->part_count; i++)
		record->content_crc = record_crc(record->content_crc, request->parts[i].iov_base,
			request->parts[i].iov_len);
}

/* Gives the record its place behind the batch. */
static int
batch_add(struct writer *writer, struct request *request)
{
	static const char padding[8];
	struct record *record = &request->record;
	const struct segment *segment = &writer->segment;
	uint64_t size = record_size(record), used = RECORD_HEADER;

	if (batch_room(writer, (size_t)request->part_count + 2) == -1) {
		errno = ENOMEM;
		return -1;
	}
	record->identity = segment->identity;
	record->offset = writer->batch_tail;
	record->durable = segment->durable;
	if (request->big != NULL) {
		if (big_place(writer->storage, request->big, segment->number, segment->identity,
				record->offset) == -1)
			return -1;
		writer->batch_placed = true;
	}
	request_crc(request);
	record_encode(record, request->header);
	request->handle = HANDLE(segment->number, record->offset);
	batch_part(writer, request->header, sizeof request->header);
	for (int i = 0; i < request->part_count; i++) {
		batch_part(writer, request->parts[i].iov_base, request->parts[i].iov_len);
		used += request->parts[i].iov_len;
	}
	batch_part(writer, padding, (size_t)(size - used));
	writer->batch_tail += size;
	request->next = NULL;
	*writer->batch_end = request;
	writer->batch_end = &request->next;
	return 0;
}

/* Is there room for a record in the batch, and in the segment? Makes it. 0, or -1 with errno. */
static int
batch_prepare(struct writer *writer, const struct request *request)
{
	uint64_t size = record_size(&request->record);
	uint64_t limit = (uint64_t)writer->storage->segment_size;

	if (size > limit - SEGMENT_HEADER) {
		writer->what = "the message is too large for a segment";
		writer->error = EFBIG;
		return -1;
	}
	if (writer->part_count + (size_t)request->part_count > BATCH_PARTS ||
		(writer->batch != NULL &&
			writer->batch_tail - writer->segment.tail + size > BATCH_BYTES))
		batch_flush(writer);
	if (writer->segment.fd != -1 && writer->batch_tail + size > limit) {
		batch_flush(writer);
		writing_seal(writer);
	}
	if (writer->segment.fd == -1) {
		if (writing_open(writer) == -1)
			return -1;
		batch_reset(writer);
	}
	return 0;
}

static void
writer_put(struct writer *writer, struct request *request)
{
	/* Kept records stay in their order. */
	if (request->kind == REQUEST_KEEP && writer->deferred != NULL) {
		request_defer(writer, request);
		return;
	}
	if (batch_prepare(writer, request) == -1) {
		request_fail(writer, request, writer->error, writer->what);
	} else if (request->kind == REQUEST_KEEP && writer->deferred != NULL) {
		request_defer(writer, request); /* those before it failed just now */
	} else if (batch_add(writer, request) == -1) {
		writing_failed(writer, errno, "cannot place a message");
		request_fail(writer, request, writer->error, writer->what);
	}
}

static void
writer_barrier_reached(struct writer *writer, struct request *request)
{
	batch_flush(writer);
	if (request->kind == REQUEST_SEAL)
		writing_seal(writer);
	if (writer->deferred != NULL)
		request_finish(writer, request, writer->error, writer->what);
	else
		request_finish(writer, request, 0, NULL);
}

/* What could not be written earlier goes first, at a barrier or after a while. */
static struct request *
writer_retry(struct writer *writer, struct request *list)
{
	bool now = writing_clock() >= writer->retry_at;

	if (writer->deferred == NULL)
		return list;
	for (const struct request *request = list; request != NULL; request = request->next)
		now = now || request->kind != REQUEST_MESSAGE;
	if (!now)
		return list;
	*writer->deferred_end = list;
	list = writer->deferred;
	writer->deferred = NULL;
	writer->deferred_end = &writer->deferred;
	return list;
}

void
writing_run(struct writer *writer, struct request *list)
{
	struct request *request, *next;

	batch_reset(writer);
	for (request = writer_retry(writer, list); request != NULL; request = next) {
		next = request->next;
		if (request->kind == REQUEST_BARRIER || request->kind == REQUEST_SEAL)
			writer_barrier_reached(writer, request);
		else
			writer_put(writer, request);
	}
	batch_flush(writer);
}
