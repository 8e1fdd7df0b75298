/*
 * The file of the verification cache: see verify_file.h.
 */
#include "queue/verify_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/log.h>
#include <posthouse/task.h>

/* A larger file is none of ours. */
#define FILE_MAX ((off_t)512 << 20)
/* More than this is not appended: the whole is written. */
#define PENDING_MAX ((size_t)1 << 20)
/* Records of the past that a file may have beside as many as hold. */
#define WASTE 1000
/* What comes meanwhile goes with the same write; after a failure; one write. Milliseconds. */
#define WRITE_DELAY 500
#define RETRY 60000
#define WRITE_TIME 60000

struct verify_file {
	const char *path;
	struct verify_cache *cache;
	char *pending;           /* records to be appended */
	size_t size, room;
	size_t pending_count;
	size_t records;          /* in the file */
	bool whole;              /* it is to be written anew */
	bool writing;            /* a write was begun, and its end not seen */
	bool failed;             /* the last one: it is in the log */
	ph_task task;
};

/* ---- Reading --------------------------------------------------------------------------------- */

static char *
read_all(int fd, size_t size, ph_error *error)
{
	char *bytes = malloc(size + 1);
	size_t have = 0;
	ssize_t got = 1;

	if (bytes == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	while (have < size && got != 0) {
		got = read(fd, bytes + have, size - have);
		if (got == -1 && errno != EINTR) {
			ph_error_set(error, "%s", strerror(errno));
			free(bytes);
			return NULL;
		}
		have += got > 0 ? (size_t)got : 0;
	}
	memset(bytes + have, 0, size - have); /* it was cut meanwhile */
	return bytes;
}

static void
read_records(struct verify_cache *cache, ph_span bytes, int64_t now, struct verify_reading *reading)
{
	struct verify_record record;

	if (verify_header_take(&bytes) != PH_FOUND) {
		reading->foreign = true;
		return;
	}
	while (verify_record_next(&bytes, &record, &reading->skipped)) {
		reading->records++;
		verify_cache_load(cache, &record, now);
	}
}

static ph_found
read_descriptor(int fd, struct verify_cache *cache, int64_t now, struct verify_reading *reading,
	ph_error *error)
{
	struct stat status;
	char *bytes;

	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode) || status.st_size > FILE_MAX) {
		ph_error_set(error, "it is no regular file of a size that it could have");
		return PH_FAILED;
	}
	if ((bytes = read_all(fd, (size_t)status.st_size, error)) == NULL)
		return PH_FAILED;
	read_records(cache, (ph_span){bytes, (size_t)status.st_size}, now, reading);
	free(bytes);
	return PH_FOUND;
}

ph_found
verify_file_read(const char *path, struct verify_cache *cache, int64_t now,
	struct verify_reading *reading, ph_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ph_found found;

	*reading = (struct verify_reading){.records = 0};
	if (fd == -1 && errno == ENOENT)
		return PH_NOT_FOUND;
	if (fd == -1) {
		ph_error_set(error, "%s", strerror(errno));
		return PH_FAILED;
	}
	found = read_descriptor(fd, cache, now, reading, error);
	close(fd);
	return found;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* One write, which owns its memory: it may outlive the file. */
struct writing {
	char *path, *fresh;  /* fresh: the file beside it; NULL: append */
	char *bytes;
	size_t size;
	int error;           /* errno; 0 */
};

static void
writing_free(void *job)
{
	struct writing *writing = job;

	free(writing->path);
	free(writing->fresh);
	free(writing->bytes);
	free(writing);
}

static int
write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t put = write(fd, bytes, size);

		if (put == -1 && errno != EINTR)
			return -1;
		bytes += put > 0 ? put : 0;
		size -= put > 0 ? (size_t)put : 0;
	}
	return 0;
}

