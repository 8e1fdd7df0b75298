#include "message.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "big.h"
#include "writer.h"

#define CHUNK_BYTES (16 * 1024 - 32)
#define CHUNKS_KEPT 256
#define BIG_FLUSH (256 * 1024) /* a big message goes to its file in pieces of that size */

struct chunk {
	struct chunk *next;
	size_t used;
	char bytes[CHUNK_BYTES];
};

struct ph_queue_writer {
	struct storage *storage;
	struct chunk *chunks, *last;
	int chunk_count;
	uint64_t size;    /* of the content, all of it */
	uint64_t pending; /* of what is in chunks */
	struct big *big;  /* NULL while it is small */
	bool failed;
};

/* What the helper does for a big message. */
struct big_job {
	const struct storage *storage;
	struct big *big;
	struct iovec *parts;
	int part_count;
	bool open;
	bool finish;
	ph_span head;
	uint64_t place;
	uint32_t crc;
	int result;
};

/* ---- Chunks ---------------------------------------------------------------------------------- */

static struct chunk *
chunk_get(struct storage *storage)
{
	struct chunks *chunks = &storage->chunks;
	struct chunk *chunk = chunks->free;

	if (chunks->used + CHUNK_BYTES > storage->buffer_limit)
		return NULL;
	if (chunk != NULL) {
		chunks->free = chunk->next;
		chunks->free_count--;
	} else if ((chunk = malloc(sizeof *chunk)) == NULL) {
		return NULL;
	}
	chunks->used += CHUNK_BYTES;
	chunk->next = NULL;
	chunk->used = 0;
	return chunk;
}

static void
chunk_put(struct storage *storage, struct chunk *chunk)
{
	struct chunks *chunks = &storage->chunks;

	chunks->used -= CHUNK_BYTES;
	if (chunks->free_count >= CHUNKS_KEPT) {
		free(chunk);
		return;
	}
	chunk->next = chunks->free;
	chunks->free = chunk;
	chunks->free_count++;
}

void
chunks_clear(struct chunks *chunks)
{
	struct chunk *chunk;

	while ((chunk = chunks->free) != NULL) {
		chunks->free = chunk->next;
		free(chunk);
	}
	chunks->free_count = 0;
}

static void
message_drop_chunks(ph_queue_writer *writer)
{
	struct chunk *chunk;

	while ((chunk = writer->chunks) != NULL) {
		writer->chunks = chunk->next;
		chunk_put(writer->storage, chunk);
	}
	writer->last = NULL;
	writer->chunk_count = 0;
	writer->pending = 0;
}

static void
message_parts(const ph_queue_writer *writer, struct iovec *parts)
{
	for (struct chunk *chunk = writer->chunks; chunk != NULL; chunk = chunk->next)
		*parts++ = (struct iovec){.iov_base = chunk->bytes, .iov_len = chunk->used};
}

/* ---- Big messages ---------------------------------------------------------------------------- */

static void
big_job_run(void *argument)
{
	struct big_job *job = argument;

	job->result = job->open ? big_open(job->storage, job->big) : 0;
	if (job->result == 0)
		job->result = big_write(job->storage, job->big, job->parts, job->part_count);
	if (job->result == 0 && job->finish)
		job->result = big_finish(job->storage, job->big, job->head, &job->place, &job->crc);
}

/* Puts the chunks down in the message's file; with job->finish the head too. Waits. */
static int
message_spill(ph_queue_writer *writer, struct big_job *job, ph_error *error)
{
	int result;

	job->storage = writer->storage;
	job->open = writer->big == NULL;
	if (job->open && (writer->big = calloc(1, sizeof *writer->big)) == NULL)
		return ph_error_set(error, "out of memory");
	if (job->open)
		writer->big->fd = -1;
	job->big = writer->big;
	job->part_count = writer->chunk_count;
	job->parts = calloc((size_t)job->part_count + 1, sizeof *job->parts);
	if (job->parts == NULL)
		return ph_error_set(error, "out of memory");
	message_parts(writer, job->parts);
	result = helper_call(writer->storage->helper, big_job_run, job, error);
	free(job->parts);
	if (result == -1)
		return -1;
	if (job->result == -1)
		return storage_error(writer->storage, error, writer->big->what,
			writer->big->error);
	message_drop_chunks(writer);
	return 0;
}

struct big_end {
	const struct storage *storage;
	struct big *big;
	bool remove;
};

static void
big_end_run(void *argument)
{
	struct big_end *end = argument;

	big_close(end->storage, end->big, end->remove);
	free(end->big);
	free(end);
}

