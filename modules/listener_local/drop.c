#include "drop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/log.h>
#include <posthouse/task.h>

#include "refusal.h"
#include "submission.h"

enum {
	POLL = 1000,            /* ms between scans without inotify */
	IDLE = 30 * 1000,       /* with it */
	RETRY = 10 * 1000,      /* after a temporary refusal */
	LOOKUP = 30 * 1000,
	STALE = 24 * 60 * 60,   /* s: a file that its writer will not finish any more */
	NAME_LENGTH = 64,
	PIECE = 16 * 1024
};

int
drop_prepare(const struct drop *drop, ph_error *error)
{
	struct stat st;

	if (mkdir(drop->path, 0700) == -1 && errno != EEXIST)
		return ph_error_set(error, "%s: %s", drop->path, strerror(errno));
	if (lstat(drop->path, &st) == -1 || !S_ISDIR(st.st_mode))
		return ph_error_set(error, "%s is no directory", drop->path);
	if (st.st_uid == geteuid() && (st.st_mode & 07777) != PH_SUBMIT_DROP_MODE &&
		chmod(drop->path, PH_SUBMIT_DROP_MODE) == -1)
		return ph_error_set(error, "%s: chmod: %s", drop->path, strerror(errno));
	return 0;
}

/* ---- One file -------------------------------------------------------------------------------- */

/* The file goes out of the way, under a name that no scan looks at; it is kept for a human. */
static void
set_aside(int dir, const char *name, const char *why)
{
	char bad[NAME_LENGTH + sizeof(PH_SUBMIT_BAD)];

	snprintf(bad, sizeof(bad), "%.*s%s", NAME_LENGTH - 1, name, PH_SUBMIT_BAD);
	ph_log_as("pickup", PH_LOG_WARNING, "drop/%s: %s: moved to %s", name, why, bad);
	if (renameat(dir, name, dir, bad) == -1 && unlinkat(dir, name, 0) == -1)
		ph_log_as("pickup", PH_LOG_ERROR, "drop/%s: cannot be moved or removed: %s", name,
			strerror(errno));
}

/* NULL, or why the file is not to be trusted. */
static const char *
distrust(int dir, int fd, struct stat *st)
{
	struct stat directory;

	if (fstat(fd, st) == -1 || fstat(dir, &directory) == -1)
		return strerror(errno);
	if (!S_ISREG(st->st_mode))
		return "no regular file";
	if (st->st_nlink != 1)
		return "more than one link";
	if (st->st_gid != directory.st_gid && st->st_gid != getegid())
		return "another group than the directory's";
	if (st->st_size < (off_t)(sizeof(PH_SUBMIT_MAGIC) - 1))
		return "too short";
	return NULL;
}

/* Another process may have taken it between our look at the directory and our lock. */
static bool
is_still_there(int dir, const char *name, const struct stat *st)
{
	struct stat now;

	return fstatat(dir, name, &now, AT_SYMLINK_NOFOLLOW) == 0 && now.st_ino == st->st_ino &&
	       now.st_dev == st->st_dev;
}

/* Reads the whole file into the submission. */
static enum frames_result
read_file(struct submission *submission, int fd)
{
	char *piece = ph_pool_alloc(submission->pool, PIECE);
	enum frames_result result = FRAMES_MORE;
	ssize_t size;

	if (piece == NULL)
		return FRAMES_BAD;
	while (result == FRAMES_MORE && (size = read(fd, piece, PIECE)) > 0) {
		result = submission_feed(submission, (ph_span){piece, (size_t)size});
		if (ph_yield() != PH_WAIT_OK)
			return FRAMES_MORE;
	}
	return result;
}

static void
refused(int dir, const char *name, int fd, struct submission *submission, const ph_reply *reply)
{
	char why[300];
	const char *sender = submission->from != NULL ? submission->from : submission->user.name;

	snprintf(why, sizeof(why), "%d %s %s", reply->code, reply->status, reply->text);
	/* What is not in our format is no mail of anyone's. */
	if (*sender != '\0' && strcmp(reply->status, "5.5.2") != 0)
		refusal_report(fd, name, sender, reply);
	set_aside(dir, name, why);
}

/* Too many recipients are no fewer the next time. */
static bool
is_for_now(const ph_reply *refusal)
{
	return refusal->code < 500 && strcmp(refusal->status, "4.5.3") != 0;
}

