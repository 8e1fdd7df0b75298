#include "process/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/trust.h"

int
owner_find(const char *name, struct owner *owner, ph_error *error)
{
	struct passwd entry, *found = NULL;
	char room[4096];

	if (geteuid() != 0) {
		*owner = (struct owner){.rootless = true, .uid = geteuid(), .gid = getegid()};
		return 0;
	}
	int failed = getpwnam_r(name, &entry, room, sizeof(room), &found);
	if (failed && failed != ENOENT)
		return ph_error_set(error, "mail_owner = %s: %s", name, strerror(failed));
	if (!found)
		return ph_error_set(error, "mail_owner = %s: there is no such user; " OWNER_ADVICE,
			name, name);
	if (entry.pw_uid == 0)
		return ph_error_set(error, "mail_owner = %s: must not be a user with root's rights",
			name);
	*owner = (struct owner){.uid = entry.pw_uid, .gid = entry.pw_gid};
	return 0;
}

int
owner_become(const struct owner *owner, ph_error *error)
{
	uid_t real, effective, saved;

	umask(077);
	if (!owner->rootless) {
		if (setgroups(1, &owner->gid) == -1 ||
			setresgid(owner->gid, owner->gid, owner->gid) == -1 ||
			setresuid(owner->uid, owner->uid, owner->uid) == -1)
			return ph_error_set(error, "giving up root's rights: %s", strerror(errno));
		if (getresuid(&real, &effective, &saved) == -1 || real != owner->uid ||
			effective != owner->uid || saved != owner->uid || setuid(0) != -1)
			return ph_error_set(error, "giving up root's rights did not work");
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
		(!owner->rootless && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1))
		return ph_error_set(error, "prctl: %s", strerror(errno));
	return 0;
}

/* May a user with these rights create files in the directory? */
static bool
may_write(const struct stat *status, const struct owner *owner)
{
	if (status->st_uid == owner->uid)
		return status->st_mode & S_IWUSR;
	if (status->st_gid == owner->gid)
		return status->st_mode & S_IWGRP;
	return status->st_mode & S_IWOTH;
}

static int
make_directory(const char *path, mode_t mode, uid_t uid, gid_t gid, bool rootless, ph_error *error)
{
	if (mkdir(path, 0700) == -1)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	int failed = (!rootless && fchown(fd, uid, gid) == -1) || fchmod(fd, mode) == -1 ? errno
		: 0;
	close(fd);
	return failed ? ph_error_set(error, "%s: %s", path, strerror(failed)) : 0;
}

/* What a service manager makes for us: root's, and nothing in it yet. */
static bool
is_fresh(const char *path, const struct stat *status)
{
	if (status->st_uid != 0 || status->st_mode & (S_IWOTH | S_ISVTX))
		return false;
	DIR *directory = opendir(path);
	if (!directory)
		return false;
	int entries = 0;
	while (entries < 3 && readdir(directory))
		entries++;
	closedir(directory);
	return entries == 2; /* "." and ".." */
}

static int
adopt_directory(const char *path, mode_t mode, uid_t uid, gid_t gid, ph_error *error)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		return ph_error_set(error, "%s", strerror(errno));
	int failed = fchown(fd, uid, gid) == -1 || fchmod(fd, mode) == -1 ? errno : 0;
	close(fd);
	return failed ? ph_error_set(error, "%s", strerror(failed)) : 0;
}

/* One that is there, with root's rights in hand. uid is whose it is to be. */
static int
check_directory(const char *path, const struct stat *status, mode_t mode, uid_t uid,
	const struct owner *owner, ph_error *error)
{
	if (trust_above(path, owner->gid, error) == -1)
		return -1;
	if (!may_write(status, owner) && is_fresh(path, status))
		return adopt_directory(path, mode, uid, owner->gid, error);
	if (status->st_uid != 0 && status->st_uid != owner->uid)
		return ph_error_set(error, "belongs to user %lu, and not to root or mail_owner",
			(unsigned long)status->st_uid);
	if ((status->st_mode & (S_IWOTH | S_ISVTX)) == S_IWOTH)
		return ph_error_set(error, "is writable by everybody: chmod o-w it");
	if (!may_write(status, owner))
		return ph_error_set(error, "mail_owner may not write there");
	/* Root's own files lie there: mail_owner must not be able to put others in their place. */
	if (uid == 0 && (status->st_uid != 0 || !(status->st_mode & S_ISVTX)))
		return adopt_directory(path, mode, uid, owner->gid, error);
	return 0;
}

static int
need_directory(const char *name, const char *path, mode_t mode, uid_t uid,
	const struct owner *owner, ph_error *error)
{
	struct stat status;
	ph_error why;

	if (stat(path, &status) == -1) {
		if (errno != ENOENT)
			return ph_error_set(error, "%s = %s: %s", name, path, strerror(errno));
		if (make_directory(path, mode, uid, owner->gid, owner->rootless, &why) == -1)
			return ph_error_set(error, "%s: cannot be created: %s", name, why.text);
		if (stat(path, &status) == -1)
			return ph_error_set(error, "%s = %s: %s", name, path, strerror(errno));
	}
	if (!S_ISDIR(status.st_mode))
		return ph_error_set(error, "%s = %s: not a directory", name, path);
	if (owner->rootless && access(path, W_OK | X_OK) == -1)
		return ph_error_set(error, "%s = %s: mail_owner may not write there", name, path);
	if (!owner->rootless && check_directory(path, &status, mode, uid, owner, &why) == -1)
		return ph_error_set(error, "%s = %s: %s", name, path, why.text);
	return 0;
}

int
owner_directories(const struct owner *owner, const struct settings *settings, ph_error *error)
{
	uid_t root = owner->rootless ? owner->uid : 0;

	if (need_directory("run_directory", settings->run_directory, 01775, root, owner, error) == -1)
		return -1;
	return need_directory("queue_directory", settings->queue_directory, 0711, owner->uid, owner,
		error);
}
