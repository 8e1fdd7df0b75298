#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "bytes.h"

#define ZEROS_SIZE (256 * 1024)
#define SPARES_TRIED 16
#define GROW_MAX (16 << 20)

/* What a look at the folder tells a writer. */
struct view {
	uint32_t highest;
	uint32_t spares[SPARES_TRIED];
	size_t spare_count;
};

static void
view_add(void *context, const char *text)
{
	struct view *view = context;
	struct name name = name_parse(text);

	if (name.kind == NAME_SPARE && view->spare_count < SPARES_TRIED)
		view->spares[view->spare_count++] = name.number;
	if (name.kind != NAME_OTHER && name.kind != NAME_PART && name.number > view->highest)
		view->highest = name.number;
}

/*
 * The next number. The file "sequence" remembers the last one beyond the life of its segment; it
 * need not be synced, because what no process remembers may be used again, as long as it is higher
 * than all that exist.
 */
static int
number_next(const struct storage *storage, struct view *view, uint32_t *number)
{
	char path[FILE_PATH_ROOM];
	unsigned char bytes[4] = {0};
	uint32_t last = 0;
	int fd;

	snprintf(path, sizeof path, "%s/sequence", storage->path);
	fd = storage->files->open(storage->files, path, O_RDWR | O_CREAT);
	if (fd == -1)
		return -1;
	if (file_lock_wait(fd, FILE_LOCK_WRITER) == -1 ||
		storage->files->list(storage->files, storage->path, view_add, view) == -1)
		goto fail;
	if (file_read_at(storage->files, fd, bytes, sizeof bytes, 0) == sizeof bytes)
		last = get32(bytes);
	if (view->highest > last)
		last = view->highest;
	if (++last == 0) {
		errno = EOVERFLOW;
		goto fail;
	}
	put32(bytes, last);
	if (file_put(storage->files, fd, bytes, sizeof bytes, 0, false) == -1)
		goto fail;
	close(fd);
	*number = last;
	return 0;
fail:
	last = (uint32_t)errno;
	close(fd);
	errno = (int)last;
	return -1;
}

/* Takes a spare segment over under the name of a new one. Its lock decides between processes. */
static int
spare_take(const struct storage *storage, const struct view *view, const char *path)
{
	char spare[FILE_PATH_ROOM];

	for (size_t i = 0; i < view->spare_count; i++) {
		int fd;

		name_path_of(storage->path, NAME_SPARE, view->spares[i], spare);
		fd = storage->files->open(storage->files, spare, O_RDWR);
		if (fd == -1)
			continue;
		if (file_lock(fd, FILE_LOCK_WRITER, true) == 0 &&
			storage->files->rename(storage->files, spare, path) == 0)
			return fd;
		close(fd);
	}
	return -1;
}

static int
zeros_write(const struct storage *storage, int fd, uint64_t from, uint64_t to)
{
	char *zeros = calloc(1, ZEROS_SIZE);
	int result = 0;

	if (zeros == NULL) {
		errno = ENOMEM;
		return -1;
	}
	/* Where this is not supported, writing allocates. */
	if (storage->files->fallocate(storage->files, fd, (int64_t)from, (int64_t)(to - from)) ==
			-1 &&
		errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL)
		result = -1;
	while (result == 0 && from < to) {
		uint64_t some = to - from < ZEROS_SIZE ? to - from : ZEROS_SIZE;

		result = file_put(storage->files, fd, zeros, some, (int64_t)from, false);
		from += some;
	}
	free(zeros);
	return result == 0 ? storage->files->fdatasync(storage->files, fd) : -1;
}

int
segment_grow(const struct storage *storage, struct segment *segment, bool idle)
{
	uint64_t step = segment->tail / 2, to;
	uint64_t left = segment->zeroed > segment->tail ? segment->zeroed - segment->tail : 0;

	if (step < (uint64_t)storage->grow_step)
		step = (uint64_t)storage->grow_step;
	if (step > GROW_MAX)
		step = GROW_MAX;
	if (left > (idle ? step / 2 : step / 8) ||
		segment->zeroed >= (uint64_t)storage->segment_size)
		return 0;
	if (segment->zeroed < segment->tail)
		segment->zeroed = segment->tail; /* records went beyond the zeros */
	to = segment->zeroed + step;
	if (to > (uint64_t)storage->segment_size)
		to = (uint64_t)storage->segment_size;
	if (to <= segment->zeroed)
		return 0;
	if (zeros_write(storage, segment->fd, segment->zeroed, to) == -1)
		return -1;
	segment->zeroed = to;
	return 0;
}

