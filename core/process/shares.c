/*
 * A batch whose requests may have different rights, which the transport's tables say: virtual
 * mailboxes.
 *
 * Nothing of that is believed from who asks for the delivery: the tables are those of the spawner's
 * own configuration. But to look a stranger's address up is no work for root either. So a first
 * process asks the module, with the rights of default_privs, and passes back numbers and nothing
 * else; these are checked here; and for each user and group among them a process becomes them for
 * good and delivers. This one only waits. All are of one process group and die with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/logger.h"
#include "process/spawn.h"

struct shares {
	const struct batch *batch;
	const struct process_setup *setup;
	int result_fd;
	struct ph_user_result *results;
	struct ph_user_rights rights[PH_SPAWN_MAX];
	bool done[PH_SPAWN_MAX];  /* has its result */
};

/* The requests of one user and group. */
struct share {
	size_t count, index[PH_SPAWN_MAX];
	struct batch batch;
	struct ph_user_result results[PH_SPAWN_MAX];
};

/* ---- A process of our own -------------------------------------------------------------------- */

/* Its number, 0 in it; -1 with errno. fd is the reading end of its pipe, in it the writing end. */
static pid_t
begin(struct shares *shares, int *fd)
{
	pid_t parent = getpid(), pid;
	struct process_setup *setup;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1)
		return -1;
	logger_flush();
	pid = fork();
	if (pid != 0) {
		*fd = ends[0];
		close(ends[1]);
		if (pid == -1)
			close(ends[0]);
		return pid;
	}
	close(ends[0]);
	close(shares->result_fd);
	*fd = ends[1];
	/* It goes when we go. */
	setup = malloc(sizeof(*setup));
	if (!setup)
		_exit(1);
	*setup = *shares->setup;
	setup->parent = parent;
	shares->setup = setup;
	process_follow(parent);
	return 0;
}

static noreturn void
say(int fd, const void *data, size_t size)
{
	const char *at = data;

	while (size) {
		ssize_t n = write(fd, at, size);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			_exit(1);
		at += n;
		size -= (size_t)n;
	}
	logger_flush();
	_exit(0);
}

