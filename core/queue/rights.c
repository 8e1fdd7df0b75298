/*
 * Who may ask what on run_directory/control. See visitor.h.
 */
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "queue/visitor.h"

bool
visitor_is_operator(const struct visitor *visitor)
{
	return visitor->uid == 0 || visitor->uid == geteuid();
}

struct name_job {
	uid_t uid;
	char name[64];
};

static void
find_name(void *argument)
{
	struct name_job *job = argument;
	struct passwd entry, *found = NULL;
	char *buffer = malloc(16384);

	if (buffer != NULL && getpwuid_r(job->uid, &entry, buffer, 16384, &found) == 0 &&
		found != NULL && strlen(found->pw_name) < sizeof(job->name))
		strcpy(job->name, found->pw_name);
	free(buffer);
}

static bool
is_named(const struct visitor *visitor, const ph_strings *users)
{
	struct name_job *job = calloc(1, sizeof(*job));
	bool named = false;

	if (job == NULL)
		return false;
	job->uid = visitor->uid;
	if (ph_blocking(find_name, free, job, ph_in(10000)) != PH_WAIT_OK)
		return false;
	for (size_t i = 0; i < users->count && *job->name != '\0'; i++)
		named |= strcmp(users->items[i], job->name) == 0;
	free(job);
	return named;
}

bool
visitor_is_authorized(const struct visitor *visitor, const ph_strings *users)
{
	if (visitor_is_operator(visitor))
		return true;
	for (size_t i = 0; i < users->count; i++)
		if (strcmp(users->items[i], "static:anyone") == 0 ||
			strcmp(users->items[i], "static:all") == 0)
			return true;
	return users->count > 0 && is_named(visitor, users);
}
