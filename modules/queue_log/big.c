#include "big.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <zlib.h>

static int
big_failed(struct big *big, const char *what)
{
	big->error = errno;
	big->what = what;
	return -1;
}

static const char *
part_path(const struct storage *storage, const struct big *big, char path[FILE_PATH_ROOM])
{
	struct name name = {.kind = NAME_PART, .identity = big->name};

	return name_path(storage->path, &name, path);
}

int
big_open(const struct storage *storage, struct big *big)
{
	char path[FILE_PATH_ROOM];

	*big = (struct big){.fd = -1};
	if (getrandom(&big->name, sizeof big->name, 0) != sizeof big->name)
		return big_failed(big, "no random number");
	part_path(storage, big, path);
	big->fd = storage->files->open(storage->files, path, O_RDWR | O_CREAT | O_EXCL);
	if (big->fd == -1 || file_lock(big->fd, FILE_LOCK_WRITER, true) == -1)
		return big_failed(big, "cannot make a file for a big message");
	return 0;
}

int
big_write(const struct storage *storage, struct big *big, struct iovec *parts, int count)
{
	uint64_t size = 0;

	for (int i = 0; i < count; i++) {
		big->crc = record_crc(big->crc, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	if (count > 0 &&
		file_write_at(storage->files, big->fd, parts, count,
			(int64_t)(BIG_CONTENT + big->size), false) == -1)
		return big_failed(big, "cannot write a big message");
	big->size += size;
	return 0;
}

int
big_finish(const struct storage *storage, struct big *big, ph_span head, uint64_t *place,
	uint32_t *crc)
{
	if (head.size > BIG_CONTENT) {
		errno = EFBIG;
		return big_failed(big, "the head of a big message is too large");
	}
	*place = BIG_CONTENT - head.size;
	*crc = (uint32_t)crc32_combine(record_crc(0, head.data, head.size), big->crc,
		(z_off_t)big->size);
	if (file_put(storage->files, big->fd, head.data, head.size, (int64_t)*place, false) == -1)
		return big_failed(big, "cannot write a big message");
	if (storage->files->fsync(storage->files, big->fd) == -1)
		return big_failed(big, "cannot sync a big message");
	return 0;
}

int
big_place(const struct storage *storage, struct big *big, uint32_t number, uint64_t identity,
	uint64_t offset)
{
	char from[FILE_PATH_ROOM], to[FILE_PATH_ROOM];
	struct name name = {.kind = NAME_BIG, .number = number, .identity = identity,
		.offset = offset};

	part_path(storage, big, from);
	name_path(storage->path, &name, to);
	return storage->files->rename(storage->files, from, to);
}

void
big_unplace(const struct storage *storage, uint32_t number, uint64_t identity, uint64_t offset)
{
	char path[FILE_PATH_ROOM];
	struct name name = {.kind = NAME_BIG, .number = number, .identity = identity,
		.offset = offset};

	storage->files->unlink(storage->files, name_path(storage->path, &name, path));
}

void
big_close(const struct storage *storage, struct big *big, bool remove)
{
	char path[FILE_PATH_ROOM];

	if (remove)
		storage->files->unlink(storage->files, part_path(storage, big, path));
	if (big->fd != -1)
		close(big->fd);
	big->fd = -1;
}
