/*
 * In a thread: nothing of posthouse is called here.
 */
#include "lookup.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUFFER_MIN = 4096,
	BUFFER_MAX = 16 << 20 /* groups can be large */
};

struct lookup *
lookup_new(const char *key, bool group)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));

	if (lookup == NULL)
		return NULL;
	lookup->group = group;
	snprintf(lookup->key, sizeof(lookup->key), "%s", key);
	return lookup;
}

void
lookup_free(void *argument)
{
	struct lookup *lookup = argument;

	if (lookup != NULL)
		free(lookup->value);
	free(lookup);
}

/* What glibc leaves NULL in an entry is empty. */
static const char *
text(const char *field)
{
	return field != NULL ? field : "";
}

static char *
user_line(const struct passwd *pwd)
{
	char *line;

	return asprintf(&line, "%s:%s:%lu:%lu:%s:%s:%s", text(pwd->pw_name), text(pwd->pw_passwd),
		(unsigned long)pwd->pw_uid, (unsigned long)pwd->pw_gid, text(pwd->pw_gecos),
		text(pwd->pw_dir), text(pwd->pw_shell)) != -1 ? line : NULL;
}

static char *
group_line(const struct group *group)
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (out == NULL)
		return NULL;
	fprintf(out, "%s:%s:%lu:", text(group->gr_name), text(group->gr_passwd),
		(unsigned long)group->gr_gid);
	for (char **member = group->gr_mem; member != NULL && *member != NULL; member++)
		fprintf(out, "%s%s", member != group->gr_mem ? "," : "", *member);
	if (fclose(out) == 0)
		return line;
	free(line);
	return NULL;
}

/* Asks once; the error code. */
static int
ask(struct lookup *lookup, char *buffer, size_t size)
{
	struct passwd pwd, *user = NULL;
	struct group grp, *group = NULL;
	int code = lookup->group ? getgrnam_r(lookup->key, &grp, buffer, size, &group) :
		getpwnam_r(lookup->key, &pwd, buffer, size, &user);

	if (user == NULL && group == NULL) {
		/* Not found is 0. The manual page has more codes for it, but with glibc they all
		 * mean that a service could not be asked: ENOENT is a socket of its that is not
		 * there. */
		lookup->found = code == 0 ? PH_NOT_FOUND : PH_FAILED;
		return code;
	}
	lookup->value = group != NULL ? group_line(group) : user_line(user);
	lookup->found = lookup->value != NULL ? PH_FOUND : PH_FAILED;
	return lookup->value != NULL ? 0 : ENOMEM;
}

void
lookup_run(void *argument)
{
	struct lookup *lookup = argument;
	size_t size = BUFFER_MIN;

	lookup->found = PH_FAILED;
	do {
		char *buffer = malloc(size);

		if (buffer == NULL) {
			lookup->failure = ENOMEM;
			return;
		}
		lookup->failure = ask(lookup, buffer, size);
		free(buffer);
		if (lookup->failure == ERANGE)
			size *= 4;
	} while (lookup->failure == EINTR || (lookup->failure == ERANGE && size <= BUFFER_MAX));
}
