/*
 * From what stands in virtual_mailbox_maps to the path of a mailbox, and from virtual_uid_maps to a
 * number. Pure.
 */
#ifndef TRANSPORT_VIRTUAL_PLACE_H
#define TRANSPORT_VIRTUAL_PLACE_H

#include <posthouse/base.h>

/* base and what the table says below it, in the pool; a slash at the end makes it a Maildir. NULL
 * with the error: it leads out of the base, has no name, or is no absolute path where there is no
 * base. */
const char *place_path(ph_pool *pool, const char *base, const char *value, ph_error *error);
/* A number of a user or a group, not 0. 0, or -1 with the error: "bad uid "x"". */
int place_number(const char *what, const char *value, int64_t min, uint32_t *number,
	ph_error *error);

#endif
