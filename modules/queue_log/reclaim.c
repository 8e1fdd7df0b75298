/*
 * Removing what is dead: segments, which become spares as long as there are few, big messages'
 * files, and what processes that died left behind.
 */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define DEAD_AT_ONCE 64

/* ---- Segments -------------------------------------------------------------------------------- */

struct dead {
	uint32_t number;
	bool whole; /* never compacted: its blocks are good for another life */
	bool gone;
};

struct reclaim_job {
	const struct storage *storage;
	struct dead items[DEAD_AT_ONCE];
	size_t count;
	uint32_t resting[DEAD_AT_ONCE]; /* .dead files */
	size_t resting_count;
	int64_t spares;
	int error;
};

static void
reclaim_see(void *context, const char *text)
{
	struct reclaim_job *job = context;
	struct name name = name_parse(text);

	if (name.kind == NAME_SPARE)
		job->spares++;
	if (name.kind == NAME_DEAD && job->resting_count < DEAD_AT_ONCE)
		job->resting[job->resting_count++] = name.number;
}

/* Takes the name of a segment away. A reader may still hold the file: then its blocks are not to be
 * written again. */
static int
segment_bury(const struct storage *storage, const struct dead *dead)
{
	const struct files *files = storage->files;
	char path[FILE_PATH_ROOM], resting[FILE_PATH_ROOM];
	int fd = files->open(files,
		name_path_of(storage->path, NAME_SEGMENT, dead->number, path), O_RDWR);
	int result;

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (file_lock(fd, FILE_LOCK_WRITER, true) == -1) {
		close(fd);
		return -1;
	}
	if (dead->whole && file_lock(fd, FILE_LOCK_READER, true) == 0)
		result = files->rename(files, path,
			name_path_of(storage->path, NAME_DEAD, dead->number, resting));
	else
		result = files->unlink(files, path);
	close(fd);
	return result;
}

/* A dead segment becomes a spare only when it is durable that it is dead: else, after a power cut,
 * its old name could be on the new life of its blocks. */
static void
segment_reuse(struct reclaim_job *job, uint32_t number)
{
	const struct storage *storage = job->storage;
	char path[FILE_PATH_ROOM], spare[FILE_PATH_ROOM];

	name_path_of(storage->path, NAME_DEAD, number, path);
	name_path_of(storage->path, NAME_SPARE, number, spare);
	if (job->spares < storage->spare_limit) {
		job->spares++;
		storage->files->rename(storage->files, path, spare);
	} else {
		storage->files->unlink(storage->files, path);
	}
}

static void
reclaim_run(void *argument)
{
	struct reclaim_job *job = argument;
	const struct storage *storage = job->storage;
	const struct files *files = storage->files;

	for (size_t i = 0; i < job->count; i++)
		job->items[i].gone = segment_bury(storage, job->items + i) == 0;
	if (files->list(files, storage->path, reclaim_see, job) == -1 ||
		files->sync_directory(files, storage->path) == -1) {
		job->error = errno;
		return;
	}
	for (size_t i = 0; i < job->resting_count; i++)
		segment_reuse(job, job->resting[i]);
}

static void
reclaim_collect(struct owner *owner, struct reclaim_job *job)
{
	for (size_t i = 0; i < owner->logs.count && job->count < DEAD_AT_ONCE; i++) {
		const struct log *log = owner->logs.items[i];

		if (log->sealed && log->live == 0 && log->users == 0 && !log->pinned)
			job->items[job->count++] =
				(struct dead){.number = log->number,
				.whole = log->compactions == 0};
	}
}

/* One round. The number of segments that are gone. */
static size_t
reclaim_round(struct owner *owner, bool always)
{
	struct reclaim_job *job = calloc(1, sizeof *job);
	size_t gone = 0;
	ph_error error;

	if (job == NULL)
		return 0;
	job->storage = owner->storage;
	reclaim_collect(owner, job);
	if ((job->count == 0 && !always) ||
		helper_call(owner->storage->helper, reclaim_run, job, &error) == -1 ||
		job->error != 0)
		job->count = 0;
	for (size_t i = 0; i < job->count; i++) {
		struct log *log = logs_find(&owner->logs, job->items[i].number);

		if (!job->items[i].gone || log == NULL)
			continue;
		logs_release_tombs(&owner->logs, log->tombs, log->tomb_count);
		logs_remove(&owner->logs, log);
		owner->changed = true;
		gone++;
	}
	free(job);
	return gone;
}