static int
append(const struct writing *writing)
{
	int fd = open(writing->path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	int result = fd == -1 ? -1 : write_all(fd, writing->bytes, writing->size), why = errno;

	if (fd != -1)
		close(fd);
	errno = why;
	return result;
}

/* The file beside it. Its folder is made when it is missing: queue_directory belongs to who we
 * are. */
static int
open_fresh(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
	int fd = open(path, flags, 0600), missing = errno == ENOENT;
	const char *slash = strrchr(path, '/');
	char *folder = fd == -1 && missing && slash != NULL ? strndup(path, (size_t)(slash - path))
		: NULL;

	if (folder != NULL && mkdir(folder, 0700) == 0)
		fd = open(path, flags, 0600);
	free(folder);
	return fd;
}

static int
replace(const struct writing *writing)
{
	int fd = open_fresh(writing->fresh);
	int result = fd == -1 || write_all(fd, writing->bytes, writing->size) == -1 || fsync(fd) == -1 ? -1 : 0;
	int why = errno;

	if (fd != -1)
		close(fd);
	errno = why;
	return result == 0 ? rename(writing->fresh, writing->path) : -1;
}

static void
write_now(void *job)
{
	struct writing *writing = job;

	if ((writing->fresh == NULL ? append(writing) : replace(writing)) == -1)
		writing->error = errno;
}

/* The whole cache, as it is to stand in the file. */
struct image {
	char *bytes;
	size_t size, room, records;
	bool failed;
};

static void
add_record(void *context, const struct verify_record *record)
{
	struct image *image = context;

	if (image->room - image->size < VERIFY_RECORD_MAX) {
		size_t room = image->room * 2 + 4 * VERIFY_RECORD_MAX;
		char *bigger = image->failed ? NULL : realloc(image->bytes, room);

		image->failed = bigger == NULL;
		if (bigger == NULL)
			return;
		image->bytes = bigger;
		image->room = room;
	}
	image->size += verify_record_put(record, image->bytes + image->size);
	image->records++;
}

static void
drop_pending(struct verify_file *file)
{
	free(file->pending);
	file->pending = NULL;
	file->size = file->room = file->pending_count = 0;
}

static int
take_whole(struct verify_file *file, struct writing *writing)
{
	struct image image = {.bytes = malloc(VERIFY_RECORD_MAX), .size = VERIFY_HEADER_SIZE,
		.room = VERIFY_RECORD_MAX};

	if ((image.failed = image.bytes == NULL) == false) {
		verify_header_put(image.bytes);
		verify_cache_each(file->cache, add_record, &image);
	}
	writing->bytes = image.bytes;
	writing->size = image.size;
	if (image.failed || asprintf(&writing->fresh, "%s.new", file->path) == -1) {
		writing->fresh = NULL;
		return -1;
	}
	file->records = image.records;
	file->whole = false;
	drop_pending(file);
	return 0;
}

static void
take_pending(struct verify_file *file, struct writing *writing)
{
	writing->bytes = file->pending;
	writing->size = file->size;
	file->records += file->pending_count;
	file->pending = NULL;
	drop_pending(file);
}

/* What is to be written now, taken from the file. NULL: no memory. */
static struct writing *
take(struct verify_file *file)
{
	struct writing *writing = calloc(1, sizeof(*writing));

	if (writing == NULL || (writing->path = strdup(file->path)) == NULL) {
		free(writing);
		return NULL;
	}
	if (file->records + file->pending_count > 2 * verify_cache_count(file->cache) + WASTE)
		file->whole = true;
	if (!file->whole) {
		take_pending(file, writing);
	} else if (take_whole(file, writing) == -1) {
		writing_free(writing);
		return NULL;
	}
	return writing;
}

static void
take_note(struct verify_file *file, int error)
{
	if (error != 0 && !file->failed)
		ph_log(PH_LOG_WARNING,
			"address_verify_map: %s cannot be written, what is found out is kept in "
			"memory: %s", file->path, strerror(error));
	file->failed = error != 0;
	/* what it holds now is not known */
	file->whole = file->whole || error != 0;
}

static void
write_out(struct verify_file *file)
{
	struct writing *writing = take(file);

	if (writing == NULL) {
		take_note(file, ENOMEM);
		return;
	}
	file->writing = true;
	if (ph_blocking(write_now, writing_free, writing, ph_in(WRITE_TIME)) != PH_WAIT_OK) {
		file->whole = true;
		return;
	}
	file->writing = false;
	take_note(file, writing->error);
	writing_free(writing);
}

static bool
has_work(const struct verify_file *file)
{
	return file->size > 0 || file->whole;
}

static void
writer(void *argument)
{
	struct verify_file *file = argument;

	for (;;) {
		while (!has_work(file))
			if (ph_park(PH_NEVER) == PH_WAIT_CANCELLED)
				return;
		if (ph_sleep(ph_in(file->failed ? RETRY : WRITE_DELAY)) == PH_WAIT_CANCELLED)
			return;
		write_out(file);
	}
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void
read_at_first(struct verify_file *file, int64_t now)
{
	struct verify_reading reading;
	ph_error error = {""};
	ph_found found = verify_file_read(file->path, file->cache, now, &reading, &error);

	file->records = reading.records;
	file->whole = found != PH_FOUND || reading.foreign || reading.skipped > 0;
	if (found == PH_FAILED)
		ph_log(PH_LOG_WARNING,
			"address_verify_map: %s cannot be read, it is written anew: %s",
			file->path, error.text);
	else if (reading.foreign)
		ph_log(PH_LOG_WARNING,
			"address_verify_map: %s is no cache of this version, it is written anew",
			file->path);
	else if (reading.skipped > 0)
		ph_log(PH_LOG_WARNING,
			"address_verify_map: %s is damaged: %zu bytes of it are passed over",
			file->path, reading.skipped);
	/* nothing to say yet: no file for those who verify nothing */
	if (found == PH_NOT_FOUND)
		file->whole = false;
}

struct verify_file *
verify_file_open(const char *path, struct verify_cache *cache, int64_t now)
{
	struct verify_file *file = calloc(1, sizeof(*file));

	if (file == NULL)
		return NULL;
	file->path = path;
	file->cache = cache;
	if (*path == '\0')
		return file;
	read_at_first(file, now);
	file->task = ph_task_spawn("verify file", writer, file);
	if (!ph_task_alive(file->task)) {
		free(file);
		return NULL;
	}
	return file;
}

void
verify_file_put(struct verify_file *file, const struct verify_record *record)
{
	if (*file->path == '\0')
		return;
	if (file->room - file->size < VERIFY_RECORD_MAX) {
		size_t room = file->room * 2 + 4 * VERIFY_RECORD_MAX;
		char *bigger = file->size > PENDING_MAX ? NULL : realloc(file->pending, room);

		if (bigger == NULL) {
			drop_pending(file);
			file->whole = true;
			ph_unpark(file->task);
			return;
		}
		file->pending = bigger;
		file->room = room;
	}
	file->size += verify_record_put(record, file->pending + file->size);
	file->pending_count++;
	/* the first one begins a file */
	file->whole = file->whole || file->records == 0;
	ph_unpark(file->task);
}

void
verify_file_renew(struct verify_file *file)
{
	if (*file->path == '\0')
		return;
	file->whole = true;
	ph_unpark(file->task);
}

void
verify_file_close(struct verify_file *file)
{
	struct writing *writing;

	if (file == NULL)
		return;
	ph_task_cancel(file->task);
	ph_task_join(file->task, ph_in(5000));
	if (file->writing)
		file->whole = true; /* it may or may not come to its end */
	if (*file->path != '\0' && has_work(file) && (writing = take(file)) != NULL) {
		write_now(writing);
		take_note(file, writing->error);
		writing_free(writing);
	}
	drop_pending(file);
	free(file);
}
