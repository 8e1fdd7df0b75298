#include "reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "big.h"
#include "header.h"
#include "record.h"

/* One read brings the header and most envelopes. */
#define FIRST_READ 2048
/* Content up to this size is checked on the loop: it is read for sending anyway. */
#define CHECK_INLINE (64 * 1024)

struct reader {
	const struct storage *storage;
	uint64_t handle;
	int fd;
	struct segment_header segment;
	struct record record;
	unsigned char *envelope; /* in the caller's pool */
	uint64_t content;        /* where it begins in fd */
};

/*
 * Opens the segment anew for each message: the shared lock, which says that its blocks must not be
 * written again, ends with the descriptor that the caller gets.
 */
static ph_found
reader_open_segment(struct reader *reader, ph_error *error)
{
	const struct storage *storage = reader->storage;
	char *path = malloc(FILE_PATH_ROOM);

	if (path == NULL) {
		ph_error_set(error, "out of memory");
		return PH_FAILED;
	}
	name_path_of(storage->path, NAME_SEGMENT, HANDLE_NUMBER(reader->handle), path);
	reader->fd = storage->files->open(storage->files, path, O_RDONLY);
	free(path);
	if (reader->fd == -1 && errno == ENOENT)
		return PH_NOT_FOUND;
	if (reader->fd == -1 || file_lock(reader->fd, FILE_LOCK_READER, false) == -1) {
		/* The lock is held by an owner that is about to take the blocks away. */
		if (reader->fd != -1 && (errno == EAGAIN || errno == EACCES))
			return PH_NOT_FOUND;
		storage_error(storage, error, "cannot open a segment", errno);
		return PH_FAILED;
	}
	if (header_read(storage->files, reader->fd, HANDLE_NUMBER(reader->handle),
		    &reader->segment) != 0)
		return PH_NOT_FOUND;
	return PH_FOUND;
}

static ph_found
reader_damaged(const struct reader *reader, ph_error *error)
{
	ph_error_set(error, "%s/%08x.seg: offset %llu: the message is damaged",
		reader->storage->path, HANDLE_NUMBER(reader->handle),
		(unsigned long long)HANDLE_OFFSET(reader->handle));
	return PH_FAILED;
}

/* The record's header and the envelope, checked. bytes: room for FIRST_READ. */
static ph_found
reader_read_record(struct reader *reader, unsigned char *bytes, ph_pool *pool, ph_error *error)
{
	const struct files *files = reader->storage->files;
	uint64_t offset = HANDLE_OFFSET(reader->handle);
	ssize_t n = file_read_at(files, reader->fd, bytes, FIRST_READ, (int64_t)offset);
	size_t size, first;

	if (n < RECORD_HEADER)
		return n == -1 ? reader_damaged(reader, error) : PH_NOT_FOUND;
	switch (record_decode(bytes, reader->segment.identity, offset, &reader->record)) {
	case RECORD_OTHER:
		return PH_NOT_FOUND;
	case RECORD_DAMAGED:
		return reader_damaged(reader, error);
	case RECORD_FITS:
		break;
	}
	if (reader->record.type != RECORD_MESSAGE)
		return PH_NOT_FOUND;
	size = (size_t)reader->record.envelope_size;
	if (size > (uint64_t)file_size(reader->fd))
		return reader_damaged(reader, error);
	reader->envelope = ph_pool_alloc(pool, size + 1);
	if (reader->envelope == NULL) {
		ph_error_set(error, "out of memory");
		return PH_FAILED;
	}
	first = (size_t)n - RECORD_HEADER < size ? (size_t)n - RECORD_HEADER : size;
	memcpy(reader->envelope, bytes + RECORD_HEADER, first);
	if (first < size &&
		file_read_at(files, reader->fd, reader->envelope + first, size - first,
			(int64_t)(offset + (uint64_t)n)) != (ssize_t)(size - first))
		return reader_damaged(reader, error);
	if (record_crc(0, reader->envelope, size) != reader->record.envelope_crc)
		return reader_damaged(reader, error);
	reader->content = offset + RECORD_HEADER + size;
	return PH_FOUND;
}

