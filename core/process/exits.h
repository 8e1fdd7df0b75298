/*
 * What commands mean by their exit status and their output. Pure.
 */
#ifndef PROCESS_EXITS_H
#define PROCESS_EXITS_H

#include <stddef.h>

struct exit_meaning {
	int code;
	const char *status, *text;
};

/* One of sysexits.h; NULL: none. */
const struct exit_meaning *exits_find(int code);
/* One line that can be printed: white space becomes a space, what is not printable ASCII "_". */
void exits_clean(char *output);
/* An enhanced status code of class 4 or 5 at the start, and the white space behind it: copies it to
 * status. How many bytes they are; 0: there is none. */
size_t exits_status(const char *output, char *status, size_t size);

#endif
