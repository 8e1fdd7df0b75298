#include "process/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
pidfile_path(const char *directory, char path[PATH_MAX], ph_error *error)
{
	int length = snprintf(path, PATH_MAX, "%s/master.pid", directory);

	if (length < 0 || length >= PATH_MAX)
		return ph_error_set(error, "%s: the path is too long", directory);
	return 0;
}

static pid_t
lock_holder(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_GETLK, &lock) == -1 || lock.l_type == F_UNLCK)
		return 0;
	return lock.l_pid;
}

/* Is what we locked still what the path names? Another one may have removed it meanwhile. */
static bool
still_there(const char *path, int fd)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 && lstat(path, &named) == 0 && ours.st_ino == named.st_ino &&
		ours.st_dev == named.st_dev;
}

static int
write_pid(int fd)
{
	char text[32];
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	return ftruncate(fd, 0) == -1 || pwrite(fd, text, (size_t)length, 0) != length ? -1 : 0;
}

int
pidfile_lock(const char *directory, pid_t *holder, ph_error *error)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	char path[PATH_MAX];

	*holder = 0;
	if (pidfile_path(directory, path, error) == -1)
		return -1;
	for (int attempt = 0; attempt < 10; attempt++) {
		int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0644);

		if (fd == -1)
			return ph_error_set(error, "%s: %s", path, strerror(errno));
		if (fcntl(fd, F_SETLK, &lock) == -1) {
			*holder = lock_holder(fd);
			close(fd);
			if (*holder)
				return ph_error_set(error, "already running, pid %ld", (long)*holder);
			continue;
		}
		if (still_there(path, fd)) {
			if (write_pid(fd) == 0)
				return fd;
			ph_error_set(error, "%s: %s", path, strerror(errno));
			close(fd);
			return -1;
		}
		close(fd);
	}
	return ph_error_set(error, "%s: cannot be locked", path);
}

void
pidfile_unlock(const char *directory, int fd)
{
	char path[PATH_MAX];

	if (pidfile_path(directory, path, NULL) == 0 && still_there(path, fd))
		unlink(path);
	close(fd);
}

pid_t
pidfile_holder(const char *directory)
{
	char path[PATH_MAX];

	if (pidfile_path(directory, path, NULL) == -1)
		return 0;
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd == -1)
		return 0;
	pid_t holder = lock_holder(fd);
	close(fd);
	return holder;
}
