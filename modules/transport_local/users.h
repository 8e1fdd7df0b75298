/*
 * The users of this host, as the name service knows them. It may block: it is asked on a thread,
 * and those whom it knew are remembered for a little while.
 */
#ifndef TRANSPORT_LOCAL_USERS_H
#define TRANSPORT_LOCAL_USERS_H

#include <posthouse/base.h>

/* Longest name, with its NUL: as in struct ph_user_delivery. */
enum { USER_NAME_SIZE = 64 };

struct users;

/* What is known of a user; the texts are in the pool that was given. */
struct user {
	uint32_t uid;
	const char *name, *home, *shell;
};

struct users *users_new(void);
void users_free(struct users *users);
/* PH_FAILED: the name service could not be asked, or no memory. Waits. */
ph_found users_find(struct users *users, ph_pool *pool, const char *name, struct user *user,
	ph_error *error);
/* The name of the user as whom this process runs, for USER_NAME_SIZE bytes. Waits. */
ph_found users_self(char *name, ph_error *error);

#endif