/* ---- Big messages' files --------------------------------------------------------------------- */

struct trash_job {
	const struct storage *storage;
	struct name *names;
	size_t count;
};

static void
trash_run(void *argument)
{
	struct trash_job *job = argument;
	char path[FILE_PATH_ROOM];

	for (size_t i = 0; i < job->count; i++)
		job->storage->files->unlink(job->storage->files,
			name_path(job->storage->path, job->names + i, path));
}

static void
reclaim_trash(struct owner *owner)
{
	struct trash_job job = {owner->storage, owner->trash, owner->trash_count};
	ph_error error;

	if (owner->trash_count == 0)
		return;
	owner->trash = NULL;
	owner->trash_count = owner->trash_room = 0;
	helper_call(owner->storage->helper, trash_run, &job, &error);
	free(job.names);
}

void
owner_reclaim(struct owner *owner)
{
	/* What goes may have been all that another segment was needed for. */
	while (reclaim_round(owner, false) > 0)
		;
	reclaim_trash(owner);
}

/* ---- Orphans --------------------------------------------------------------------------------- */

struct sweep_job {
	const struct storage *storage;
	struct name *names; /* of big messages' files */
	size_t count, room;
};

/* Removes a file that a process was making, if that process is gone. It is old: nobody is between
 * making and locking it. */
static void
sweep_unfinished(const struct storage *storage, const struct name *name)
{
	const struct files *files = storage->files;
	char path[FILE_PATH_ROOM];
	struct stat status;
	int fd = files->open(files, name_path(storage->path, name, path), O_RDWR);

	if (fd == -1)
		return;
	if (fstat(fd, &status) == 0 && status.st_ctime <= time(NULL) - storage->orphan_age &&
		file_lock(fd, FILE_LOCK_WRITER, true) == 0)
		files->unlink(files, path);
	close(fd);
}

static void
sweep_see(void *context, const char *text)
{
	struct sweep_job *job = context;
	struct name name = name_parse(text);

	if (name.kind == NAME_PART || name.kind == NAME_NEW || name.kind == NAME_COPY)
		sweep_unfinished(job->storage, &name);
	if (name.kind != NAME_BIG)
		return;
	if (job->count == job->room) {
		size_t room = job->room == 0 ? 64 : job->room * 2;
		struct name *names = realloc(job->names, room * sizeof *names);

		if (names == NULL)
			return;
		job->names = names;
		job->room = room;
	}
	job->names[job->count++] = name;
}

static void
sweep_run(void *argument)
{
	struct sweep_job *job = argument;

	job->storage->files->list(job->storage->files, job->storage->path, sweep_see, job);
}

/* A big message's file has no owner when its segment was read to the end and has no such message,
 * or is gone. The segment exists before any file is named after it. */
static bool
big_is_orphan(struct owner *owner, const struct name *name)
{
	const struct log *log = logs_find(&owner->logs, name->number);
	const struct entry *entry = index_find(&owner->index, HANDLE(name->number, name->offset));
	char *path;
	bool exists;
	int fd;

	if (log != NULL && log->identity == name->identity)
		return log->sealed && !log->pinned &&
			(entry == NULL || (entry->state & ENTRY_PRESENT) == 0);
	if (log != NULL)
		return log->sealed;
	if ((path = malloc(FILE_PATH_ROOM)) == NULL)
		return false;
	fd = owner->storage->files->open(owner->storage->files,
		name_path_of(owner->storage->path, NAME_SEGMENT, name->number, path), O_RDONLY);
	exists = fd != -1 || errno != ENOENT;
	if (fd != -1)
		close(fd);
	free(path);
	return !exists;
}

void
owner_sweep(struct owner *owner)
{
	struct sweep_job job = {.storage = owner->storage};
	ph_error error;

	if (helper_call(owner->storage->helper, sweep_run, &job, &error) == 0)
		for (size_t i = 0; i < job.count; i++)
			if (big_is_orphan(owner, job.names + i))
				owner_discard(owner, job.names[i]);
	free(job.names);
	reclaim_round(owner, true);
	reclaim_trash(owner);
}
