#include "process/userfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
userfile_path(const char *target, const char *home, char *path, size_t size, ph_error *error)
{
	bool in_home = target[0] == '~' && target[1] == '/';

	if (!in_home && target[0] != '/')
		return ph_error_set(error, "file %s: expected an absolute path", target);
	if (in_home && home[0] != '/')
		return ph_error_set(error, "file %s: the user has no home directory", target);
	if (snprintf(path, size, "%s%s", in_home ? home : "", in_home ? target + 1 : target) >= (int)size)
		return ph_error_set(error, "the path of a file is too long");
	return 0;
}

static enum ph_user_read
open_failed(const char *path, int failed, ph_error *error)
{
	if (failed == ENOENT || failed == ENOTDIR) {
		ph_error_set(error, "file %s: %s", path, strerror(failed));
		return PH_READ_ABSENT;
	}
	if (failed == ELOOP || failed == EACCES || failed == ENXIO || failed == ENAMETOOLONG) {
		ph_error_set(error, failed == ELOOP ? "file %s is a symbolic link" :
			failed == ENXIO ? "file %s is not a regular file" :
			failed == EACCES ? "file %s: Permission denied"
			: "file %s: its path is too long", path);
		return PH_READ_REFUSED;
	}
	ph_error_set(error, "file %s: %s", path, strerror(failed));
	return PH_READ_LATER;
}

static enum ph_user_read
check(int fd, const char *path, uint32_t flags, uid_t uid, size_t room, size_t *size,
	ph_error *error)
{
	struct stat status;

	if (fstat(fd, &status) == -1) {
		ph_error_set(error, "file %s: %s", path, strerror(errno));
		return PH_READ_LATER;
	}
	if (!S_ISREG(status.st_mode))
		ph_error_set(error, "file %s is not a regular file", path);
	else if ((flags & PH_USER_OWN_FILE) && status.st_uid != 0 && status.st_uid != uid)
		ph_error_set(error, "file %s has bad owner uid %ld", path, (long)status.st_uid);
	else if (status.st_mode & S_IWOTH)
		ph_error_set(error, "file %s is world writable", path);
	else if ((uintmax_t)status.st_size > room)
		ph_error_set(error, "file %s is too large: only %zu bytes would be read", path,
			room);
	else {
		*size = (size_t)status.st_size;
		return PH_READ_TEXT;
	}
	return PH_READ_REFUSED;
}

/* As much as was there when it was opened, or less. */
static enum ph_user_read
read_all(int fd, const char *path, char **data, size_t *size, ph_error *error)
{
	char *text = malloc(*size + 1);
	size_t have = 0;
	ssize_t got = 1;

	while (text && got > 0 && have < *size) {
		got = read(fd, text + have, *size - have);
		if (got == -1 && errno == EINTR)
			got = 1;
		else if (got > 0)
			have += (size_t)got;
	}
	if (!text || got == -1) {
		ph_error_set(error, "file %s: %s", path, text ? strerror(errno) : "out of memory");
		free(text);
		return PH_READ_LATER;
	}
	*data = text;
	*size = have;
	return PH_READ_TEXT;
}

enum ph_user_read
userfile_read(const char *path, uint32_t flags, uid_t uid, size_t room, char **data, size_t *size,
	ph_error *error)
{
	/* O_NONBLOCK: a FIFO must not hold us. */
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC |
		(flags & PH_USER_OWN_FILE ? O_NOFOLLOW : 0));

	*data = NULL;
	*size = 0;
	if (fd == -1)
		return open_failed(path, errno, error);
	enum ph_user_read result = check(fd, path, flags, uid, room, size, error);
	if (result == PH_READ_TEXT)
		result = read_all(fd, path, data, size, error);
	if (result != PH_READ_TEXT)
		*size = 0;
	close(fd);
	return result;
}

enum ph_user_read
ph_user_file(ph_pool *pool, const struct ph_user_context *user, const char *path, uint32_t flags,
	ph_span *text, ph_error *error)
{
	char whole[4096], *data = NULL;
	enum ph_user_read result = PH_READ_REFUSED;
	size_t size = 0;

	if (userfile_path(path, user->home, whole, sizeof(whole), error) == 0)
		result = userfile_read(whole, flags, geteuid(), PH_SPAWN_TEXT_MAX, &data, &size,
			error);
	if (result == PH_READ_TEXT) {
		text->data = ph_pool_copy(pool, (ph_span){data, size});
		text->size = size;
		if (!text->data) {
			ph_error_set(error, "out of memory");
			result = PH_READ_LATER;
		}
	}
	free(data);
	return result;
}