/* 0: done with it in one way or another; -1: it stays for later. */
static int
take_content(const struct drop *drop, int dir, const char *name, int fd, const struct user *user)
{
	struct submission *submission = submission_new(drop->listener, user);
	ph_reply reply = {.code = 0};
	int result = 0;

	if (submission == NULL)
		return -1;
	enum frames_result end = read_file(submission, fd);

	if (ph_task_cancelled()) {
		result = -1;
	} else if (end == FRAMES_MORE) {
		set_aside(dir, name, "it ends before the message does");
	} else if (end == FRAMES_BAD && is_for_now(&submission->refusal)) {
		result = -1;
	} else if (end == FRAMES_BAD) {
		refused(dir, name, fd, submission, &submission->refusal);
	} else if (submission_commit(submission, &reply) != PH_INTAKE_REFUSED) {
		unlinkat(dir, name, 0);
	} else if (reply.code >= 500) {
		refused(dir, name, fd, submission, &reply);
	} else {
		result = -1;
	}
	submission_free(submission);
	return result;
}

static int
take_locked(const struct drop *drop, int dir, const char *name, int fd)
{
	struct user user;
	struct stat st;
	const char *why = distrust(dir, fd, &st);

	if (why != NULL) {
		set_aside(dir, name, why);
		return 0;
	}
	if (!is_still_there(dir, name, &st))
		return 0;
	if (user_lookup(st.st_uid, &user, ph_in(LOOKUP)) != PH_WAIT_OK)
		return -1;
	if (!user_is_authorized(&user, drop->users, drop->owner)) {
		set_aside(dir, name, "its owner is not in authorized_submit_users");
		return 0;
	}
	return take_content(drop, dir, name, fd, &user);
}

/* The lock is flock's: it ends with the process that holds it, whatever happens to that. */
static int
take_file(const struct drop *drop, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int result = 0;

	if (fd == -1 && errno == ENOENT)
		return 0;
	if (fd == -1 && (errno == ELOOP || errno == EACCES || errno == ENXIO || errno == EPERM)) {
		set_aside(dir, name, errno == ELOOP ? "a symbolic link" : strerror(errno));
		return 0;
	}
	if (fd == -1)
		return -1;
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		result = take_locked(drop, dir, name, fd);
	close(fd);
	return result;
}

/* ---- The directory --------------------------------------------------------------------------- */

static bool
ends_with(const char *name, const char *suffix)
{
	size_t size = strlen(name), length = strlen(suffix);

	return size >= length && strcmp(name + size - length, suffix) == 0;
}

static void
remove_stale(int dir, const char *name)
{
	struct stat st;

	if (strncmp(name, PH_SUBMIT_TEMPORARY, strlen(PH_SUBMIT_TEMPORARY)) != 0 ||
		fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == -1 || !S_ISREG(st.st_mode))
		return;
	if (ph_wall_clock() / 1000000 - st.st_mtime > STALE && unlinkat(dir, name, 0) == 0)
		ph_log_as("pickup", PH_LOG_WARNING,
			"drop/%s: removed: its writer did not finish it", name);
}

static int
look_at(const struct drop *drop, int dir, const char *name)
{
	if (name[0] == '.') {
		remove_stale(dir, name);
		return 0;
	}
	if (ends_with(name, PH_SUBMIT_BAD))
		return 0;
	return take_file(drop, dir, name);
}

/* Looks at every file once: one that has to wait is its owner's doing, perhaps, and keeps nobody
 * else's waiting. Milliseconds until the next scan is due in any case. */
static int64_t
scan(const struct drop *drop, int64_t interval)
{
	DIR *dir = opendir(drop->path);
	struct dirent *entry;

	if (dir == NULL) {
		ph_log_as("pickup", PH_LOG_WARNING, "%s: %s", drop->path, strerror(errno));
		return IDLE;
	}
	while (!ph_task_cancelled() && (entry = readdir(dir)) != NULL) {
		if (look_at(drop, dirfd(dir), entry->d_name) == -1)
			interval = RETRY;
	}
	closedir(dir);
	return interval;
}

static void
drain(int inotify)
{
	char events[512];

	while (read(inotify, events, sizeof(events)) > 0)
		continue;
}

void
drop_watch(void *argument)
{
	const struct drop *drop = argument;
	int inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	ph_wait wait = PH_WAIT_OK;

	if (inotify != -1 && inotify_add_watch(inotify, drop->path, IN_MOVED_TO) == -1) {
		close(inotify);
		inotify = -1;
	}
	while (wait != PH_WAIT_CANCELLED) {
		int64_t pause = scan(drop, inotify != -1 ? IDLE : POLL);

		if (inotify == -1 || pause == RETRY) {
			wait = ph_sleep(ph_in(pause));
		} else {
			wait = ph_wait_fd(inotify, PH_READABLE, ph_in(pause));
			drain(inotify);
		}
	}
	if (inotify != -1)
		close(inotify);
}