/* All that it was to say, and then its end. Takes fd. */
static bool
hear(pid_t pid, int fd, void *data, size_t size)
{
	char *at = data;
	int status = 0;
	ssize_t n;

	while (size && ((n = read(fd, at, size)) > 0 || (n == -1 && errno == EINTR))) {
		at += n > 0 ? n : 0;
		size -= n > 0 ? (size_t)n : 0;
	}
	close(fd);
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return size == 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* ---- Whose rights ---------------------------------------------------------------------------- */

static noreturn void
ask_module(struct shares *shares, const struct rights *nobody, int fd)
{
	const struct batch *batch = shares->batch;
	const struct ph_transport_ops *ops = batch->transport->ops;

	batch_become(shares->setup, nobody, false, batch->timeout);
	for (size_t i = 0; i < batch->count; i++)
		shares->rights[i] = (struct ph_user_rights){.size = sizeof(shares->rights[i]),
			.outcome = PH_USER_DEFERRED, .status = "4.3.0",
			.text = "whose rights it needs is not known"};
	ops->find_rights(batch->transport->self, batch_requests(batch), batch->count,
		shares->rights);
	say(fd, shares->rights, sizeof(shares->rights));
}

static void
answer(struct shares *shares, size_t i, int outcome, const char *status, const char *text)
{
	struct ph_user_result *result = &shares->results[i];

	*result = (struct ph_user_result){.size = sizeof(*result), .outcome = outcome};
	snprintf(result->status, sizeof(result->status), "%s", status);
	snprintf(result->text, sizeof(result->text), "%s", text);
	shares->done[i] = true;
}

/* NULL, or why these are nobody's rights for a delivery. The module's own checks do not count
 * here. */
static const char *
objection(const struct shares *shares, const struct ph_user_rights *rights)
{
	const struct instance *transport = shares->batch->transport;
	const struct ph_transport_ops *ops = transport->ops;
	const struct owner *owner = shares->setup->owner;

	if (rights->uid == 0 || rights->gid == 0 || rights->uid == UINT32_MAX ||
		rights->gid == UINT32_MAX)
		return "nothing is delivered with root's rights";
	if (ops->minimum_offset &&
		rights->uid < *(const int64_t *)((const char *)transport->self +
		ops->minimum_offset))
		return "the number of the user is below the smallest that is allowed";
	if (!owner->rootless && rights->uid == owner->uid)
		return "nothing is delivered with the rights of mail_owner, to whom the queue belongs";
	return NULL;
}

static void
judge(struct shares *shares, size_t i)
{
	struct ph_user_rights *rights = &shares->rights[i];
	const char *why;

	rights->status[sizeof(rights->status) - 1] = '\0';
	rights->text[sizeof(rights->text) - 1] = '\0';
	if (rights->outcome == PH_USER_DEFERRED || rights->outcome == PH_USER_BOUNCED) {
		answer(shares, i, rights->outcome, rights->status, rights->text);
		return;
	}
	why = rights->outcome == PH_USER_SENT ? objection(shares, rights)
		: "whose rights it needs is not known";
	if (!why)
		return;
	ph_log(PH_LOG_WARNING, "%s: %s: user %lu, group %lu: %s",
		shares->batch->requests[i].queue_id,
		shares->batch->transport->name, (unsigned long)rights->uid,
		(unsigned long)rights->gid, why);
	answer(shares, i, PH_USER_DEFERRED, "4.3.5", why);
}

static void
answer_all(struct shares *shares, const char *status, const char *text)
{
	for (size_t i = 0; i < shares->batch->count; i++)
		answer(shares, i, PH_USER_DEFERRED, status, text);
}

static void
find(struct shares *shares)
{
	ph_error error = {""};
	struct rights nobody;
	pid_t pid;
	int fd;

	if (rights_find(config_settings(shares->setup->config)->default_privs, &nobody, &error) !=
		RIGHTS_FOUND) {
		answer_all(shares, "4.3.5", error.text);
		return;
	}
	pid = begin(shares, &fd);
	if (pid == 0)
		ask_module(shares, &nobody, fd);
	if (pid == -1 || !hear(pid, fd, shares->rights, sizeof(shares->rights))) {
		answer_all(shares, "4.3.0", "the process that looks users up has failed");
		return;
	}
	for (size_t i = 0; i < shares->batch->count; i++)
		judge(shares, i);
}

/* ---- The shares ------------------------------------------------------------------------------ */

/* Takes the first request without a result, and those that go with it. */
static bool
take(struct shares *shares, struct share *share)
{
	const struct batch *batch = shares->batch;
	const struct ph_user_rights *first = NULL;

	share->count = 0;
	for (size_t i = 0; i < batch->count; i++) {
		const struct ph_user_rights *rights = &shares->rights[i];

		if (shares->done[i] ||
			(first && (rights->uid != first->uid || rights->gid != first->gid)))
			continue;
		first = first ? first : rights;
		share->batch.requests[share->count] = batch->requests[i];
		share->batch.fds[share->count] = batch->fds[i];
		share->index[share->count++] = i;
		shares->done[i] = true;
	}
	share->batch.transport = batch->transport;
	share->batch.kind = batch->kind;
	share->batch.stride = batch->stride;
	share->batch.timeout = batch->timeout;
	share->batch.count = share->count;
	return share->count > 0;
}

static void
deliver(struct shares *shares, struct share *share)
{
	const struct ph_user_rights *found = &shares->rights[share->index[0]];
	const struct rights rights = {.name = "", .home = "/", .shell = "/bin/sh",
		.uid = found->uid,
		.gid = found->gid, .group_only = true};
	size_t size = share->count * sizeof(share->results[0]);
	int fd;
	pid_t pid = begin(shares, &fd);

	if (pid == 0) {
		batch_deliver_as(&share->batch, shares->setup, &rights, share->results);
		say(fd, share->results, size);
	}
	if (pid != -1 && hear(pid, fd, share->results, size)) {
		for (size_t i = 0; i < share->count; i++)
			shares->results[share->index[i]] = share->results[i];
		return;
	}
	for (size_t i = 0; i < share->count; i++)
		answer(shares, share->index[i], PH_USER_DEFERRED, "4.3.0",
			"the delivery process has failed");
}

void
shares_run(const struct batch *batch, const struct process_setup *setup, int result_fd,
	struct ph_user_result *results)
{
	struct shares *shares = calloc(1, sizeof(*shares));
	struct share *share = calloc(1, sizeof(*share));

	if (!shares || !share)
		_exit(1);
	shares->batch = batch;
	shares->setup = setup;
	shares->result_fd = result_fd;
	shares->results = results;
	find(shares);
	while (take(shares, share))
		deliver(shares, share);
	free(share);
	free(shares);
}
