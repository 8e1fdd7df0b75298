#include "mailbox/content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/mailbox.h>

#include "mailbox/answer.h"
#include "mailbox/headerscan.h"

/* The bytes of a message from at. Their number; 0: its file ends too early (ENODATA); -1: errno. */
static ssize_t
read_piece(int fd, int64_t at, int64_t left, char *buffer)
{
	ssize_t n;

	do
		n = pread(fd, buffer, left < CONTENT_CHUNK ? (size_t)left : CONTENT_CHUNK,
			(off_t)at);
	while (n == -1 && errno == EINTR);
	if (n == 0)
		errno = ENODATA;
	return n;
}

static int
was_here(int fd, int64_t offset, int64_t length, const char *recipient, char *buffer)
{
	struct header_scan scan;

	header_scan_begin(&scan, recipient);
	for (int64_t at = 0; at < length;) {
		ssize_t n = read_piece(fd, offset + at, length - at, buffer);

		if (n <= 0)
			return -1;
		if (header_scan_put(&scan, (ph_span){buffer, (size_t)n}))
			break;
		at += n;
	}
	return header_scan_end(&scan) ? 1 : 0;
}

int
ph_mailbox_was_here(int fd, int64_t offset, int64_t length, const char *recipient)
{
	char *buffer = malloc(CONTENT_CHUNK);
	int result = buffer ? was_here(fd, offset, length, recipient, buffer) : -1;
	int failed = buffer ? errno : ENOMEM;

	free(buffer);
	errno = failed;
	return result;
}

bool
mailbox_content_begin(const struct ph_user_delivery *request, int fd, char *buffer,
	struct ph_user_result *result)
{
	int here = was_here(fd, request->offset, request->length, request->recipient, buffer);

	if (here == 1)
		ph_user_answer(result, PH_USER_BOUNCED, "5.4.6", "mail forwarding loop for %s",
			request->recipient);
	if (here == -1)
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "cannot read the message: %s",
			strerror(errno));
	return here == 0;
}

static int
put_head(struct mbox *mbox, const struct ph_user_delivery *request, bool maildir)
{
	ph_pool *pool = ph_pool_new(0);
	const char *head = NULL;

	if (pool != NULL)
		head = ph_mailbox_head(pool, request, (maildir ? 0 : PH_MAILBOX_FROM) |
			(mbox->bare ? PH_MAILBOX_BARE : 0));
	if (head != NULL)
		mbox_puts(mbox, head);
	ph_pool_free(pool);
	errno = ENOMEM;
	return head != NULL ? 0 : -1;
}

int
mailbox_content_copy(struct mbox *mbox, const struct ph_user_delivery *request, int fd,
	bool maildir, char *buffer)
{
	struct mbox_text text = {.plain = maildir};
	int64_t at = 0;

	if (put_head(mbox, request, maildir) == -1)
		return -1;
	while (at < request->length && mbox->failure == 0) {
		ssize_t n = read_piece(fd, request->offset + at, request->length - at, buffer);

		if (n <= 0)
			return -1;
		mbox_text_put(&text, mbox, (ph_span){buffer, (size_t)n});
		at += n;
	}
	mbox_text_end(&text, mbox);
	return 0;
}
