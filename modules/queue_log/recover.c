/*
 * Finding segments and reading them: at start, every minute, and when a hint came.
 */
#include "owner.h"
#include "header.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- The folder ------------------------------------------------------------------------------ */

/* What the helper found of a segment's file. */
struct seen {
	uint32_t number;
	int result; /* of header_read() */
	struct segment_header header;
};

struct listing {
	const struct storage *storage;
	struct seen *items;
	size_t count, room;
	int error;
};

static void
listing_add(void *context, const char *text)
{
	struct listing *listing = context;
	struct name name = name_parse(text);

	if (name.kind != NAME_SEGMENT)
		return;
	if (listing->count == listing->room) {
		size_t room = listing->room == 0 ? 64 : listing->room * 2;
		struct seen *items = realloc(listing->items, room * sizeof *items);

		if (items == NULL) {
			listing->error = ENOMEM;
			return;
		}
		listing->items = items;
		listing->room = room;
	}
	listing->items[listing->count++] = (struct seen){.number = name.number, .result = 1};
}

static void
seen_read(const struct storage *storage, struct seen *seen)
{
	char path[FILE_PATH_ROOM];
	int fd = storage->files->open(storage->files,
		name_path_of(storage->path, NAME_SEGMENT, seen->number, path), O_RDONLY);

	if (fd == -1)
		return;
	seen->result = header_read(storage->files, fd, seen->number, &seen->header);
	close(fd);
}

