/*
 * The value of an alias, taken apart: what stands between its commas. Pure.
 */
#ifndef TRANSPORT_LOCAL_TARGETS_H
#define TRANSPORT_LOCAL_TARGETS_H

#include <posthouse/base.h>

enum target_kind {
	TARGET_ADDRESS, /* a user or an address */
	TARGET_USER,    /* "\user": a user, not to be looked up as an alias again */
	TARGET_NOWHERE, /* /dev/null */
	TARGET_FILE,    /* /file */
	TARGET_COMMAND, /* |command */
	TARGET_INCLUDE  /* :include:/file */
};

struct target {
	enum target_kind kind;
	const char *text; /* an address as RFC 5321 writes it, with or without "@domain"; a file, … */
};

/* Takes the next target from the start of the value. 1; 0 at its end; -1 with what is wrong. Empty
 * places between commas are passed over. */
int targets_next(ph_pool *pool, ph_span *value, struct target *target, ph_error *error);

#endif
