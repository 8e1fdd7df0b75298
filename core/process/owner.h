/*
 * Whose rights the roles have, and the directories that belong to them.
 */
#ifndef PROCESS_OWNER_H
#define PROCESS_OWNER_H

#include <sys/types.h>

#include <posthouse/base.h>

#include "config/settings.h"

struct owner {
	bool rootless; /* we have no rights to give up: everything stays the caller's */
	uid_t uid;
	gid_t gid;
};

/* For people without a mail_owner; takes its name. */
#define OWNER_ADVICE "add it: useradd --system --home-dir /nonexistent --shell /usr/sbin/nologin %s"

/* mail_owner's numbers. Fails for an unknown one and for root. */
int owner_find(const char *name, struct owner *owner, ph_error *error);
/* Becomes the owner for good, and gains nothing by exec either. */
int owner_become(const struct owner *owner, ph_error *error);
/* Creates queue_directory (0711, the owner's) and run_directory (1775: the owner's group makes
 * sockets there, and cannot touch the files of the supervisor) where they are missing. */
int owner_directories(const struct owner *owner, const struct settings *settings, ph_error *error);

#endif