static int
seen_compare(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static void
listing_run(void *argument)
{
	struct listing *listing = argument;
	const struct storage *storage = listing->storage;

	if (storage->files->list(storage->files, storage->path, listing_add, listing) == -1)
		listing->error = errno;
	for (size_t i = 0; i < listing->count; i++)
		seen_read(storage, listing->items + i);
	if (listing->count > 0)
		qsort(listing->items, listing->count, sizeof *listing->items, seen_compare);
}

/* Tells of a segment that is left alone; a file that is just gone is nothing. */
static void
seen_complain(const struct storage *storage, const struct seen *seen)
{
	if (seen->result == -2)
		ph_log(PH_LOG_ERROR, "%s/%08x.seg: of a newer format: left alone; messages in it"
			" wait for a newer Posthouse", storage->path, seen->number);
	else if (seen->result == -1)
		ph_log(PH_LOG_ERROR, "%s/%08x.seg: its header is damaged: left alone",
			storage->path, seen->number);
}

int
owner_list(struct owner *owner, ph_error *error)
{
	struct listing listing = {.storage = owner->storage};

	if (helper_call(owner->storage->helper, listing_run, &listing, error) == -1)
		return -1;
	for (size_t i = 0; i < listing.count; i++) {
		const struct seen *seen = listing.items + i;

		if (logs_find(&owner->logs, seen->number) != NULL)
			continue;
		if (seen->result != 0)
			seen_complain(owner->storage, seen);
		else if (logs_add(&owner->logs, seen->number, seen->header.identity,
				 seen->header.compactions) == NULL)
			listing.error = ENOMEM;
	}
	free(listing.items);
	if (listing.error != 0)
		return storage_error(owner->storage, error, "cannot list", listing.error);
	return 0;
}

struct log *
owner_meet(struct owner *owner, uint32_t number)
{
	const struct storage *storage = owner->storage;
	struct segment_header header;
	char *path = malloc(FILE_PATH_ROOM);
	struct log *log = NULL;
	int fd;

	if (path == NULL)
		return NULL;
	fd = storage->files->open(storage->files,
		name_path_of(storage->path, NAME_SEGMENT, number, path), O_RDONLY);
	free(path);
	if (fd == -1)
		return NULL;
	if (header_read(storage->files, fd, number, &header) == 0)
		log = logs_add(&owner->logs, number, header.identity, header.compactions);
	if (log != NULL)
		log->fd = fd;
	else
		close(fd);
	return log;
}

/* ---- Reading on the helper ------------------------------------------------------------------- */

struct read_job {
	const struct storage *storage;
	uint32_t number;
	struct scan scan;
	uint64_t allocated;
	int open_error;
};

static void
read_run(void *argument)
{
	struct read_job *job = argument;
	const struct storage *storage = job->storage;
	char path[FILE_PATH_ROOM];
	struct stat status;

	job->scan.fd = storage->files->open(storage->files,
		name_path_of(storage->path, NAME_SEGMENT, job->number, path), O_RDWR);
	if (job->scan.fd == -1) {
		job->open_error = errno;
		return;
	}
	job->scan.whole = file_lock(job->scan.fd, FILE_LOCK_WRITER, true) == 0;
	scan_run(&job->scan);
	/* What a dead process wrote last may be in memory only: before anything is built upon it,
	 * it has to be on the disk. */
	if (job->scan.whole && !job->scan.sealed && job->scan.error == 0 &&
		storage->files->fdatasync(storage->files, job->scan.fd) == -1)
		job->scan.error = errno;
	if (fstat(job->scan.fd, &status) == 0)
		job->allocated = (uint64_t)status.st_blocks * 512;
	close(job->scan.fd);
}

void
owner_read_log(struct owner *owner, struct log *log)
{
	const struct storage *storage = owner->storage;
	struct read_job *job = calloc(1, sizeof *job);
	ph_error error;

	if (job == NULL)
		return;
	job->storage = storage;
	job->number = log->number;
	job->scan = (struct scan){.files = storage->files, .identity = log->identity,
		.from = log->scanned, .limit = log->limit, .verify = storage->verify != 0};
	log->users++;
	if (helper_call(storage->helper, read_run, job, &error) == -1)
		job->open_error = ENOMEM;
	log->users--;
	if (job->open_error == 0) {
		owner_apply(owner, log, &job->scan);
		log->allocated = job->allocated;
		if (job->scan.error != 0)
			ph_log(PH_LOG_ERROR, "%s/%08x.seg: cannot read: %s", storage->path,
				log->number, strerror(job->scan.error));
	} else {
		ph_log(PH_LOG_ERROR, "%s/%08x.seg: cannot open: %s", storage->path, log->number,
			strerror(job->open_error));
	}
	if (log->sealed)
		log_close(log);
	scan_clear(&job->scan);
	free(job);
}

/* ---- Reading a living segment now ------------------------------------------------------------ */

int
owner_open_log(struct owner *owner, struct log *log)
{
	const struct storage *storage = owner->storage;
	char *path;

	if (log->fd != -1)
		return 0;
	path = malloc(FILE_PATH_ROOM);
	if (path == NULL)
		return -1;
	log->fd = storage->files->open(storage->files,
		name_path_of(storage->path, NAME_SEGMENT, log->number, path), O_RDONLY);
	free(path);
	return log->fd == -1 ? -1 : 0;
}

void
owner_read_hinted(struct owner *owner, struct log *log)
{
	struct scan scan = {.files = owner->storage->files, .identity = log->identity,
		.from = log->scanned, .limit = log->limit};

	if (log->sealed || log->limit <= log->scanned || owner_open_log(owner, log) == -1)
		return;
	scan.fd = log->fd;
	scan_run(&scan);
	owner_apply(owner, log, &scan);
	scan_clear(&scan);
}

/* ---- Damage ---------------------------------------------------------------------------------- */

struct aside_job {
	const struct storage *storage;
	uint32_t number;
	uint64_t offset, size;
	bool fresh; /* it was not there from an earlier time */
	int error;
};

static int
aside_copy(const struct storage *storage, int from, int to, uint64_t offset, uint64_t size)
{
	char *buffer = malloc(64 * 1024);
	uint64_t done = 0;
	int result = buffer == NULL ? -1 : 0;

	while (result == 0 && done < size) {
		size_t some = size - done < 64 * 1024 ? (size_t)(size - done) : 64 * 1024;
		ssize_t n = file_read_at(storage->files, from, buffer, some,
			(int64_t)(offset + done));

		if (n <= 0) {
			result = n == 0 ? 0 : -1;
			break;
		}
		result = file_put(storage->files, to, buffer, (size_t)n, (int64_t)done, false);
		done += (uint64_t)n;
	}
	free(buffer);
	return result;
}

static void
aside_run(void *argument)
{
	struct aside_job *job = argument;
	const struct storage *storage = job->storage;
	const struct files *files = storage->files;
	char path[FILE_PATH_ROOM];
	int from, to = -1;

	from = files->open(files, name_path_of(storage->path, NAME_SEGMENT, job->number, path),
		O_RDONLY);
	files->mkdir(files, storage->corrupt_path);
	snprintf(path, sizeof path, "%s/%08x-%08llx", storage->corrupt_path, job->number,
		(unsigned long long)job->offset);
	if (from != -1)
		to = files->open(files, path, O_WRONLY | O_CREAT | O_EXCL);
	job->fresh = to != -1 || errno != EEXIST;
	if (to == -1 || aside_copy(storage, from, to, job->offset, job->size) == -1 ||
		files->fsync(files, to) == -1 ||
		files->sync_directory(files, storage->corrupt_path) == -1)
		job->error = errno;
	if (to != -1)
		close(to);
	if (from != -1)
		close(from);
}

/* Copies one corrupt place aside and tells of it, once. A torn write is the end of a process that
 * died: nobody was promised anything. */
static void
report_one(struct owner *owner, struct log *log, const struct damage *damage)
{
	const struct storage *storage = owner->storage;
	struct aside_job *job = calloc(1, sizeof *job);
	ph_error error;

	if (job == NULL)
		return;
	job->storage = storage;
	job->number = log->number;
	job->offset = damage->offset;
	job->size = damage->size != 0 ? damage->size : UINT32_MAX;
	if (helper_call(storage->helper, aside_run, job, &error) == -1)
		job->error = ENOMEM;
	if (job->error != 0 && job->fresh)
		log->pinned = true;
	ph_log(PH_LOG_ERROR,
		"%s/%08x.seg: offset %llu: a corrupt record%s%s: %s %s/%08x-%08llx%s%s",
		storage->path, log->number, (unsigned long long)damage->offset,
		damage->id[0] != '\0' ? " of message " : "", damage->id,
		job->error == 0 ? "copied to" : job->fresh ? "not copied to" : "it is in",
		storage->corrupt_path, log->number, (unsigned long long)damage->offset,
		job->error != 0 && job->fresh ? ": " : "",
		job->error != 0 && job->fresh ? strerror(job->error) : "");
	owner->storage->corrupt_count++;
	free(job);
}

void
owner_report(struct owner *owner, struct log *log, const struct scan *scan)
{
	for (size_t i = 0; i < scan->damage_count; i++)
		if (scan->damages[i].corrupt && scan->damages[i].offset >= log->scanned &&
			scan->damages[i].offset < log->abandoned_from)
			report_one(owner, log, scan->damages + i);
}
