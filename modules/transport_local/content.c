#include "content.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "answer.h"
#include "headers.h"
#include "headerscan.h"
#include "user.h"

/* A piece of the content. Its size; 0: the message's file ends too early; -1: errno. */
static ssize_t
read_piece(const struct ph_user_delivery *request, int fd, int64_t at, char *buffer)
{
	int64_t left = request->length - at;
	ssize_t n;

	do
		n = pread(fd, buffer, left < CONTENT_CHUNK ? (size_t)left : CONTENT_CHUNK,
			(off_t)(request->offset + at));
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

bool
content_begin(const struct ph_user_delivery *request, int fd, char *buffer,
	struct ph_user_result *result)
{
	int here = was_here(request, fd, buffer);

	if (here == 1)
		answer(result, USER_BOUNCED, "5.4.6", "mail forwarding loop for %s", request->recipient);
	if (here == -1)
		answer(result, USER_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	return here == 0;
}

static int
put_head(struct mbox *mbox, const struct ph_user_delivery *request, bool maildir)
{
	ph_pool *pool = ph_pool_new(0);
	const char *head = NULL;

	if (pool != NULL)
		head = maildir ? headers_trace(pool, request, mbox->bare) :
			headers_text(pool, request, mbox->bare, time(NULL));
	if (head != NULL)
		mbox_puts(mbox, head);
	ph_pool_free(pool);
	errno = ENOMEM;
	return head != NULL ? 0 : -1;
}

int
content_copy(struct mbox *mbox, const struct ph_user_delivery *request, int fd, bool maildir,
	char *buffer)
{
	struct mbox_text text = {.plain = maildir};
	int64_t at = 0;

	if (put_head(mbox, request, maildir) == -1)
		return -1;
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
