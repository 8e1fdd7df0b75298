/*
 * What commands mean by their exit status and their output. Pure.
 */
#ifndef PROCESS_EXITS_H
#define PROCESS_EXITS_H

struct exit_meaning {
	int code;
	const char *status, *text;
};

/* One of sysexits.h; NULL: none. */
const struct exit_meaning *exits_find(int code);
/* One line that can be printed: white space becomes a space, what is not printable ASCII "_". */
void exits_clean(char *output);

#endif
