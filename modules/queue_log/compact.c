/*
 * Compaction: a segment that is mostly dead is written again under its own name, number and
 * identity, its living records at their own offsets and nothing between them. So a handle holds for
 * life, there is never a second copy of a message, and a reader notices nothing. The new file is
 * sparse; its gaps are records that say how far to skip.
 *
 * copy → sync → rename over the old one → sync the folder: at each point one of the two is there.
 */
#include "owner.h"
#include "header.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_PIECE (64 * 1024)

struct compact_job {
	const struct storage *storage;
	uint32_t number;
	uint32_t compactions;
	uint64_t identity;
	struct scan scan;      /* its records; those that are dead get type 0 */
	int error;
	uint64_t size;         /* out: of the new one */
	uint64_t allocated;
};

static void
compact_scan(void *argument)
{
	struct compact_job *job = argument;
	const struct files *files = job->storage->files;
	char path[FILE_PATH_ROOM];

	job->scan.fd = files->open(files,
		name_path_of(job->storage->path, NAME_SEGMENT, job->number, path), O_RDONLY);
	if (job->scan.fd == -1) {
		job->error = errno;
		return;
	}
	if (scan_run(&job->scan) == -1)
		job->error = job->scan.error;
	close(job->scan.fd);
}

/* ---- Writing the new file -------------------------------------------------------------------- */

struct copy {
	const struct compact_job *job;
	int from, to;
	uint64_t end;    /* written so far */
	char *buffer;
};

static int
copy_gap(struct copy *copy, uint64_t to)
{
	unsigned char bytes[RECORD_HEADER];
	struct record gap = {.type = RECORD_GAP, .identity = copy->job->identity,
		.offset = copy->end, .durable = copy->end,
		.content_size = to - copy->end - RECORD_HEADER};

	if (to == copy->end)
		return 0;
	record_encode(&gap, bytes);
	if (file_put(copy->job->storage->files, copy->to, bytes, sizeof bytes, (int64_t)copy->end,
		    false) == -1)
		return -1;
	copy->end = to;
	return 0;
}

/* The bytes as they are: what is damaged stays as damaged as it was. */
static int
copy_record(struct copy *copy, const struct record *record)
{
	const struct files *files = copy->job->storage->files;
	uint64_t size = record_size(record);

	if (copy_gap(copy, record->offset) == -1)
		return -1;
	while (copy->end < record->offset + size) {
		uint64_t left = record->offset + size - copy->end;
		size_t some = left < COPY_PIECE ? (size_t)left : COPY_PIECE;

		if (file_read_at(files, copy->from, copy->buffer, some, (int64_t)copy->end) !=
			(ssize_t)some) {
			errno = EIO;
			return -1;
		}
		if (file_put(files, copy->to, copy->buffer, some, (int64_t)copy->end, false) == -1)
			return -1;
		copy->end += some;
	}
	return 0;
}

static int
copy_header(struct copy *copy)
{
	const struct files *files = copy->job->storage->files;
	struct segment_header header;

	if (header_read(files, copy->from, copy->job->number, &header) != 0) {
		errno = EIO;
		return -1;
	}
	header.compactions = copy->job->compactions + 1;
	segment_header_encode(&header, (unsigned char *)copy->buffer);
	copy->end = SEGMENT_HEADER;
	return file_put(files, copy->to, copy->buffer, SEGMENT_HEADER, 0, false);
}

static int
copy_seal(struct copy *copy)
{
	unsigned char bytes[RECORD_HEADER];
	struct record seal = {.type = RECORD_SEAL, .identity = copy->job->identity,
		.offset = copy->end, .durable = copy->end};

	record_encode(&seal, bytes);
	if (file_put(copy->job->storage->files, copy->to, bytes, sizeof bytes, (int64_t)copy->end,
		    false) == -1)
		return -1;
	copy->end += sizeof bytes;
	return 0;
}

static int
copy_all(struct copy *copy)
{
	const struct scan *scan = &copy->job->scan;

	if (copy_header(copy) == -1)
		return -1;
	for (size_t i = 0; i < scan->count; i++)
		if (scan->records[i].type != 0 && copy_record(copy, scan->records + i) == -1)
			return -1;
	if (copy_seal(copy) == -1)
		return -1;
	return copy->job->storage->files->fsync(copy->job->storage->files, copy->to);
}

static int
compact_replace(struct compact_job *job, struct copy *copy)
{
	const struct files *files = job->storage->files;
	char path[FILE_PATH_ROOM], fresh[FILE_PATH_ROOM];
	struct stat status;

	name_path_of(job->storage->path, NAME_SEGMENT, job->number, path);
	name_path_of(job->storage->path, NAME_COPY, job->number, fresh);
	files->unlink(files, fresh);
	copy->from = files->open(files, path, O_RDWR);
	if (copy->from == -1 || file_lock(copy->from, FILE_LOCK_WRITER, true) == -1)
		return -1;
	copy->to = files->open(files, fresh, O_RDWR | O_CREAT | O_EXCL);
	if (copy->to == -1)
		return -1;
	if (copy_all(copy) == -1) {
		int error = errno;

		files->unlink(files, fresh);
		errno = error;
		return -1;
	}
	if (fstat(copy->to, &status) == 0)
		job->allocated = (uint64_t)status.st_blocks * 512;
	job->size = copy->end;
	if (files->rename(files, fresh, path) == -1)
		return -1;
	return files->sync_directory(files, job->storage->path);
}

