/*
 * The value of an alias, or a file like ~/.forward, taken apart. Pure.
 */
#ifndef TRANSPORT_LOCAL_TARGETS_H
#define TRANSPORT_LOCAL_TARGETS_H

#include <posthouse/base.h>

enum target_kind {
	TARGET_ADDRESS, /* a user or an address */
	TARGET_USER,    /* "\user": a user, not to be looked up as an alias again */
	TARGET_NOWHERE, /* /dev/null */
	TARGET_FILE,    /* /file, ~/file */
	TARGET_COMMAND, /* |command: text is what follows the bar */
	TARGET_INCLUDE  /* :include:/file: text is the file */
};

struct target {
	enum target_kind kind;
	const char *text; /* an address as RFC 5321 writes it, with or without "@domain"; a file, … */
};

/* How a text is cut into targets. */
enum target_syntax {
	TARGET_VALUE, /* of an alias table: by commas */
	TARGET_LINES  /* a file: by commas and line ends; a line that begins with "#" is a comment */
};

/* Takes the next target from the start of the text. 1; 0 at its end; -1 with what is wrong. Empty
 * places between separators are passed over. */
int targets_next(ph_pool *pool, ph_span *text, enum target_syntax syntax, struct target *target,
	ph_error *error);

#endif
