#include "writer.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "segment.h"

#define BATCH_BYTES (8u << 20)
#define BATCH_PARTS 1000
#define KEPT_BYTES_MAX (64u << 20)
#define RETRY_AFTER 1000 /* milliseconds, for records that are kept */

/* Records that were written but never acknowledged: a fresh segment says so. */
struct abandoned {
	struct abandoned *next;
	uint64_t place;
	int fd; /* of the segment that could not be cut off; -1: it was. Its lock keeps the owner out */
};

struct writer {
	struct storage *storage;
	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	/* under the mutex */
	struct request *list, **list_end;
	size_t kept_bytes;
	bool stopping;
	int64_t seal_after;
	struct place places[PLACES_MAX];
	unsigned place_count;
	/* the thread's own */
	struct segment segment, next;
	struct request *batch, **batch_end;
	struct iovec *parts;
	size_t part_count, part_room;
	uint64_t batch_tail; /* the segment's tail once the batch is written */
	bool batch_placed;   /* a name was made for a big message: sync the folder first */
	struct request *deferred, **deferred_end;
	int64_t retry_at;
	int error;           /* of the last failure, for barriers */
	const char *what;
	bool full;           /* the open segment could not grow ahead */
	struct abandoned *abandoned;
};

static int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static size_t
request_bytes(const struct request *request)
{
	return (size_t)record_size(&request->record);
}

/* ---- Segments ----------------------------------------------------------------------------------- */

/* Tells what is durable now, for hints. */
static void
writer_publish(struct writer *writer)
{
	struct place *last;

	pthread_mutex_lock(&writer->mutex);
	last = writer->places + writer->place_count - 1;
	if (writer->place_count == 0 || last->number != writer->segment.number) {
		if (writer->place_count == PLACES_MAX) {
			memmove(writer->places, writer->places + 1,
				(PLACES_MAX - 1) * sizeof *writer->places);
			writer->place_count--;
		}
		last = writer->places + writer->place_count++;
	}
	*last = (struct place){writer->segment.number, writer->segment.durable};
	pthread_mutex_unlock(&writer->mutex);
}

/* Cuts off what a failed write may have left. 0, or -1. */
static int
segment_cut(const struct storage *storage, int fd, uint64_t size)
{
	if (storage->files->truncate(storage->files, fd, (int64_t)size) == -1)
		return -1;
	/* Should the sync fail: the record that disowns it does not depend on it. */
	storage->files->fdatasync(storage->files, fd);
	close(fd);
	return 0;
}

/* The first records of a fresh segment disown what an earlier one holds behind its failure. */
static int
writer_put_abandoned(struct writer *writer)
{
	const struct storage *storage = writer->storage;
	struct segment *segment = &writer->segment;
	struct abandoned *abandoned;

	while ((abandoned = writer->abandoned) != NULL) {
		unsigned char bytes[RECORD_HEADER];
		struct record record = {.type = RECORD_ABANDON, .identity = segment->identity,
			.offset = segment->tail, .durable = segment->durable,
			.place = abandoned->place};

		record_encode(&record, bytes);
		if (file_put(storage->files, segment->fd, bytes, sizeof bytes,
			    (int64_t)segment->tail, true) == -1)
			return -1;
		segment->tail += sizeof bytes;
		segment->durable = segment->tail;
		writer_publish(writer);
		/* Now that it is known, the owner may read the rest of it. */
		if (abandoned->fd != -1 &&
			segment_cut(storage, abandoned->fd, HANDLE_OFFSET(abandoned->place)) == -1)
			close(abandoned->fd);
		writer->abandoned = abandoned->next;
		free(abandoned);
	}
	return 0;
}

static int
writer_failed(struct writer *writer, int error, const char *what)
{
	writer->error = error;
	writer->what = what;
	wake_say(writer->storage->wake, PH_LOG_ERROR, "%s: %s: %s", writer->storage->path, what,
		strerror(error));
	return -1;
}

/*
 * After an error the file is never acknowledged from again: what the kernel holds of it and what
 * the disk has may differ for good. What the failed batch may have left is cut off, which the page
 * cache shows at once, and disowned by a record, which holds when the power goes.
 */
static void
writer_drop_segment(struct writer *writer)
{
	struct segment *segment = &writer->segment;
	struct abandoned *abandoned = malloc(sizeof *abandoned);
	bool cut = segment_cut(writer->storage, segment->fd, segment->durable) == 0;

	if (abandoned != NULL) {
		*abandoned = (struct abandoned){.next = writer->abandoned,
			.place = HANDLE(segment->number, segment->durable),
			.fd = cut ? -1 : segment->fd};
		writer->abandoned = abandoned;
	}
	writer->retry_at = clock_ms() + RETRY_AFTER;
	segment->fd = -1;
}

