/*
 * Whose rights a delivery has: users as the system knows them, and becoming one of them.
 */
#ifndef PROCESS_RIGHTS_H
#define PROCESS_RIGHTS_H

#include "config/config.h"
#include "process/owner.h"

struct rights {
	char *room;         /* what the texts point into */
	const char *name, *home, *shell;
	uid_t uid;
	gid_t gid;
	bool group_only;    /* a group was named: no other group of the user's goes along */
	bool confined;      /* root_fd is the folder that becomes the root directory */
	int root_fd;
};

enum rights_result {
	RIGHTS_FOUND,
	RIGHTS_UNKNOWN, /* there is no such user, or no such group */
	RIGHTS_ROOT,    /* there is, and it would be root, or root's group by name */
	RIGHTS_FAILED   /* the system could not be asked */
};

/* "user" or "user:group". The error for everything but RIGHTS_FOUND. Memory is never given back: it
 * is for a process that ends soon. */
enum rights_result rights_find(const char *text, struct rights *rights, ph_error *error);
/* Becomes the user for good. commands: they may be set-id programs, as those of mailing lists are;
 * without, and in a root directory of its own, nothing is gained by exec either. 0 or -1. */
int rights_take(const struct rights *rights, const struct owner *owner, bool commands);
/* The text at the instance's rights_offset; NULL: the request says it. */
const char *rights_of_instance(const struct instance *transport);
/* And the one at its chroot_offset; NULL: there is none. */
const char *rights_root(const struct instance *transport);
/* Opens that folder. 0, or -1 with errno. */
int rights_confine(struct rights *rights, const char *root);
/* Nobody's rights that deliveries would have may be root's or mail_owner's: default_privs, and
 * those of transports; their root directories are there. Without root's rights there is nothing of
 * that to check, and no root directory to be changed. path: the configuration's file. */
void rights_check(const struct config *config, const char *path, const struct owner *owner,
	struct problems *problems);

#endif
