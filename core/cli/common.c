/*
 * What every command needs.
 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* The name under which the program runs, for the texts of errors. */
static const char *program = "posthouse";

void
cli_set_program(const char *name)
{
	program = name;
}

void
cli_error(const char *format, ...)
{
	va_list arguments;

	fflush(stdout);
	fprintf(stderr, "%s: ", program);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
}

const char *
cli_config_path(const char *option)
{
	static char path[4096];
	const char *given = option ? option : secure_getenv("POSTHOUSE_CONFIG");
	struct stat status;

	if (!given || !given[0])
		return CONF_DIR "/posthouse.conf";
	snprintf(path, sizeof(path), "%s", given);
	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		snprintf(path, sizeof(path), "%s/posthouse.conf", given);
	return path;
}
