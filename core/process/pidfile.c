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

/* Who has the lock for writing. A lock for reading is nobody's claim: whoever may read the file can
 * take one. */
static pid_t
lock_holder(int fd)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};

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

/* A file of our own making, and not a link to another one that others placed in the directory. */
static bool
is_ours(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
		status.st_uid == geteuid();
}

/* 1: locked; 0: it was in the way and is gone: try again; -1. */
static int
lock_file(const char *path, int fd, pid_t *holder, ph_error *error)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (is_ours(fd)) {
		if (fcntl(fd, F_SETLK, &lock) == 0)
			return 1;
		*holder = lock_holder(fd);
		if (*holder)
			return ph_error_set(error, "already running, pid %ld", (long)*holder);
	}
	if (still_there(path, fd) && unlink(path) == -1 && errno != ENOENT)
		return ph_error_set(error, "%s: is in the way and cannot be removed: %s", path,
			strerror(errno));
	return 0;
}

int
pidfile_lock(const char *directory, pid_t *holder, ph_error *error)
{
	char path[PATH_MAX];

	*holder = 0;
	if (pidfile_path(directory, path, error) == -1)
		return -1;
	for (int attempt = 0; attempt < 10; attempt++) {
		/* Nobody else may read it, and so lock it, before we have it. */
		int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);

		if (fd == -1 && errno == ELOOP && unlink(path) == 0)
			continue;
		if (fd == -1)
			return ph_error_set(error, "%s: %s", path, strerror(errno));
		int locked = lock_file(path, fd, holder, error);
		if (locked == 1 && still_there(path, fd)) {
			if (fchmod(fd, 0644) == 0 && write_pid(fd) == 0)
				return fd;
			locked = ph_error_set(error, "%s: %s", path, strerror(errno));
		}
		close(fd);
		if (locked == -1)
			return -1;
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
