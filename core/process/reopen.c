#include "process/reopen.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_SUFFIX = 16 };

/* A short extension; in particular nothing that leads to another folder. */
static bool
suffix_ok(const char *suffix)
{
	size_t length = strlen(suffix);

	if (!length)
		return true;
	if (length > MAX_SUFFIX || suffix[0] != '.')
		return false;
	for (size_t i = 1; i < length; i++)
		if (!isalnum((unsigned char)suffix[i]))
			return false;
	return length > 1;
}

/* The value of a path parameter; NULL: there is none of that name, or it is no path. */
static const char *
path_of(const struct instance *instance, const char *parameter)
{
	const struct ph_module *module = instance->module;

	for (size_t i = 0; i < module->param_count; i++) {
		const struct ph_param *param =
			(const void *)((const char *)module->params + i * module->param_stride);
		const char *path;

		if (param->type != PH_PATH || strcmp(param->name, parameter) != 0)
			continue;
		memcpy(&path, (const char *)instance->self + param->offset, sizeof(path));
		return path;
	}
	return NULL;
}

int
reopen_file(const struct instance *instance, const char *parameter, const char *suffix, ph_error *error)
{
	const char *path = path_of(instance, parameter);
	char full[PATH_MAX];
	struct stat status;

	if (!path || path[0] != '/' || !suffix_ok(suffix))
		return ph_error_set(error, "%s: %s%s names no file", instance->name, parameter, suffix);
	if ((size_t)snprintf(full, sizeof(full), "%s%s", path, suffix) >= sizeof(full))
		return ph_error_set(error, "%s: the path is too long", path);
	int fd = open(full, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		return ph_error_set(error, "%s: %s", full, strerror(errno));
	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode)) {
		close(fd);
		return ph_error_set(error, "%s: not a regular file", full);
	}
	return fd;
}
