#include "file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef IOV_MAX
#define IOV_MAX 1024
#endif

/* What somebody put in the place of a file must not make us wait for its other end. */
static int
real_open(const struct files *files, const char *path, int flags)
{
	struct stat status;
	int fd = open(path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);

	if (fd == -1 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)))
		return fd;
	close(fd);
	errno = EINVAL;
	return -1;
}

static ssize_t
real_pread(const struct files *files, int fd, void *buffer, size_t size, int64_t offset)
{
	return pread(fd, buffer, size, offset);
}

static ssize_t
real_pwritev(const struct files *files, int fd, const struct iovec *parts, int count,
	int64_t offset, bool durable)
{
	ssize_t n;

	if (!durable)
		return pwritev(fd, parts, count, offset);
	n = pwritev2(fd, parts, count, offset, RWF_DSYNC);
	if (n == -1 && (errno == ENOSYS || errno == EINVAL))
		errno = EOPNOTSUPP;
	return n;
}

static int
real_fsync(const struct files *files, int fd)
{
	return fsync(fd);
}

static int
real_fdatasync(const struct files *files, int fd)
{
	return fdatasync(fd);
}

static int
real_fallocate(const struct files *files, int fd, int64_t offset, int64_t size)
{
	return fallocate(fd, 0, offset, size);
}

static int
real_truncate(const struct files *files, int fd, int64_t size)
{
	return ftruncate(fd, size);
}

static int
real_rename(const struct files *files, const char *from, const char *to)
{
	return rename(from, to);
}

static int
real_unlink(const struct files *files, const char *path)
{
	return unlink(path);
}

static int
real_mkdir(const struct files *files, const char *path)
{
	return mkdir(path, 0700);
}

static int
real_sync_directory(const struct files *files, const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (fd == -1)
		return -1;
	result = fsync(fd);
	close(fd);
	return result;
}

static int
real_list(const struct files *files, const char *path,
	void (*fn)(void *context, const char *name), void *context)
{
	DIR *directory = opendir(path);
	struct dirent *entry;

	if (directory == NULL)
		return -1;
	while ((entry = readdir(directory)) != NULL)
		if (entry->d_name[0] != '.')
			fn(context, entry->d_name);
	closedir(directory);
	return 0;
}

const struct files file_system = {
	.open = real_open,
	.pread = real_pread,
	.pwritev = real_pwritev,
	.fsync = real_fsync,
	.fdatasync = real_fdatasync,
	.fallocate = real_fallocate,
	.truncate = real_truncate,
	.rename = real_rename,
	.unlink = real_unlink,
	.mkdir = real_mkdir,
	.sync_directory = real_sync_directory,
	.list = real_list,
};

ssize_t
file_read_at(const struct files *files, int fd, void *buffer, size_t size, int64_t offset)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = files->pread(files, fd, (char *)buffer + done, size - done,
			offset + (int64_t)done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1)
			return -1;
		if (n == 0)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Moves the parts past n written bytes; the number of parts that are done. */
static int
parts_advance(struct iovec *parts, int count, size_t n)
{
	int i = 0;

	while (i < count && n >= parts[i].iov_len)
		n -= parts[i++].iov_len;
	if (i < count && n > 0) {
		parts[i].iov_base = (char *)parts[i].iov_base + n;
		parts[i].iov_len -= n;
	}
	return i;
}

int
file_write_at(const struct files *files, int fd, struct iovec *parts, int count, int64_t offset,
	bool durable)
{
	bool sync_after = false;

	while (count > 0) {
		int some = count < IOV_MAX ? count : IOV_MAX;
		ssize_t n = files->pwritev(files, fd, parts, some, offset, durable);
		int done;

		if (n == -1 && errno == EINTR)
			continue;
		if (n == -1 && durable && errno == EOPNOTSUPP) {
			durable = false;
			sync_after = true;
			continue;
		}
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		offset += n;
		done = parts_advance(parts, some, (size_t)n);
		parts += done;
		count -= done;
	}
	return sync_after ? files->fdatasync(files, fd) : 0;
}

int
file_put(const struct files *files, int fd, const void *data, size_t size, int64_t offset,
	bool durable)
{
	struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};

	return size == 0 ? 0 : file_write_at(files, fd, &part, 1, offset, durable);
}

static struct flock
lock_of(int byte, bool exclusive)
{
	return (struct flock){.l_type = exclusive ? F_WRLCK : F_RDLCK, .l_whence = SEEK_SET,
		.l_start = byte, .l_len = 1};
}

int
file_lock(int fd, int byte, bool exclusive)
{
	struct flock lock = lock_of(byte, exclusive);

	return fcntl(fd, F_OFD_SETLK, &lock);
}

int
file_lock_wait(int fd, int byte)
{
	struct flock lock = lock_of(byte, true);
	int result;

	do
		result = fcntl(fd, F_OFD_SETLKW, &lock);
	while (result == -1 && errno == EINTR);
	return result;
}

int64_t
file_size(int fd)
{
	struct stat status;

	return fstat(fd, &status) == -1 ? -1 : (int64_t)status.st_size;
}
