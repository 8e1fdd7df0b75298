/*
 * A message as a program hands it to sendmail: read from a descriptor, its recipients taken from
 * its headers.
 */
#ifndef CLI_LETTER_H
#define CLI_LETTER_H

#include "cli/submit.h"

/* How much of a letter has been looked at for the line that ends it. */
struct letter {
	struct buffer bytes;
	size_t line; /* where the line begins that is being read */
	bool ended;  /* a line with a single dot was there */
};

/* Takes size bytes that were added to the buffer's end; at a line with a single dot the letter ends
 * there (dot_ends). Pure. */
void letter_extend(struct letter *letter, size_t size, bool dot_ends);
/* Reads to the end. 0, or -1 with the error. */
int letter_read(struct letter *letter, int fd, bool dot_ends, ph_error *error);
/* Skips the "From " line that mailbox files have before a message. */
ph_span letter_content(const struct letter *letter);

/*
 * Adds the recipients that the header section names, of the Resent- headers if there are any, and
 * takes Bcc and Resent-Bcc out. content becomes what remains, with new memory from the pool. 0, or
 * -1 with the error.
 */
int letter_take_recipients(ph_pool *pool, ph_span *content, struct outgoing *outgoing,
	ph_error *error);

#endif
