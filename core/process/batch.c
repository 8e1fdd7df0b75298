/*
 * The child of the spawner that carries out one batch. It begins with the spawner's rights, looks the
 * user up, opens and locks the mailbox; then it becomes the user for good, and only then is a
 * module's code run or a byte of a message read.
 */
#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/logger.h"
#include "process/spawn.h"

enum {
	LOCK_TIME = 30 * 1000, /* for the locks of a mailbox */
	PASSWD_ROOM = 16384
};

static void
write_all(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t written = write(fd, at, size);

		if (written == -1 && errno == EINTR)
			continue;
		if (written <= 0)
			_exit(1);
		at += written;
		size -= (size_t)written;
	}
}

static noreturn void
send_results(int fd, const struct ph_user_result *results, size_t count)
{
	char mark = CHILD_RESULTS;

	logger_flush();
	write_all(fd, &mark, 1);
	write_all(fd, results, count * sizeof(*results));
	_exit(0);
}

/* The same for all. */
static noreturn void PH_PRINTF(5, 6)
all_the_same(int fd, const struct batch *batch, int outcome, const char *status, const char *format, ...)
{
	struct ph_user_result *results = calloc(batch->count, sizeof(*results));
	va_list arguments;

	if (!results)
		_exit(1);
	for (size_t i = 0; i < batch->count; i++) {
		results[i] = (struct ph_user_result){.size = sizeof(results[i]), .outcome = outcome};
		snprintf(results[i].status, sizeof(results[i].status), "%s", status);
		va_start(arguments, format);
		vsnprintf(results[i].text, sizeof(results[i].text), format, arguments);
		va_end(arguments);
	}
	send_results(fd, results, batch->count);
}

/* The group that mailboxes have. */
static gid_t
mailbox_group(gid_t otherwise)
{
	struct group entry, *found = NULL;
	char room[PASSWD_ROOM];

	if (getgrnam_r("mail", &entry, room, sizeof(room), &found) != 0 || !found)
		return otherwise;
	return entry.gr_gid;
}

static void
find_user(const struct batch *batch, int result_fd, struct passwd *user, char *room)
{
	const char *name = batch->requests[0].user;
	struct passwd *found = NULL;
	int failed = getpwnam_r(name, user, room, PASSWD_ROOM, &found);

	if (!found && failed && failed != ENOENT && failed != ESRCH)
		all_the_same(result_fd, batch, 1, "4.3.0", "user %s cannot be looked up: %s", name, strerror(failed));
	if (!found)
		all_the_same(result_fd, batch, 2, "5.1.1", "unknown user: \"%s\"", name);
	/* Deferred and not refused: it is the administrator's mail, and an alias lets it go on. */
	if (user->pw_uid == 0)
		all_the_same(result_fd, batch, 1, "4.2.1", "mail for %s needs an alias: nothing is delivered with root's rights", name);
}

static void
become_user(const struct passwd *user, const struct owner *owner)
{
	uid_t real, effective, saved;

	if (!owner->rootless) {
		if (initgroups(user->pw_name, user->pw_gid) == -1 ||
			setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == -1 ||
			setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == -1)
			_exit(1);
		if (getresuid(&real, &effective, &saved) == -1 || real != user->pw_uid ||
			effective != user->pw_uid || saved != user->pw_uid || setuid(0) != -1)
			_exit(1);
	}
	/* Its memory holds the configuration: the user may not look into it, whatever the system's
	 * default for processes that changed their rights is. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == -1 ||
		(!owner->rootless && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == -1))
		_exit(1);
}

static void
limit(int resource, rlim_t value)
{
	struct rlimit limits;

	if (getrlimit(resource, &limits) == -1)
		return;
	if (limits.rlim_max == RLIM_INFINITY || limits.rlim_max > value)
		limits.rlim_max = value;
	limits.rlim_cur = limits.rlim_max;
	setrlimit(resource, &limits);
}

/* Nothing of the daemon's surroundings reaches what runs for a user. */
static void
scrub(const struct passwd *user, int64_t timeout)
{
	const char *zone = getenv("TZ");
	char *kept = zone ? strdup(zone) : NULL;

	clearenv();
	setenv("PATH", "/usr/local/bin:/usr/bin:/bin", 1);
	setenv("HOME", user->pw_dir, 1);
	setenv("LOGNAME", user->pw_name, 1);
	setenv("USER", user->pw_name, 1);
	setenv("SHELL", user->pw_shell && *user->pw_shell ? user->pw_shell : "/bin/sh", 1);
	if (kept)
		setenv("TZ", kept, 1);
	free(kept);
	limit(RLIMIT_CORE, 0);
	limit(RLIMIT_NOFILE, 256);
	limit(RLIMIT_CPU, (rlim_t)(timeout / 1000 + 60));
	signal(SIGXFSZ, SIG_IGN); /* a limit on files is an error of write() */
	umask(077);
	if (chdir(user->pw_dir) == -1 && chdir("/") == -1)
		_exit(1);
}

static void
open_mailbox(const struct batch *batch, const struct process_setup *setup, int result_fd,
	const struct passwd *user, struct ph_user_context *context)
{
	const char *directory = config_settings(setup->config)->mail_spool_directory;
	bool rootless = setup->owner->rootless, made;
	int64_t timeout = batch->timeout / 2 < LOCK_TIME ? batch->timeout / 2 : LOCK_TIME;
	char mark = CHILD_DOTLOCK;
	ph_error error = {""};

	enum mailbox_result result = mailbox_open(directory, user->pw_name,
		rootless ? setup->owner->uid : user->pw_uid, mailbox_group(user->pw_gid), !rootless, timeout,
		&context->mailbox_fd, &made, &error);
	int failed = errno;
	if (made)
		write_all(result_fd, &mark, 1);
	if (result == MAILBOX_UNSAFE)
		all_the_same(result_fd, batch, 1, "4.2.0", "mailbox %s %s", context->mailbox, error.text);
	if (result == MAILBOX_FAILED)
		context->mailbox_errno = failed;
}

void
batch_run(const struct batch *batch, const struct process_setup *setup, int result_fd)
{
	const struct ph_transport_ops *ops = batch->transport->ops;
	struct ph_user_result *results = calloc(batch->count, sizeof(*results));
	struct passwd user;
	struct ph_user_context context = {.size = sizeof(context), .mailbox_fd = -1};
	char *room = malloc(PASSWD_ROOM), path[4096];

	process_title("deliver");
	process_follow(setup->parent);
	if (!results || !room)
		_exit(1);
	find_user(batch, result_fd, &user, room);
	context.uid = user.pw_uid;
	context.gid = user.pw_gid;
	context.home = user.pw_dir;
	context.mailbox = path;
	snprintf(path, sizeof(path), "%s/%s", config_settings(setup->config)->mail_spool_directory, user.pw_name);
	open_mailbox(batch, setup, result_fd, &user, &context);
	become_user(&user, setup->owner);
	process_follow(setup->parent); /* again: the change of rights cancelled it */
	scrub(&user, batch->timeout);
	for (size_t i = 0; i < batch->count; i++) {
		results[i] = (struct ph_user_result){.size = sizeof(results[i]), .outcome = 1};
		snprintf(results[i].status, sizeof(results[i].status), "4.3.0");
		snprintf(results[i].text, sizeof(results[i].text), "nothing is known of this delivery");
	}
	ops->deliver_as_user(batch->transport->self, &context, batch->requests, batch->fds, batch->count, results);
	send_results(result_fd, results, batch->count);
}
