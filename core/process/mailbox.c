/*
 * Opening and locking a mailbox, with root's rights where we have them, in a folder where users may
 * have left things for us to fall over.
 *
 * Locks are asked for again and again and never waited for: first fcntl, then the .lock file; who
 * does not get the second gives the first back, so that two programs with another order do not wait
 * for each other. This is done in the child for one batch, never in the spawner itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <posthouse/mailbox.h>

#include "process/spawn.h"

enum {
	RETRY = 50,        /* milliseconds between two attempts */
	STALE_TIME = 300,  /* seconds after which a .lock without a living owner is stale */
	NAME_ROOM = 272
};

/* An entry of the folder, and nothing else. */
static bool
name_ok(const char *name)
{
	return name[0] && !strchr(name, '/') && strlen(name) + 6 < NAME_ROOM;
}

static int
create(int directory, const struct mailbox_place *place)
{
	int fd = openat(directory, place->name,
		O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC, 0600);

	if (fd == -1)
		return -1;
	if (fchmod(fd, 0600) == 0 &&
		(!place->change_owner || fchown(fd, place->uid, place->gid) == 0))
		return fd;
	int failed = errno;
	unlinkat(directory, place->name, 0);
	close(fd);
	errno = failed;
	return -1;
}

/* A descriptor, or -1 with errno. */
static int
open_or_create(int directory, const struct mailbox_place *place)
{
	const char *name = place->name;

	for (int attempt = 0; attempt < 3; attempt++) {
		/* O_NONBLOCK: somebody's FIFO must not hold us. */
		int fd = openat(directory, name,
			O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

		if (fd != -1 || errno != ENOENT)
			return fd;
		fd = create(directory, place);
		if (fd != -1 || errno != EEXIST)
			return fd;
	}
	errno = EEXIST;
	return -1;
}

/* One that was created and never given away: the process died, or the machine, in between. */
static bool
is_orphan(const struct stat *status)
{
	return S_ISREG(status->st_mode) && status->st_nlink == 1 && status->st_uid == geteuid() &&
		status->st_size == 0 && (status->st_mode & 07777) == 0600;
}

static void
adopt(int fd, const struct mailbox_place *place)
{
	struct stat status;

	if (fstat(fd, &status) == 0 && status.st_uid != place->uid && is_orphan(&status))
		(void)!fchown(fd, place->uid, place->gid); /* if it fails, check() tells whose it is */
}

/* Is this a mailbox of the user and nothing else? */
static int
check(int fd, const struct mailbox_place *place, ph_error *error)
{
	struct stat status;
	int flags = fcntl(fd, F_GETFL);

	if (fstat(fd, &status) == -1 || flags == -1)
		return ph_error_set(error, "%s", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return ph_error_set(error, "is not a regular file");
	if (status.st_nlink > 1)
		return ph_error_set(error, "has more than one hard link");
	if (!place->any_file && status.st_uid != place->uid)
		return ph_error_set(error, "belongs to user %ld and not to %ld",
			(long)status.st_uid, (long)place->uid);
	if (fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == -1)
		return ph_error_set(error, "%s", strerror(errno));
	return 0;
}

/* Did somebody put another file in its place while we waited for its lock? */
static bool
still_named(int directory, const char *name, int fd)
{
	struct stat ours, named;

	return fstat(fd, &ours) == 0 &&
		fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
		ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

/* ---- NAME.lock ------------------------------------------------------------------------------- */

/* The number in the lock file, 0 when there is none to read; sets its age in seconds. */
static pid_t
dotlock_owner(int directory, const char *name, int64_t *age)
{
	char text[24] = "";
	struct stat status;
	int64_t pid = 0;
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	*age = 0;
	if (fd == -1)
		return 0;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) {
		ssize_t got = read(fd, text, sizeof(text) - 1);

		*age = (int64_t)time(NULL) - status.st_mtime;
		if (got > 0)
			ph_parse_int((ph_span){text, strcspn(text, "\n ")}, 1, INT32_MAX, &pid);
	}
	close(fd);
	return (pid_t)pid;
}

/* A lock whose owner died, or an old one that names nobody. */
static bool
dotlock_stale(int directory, const char *name)
{
	int64_t age;
	pid_t owner = dotlock_owner(directory, name, &age);

	if (owner)
		return kill(owner, 0) == -1 && errno == ESRCH;
	return age > STALE_TIME;
}

/* 1: made; 0: somebody has it; -1 with errno. */
static int
dotlock_make(int directory, const char *name)
{
	char text[24];
	int fd = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		0444);

	if (fd == -1 && errno == EEXIST) {
		if (dotlock_stale(directory, name))
			unlinkat(directory, name, 0); /* for the next attempt */
		return 0;
	}
	if (fd == -1)
		return -1;
	int length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	bool ok = write(fd, text, (size_t)length) == length;
	int failed = errno;
	close(fd);
	if (ok)
		return 1;
	unlinkat(directory, name, 0);
	errno = failed;
	return -1;
}

void
mailbox_unlock(const char *directory, const char *name, pid_t maker)
{
	char lock[NAME_ROOM];
	int64_t age;
	int fd;

	if (!name_ok(name))
		return;
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1)
		return;
	snprintf(lock, sizeof(lock), "%s.lock", name);
	if (dotlock_owner(fd, lock, &age) == maker)
		unlinkat(fd, lock, 0);
	close(fd);
}

/* ---- Both locks ------------------------------------------------------------------------------ */

/* A folder where we may not make files has no .lock of anybody like us either. */
static bool
goes_without_dotlock(int failed)
{
	return failed == EACCES || failed == EPERM || failed == EROFS;
}