/* Makes sure of an open segment. 0, or -1 with error and what set. */
static int
writer_open_segment(struct writer *writer)
{
	const char *what = NULL;

	if (writer->segment.fd != -1)
		return 0;
	if (writer->next.fd != -1) {
		writer->segment = writer->next;
		writer->next.fd = -1;
	} else if (segment_create(writer->storage, &writer->segment, &what) == -1) {
		return writer_failed(writer, errno, what);
	}
	writer->full = false;
	writer->segment.opened = clock_ms();
	if (writer_put_abandoned(writer) == 0)
		return 0;
	writer_failed(writer, errno, "cannot write to a new segment");
	writer_drop_segment(writer);
	return -1;
}

/* Tries to write what is to be disowned, where no commit asks for a segment. */
static void
writer_disown(struct writer *writer)
{
	writer->retry_at = clock_ms() + RETRY_AFTER;
	if (writer->segment.fd == -1)
		writer_open_segment(writer);
	else if (writer_put_abandoned(writer) == -1)
		writer_drop_segment(writer);
}

static void
writer_seal(struct writer *writer)
{
	if (writer->segment.fd != -1)
		segment_seal(writer->storage, &writer->segment);
}

/* ---- Batches ------------------------------------------------------------------------------------ */

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
		writer->retry_at = clock_ms() + RETRY_AFTER;
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

	writer_failed(writer, error, what);
	for (; request != NULL; request = request->next)
		if (request->big != NULL)
			big_unplace(storage, HANDLE_NUMBER(request->handle), identity,
				HANDLE_OFFSET(request->handle));
	writer_drop_segment(writer);
	writer_open_segment(writer);
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
		writer_publish(writer);
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
		writer_seal(writer);
	}
	if (writer->segment.fd == -1) {
		if (writer_open_segment(writer) == -1)
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
		writer_failed(writer, errno, "cannot place a message");
		request_fail(writer, request, writer->error, writer->what);
	}
}

static void
writer_barrier_reached(struct writer *writer, struct request *request)
{
	batch_flush(writer);
	if (request->kind == REQUEST_SEAL)
		writer_seal(writer);
	if (writer->deferred != NULL)
		request_finish(writer, request, writer->error, writer->what);
	else
		request_finish(writer, request, 0, NULL);
}