static int
header_write(const struct storage *storage, const struct segment *segment)
{
	unsigned char *bytes = malloc(SEGMENT_HEADER);
	struct timespec now;
	struct segment_header header = {.major = SEGMENT_MAJOR, .number = segment->number,
		.identity = segment->identity};
	int result;

	if (bytes == NULL) {
		errno = ENOMEM;
		return -1;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	header.created = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
	segment_header_encode(&header, bytes);
	result = file_put(storage->files, segment->fd, bytes, SEGMENT_HEADER, 0, false);
	free(bytes);
	return result;
}

/* The file under its name of work: locked, with header and first zeros, synced. */
static int
segment_make(const struct storage *storage, struct segment *segment, const struct view *view,
	const char *path, const char **what)
{
	int64_t size;

	*what = "cannot make a segment";
	segment->fd = spare_take(storage, view, path);
	if (segment->fd == -1) {
		segment->fd = storage->files->open(storage->files, path, O_RDWR | O_CREAT | O_EXCL);
		if (segment->fd == -1 || file_lock(segment->fd, FILE_LOCK_WRITER, true) == -1)
			return -1;
	}
	if (getrandom(&segment->identity, sizeof segment->identity, 0) !=
			sizeof segment->identity ||
		(size = file_size(segment->fd)) == -1)
		return -1;
	*what = "cannot write a new segment";
	segment->tail = segment->durable = SEGMENT_HEADER;
	segment->zeroed = (uint64_t)size;
	if (header_write(storage, segment) == -1 || segment_grow(storage, segment, true) == -1)
		return -1;
	*what = "cannot sync a new segment";
	return storage->files->fsync(storage->files, segment->fd);
}

int
segment_create(const struct storage *storage, struct segment *segment, const char **what)
{
	struct view view = {0};
	char path[FILE_PATH_ROOM], final[FILE_PATH_ROOM];
	int number;

	*segment = (struct segment){.fd = -1};
	*what = "cannot number a segment";
	if (number_next(storage, &view, &segment->number) == -1)
		return -1;
	name_path_of(storage->path, NAME_NEW, segment->number, path);
	name_path_of(storage->path, NAME_SEGMENT, segment->number, final);
	if (segment_make(storage, segment, &view, path, what) == -1)
		goto fail;
	*what = "cannot name a new segment";
	if (storage->files->rename(storage->files, path, final) == -1)
		goto fail;
	memcpy(path, final, sizeof path);
	if (storage->files->sync_directory(storage->files, storage->path) == -1)
		goto fail;
	return 0;
fail:
	number = errno;
	if (segment->fd != -1) {
		storage->files->unlink(storage->files, path);
		close(segment->fd);
	}
	segment->fd = -1;
	errno = number;
	return -1;
}

void
segment_seal(const struct storage *storage, struct segment *segment)
{
	unsigned char bytes[RECORD_HEADER];
	struct record record = {.type = RECORD_SEAL, .identity = segment->identity,
		.offset = segment->tail, .durable = segment->durable};

	/* Where this fails the segment looks like that of a process that died, which is as good. */
	record_encode(&record, bytes);
	file_put(storage->files, segment->fd, bytes, sizeof bytes, (int64_t)segment->tail, true);
	close(segment->fd);
	segment->fd = -1;
}

void
segment_return(const struct storage *storage, struct segment *segment)
{
	char path[FILE_PATH_ROOM], dead[FILE_PATH_ROOM];

	if (segment->fd == -1)
		return;
	name_path_of(storage->path, NAME_SEGMENT, segment->number, path);
	name_path_of(storage->path, NAME_DEAD, segment->number, dead);
	/* The owner makes a spare of it, or removes it. */
	storage->files->rename(storage->files, path, dead);
	close(segment->fd);
	segment->fd = -1;
}
