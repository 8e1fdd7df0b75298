/*
 * Files that parameters name, opened again after the process has dropped its privileges: the
 * generation parent does it, for the files of the configuration only.
 */
#ifndef CONFIG_FILES_H
#define CONFIG_FILES_H

#include "config/config.h"

/* Opens a file of this process's configuration elsewhere, with more rights. A descriptor or -1. */
typedef int files_reopen_fn(const char *path, ph_error *error);

/* Set by a role when its privileges are gone; from then on ph_file_open() asks it, for paths that
 * were opened before. NULL: open directly. */
void files_set_reopen(files_reopen_fn *reopen);

/* Opens a file to read: a regular one, close-on-exec. A descriptor or -1. */
int files_open(const char *path, ph_error *error);

/* For the parent: may a role ask for this path? It is the value of a path parameter of one of the
 * configuration's instances, with nothing or a suffix like ".cdb" behind it. */
bool files_allowed(const struct config *config, const char *path);

#endif
