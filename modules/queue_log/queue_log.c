/*
 * queue_log: the default queue storage, a set of append-only segments with group commit.
 */
#include "queue_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "bytes.h"
#include "message.h"
#include "owner.h"
#include "reader.h"
#include "writer.h"

#define HINT_SIZE 16

static const struct ph_param params[] = {
	{"queue_log_big_message_size", PH_SIZE, PH_PER_SECTION,
		offsetof(struct queue_log, big_message_size), "256k", 0, 16 << 20, NULL,
		"Content above this size goes to a file of its own."},
	{"queue_log_buffer_limit", PH_SIZE, PH_PER_SECTION, offsetof(struct queue_log, buffer_limit),
		"64m", 1 << 20, INT64_C(1) << 40, NULL,
		"Memory of one process for messages that arrive; beyond it they are refused for now."},
	{"queue_log_corrupt_path", PH_PATH, PH_PER_SECTION, offsetof(struct queue_log, corrupt_path),
		"$queue_directory/corrupt", 0, 0, NULL,
		"The folder that keeps copies of damaged records."},
	{"queue_log_path", PH_PATH, PH_PER_SECTION, offsetof(struct queue_log, path),
		"$queue_directory/log", 0, 0, NULL, "The folder of the storage."},
	{"queue_log_segment_size", PH_SIZE, PH_PER_SECTION, offsetof(struct queue_log, segment_size),
		"64m", 1 << 20, 1 << 30, NULL, "The size at which a segment is closed."},
	{"queue_log_spare_segments", PH_INT, PH_PER_SECTION,
		offsetof(struct queue_log, spare_segments), "4", 0, 64, NULL,
		"How many segments that are done with are kept, to be used again."},
	{"queue_log_verify", PH_BOOL, PH_PER_SECTION, offsetof(struct queue_log, verify), "yes", 0, 0,
		NULL, "Check the content of every message that is read at start."},
};

static struct storage *
storage_of(void *self)
{
	return ((struct queue_log *)self)->storage;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int
log_check(void *self, ph_error *error)
{
	const struct queue_log *log = self;

	if (log->path[0] == '\0' || log->corrupt_path[0] == '\0')
		return ph_error_set(error, "queue_log_path and queue_log_corrupt_path must be set");
	if (strlen(log->path) > FILE_PATH_ROOM - 80 ||
		strlen(log->corrupt_path) > FILE_PATH_ROOM - 80)
		return ph_error_set(error, "queue_log_path is too long");
	if (log->big_message_size > log->segment_size / 4)
		return ph_error_set(error, "queue_log_big_message_size is above a quarter of"
			" queue_log_segment_size");
	return 0;
}

static int
log_open(void *self, ph_error *error)
{
	struct queue_log *log = self;
	struct storage *storage = calloc(1, sizeof *storage);

	if (storage == NULL)
		return ph_error_set(error, "out of memory");
	*storage = (struct storage){
		.files = &file_system,
		.path = log->path,
		.corrupt_path = log->corrupt_path,
		.segment_size = log->segment_size,
		.big_message_size = log->big_message_size,
		.buffer_limit = log->buffer_limit,
		.spare_limit = log->spare_segments,
		.verify = log->verify,
		.grow_step = 1 << 20,
		.seal_after = 60 * 1000,
		.compact_size = 256 << 10,
		.compact_age = 10 * 60 * 1000,
		.orphan_age = 3600,
	};
	log->storage = storage;
	return 0;
}

static void
log_stop(void *self)
{
	struct storage *storage = storage_of(self);

	if (storage != NULL)
		storage_stop(storage);
}

static void
log_close_instance(void *self)
{
	struct queue_log *log = self;

	free(log->storage);
	log->storage = NULL;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int
log_begin(void *self, int64_t expected, ph_queue_writer **writer, ph_error *error)
{
	return message_begin(storage_of(self), expected, writer, error);
}

static int64_t
log_free_space(void *self)
{
	const struct queue_log *log = self;
	struct statvfs status;

	if (statvfs(log->path, &status) == -1)
		return errno == ENOENT ? INT64_MAX : 0;
	return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

static size_t
log_hint(void *self, void *hint, size_t max)
{
	struct storage *storage = storage_of(self);
	struct place places[PLACES_MAX];
	unsigned char *bytes = hint;
	size_t size = 0;

	if (storage->writer == NULL)
		return 0;
	/* The newest first: a small buffer holds what matters most. */
	for (unsigned i = writer_places(storage->writer, places); i-- > 0;) {
		if (size + HINT_SIZE > max)
			break;
		put32(bytes + size, places[i].number);
		put32(bytes + size + 4, 0);
		put64(bytes + size + 8, places[i].durable);
		size += HINT_SIZE;
	}
	return size;
}

/* ---- Owning ---------------------------------------------------------------------------------- */

static int
log_own(void *self, ph_error *error)
{
	return owner_own(storage_of(self), error);
}

static int
not_owned(const struct storage *storage, ph_error *error)
{
	return ph_error_set(error, "%s: not owned by this process", storage->path);
}

static int
log_claim(void *self, struct ph_queue_item *items, size_t max, int64_t lease, ph_error *error)
{
	struct storage *storage = storage_of(self);

	return storage->owner == NULL ? not_owned(storage, error)
				      : owner_claim(storage->owner, items, max, error);
}

static void
log_hinted(void *self, ph_span hint)
{
	struct storage *storage = storage_of(self);

	if (storage->owner != NULL)
		owner_hinted(storage->owner, hint);
}

static int
log_note(void *self, uint64_t handle, uint64_t token, ph_span note, ph_error *error)
{
	struct storage *storage = storage_of(self);

	return storage->owner == NULL ? not_owned(storage, error)
				      : owner_note(storage->owner, handle, note, error);
}

static int
log_remove(void *self, uint64_t handle, uint64_t token, ph_error *error)
{
	struct storage *storage = storage_of(self);

	return storage->owner == NULL ? not_owned(storage, error)
				      : owner_remove(storage->owner, handle, error);
}

static int
log_sync(void *self, ph_error *error)
{
	struct storage *storage = storage_of(self);

	return storage->writer == NULL ? 0
				       : writer_barrier(storage->writer, REQUEST_BARRIER, error);
}

static int
log_renew(void *self, uint64_t handle, uint64_t *token, int64_t lease, ph_error *error)
{
	return 0;
}

static void
log_tend(void *self)
{
	struct storage *storage = storage_of(self);

	if (storage->owner != NULL)
		owner_tend(storage->owner);
}

static int
log_disown(void *self, ph_error *error)
{
	return owner_disown(storage_of(self), error);
}

static ph_found
log_read(void *self, uint64_t handle, ph_pool *pool, struct ph_queue_content *content,
	ph_error *error)
{
	return reader_open(storage_of(self), handle, pool, content, error);
}

PH_MODULE(queue_log, "1.0", "a queue in append-only files with group commit",
	PH_QUEUE(.begin = log_begin, .append = message_append, .commit = message_commit,
		.abort = message_abort, .free_space = log_free_space, .hint = log_hint,
		.own = log_own, .claim = log_claim, .hinted = log_hinted, .note = log_note,
		.remove = log_remove, .sync = log_sync, .renew = log_renew, .tend = log_tend,
		.disown = log_disown, .read = log_read),
	PH_INSTANCE(struct queue_log, params),
	PH_LIFE(.check = log_check, .open = log_open, .stop = log_stop,
		.close = log_close_instance));