/* Lets go of the file, off the loop's thread: to remove a large file takes its time. */
static void
message_end_big(ph_queue_writer *writer, bool remove)
{
	struct big_end *end = malloc(sizeof *end);

	if (end == NULL) {
		big_close(writer->storage, writer->big, remove);
		free(writer->big);
	} else {
		*end = (struct big_end){writer->storage, writer->big, remove};
		if (helper_post(writer->storage->helper, big_end_run, end) == -1)
			big_end_run(end);
	}
	writer->big = NULL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

int
message_begin(struct storage *storage, int64_t expected, ph_queue_writer **writer, ph_error *error)
{
	if (storage_ready(storage, error) == -1)
		return -1;
	*writer = calloc(1, sizeof **writer);
	if (*writer == NULL)
		return ph_error_set(error, "out of memory");
	(*writer)->storage = storage;
	return 0;
}

static void
message_free(ph_queue_writer *writer, bool remove)
{
	message_drop_chunks(writer);
	if (writer->big != NULL)
		message_end_big(writer, remove);
	free(writer);
}

static int
message_fail(ph_queue_writer *writer)
{
	writer->failed = true;
	return -1;
}

/* Fills chunks up to the size at which they go to a file. The number of bytes that it took. */
static size_t
message_fill(ph_queue_writer *writer, ph_span bytes, uint64_t limit)
{
	size_t done = 0;

	while (done < bytes.size && writer->pending < limit) {
		size_t some = bytes.size - done;

		if (writer->last == NULL || writer->last->used == CHUNK_BYTES) {
			struct chunk *chunk = chunk_get(writer->storage);

			if (chunk == NULL)
				break;
			if (writer->last == NULL)
				writer->chunks = chunk;
			else
				writer->last->next = chunk;
			writer->last = chunk;
			writer->chunk_count++;
		}
		if (some > CHUNK_BYTES - writer->last->used)
			some = CHUNK_BYTES - writer->last->used;
		memcpy(writer->last->bytes + writer->last->used, bytes.data + done, some);
		writer->last->used += some;
		writer->pending += some;
		done += some;
	}
	writer->size += done;
	return done;
}

int
message_append(ph_queue_writer *writer, ph_span bytes, ph_error *error)
{
	uint64_t small = (uint64_t)writer->storage->big_message_size;

	if (writer->failed)
		return ph_error_set(error, "the message failed before");
	while (bytes.size > 0) {
		uint64_t limit = writer->big == NULL ? small + 1 : BIG_FLUSH;
		size_t done = message_fill(writer, bytes, limit);
		struct big_job job = {0};

		bytes.data += done;
		bytes.size -= done;
		if (writer->pending >= limit) {
			if (ph_task_cancelled()) {
				ph_error_set(error, "cancelled");
				return message_fail(writer);
			}
			if (message_spill(writer, &job, error) == -1)
				return message_fail(writer);
		} else if (bytes.size > 0) {
			ph_error_set(error, "out of memory for messages that arrive");
			return message_fail(writer);
		}
	}
	return 0;
}

/* The record of the message, and where its bytes are. */
static struct request *
message_request(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head,
	uint32_t flags)
{
	bool big = writer->big != NULL;
	struct request *request =
		request_new(REQUEST_MESSAGE, big ? 1 : 2 + writer->chunk_count, 0);

	if (request == NULL)
		return NULL;
	request->record = (struct record){
		.type = RECORD_MESSAGE,
		.flags = (flags & ~RECORD_BIG) | (big ? RECORD_BIG : 0),
		.envelope_size = envelope.size,
		.content_size = head.size + writer->size,
		.arrival = ph_wall_clock(),
	};
	request->big = writer->big;
	request->parts[0] = (struct iovec){(void *)(uintptr_t)envelope.data, envelope.size};
	if (!big) {
		request->parts[1] = (struct iovec){(void *)(uintptr_t)head.data, head.size};
		message_parts(writer, request->parts + 2);
	}
	if (!record_id_set(&request->record, id)) {
		free(request);
		return NULL;
	}
	return request;
}

static int
message_write(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head,
	uint32_t flags, uint64_t *handle, ph_error *error)
{
	struct storage *storage = writer->storage;
	struct big_job job = {.finish = true, .head = head};
	struct request *request;
	int result = 0;

	if (writer->failed)
		return ph_error_set(error, "the message failed before");
	if (head.size + writer->size > (uint64_t)storage->big_message_size || writer->big != NULL)
		if (message_spill(writer, &job, error) == -1)
			return -1;
	request = message_request(writer, id, envelope, head, flags);
	if (request == NULL)
		return ph_error_set(error, "out of memory, or a queue ID that is too long");
	request->record.place = job.place;
	request->record.content_crc = job.crc;
	if (writer_submit(storage->writer, request) == -1) {
		free(request);
		return ph_error_set(error, "%s: cannot start a thread", storage->path);
	}
	wake_wait(storage->wake, &request->waiter);
	if (request->error != 0)
		result = storage_error(storage, error, request->what, request->error);
	else if (handle != NULL)
		*handle = request->handle;
	free(request);
	return result;
}

int
message_commit(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head,
	uint32_t flags, uint64_t *handle, ph_error *error)
{
	int result = message_write(writer, id, envelope, head, flags, handle, error);

	message_free(writer, result == -1);
	return result;
}

void
message_abort(ph_queue_writer *writer)
{
	if (writer != NULL)
		message_free(writer, true);
}
