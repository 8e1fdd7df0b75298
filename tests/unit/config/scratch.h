/* A folder for one test program, with the modules that the build made for the tests in it. */
#ifndef TESTS_UNIT_CONFIG_SCRATCH_H
#define TESTS_UNIT_CONFIG_SCRATCH_H

#include "../test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char scratch_folder[200], scratch_modules[220], scratch_config[220];

static inline void
scratch_write(const char *path, const char *text, size_t size)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, size, file), size);
	fclose(file);
}

/* Copies a module of the build under a name, at most size bytes of it. */
static inline void
scratch_module(const char *from, const char *name, size_t size)
{
	static char bytes[4 << 20];
	const char *build = getenv("top_builddir");
	char path[600];
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "%s/tests/unit/config/.libs/%s.so", build ? build : ".", from);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s: not built", path);
	got = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	snprintf(path, sizeof(path), "%s/%s.so", scratch_modules, name);
	scratch_write(path, bytes, got < size ? got : size);
	chmod(path, 0644);
}

static inline int
scratch_begin(void **state)
{
	snprintf(scratch_folder, sizeof(scratch_folder), "%s/posthouse.XXXXXX",
		getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!mkdtemp(scratch_folder))
		return -1;
	snprintf(scratch_modules, sizeof(scratch_modules), "%s/modules", scratch_folder);
	snprintf(scratch_config, sizeof(scratch_config), "%s/posthouse.conf", scratch_folder);
	return mkdir(scratch_modules, 0700);
}

static inline void
scratch_remove(const char *folder)
{
	DIR *stream = opendir(folder);
	struct dirent *entry;

	while (stream && (entry = readdir(stream))) {
		char *path = NULL;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
			asprintf(&path, "%s/%s", folder, entry->d_name) == -1)
			continue;
		if (unlink(path) != 0)
			scratch_remove(path);
		free(path);
	}
	if (stream)
		closedir(stream);
	rmdir(folder);
}

static inline int
scratch_end(void **state)
{
	scratch_remove(scratch_folder);
	return 0;
}

#endif
