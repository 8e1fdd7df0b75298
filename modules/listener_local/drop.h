/*
 * The drop directory: mail that was submitted while no daemon listened.
 */
#ifndef LISTENER_LOCAL_DROP_H
#define LISTENER_LOCAL_DROP_H

#include <posthouse/base.h>

struct drop {
	const char *path;  /* queue_directory/drop */
	const char *users; /* authorized_submit_users */
	const char *owner; /* mail_owner */
	const void *listener; /* the instance that it belongs to */
};

/* Makes the directory if it is not there. 0, or -1 with the error. */
int drop_prepare(const struct drop *drop, ph_error *error);
/* A task's function: takes in what lies there and what comes, until it is cancelled. */
void drop_watch(void *drop);

#endif
