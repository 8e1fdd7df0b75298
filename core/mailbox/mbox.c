#include "mailbox/mbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char from_word[] = "From ";
enum { FROM_SIZE = sizeof(from_word) - 1 };

/* ---- The file -------------------------------------------------------------------------------- */

int
mbox_open(struct mbox *mbox, int fd, int64_t limit, char *buffer)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	*mbox = (struct mbox){.fd = fd, .size = st.st_size, .limit = limit, .buffer = buffer};
	return 0;
}

static void
write_out(struct mbox *mbox)
{
	size_t done = 0;

	while (mbox->failure == 0 && done < mbox->used) {
		ssize_t n = write(mbox->fd, mbox->buffer + done, mbox->used - done);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			mbox->failure = n == -1 ? errno : EIO;
		else
			done += (size_t)n;
	}
	mbox->used = 0;
}

static void
mbox_put(struct mbox *mbox, const void *data, size_t size)
{
	const char *from = data;

	if (mbox->limit > 0 && mbox->failure == 0 &&
		(int64_t)size > mbox->limit - mbox->size) {
		mbox->failure = EFBIG;
		mbox->over_limit = true;
	}
	while (size > 0 && mbox->failure == 0) {
		size_t room = MBOX_BUFFER - mbox->used, n = size < room ? size : room;

		memcpy(mbox->buffer + mbox->used, from, n);
		mbox->used += n;
		mbox->size += (int64_t)n;
		from += n;
		size -= n;
		if (mbox->used == MBOX_BUFFER)
			write_out(mbox);
	}
}

void
mbox_puts(struct mbox *mbox, const char *text)
{
	mbox_put(mbox, text, strlen(text));
}

int
mbox_flush(struct mbox *mbox)
{
	write_out(mbox);
	return mbox->failure == 0 ? 0 : -1;
}

int
mbox_truncate(struct mbox *mbox, int64_t size)
{
	mbox->used = 0;
	mbox->failure = 0;
	mbox->over_limit = false;
	mbox->size = size;
	return ftruncate(mbox->fd, (off_t)size);
}

void
mbox_mend_end(struct mbox *mbox)
{
	char last;

	if (mbox->size > 0 && pread(mbox->fd, &last, 1, (off_t)mbox->size - 1) == 1 && last != '\n')
		mbox_puts(mbox, "\n\n");
}

/* ---- Content --------------------------------------------------------------------------------- */

/* At the start of a line: takes what may be "From ". Returns the bytes taken; in_line is set once
 * the matter is decided. */
static size_t
match_from(struct mbox_text *text, struct mbox *mbox, ph_span bytes)
{
	size_t n = 0;

	while (n < bytes.size && text->matched < FROM_SIZE &&
		bytes.data[n] == from_word[text->matched]) {
		text->matched++;
		n++;
	}
	if (text->matched < FROM_SIZE && n == bytes.size)
		return n; /* the rest comes with the next piece */
	if (text->matched == FROM_SIZE)
		mbox_put(mbox, ">", 1);
	mbox_put(mbox, from_word, text->matched);
	text->matched = 0;
	text->in_line = true;
	return n;
}

/* What remains of a line, up to and with its end if that is there. Returns the bytes taken. */
static size_t
put_line(struct mbox_text *text, struct mbox *mbox, ph_span bytes)
{
	const char *end = memchr(bytes.data, '\n', bytes.size);
	size_t size = end != NULL ? (size_t)(end - bytes.data) : bytes.size;
	bool cr = size > 0 && bytes.data[size - 1] == '\r';

	if (text->cr && size > 0)
		mbox_put(mbox, "\r", 1);
	text->cr = false;
	mbox_put(mbox, bytes.data, cr ? size - 1 : size);
	if (end == NULL) {
		text->cr = cr;
		text->in_line = true;
		return size;
	}
	mbox_put(mbox, "\n", 1);
	text->in_line = false;
	return size + 1;
}

void
mbox_text_put(struct mbox_text *text, struct mbox *mbox, ph_span bytes)
{
	while (bytes.size > 0) {
		size_t n = text->in_line || text->plain ? put_line(text, mbox, bytes)
			: match_from(text, mbox, bytes);

		bytes.data += n;
		bytes.size -= n;
	}
}

void
mbox_text_end(struct mbox_text *text, struct mbox *mbox)
{
	if (text->in_line || text->matched > 0) {
		mbox_put(mbox, from_word, text->matched);
		mbox_put(mbox, text->cr ? "\r\n" : "\n", text->cr ? 2 : 1);
	}
	if (!text->plain)
		mbox_put(mbox, "\n", 1);
	*text = (struct mbox_text){.plain = text->plain};
}
