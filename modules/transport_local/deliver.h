/*
 * One recipient on its last steps: a user, a command, a file.
 */
#ifndef TRANSPORT_LOCAL_DELIVER_H
#define TRANSPORT_LOCAL_DELIVER_H

#include "local.h"

/* A user whom an address or an alias names, or nobody. */
void deliver_to_user(struct work *w, const struct addressee *to);
/* Nobody is named as postmaster: the user as whom we run takes the mail rather than nobody. */
void deliver_to_owner(struct work *w, const struct addressee *to);
/* A command or a file that the queue kept as such; one without a text is not allowed. */
void deliver_to_program(struct work *w, size_t i, const struct ph_target *target);

#endif
