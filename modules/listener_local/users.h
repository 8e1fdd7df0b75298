/*
 * Who a user ID is, and who may submit mail.
 */
#ifndef LISTENER_LOCAL_USERS_H
#define LISTENER_LOCAL_USERS_H

#include <posthouse/base.h>
#include <posthouse/task.h>

struct user {
	uint32_t uid;
	char name[64];       /* the login name; "unknown" when there is none */
	char full_name[128]; /* from the passwd entry, without its other fields */
};

/* Looks a user up on a thread; waits. PH_WAIT_OK, else user is not filled. */
ph_wait user_lookup(uint32_t uid, struct user *user, ph_deadline deadline);
/* The full name in a passwd entry's comment field: up to a comma, "&" is the login name. Pure. */
void user_full_name(const char *gecos, const char *name, char *full_name, size_t size);

/* May that user submit? list is authorized_submit_users: names, "!name", "static:anyone", the first
 * that fits decides; none: no. root and owner (mail_owner) always may. Pure. */
bool user_is_authorized(const struct user *user, const char *list, const char *owner);

#endif
