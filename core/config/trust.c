#include "config/trust.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int
check_folder(const char *folder, gid_t group, ph_error *error)
{
	struct stat status;

	if (stat(folder, &status) == -1)
		return ph_error_set(error, "%s: %s", folder, strerror(errno));
	if (status.st_uid != 0)
		return ph_error_set(error,
			"the folder %s above it belongs to user %lu and not to root", folder,
			(unsigned long)status.st_uid);
	if (status.st_mode & S_ISVTX)
		return 0;
	if (status.st_mode & S_IWOTH)
		return ph_error_set(error, "the folder %s above it is writable by everybody",
			folder);
	if (status.st_mode & S_IWGRP && status.st_gid == group)
		return ph_error_set(error,
			"the folder %s above it is writable by mail_owner's group", folder);
	return 0;
}

/* Cuts the last part off. */
static bool
cut(char *path)
{
	char *slash = strrchr(path, '/');

	if (!slash || !path[1])
		return false;
	slash[slash == path] = '\0';
	return true;
}

int
trust_above(const char *path, gid_t group, ph_error *error)
{
	char folder[PATH_MAX];

	if (geteuid() != 0)
		return 0;
	if (!realpath(path, folder))
		return ph_error_set(error, "%s", strerror(errno));
	while (cut(folder))
		if (check_folder(folder, group, error) == -1)
			return -1;
	return 0;
}
