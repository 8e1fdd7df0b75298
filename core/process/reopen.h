/*
 * Files that a role has opened again by its parent, when its own rights do not suffice any more.
 */
#ifndef PROCESS_REOPEN_H
#define PROCESS_REOPEN_H

#include "config/config.h"

/* Opens, read-only, the regular file that a path parameter of the instance names, with the suffix (""
 * or one like ".cdb") appended. A descriptor (close-on-exec) or -1. */
int reopen_file(const struct instance *instance, const char *parameter, const char *suffix,
	ph_error *error);

#endif
