/*
 * Files of users, read with their rights: ~/.forward, :include: lists.
 */
#ifndef PROCESS_USERFILE_H
#define PROCESS_USERFILE_H

#include <sys/types.h>

#include <posthouse/transport.h>

/* path with the home in the place of "~", for size bytes. -1: it is no absolute path, or too
 * long. */
int userfile_path(const char *target, const char *home, char *path, size_t size, ph_error *error);

/*
 * Reads a file. uid is whose PH_USER_OWN_FILE has to be. *data is the caller's, *size at most room;
 * a file that is larger is refused. The error for everything but PH_READ_TEXT.
 */
enum ph_user_read userfile_read(const char *path, uint32_t flags, uid_t uid, size_t room,
	char **data, size_t *size, ph_error *error);

#endif
