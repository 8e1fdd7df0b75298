#include "user.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "headerscan.h"
#include "mbox.h"

enum { CHUNK = 64 * 1024 };

static void answer(struct ph_user_result *result, int outcome, const char *status,
	const char *format, ...) PH_PRINTF(4, 5);

static void
answer(struct ph_user_result *result, int outcome, const char *status, const char *format, ...)
{
	va_list args;

	*result = (struct ph_user_result){.size = sizeof(*result), .outcome = outcome};
	snprintf(result->status, sizeof(result->status), "%s", status);
	va_start(args, format);
	vsnprintf(result->text, sizeof(result->text), format, args);
	va_end(args);
}

static void
answer_all(struct ph_user_result *results, size_t count, const char *status, const char *text)
{
	for (size_t i = 0; i < count; i++)
		answer(&results[i], USER_DEFERRED, status, "%s", text);
}

/* The fixed-size texts of a request, surely terminated. */
static struct ph_user_delivery
terminated(const struct ph_user_delivery *request)
{
	struct ph_user_delivery copy = *request;

	copy.user[sizeof(copy.user) - 1] = '\0';
	copy.sender[sizeof(copy.sender) - 1] = '\0';
	copy.recipient[sizeof(copy.recipient) - 1] = '\0';
	copy.original[sizeof(copy.original) - 1] = '\0';
	return copy;
}

/* A piece of the content. Its size; 0: the message's file ends too early; -1: errno. */
static ssize_t
read_piece(const struct ph_user_delivery *request, int fd, int64_t at, char *buffer)
{
	int64_t left = request->length - at;
	ssize_t n;

	do
		n = pread(fd, buffer, left < CHUNK ? (size_t)left : CHUNK, (off_t)(request->offset + at));
	while (n == -1 && errno == EINTR);
	if (n == 0)
		errno = ENODATA;
	return n;
}

/* Was it here before? 1, 0, or -1 with errno. */
static int
was_here(const struct ph_user_delivery *request, int fd, char *buffer)
{
	struct header_scan scan;
	int64_t at = 0;

	header_scan_begin(&scan, request->recipient);
	while (at < request->length) {
		ssize_t n = read_piece(request, fd, at, buffer);

		if (n <= 0)
			return -1;
		if (header_scan_put(&scan, (ph_span){buffer, (size_t)n}))
			break;
		at += n;
	}
	return header_scan_end(&scan) ? 1 : 0;
}

/* The message as it stands in the mailbox. 0, or -1 with errno when its file cannot be read;
 * failures of the mailbox are the mbox's. */
static int
copy_message(struct mbox *mbox, const struct ph_user_delivery *request, int fd, char *buffer)
{
	struct mbox_text text = {0};
	int64_t at = 0;

	mbox_head(mbox, request->sender,
		*request->original != '\0' ? request->original : request->recipient, request->recipient,
		time(NULL));
	while (at < request->length && mbox->failure == 0) {
		ssize_t n = read_piece(request, fd, at, buffer);

		if (n <= 0)
			return -1;
		mbox_text_put(&text, mbox, (ph_span){buffer, (size_t)n});
		at += n;
	}
	mbox_text_end(&text, mbox);
	return 0;
}

static void
answer_write_error(struct ph_user_result *result, const struct mbox *mbox,
	const struct ph_user_context *user, const char *name)
{
	if (mbox->over_limit)
		answer(result, USER_BOUNCED, "5.2.2", "cannot update mailbox %s for user %s. "
			"The mailbox has reached its size limit", user->mailbox, name);
	else
		answer(result, USER_DEFERRED,
			mbox->failure == ENOSPC || mbox->failure == EDQUOT || mbox->failure == EFBIG ? "4.2.2" :
			"4.2.0", "cannot update mailbox %s for user %s. error writing message: %s",
			user->mailbox, name, strerror(mbox->failure));
}

/* One message. 0; -1 when the mailbox takes no more: what follows is not tried. */
static int
deliver_one(struct mbox *mbox, const struct ph_user_context *user,
	const struct ph_user_delivery *request, int fd, char *buffer, struct ph_user_result *result)
{
	int64_t start = mbox->size;
	int here = was_here(request, fd, buffer);
	bool full;

	if (here == 1) {
		answer(result, USER_BOUNCED, "5.4.6", "mail forwarding loop for %s", request->recipient);
		return 0;
	}
	if (here == -1) {
		answer(result, USER_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
		return 0;
	}
	mbox_mend_end(mbox);
	if (copy_message(mbox, request, fd, buffer) == -1)
		answer(result, USER_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	else if (mbox_flush(mbox) == 0) {
		answer(result, USER_SENT, "2.0.0", "delivered to mailbox");
		return 0;
	} else
		answer_write_error(result, mbox, user, request->user);
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
deliver_batch(struct mbox *mbox, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count, char *buffer,
	struct ph_user_result *results)
{
	int64_t start = mbox->size;
	bool open = true;

	for (size_t i = 0; i < count; i++) {
		struct ph_user_delivery request = terminated(&requests[i]);

		if (!open)
			answer(&results[i], USER_DEFERRED, "4.2.2", "cannot update mailbox %s for user %s: "
				"a message before this one did not fit", user->mailbox, request.user);
		else if (deliver_one(mbox, user, &request, fds[i], buffer, &results[i]) == -1)
			open = false;
	}
	if (mbox->size > start)
		finish_batch(mbox, start, user, count, results);
}

void
user_deliver(const struct ph_user_context *user, const struct ph_user_delivery *requests,
	const int *fds, size_t count, int64_t limit, struct ph_user_result *results)
{
	char *buffers = malloc(MBOX_BUFFER + CHUNK);
	struct mbox mbox;
	char text[200];

	/* A limit of the process is told by write(), not by a signal. */
	signal(SIGXFSZ, SIG_IGN);
	if (user->mailbox_fd == -1) {
		snprintf(text, sizeof(text), "cannot open mailbox %s: %s", user->mailbox,
			strerror(user->mailbox_errno));
		answer_all(results, count, "4.2.0", text);
	} else if (buffers == NULL) {
		answer_all(results, count, "4.3.0", "no memory");
	} else if (mbox_open(&mbox, user->mailbox_fd, limit, buffers) == -1) {
		snprintf(text, sizeof(text), "cannot open mailbox %s: %s", user->mailbox, strerror(errno));
		answer_all(results, count, "4.2.0", text);
	} else {
		deliver_batch(&mbox, user, requests, fds, count, buffers + MBOX_BUFFER, results);
	}
	free(buffers);
}
