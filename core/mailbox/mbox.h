/*
 * A message on its way into a mailbox: line ends, quoting, and the file with its way back.
 */
#ifndef MAILBOX_MBOX_H
#define MAILBOX_MBOX_H

#include <posthouse/base.h>

/* A mailbox that is being written. */
struct mbox {
	int fd;             /* opened to append, locked; the caller's */
	int64_t size;       /* of the file with what is in the buffer */
	int64_t limit;      /* of the file; 0: none */
	char *buffer;
	size_t used;
	int failure;        /* errno of what went wrong first; 0: nothing */
	bool over_limit;    /* what went wrong is the limit */
	bool bare;          /* messages have no Delivered-To */
};

enum { MBOX_BUFFER = 64 * 1024 };

/* buffer has MBOX_BUFFER bytes. 0, or -1 with errno: the file cannot be asked for its size. */
int mbox_open(struct mbox *mbox, int fd, int64_t limit, char *buffer);
/* Buffers a text; after a failure it does nothing. */
void mbox_puts(struct mbox *mbox, const char *text);
/* Writes what is in the buffer. 0, or -1 when anything failed since the last mbox_truncate(). */
int mbox_flush(struct mbox *mbox);
/* Takes the file back to a size that it had and forgets the failure. 0 or -1. */
int mbox_truncate(struct mbox *mbox, int64_t size);
/* Sees to it that the next message begins on a line of its own. */
void mbox_mend_end(struct mbox *mbox);

/* Content: CR LF becomes LF, and a line that begins with "From " is quoted, wherever the pieces are
 * cut. Begins zeroed. */
struct mbox_text {
	bool plain;       /* a file of its own: nothing is quoted, and no empty line follows */
	bool in_line;     /* something of the line was seen that decides it is no "From " */
	bool cr;          /* a CR was held back */
	unsigned matched; /* characters of "From " at the line's start that were held back */
};
void mbox_text_put(struct mbox_text *text, struct mbox *mbox, ph_span bytes);
/* Ends the last line, and the message with an empty one. */
void mbox_text_end(struct mbox_text *text, struct mbox *mbox);

#endif