/* A big message: its own file instead of the segment. */
static ph_found
reader_open_big(struct reader *reader, ph_error *error)
{
	const struct storage *storage = reader->storage;
	struct name name = {.kind = NAME_BIG, .number = reader->segment.number,
		.identity = reader->segment.identity, .offset = reader->record.offset};
	char *path = malloc(FILE_PATH_ROOM);
	int fd = -1;

	if (path != NULL)
		fd = storage->files->open(storage->files, name_path(storage->path, &name, path),
			O_RDONLY);
	free(path);
	if (fd == -1) {
		/* The owner removes it with the message. */
		if (errno == ENOENT)
			return PH_NOT_FOUND;
		storage_error(storage, error, "cannot open a big message", errno);
		return PH_FAILED;
	}
	close(reader->fd);
	reader->fd = fd;
	reader->content = reader->record.place;
	return PH_FOUND;
}

/* ---- Content --------------------------------------------------------------------------------- */

struct check_job {
	const struct reader *reader;
	bool whole;
};

static void
check_run(void *argument)
{
	struct check_job *job = argument;
	const struct reader *reader = job->reader;
	uint64_t at = reader->content, left = reader->record.content_size;
	char *buffer = malloc(CHECK_INLINE);
	uint32_t crc = 0;

	while (buffer != NULL && left > 0) {
		size_t some = left < CHECK_INLINE ? (size_t)left : CHECK_INLINE;

		if (file_read_at(reader->storage->files, reader->fd, buffer, some, (int64_t)at) !=
			(ssize_t)some)
			break;
		crc = record_crc(crc, buffer, some);
		at += some;
		left -= some;
	}
	job->whole = left == 0 && buffer != NULL && crc == reader->record.content_crc;
	free(buffer);
}

/* Nothing is sent of a message that the disk changed. */
static ph_found
reader_check(struct reader *reader, struct storage *storage, ph_error *error)
{
	struct check_job job = {.reader = reader};

	if (reader->record.content_size <= CHECK_INLINE) {
		check_run(&job);
	} else if (storage_ready(storage, error) == -1 ||
		helper_call(storage->helper, check_run, &job, error) == -1) {
		return PH_FAILED;
	}
	return job.whole ? PH_FOUND : reader_damaged(reader, error);
}

static ph_found
reader_run(struct reader *reader, struct storage *storage, ph_pool *pool, ph_error *error)
{
	unsigned char *bytes = malloc(FIRST_READ);
	ph_found found;

	if (bytes == NULL) {
		ph_error_set(error, "out of memory");
		return PH_FAILED;
	}
	found = reader_open_segment(reader, error);
	if (found == PH_FOUND)
		found = reader_read_record(reader, bytes, pool, error);
	free(bytes);
	if (found == PH_FOUND && (reader->record.flags & RECORD_BIG) != 0)
		found = reader_open_big(reader, error);
	if (found == PH_FOUND)
		found = reader_check(reader, storage, error);
	return found;
}

ph_found
reader_open(struct storage *storage, uint64_t handle, ph_pool *pool,
	struct ph_queue_content *content, ph_error *error)
{
	struct reader reader = {.storage = storage, .handle = handle, .fd = -1};
	struct ph_queue_content filled;
	ph_found found = reader_run(&reader, storage, pool, error);

	if (found != PH_FOUND) {
		if (reader.fd != -1)
			close(reader.fd);
		return found;
	}
	filled = (struct ph_queue_content){
		.size = sizeof filled,
		.flags = reader.record.flags & ~RECORD_BIG,
		.fd = reader.fd,
		.offset = (int64_t)reader.content,
		.length = (int64_t)reader.record.content_size,
		.arrival = reader.record.arrival,
		.envelope = {(char *)reader.envelope, (size_t)reader.record.envelope_size},
	};
	memcpy(filled.id, reader.record.id, sizeof filled.id);
	ph_queue_content_put(content, &filled);
	return PH_FOUND;
}