/* 1: locked; 0: not now; -1 with errno. What it got is given back with the descriptor. */
static int
lock_file(int fd, unsigned locks)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (locks & PH_LOCK_FCNTL && fcntl(fd, F_SETLK, &lock) == -1)
		return errno == EAGAIN || errno == EACCES ? 0 : -1;
	if (locks & PH_LOCK_FLOCK && flock(fd, LOCK_EX | LOCK_NB) == -1)
		return errno == EWOULDBLOCK ? 0 : -1;
	return 1;
}

/* The same, and NAME.lock. */
static int
try_lock(int directory, const struct mailbox_place *place, int fd, bool *made)
{
	unsigned locks = place->locks ? place->locks : PH_LOCK_FCNTL | PH_LOCK_DOTLOCK;
	char dotlock[NAME_ROOM];
	int locked = lock_file(fd, locks);

	if (locked != 1 || !(locks & PH_LOCK_DOTLOCK))
		return locked;
	snprintf(dotlock, sizeof(dotlock), "%s.lock", place->name);
	int result = dotlock_make(directory, dotlock);
	*made = result == 1;
	if (result == 1 || (result == -1 && place->any_file && goes_without_dotlock(errno)))
		return 1;
	return result;
}

static enum mailbox_result
open_failed(int failed, ph_error *error)
{
	errno = failed;
	if (failed == ELOOP)
		ph_error_set(error, "is a symbolic link");
	else if (failed == EISDIR)
		ph_error_set(error, "is a directory");
	else if (failed == ENXIO || failed == ENODEV)
		ph_error_set(error, "is not a regular file");
	else
		return MAILBOX_FAILED;
	return MAILBOX_UNSAFE;
}

static void
remove_dotlock(int directory, const char *name, bool *made)
{
	char lock[NAME_ROOM];

	snprintf(lock, sizeof(lock), "%s.lock", name);
	if (*made)
		unlinkat(directory, lock, 0);
	*made = false;
}

static enum mailbox_result
open_locked(int directory, const struct mailbox_place *place, int64_t until, int *fd, bool *made,
	ph_error *error)
{
	const struct timespec pause = {.tv_nsec = RETRY * 1000000};

	for (;;) {
		*fd = open_or_create(directory, place);
		if (*fd == -1)
			return open_failed(errno, error);
		if (place->change_owner)
			adopt(*fd, place);
		if (check(*fd, place, error) == -1) {
			close(*fd);
			return MAILBOX_UNSAFE;
		}
		int locked = try_lock(directory, place, *fd, made);
		int failed = errno;
		if (locked == 1 && still_named(directory, place->name, *fd))
			return MAILBOX_OPEN;
		close(*fd);
		if (locked == -1) {
			errno = failed;
			return MAILBOX_FAILED;
		}
		if (locked == 1)
			remove_dotlock(directory, place->name, made);
		if (process_clock() >= until) {
			ph_error_set(error, "is locked by another program");
			return MAILBOX_UNSAFE;
		}
		nanosleep(&pause, NULL);
	}
}

enum mailbox_result
mailbox_open(const struct mailbox_place *place, int *fd, bool *made, ph_error *error)
{
	*fd = -1;
	*made = false;
	if (!name_ok(place->name)) {
		ph_error_set(error, "has no name for a file");
		return MAILBOX_UNSAFE;
	}
	int folder = open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder == -1)
		return MAILBOX_FAILED;
	enum mailbox_result result = open_locked(folder, place, process_clock() + place->timeout,
		fd, made, error);
	int failed = errno;
	close(folder);
	if (result != MAILBOX_OPEN)
		*fd = -1;
	errno = failed;
	return result;
}

/* ---- For modules ----------------------------------------------------------------------------- */

/* The folder of a path, which is the caller's, and the name in it. NULL with errno. */
static char *
folder_of(const char *path, const char **name)
{
	const char *slash = strrchr(path, '/');

	errno = EINVAL;
	if (!slash)
		return NULL;
	*name = slash + 1;
	return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

int
ph_mailbox_open(const char *path, unsigned locks, int64_t time, ph_error *why)
{
	struct mailbox_place place = {.uid = geteuid(), .gid = getegid(), .timeout = time,
		.locks = locks};
	char *folder = folder_of(path, &place.name);
	bool made = false;
	int fd = -1;

	why->text[0] = '\0';
	place.directory = folder;
	if (folder)
		mailbox_open(&place, &fd, &made, why);
	int failed = errno;
	free(folder);
	errno = failed;
	return fd;
}

void
ph_mailbox_unlock(const char *path)
{
	const char *name;
	char *folder = folder_of(path, &name);

	if (folder)
		mailbox_unlock(folder, name, getpid());
	free(folder);
}

/* ---- A folder in the place of a mailbox ------------------------------------------------------ */

/* Gives it away if it is ours: fresh, or left over by one who died in between. */
static int
give_folder(int folder, const struct mailbox_place *place)
{
	struct stat status;

	if (fstat(folder, &status) == -1)
		return -1;
	if (status.st_uid != geteuid() || (status.st_mode & 07777) != 0700)
		return 0;
	return fchown(folder, place->uid, place->gid);
}

int
mailbox_folder(const struct mailbox_place *place)
{
	int parent = open(place->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), result = -1,
		folder;

	if (parent == -1)
		return -1;
	if (mkdirat(parent, place->name, 0700) == 0 || errno == EEXIST) {
		folder = openat(parent, place->name,
			O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (folder != -1) {
			result = place->change_owner ? give_folder(folder, place) : 0;
			close(folder);
		}
	}
	int failed = errno;
	close(parent);
	errno = failed;
	return result;
}
