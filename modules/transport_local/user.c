#include "user.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "answer.h"
#include "command.h"
#include "content.h"
#include "headers.h"
#include "maildir.h"
#include "mbox.h"

/* A mailbox of the user's, and no file that somebody named. */
static bool
is_mailbox(const struct ph_user_delivery *request)
{
	return request->kind == PH_USER_MAILBOX || (request->flags & PH_USER_HOME_MAILBOX) != 0;
}

static void
answer_all(struct ph_user_result *results, size_t count, const char *status, const char *text)
{
	for (size_t i = 0; i < count; i++)
		answer(&results[i], USER_DEFERRED, status, "%s", text);
}

/* ---- mbox ---------------------------------------------------------------------------------------- */

static void
answer_write_error(struct ph_user_result *result, const struct mbox *mbox,
	const struct ph_user_context *user, const struct ph_user_delivery *request)
{
	bool full = mbox->failure == ENOSPC || mbox->failure == EDQUOT || mbox->failure == EFBIG;
	const char *what = is_mailbox(request) ? "cannot update mailbox" : "cannot append message to file";

	if (mbox->over_limit)
		answer(result, USER_BOUNCED, "5.2.2", "%s %s for user %s. "
			"The mailbox has reached its size limit", what, user->mailbox, user->name);
	else
		answer(result, USER_DEFERRED, full ? "4.2.2" : "4.2.0",
			"%s %s for user %s. error writing message: %s", what, user->mailbox, user->name,
			strerror(mbox->failure));
}

static void
answer_sent(struct ph_user_result *result, const struct ph_user_context *user,
	const struct ph_user_delivery *request)
{
	if (is_mailbox(request))
		answer(result, USER_SENT, "2.0.0", "delivered to mailbox");
	else
		answer(result, USER_SENT, "2.0.0", "delivered to file: %s", user->mailbox);
}

/* One message. 0; -1 when the mailbox takes no more: what follows is not tried. */
static int
deliver_one(struct mbox *mbox, const struct ph_user_context *user,
	const struct ph_user_delivery *request, int fd, char *buffer, struct ph_user_result *result)
{
	int64_t start = mbox->size;
	bool full;

	if (!content_begin(request, fd, buffer, result))
		return 0;
	mbox_mend_end(mbox);
	if (content_copy(mbox, request, fd, false, buffer) == -1)
		answer(result, USER_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	else if (mbox_flush(mbox) == 0) {
		answer_sent(result, user, request);
		return 0;
	} else
		answer_write_error(result, mbox, user, request);
	full = mbox->failure != 0 && !mbox->over_limit;
	if (mbox_truncate(mbox, start) == -1)
		return -1;
	return full ? -1 : 0;
}

/* Syncs; where that fails nothing of the batch counts. */
static void
finish_batch(struct mbox *mbox, int64_t start, const struct ph_user_context *user, size_t count,
	struct ph_user_result *results)
{
	int failure;

	if (fsync(mbox->fd) == 0)
		return;
	failure = errno;
	mbox_truncate(mbox, start);
	for (size_t i = 0; i < count; i++)
		if (results[i].outcome == USER_SENT)
			answer(&results[i], USER_DEFERRED,
				failure == ENOSPC || failure == EDQUOT ? "4.2.2" : "4.2.0",
				"cannot update mailbox %s: fsync: %s", user->mailbox, strerror(failure));
}

static void
deliver_mbox(struct mbox *mbox, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count, char *buffer,
	struct ph_user_result *results)
{
	int64_t start = mbox->size;
	bool open = true;

	for (size_t i = 0; i < count; i++) {
		if (!open)
			answer(&results[i], USER_DEFERRED, "4.2.2", "cannot update mailbox %s for user %s: "
				"a message before this one did not fit", user->mailbox, user->name);
		else if (deliver_one(mbox, user, &requests[i], fds[i], buffer, &results[i]) == -1)
			open = false;
	}
	if (mbox->size > start)
		finish_batch(mbox, start, user, count, results);
}

/* A mailbox waits for better times; a file that somebody named and that cannot be opened is a mistake
 * of theirs, unless it may pass. */
static void
answer_open_error(const struct ph_user_context *user, const struct ph_user_delivery *requests,
	size_t count, int failure, struct ph_user_result *results)
{
	bool passes = failure == ENOSPC || failure == EDQUOT || failure == EAGAIN || failure == ESTALE ||
		failure == EIO || failure == ENFILE || failure == EMFILE || failure == ENOMEM;

	for (size_t i = 0; i < count; i++) {
		if (is_mailbox(&requests[i]) || passes)
			answer_errno(&results[i], is_mailbox(&requests[i]) ? "cannot open mailbox" :
				"cannot open destination file", user->mailbox, failure);
		else
			answer(&results[i], USER_BOUNCED, "5.2.0", "cannot open destination file %s: %s",
				user->mailbox, strerror(failure));
	}
}

/* ---- Which of them ------------------------------------------------------------------------------- */

static void
deliver_commands(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count, char *buffer,
	struct ph_user_result *results)
{
	for (size_t i = 0; i < count; i++)
		if (content_begin(&requests[i], fds[i], buffer, &results[i]))
			command_deliver(params, user, &requests[i], fds[i], &results[i]);
}

static void
deliver(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count, char *buffers,
	struct ph_user_result *results)
{
	size_t size = strlen(user->mailbox);
	int64_t limit = params->mailbox_size_limit;
	struct mbox mbox;

	if (requests->kind == PH_USER_COMMAND || requests->kind == PH_USER_INSTANCE)
		deliver_commands(params, user, requests, fds, count, buffers, results);
	else if (user->mailbox_errno != 0)
		answer_open_error(user, requests, count, user->mailbox_errno, results);
	else if (size > 0 && user->mailbox[size - 1] == '/')
		maildir_deliver(params, user->mailbox, requests, fds, count, buffers, results);
	else if (mbox_open(&mbox, user->mailbox_fd, limit, buffers) == -1)
		answer_open_error(user, requests, count, errno, results);
	else {
		mbox.bare = headers_bare(params, "file");
		deliver_mbox(&mbox, user, requests, fds, count, buffers + MBOX_BUFFER, results);
	}
}

void
user_deliver(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results)
{
	char *buffers = malloc(MBOX_BUFFER + CONTENT_CHUNK);

	/* A limit of the process is told by write(), not by a signal. */
	signal(SIGXFSZ, SIG_IGN);
	if (buffers == NULL)
		answer_all(results, count, "4.3.0", "no memory");
	else
		deliver(params, user, requests, fds, count, buffers, results);
	free(buffers);
}