static void
compact_write(void *argument)
{
	struct compact_job *job = argument;
	struct copy copy = {.job = job, .from = -1, .to = -1, .buffer = malloc(COPY_PIECE)};

	if (copy.buffer == NULL)
		job->error = ENOMEM;
	else if (compact_replace(job, &copy) == -1)
		job->error = errno;
	if (copy.from != -1)
		close(copy.from);
	if (copy.to != -1)
		close(copy.to);
	free(copy.buffer);
}

/* ---- What lives ------------------------------------------------------------------------------ */

static bool
record_lives(const struct owner *owner, const struct log *log, const struct record *record)
{
	const struct entry *entry;
	const struct log *other;

	if (record->offset >= log->abandoned_from)
		return false;
	switch ((enum record_type)record->type) {
	case RECORD_MESSAGE:
		entry = index_find(&owner->index, HANDLE(log->number, record->offset));
		return entry != NULL && (entry->state & ENTRY_PRESENT) != 0;
	case RECORD_NOTE:
		return index_find(&owner->index, record->place) != NULL;
	case RECORD_REMOVE:
	case RECORD_ABANDON:
		other = logs_find(&owner->logs, HANDLE_NUMBER(record->place));
		return other != NULL && other != log && log_needs(other, log->number);
	case RECORD_SEAL:
	case RECORD_GAP:
		return false;
	}
	return true;
}

/* Is all of it there that recovery read? What lies in a place that was damaged since may live: it
 * cannot be told any more, so that nothing of the segment is given up. */
static bool
compact_is_whole(const struct log *log, const struct scan *scan)
{
	uint64_t end = log->size < log->abandoned_from ? log->size : log->abandoned_from;

	for (size_t i = 0; i < scan->damage_count; i++)
		if (scan->damages[i].offset < log->abandoned_from)
			return false;
	return scan->end >= end && !scan->unreadable;
}

/* The one that wastes most. */
static struct log *
compact_choose(const struct owner *owner)
{
	struct log *best = NULL;
	int64_t now = ph_in(0);
	uint64_t most = (uint64_t)owner->storage->compact_size;

	for (size_t i = 0; i < owner->logs.count; i++) {
		struct log *log = owner->logs.items[i];
		uint64_t waste = log->allocated > log->live_bytes + SEGMENT_HEADER
			? log->allocated - log->live_bytes - SEGMENT_HEADER
			: 0;

		if (log->sealed && now - log->sealed_at >= owner->storage->compact_age &&
			log->live > 0 && log->users == 0 && !log->pinned && waste > most &&
			waste > log->live_bytes) {
			best = log;
			most = waste;
		}
	}
	return best;
}

static void
compact_one(struct owner *owner, struct log *log, struct compact_job *job)
{
	struct tomb *tombs = log->tombs;
	size_t tomb_count = log->tomb_count;
	ph_error error;

	for (size_t i = 0; i < job->scan.count; i++)
		if (!record_lives(owner, log, job->scan.records + i))
			job->scan.records[i].type = 0;
	/* What is removed from now on was copied: those removals stay needed. */
	log->tombs = NULL;
	log->tomb_count = log->tomb_room = 0;
	if (helper_call(owner->storage->helper, compact_write, job, &error) == -1)
		job->error = ENOMEM;
	if (job->error != 0) {
		for (size_t i = 0; i < tomb_count; i++)
			log_add_tombs(log, tombs[i].number, tombs[i].count);
	} else {
		logs_release_tombs(&owner->logs, tombs, tomb_count);
		log->compactions++;
		log->size = log->scanned = job->size;
		log->allocated = job->allocated;
		log->abandoned_from = UINT64_MAX;
		log_close(log);
		owner->changed = true;
	}
	free(tombs);
}

void
owner_compact(struct owner *owner)
{
	struct log *log = compact_choose(owner);
	struct compact_job *job;
	ph_error error;

	if (log == NULL || (job = calloc(1, sizeof *job)) == NULL)
		return;
	job->storage = owner->storage;
	job->number = log->number;
	job->identity = log->identity;
	job->compactions = log->compactions;
	/* Recovery judged the end of it: a record that is known is kept, whatever its content is
	 * now. */
	job->scan = (struct scan){.files = owner->storage->files, .identity = log->identity,
		.from = SEGMENT_HEADER, .limit = log->size, .whole = true};
	log->users++;
	if (helper_call(owner->storage->helper, compact_scan, job, &error) == -1)
		job->error = ENOMEM;
	if (job->error == 0 && !compact_is_whole(log, &job->scan))
		job->error = EBADMSG;
	if (job->error == 0)
		compact_one(owner, log, job);
	if (job->error != 0) {
		ph_log(PH_LOG_WARNING, "%s/%08x.seg: cannot compact: %s", owner->storage->path,
			log->number, job->error == EBADMSG ? "it is damaged"
			: strerror(job->error));
		log->allocated = 0; /* not again before a restart */
	}
	log->users--;
	scan_clear(&job->scan);
	free(job);
}
