/*
 * Editing a configuration in its text: comments, order and layout stay.
 */
#ifndef CONFIG_EDIT_H
#define CONFIG_EDIT_H

#include "config/config.h"

enum edit_kind {
	EDIT_SET,
	EDIT_REMOVE, /* every assignment to it */
	EDIT_COMMENT /* every assignment to it becomes a comment */
};

/* name: "myorigin", or "listener/submission/port". value: as in the file, or as a list "a, b c". */
struct edit {
	const char *name;
	const char *value;
	enum edit_kind kind;
};

/* Takes "name=value" apart, in the pool. 0, or -1. */
int edit_parse(ph_pool *pool, const char *argument, struct edit *edit, ph_error *error);

/* The text with one edit, in the pool; NULL with the error. config tells the types of parameters
 * and what restrictions take. Pure. */
const char *edit_text(ph_pool *pool, const struct config *config, const char *text,
	const struct edit *edit, ph_error *error);

/* Edits the file: through a symbolic link, atomically, with its owner and mode. Refused when there
 * would be problems that were not there before: those are in problems then, as are those of all
 * edits when several are asked for. 0 or -1. */
int edit_file(const char *path, const struct edit *edits, size_t count, struct problems *problems,
	ph_error *error);

#endif
