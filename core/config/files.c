#include "config/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/grow.h"

#define SUFFIX_MAX 16

static files_reopen_fn *file_reopen;

/* The paths that this process has opened. */
static const char **opened;
static size_t opened_count, opened_room;
static ph_pool *opened_pool;

void
files_set_reopen(files_reopen_fn *reopen)
{
	file_reopen = reopen;
}

static bool
was_opened(const char *path)
{
	for (size_t i = 0; i < opened_count; i++)
		if (strcmp(opened[i], path) == 0)
			return true;
	return false;
}

static void
remember(const char *path)
{
	if (was_opened(path))
		return;
	if (!opened_pool)
		opened_pool = memory_or_die(ph_pool_new(0));
	opened = grow(opened_pool, opened, opened_count, &opened_room, sizeof(*opened));
	opened[opened_count++] = memory_or_die(ph_pool_strdup(opened_pool, path));
}

int
files_open(const char *path, ph_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;

	if (fd == -1)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	if (fstat(fd, &status) == -1 || !S_ISREG(status.st_mode)) {
		close(fd);
		return ph_error_set(error, "%s: is not a regular file", path);
	}
	return fd;
}

/* The text in the field of a parameter that can name a file; NULL: it is of another kind. */
static const char *
path_in(const struct instance *instance, const struct ph_param *param)
{
	if (param->type != PH_PATH && param->type != PH_STRING)
		return NULL;
	return *(const char *const *)((const char *)instance->self + param->offset);
}

static const char *
path_of(const struct instance *instance, const char *parameter)
{
	for (size_t i = 0; i < instance->module->param_count; i++)
		if (strcmp(instance->module->params[i].name, parameter) == 0)
			return path_in(instance, &instance->module->params[i]);
	return NULL;
}

int
ph_file_open(void *self, const char *parameter, const char *suffix, ph_error *error)
{
	const struct instance *instance = instance_of(self);
	const char *base = instance ? path_of(instance, parameter) : NULL;
	char path[4096];
	int fd;

	if (!base || base[0] != '/')
		return ph_error_set(error, "%s: the parameter %s names no file",
			instance ? instance->name : "unknown instance", parameter);
	if (snprintf(path, sizeof(path), "%s%s", base, suffix ? suffix : "") >= (int)sizeof(path))
		return ph_error_set(error, "%.100s…: the path is too long", base);
	if (file_reopen) {
		if (!was_opened(path))
			return ph_error_set(error, "%s: was not opened when the process began",
				path);
		return file_reopen(path, error);
	}
	/* Remembered even when it fails: a file that is missing now may be there later. */
	remember(path);
	fd = files_open(path, error);
	return fd;
}

static bool
is_suffix(const char *text)
{
	size_t size = strlen(text);

	if (size == 0)
		return true;
	return text[0] == '.' && size > 1 && size <= SUFFIX_MAX &&
		strspn(text + 1, "abcdefghijklmnopqrstuvwxyz0123456789") == size - 1;
}

static bool
instance_names(const struct instance *instance, const char *path)
{
	for (size_t i = 0; i < instance->module->param_count; i++) {
		const char *base = path_in(instance, &instance->module->params[i]);
		size_t size = base ? strlen(base) : 0;

		if (size && base[0] == '/' && strncmp(path, base, size) == 0 &&
			is_suffix(path + size))
			return true;
	}
	return false;
}

bool
files_allowed(const struct config *config, const char *path)
{
	for (unsigned class = PH_CLASS_LISTENER; class <= PH_CLASS_TRANSPORT; class++) {
		const struct instance *instance;

		for (size_t i = 0; (instance = config_instance(config, (enum ph_class)class, i));
			i++)
			if (instance_names(instance, path))
				return true;
	}
	return false;
}