/* What could not be written earlier goes first, at a barrier or after a while. */
static struct request *
writer_retry(struct writer *writer, struct request *list)
{
	bool now = clock_ms() >= writer->retry_at;

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

static void
writer_run(struct writer *writer, struct request *list)
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

/* ---- The thread --------------------------------------------------------------------------------- */

/* Room ahead of need. */
static void
writer_grow(struct writer *writer, bool idle)
{
	const struct storage *storage = writer->storage;
	const char *what;

	if (writer->segment.fd == -1 || writer->full)
		return;
	/* Where there is no room ahead, the write itself will tell. */
	if (segment_grow(storage, &writer->segment, idle) == -1)
		writer->full = true;
	if (idle && writer->next.fd == -1 &&
		writer->segment.tail > (uint64_t)storage->segment_size / 4 * 3 &&
		segment_create(storage, &writer->next, &what) == -1)
		writer->full = true;
}

/* When the thread has to wake up without being asked; 0: never. */
static int64_t
writer_alarm(const struct writer *writer)
{
	int64_t alarm = 0;

	if (writer->segment.fd != -1)
		alarm = writer->segment.opened + writer->seal_after;
	if ((writer->deferred != NULL || writer->abandoned != NULL) &&
		(alarm == 0 || writer->retry_at < alarm))
		alarm = writer->retry_at;
	return alarm;
}

/* Waits for requests; *stop: none will come. The mutex is held. */
static struct request *
writer_wait(struct writer *writer, bool *stop)
{
	struct request *list;

	while (writer->list == NULL && !writer->stopping) {
		int64_t alarm = writer_alarm(writer);
		struct timespec until = {.tv_sec = alarm / 1000, .tv_nsec = alarm % 1000 * 1000000};

		if (alarm == 0)
			pthread_cond_wait(&writer->more, &writer->mutex);
		else if (pthread_cond_timedwait(&writer->more, &writer->mutex, &until) == ETIMEDOUT)
			break;
	}
	list = writer->list;
	writer->list = NULL;
	writer->list_end = &writer->list;
	*stop = writer->stopping && list == NULL;
	return list;
}

static bool
writer_seal_due(const struct writer *writer)
{
	return writer->segment.fd != -1 &&
		clock_ms() >= writer->segment.opened + writer->seal_after;
}

static void *
writer_main(void *argument)
{
	struct writer *writer = argument;
	bool stop = false;

	while (!stop) {
		struct request *list;
		bool idle, seal;

		pthread_mutex_lock(&writer->mutex);
		idle = writer->list == NULL;
		pthread_mutex_unlock(&writer->mutex);
		writer_grow(writer, idle);
		pthread_mutex_lock(&writer->mutex);
		list = writer_wait(writer, &stop);
		seal = writer_seal_due(writer);
		pthread_mutex_unlock(&writer->mutex);
		if (list != NULL || writer->deferred != NULL)
			writer_run(writer, list);
		if (writer->abandoned != NULL && (stop || clock_ms() >= writer->retry_at))
			writer_disown(writer);
		if (seal)
			writer_seal(writer);
	}
	writer_seal(writer);
	segment_return(writer->storage, &writer->next);
	return NULL;
}

/* ---- For the loop ------------------------------------------------------------------------------- */

struct writer *
writer_new(struct storage *storage, ph_error *error)
{
	struct writer *writer = calloc(1, sizeof *writer);
	pthread_condattr_t attributes;

	if (writer == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	writer->storage = storage;
	writer->segment.fd = writer->next.fd = -1;
	writer->seal_after = storage->seal_after;
	writer->list_end = &writer->list;
	writer->deferred_end = &writer->deferred;
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->more, &attributes);
	pthread_condattr_destroy(&attributes);
	return writer;
}

void
writer_free(struct writer *writer)
{
	struct request *request, *next;
	struct abandoned *abandoned;

	if (writer == NULL)
		return;
	if (writer->running) {
		pthread_mutex_lock(&writer->mutex);
		writer->stopping = true;
		pthread_cond_signal(&writer->more);
		pthread_mutex_unlock(&writer->mutex);
		pthread_join(writer->thread, NULL);
	}
	for (request = writer->deferred; request != NULL; request = next) {
		next = request->next;
		free(request);
	}
	while ((abandoned = writer->abandoned) != NULL) {
		writer->abandoned = abandoned->next;
		if (abandoned->fd != -1)
			close(abandoned->fd);
		free(abandoned);
	}
	free(writer->parts);
	pthread_cond_destroy(&writer->more);
	pthread_mutex_destroy(&writer->mutex);
	free(writer);
}

struct request *
request_new(enum request_kind kind, int parts, size_t extra)
{
	struct request *request = calloc(1,
		sizeof *request + (size_t)parts * sizeof request->parts[0] + extra);

	if (request != NULL) {
		request->kind = kind;
		request->part_count = parts;
	}
	return request;
}

void *
request_extra(struct request *request)
{
	return request->parts + request->part_count;
}

static int
writer_start(struct writer *writer)
{
	sigset_t all, before;
	int result;

	if (writer->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	result = pthread_create(&writer->thread, NULL, writer_main, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	writer->running = result == 0;
	return result == 0 ? 0 : -1;
}

int
writer_submit(struct writer *writer, struct request *request)
{
	bool accepted = true;

	if (writer_start(writer) == -1)
		return -1;
	request->next = NULL;
	waiter_prepare(&request->waiter);
	pthread_mutex_lock(&writer->mutex);
	if (request->kind == REQUEST_KEEP) {
		accepted = writer->kept_bytes + request_bytes(request) <= KEPT_BYTES_MAX;
		writer->kept_bytes += accepted ? request_bytes(request) : 0;
	}
	if (accepted) {
		*writer->list_end = request;
		writer->list_end = &request->next;
		pthread_cond_signal(&writer->more);
	}
	pthread_mutex_unlock(&writer->mutex);
	return accepted ? 0 : -1;
}

int
writer_barrier(struct writer *writer, enum request_kind kind, ph_error *error)
{
	struct request *request;
	int result;

	if (!writer->running)
		return 0;
	request = request_new(kind, 0, 0);
	if (request == NULL || writer_submit(writer, request) == -1) {
		free(request);
		return ph_error_set(error, "out of memory");
	}
	wake_wait(writer->storage->wake, &request->waiter);
	result = request->error == 0
		? 0
		: storage_error(writer->storage, error, request->what, request->error);
	free(request);
	return result;
}

unsigned
writer_places(struct writer *writer, struct place places[PLACES_MAX])
{
	unsigned count;

	pthread_mutex_lock(&writer->mutex);
	count = writer->place_count;
	memcpy(places, writer->places, count * sizeof *places);
	pthread_mutex_unlock(&writer->mutex);
	return count;
}

void
writer_seal_after(struct writer *writer, int64_t milliseconds)
{
	pthread_mutex_lock(&writer->mutex);
	writer->seal_after = milliseconds;
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->mutex);
}
