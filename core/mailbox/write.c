/*
 * A batch of messages into one mailbox: mbox or Maildir.
 */
#include <posthouse/mailbox.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailbox/answer.h"
#include "mailbox/content.h"
#include "mailbox/maildir.h"
#include "mailbox/mbox.h"

static bool
is_file(const struct ph_mailbox *box)
{
	return (box->flags & PH_MAILBOX_FILE) != 0;
}

/* ---- mbox ------------------------------------------------------------------------------------ */

static void
answer_write_error(struct ph_user_result *result, const struct mbox *mbox,
	const struct ph_mailbox *box)
{
	bool full = mbox->failure == ENOSPC || mbox->failure == EDQUOT || mbox->failure == EFBIG;
	const char *what = is_file(box) ? "cannot append message to file" : "cannot update mailbox";

	if (mbox->over_limit)
		ph_user_answer(result, PH_USER_BOUNCED, "5.2.2", "%s %s for user %s. "
			"The mailbox has reached its size limit", what, box->path, box->user);
	else
		ph_user_answer(result, PH_USER_DEFERRED, full ? "4.2.2" : "4.2.0",
			"%s %s for user %s. error writing message: %s", what, box->path, box->user,
			strerror(mbox->failure));
}

static void
answer_sent(struct ph_user_result *result, const struct ph_mailbox *box)
{
	if (is_file(box))
		ph_user_answer(result, PH_USER_SENT, "2.0.0", "delivered to file: %s", box->path);
	else
		ph_user_answer(result, PH_USER_SENT, "2.0.0", "delivered to mailbox");
}

/* One message. 0; -1 when the mailbox takes no more: what follows is not tried. */
static int
deliver_one(struct mbox *mbox, const struct ph_mailbox *box, const struct ph_user_delivery *request,
	int fd, char *buffer, struct ph_user_result *result)
{
	int64_t start = mbox->size;
	bool full;

	if (!mailbox_content_begin(request, fd, buffer, result))
		return 0;
	mbox_mend_end(mbox);
	if (mailbox_content_copy(mbox, request, fd, false, buffer) == -1)
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "cannot read the message: %s",
			strerror(errno));
	else if (mbox_flush(mbox) == 0) {
		answer_sent(result, box);
		return 0;
	} else
		answer_write_error(result, mbox, box);
	full = mbox->failure != 0 && !mbox->over_limit;
	if (mbox_truncate(mbox, start) == -1)
		return -1;
	return full ? -1 : 0;
}

/* Syncs; where that fails nothing of the batch counts. */
static void
finish_batch(struct mbox *mbox, int64_t start, const struct ph_mailbox *box, size_t count,
	struct ph_user_result *results)
{
	int failure;

	if (fsync(mbox->fd) == 0)
		return;
	failure = errno;
	mbox_truncate(mbox, start);
	for (size_t i = 0; i < count; i++)
		if (results[i].outcome == PH_USER_SENT)
			ph_user_answer(&results[i], PH_USER_DEFERRED,
				failure == ENOSPC || failure == EDQUOT ? "4.2.2" : "4.2.0",
				"cannot update mailbox %s: fsync: %s", box->path, strerror(failure));
}

static void
deliver_mbox(struct mbox *mbox, const struct ph_mailbox *box,
	const struct ph_user_delivery *requests, const int *fds, size_t count, char *buffer,
	struct ph_user_result *results)
{
	int64_t start = mbox->size;
	bool open = true;

	for (size_t i = 0; i < count; i++) {
		if (!open)
			ph_user_answer(&results[i], PH_USER_DEFERRED, "4.2.2",
				"cannot update mailbox %s for user "
				"%s: a message before this one did not fit", box->path, box->user);
		else if (deliver_one(mbox, box, &requests[i], fds[i], buffer, &results[i]) == -1)
			open = false;
	}
	if (mbox->size > start)
		finish_batch(mbox, start, box, count, results);
}

/* A mailbox waits for better times; a file that somebody named and that cannot be opened is a
 * mistake of theirs, unless it may pass. */
static void
answer_open_error(const struct ph_mailbox *box, int failure, size_t count,
	struct ph_user_result *results)
{
	bool passes = failure == ENOSPC || failure == EDQUOT || failure == EAGAIN ||
		failure == ESTALE ||
		failure == EIO || failure == ENFILE || failure == EMFILE || failure == ENOMEM;

	for (size_t i = 0; i < count; i++) {
		if (!is_file(box) || passes)
			answer_errno(&results[i], is_file(box) ? "cannot open destination file" :
				"cannot open mailbox", box->path, failure);
		else
			ph_user_answer(&results[i], PH_USER_BOUNCED, "5.2.0",
				"cannot open destination file %s: %s",
				box->path, strerror(failure));
	}
}

/* ---- Either ---------------------------------------------------------------------------------- */

static void
deliver(const struct ph_mailbox *box, const struct ph_user_delivery *requests, const int *fds,
	size_t count, char *buffers, struct ph_user_result *results)
{
	size_t size = strlen(box->path);
	struct mbox mbox;

	if (size > 0 && box->path[size - 1] == '/' && box->failure == 0)
		maildir_deliver(box, requests, fds, count, buffers, results);
	else if (box->failure != 0)
		answer_open_error(box, box->failure, count, results);
	else if (mbox_open(&mbox, box->fd, box->limit, buffers) == -1)
		answer_open_error(box, errno, count, results);
	else {
		mbox.bare = (box->flags & PH_MAILBOX_BARE) != 0;
		deliver_mbox(&mbox, box, requests, fds, count, buffers + MBOX_BUFFER, results);
	}
}

void
ph_mailbox_write(const struct ph_mailbox *box, const struct ph_user_delivery *requests,
	const int *fds, size_t count, struct ph_user_result *results)
{
	char *buffers = malloc(MBOX_BUFFER + CONTENT_CHUNK);

	/* A limit of the process is told by write(), not by a signal. */
	signal(SIGXFSZ, SIG_IGN);
	if (buffers)
		deliver(box, requests, fds, count, buffers, results);
	for (size_t i = 0; !buffers && i < count; i++)
		ph_user_answer(&results[i], PH_USER_DEFERRED, "4.3.0", "no memory");
	free(buffers);
}
