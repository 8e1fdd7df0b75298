/*
 * A user's .forward: where its owner wants mail to go.
 */
#ifndef TRANSPORT_LOCAL_FORWARD_H
#define TRANSPORT_LOCAL_FORWARD_H

#include "local.h"

/* What the names in forward_path and luser_relay stand for. */
struct forward_names {
	const char *user, *home, *shell, *recipient, *extension, *delimiter, *local, *domain;
};

/* Fills them. user: NULL for nobody. -1: no memory. */
int forward_names(struct work *w, const struct addressee *to, const struct user *user,
	struct forward_names *names);
/* A ph_macro_fn. */
const char *forward_name(void *names, const char *name);

/* Finds out whether a target's complete address is of this host, to be looked up in the same message,
 * or gets a message of its own. -1: the recipient has its result. */
int forward_place(struct work *w, const struct addressee *to, struct ph_target *target);

/* True: a .forward says where the mail goes, or it could not be read, or the home that there has to be
 * is missing; the recipient has its result. False: the mail is for the user's mailbox. Waits. */
bool forward(struct work *w, const struct addressee *to, const struct user *user);

#endif
