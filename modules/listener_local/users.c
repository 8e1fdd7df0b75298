#include "users.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* On the heap: it may outlive the task that waits for it. */
struct job {
	struct user user;
	char buffer[4096];
};

void
user_full_name(const char *gecos, const char *name, char *full_name, size_t size)
{
	size_t used = 0;

	for (const char *p = gecos; *p != '\0' && *p != ',' && used + 1 < size; p++) {
		if (*p != '&') {
			full_name[used++] = *p;
			continue;
		}
		for (const char *n = name; *n != '\0' && used + 1 < size; n++)
			full_name[used++] = n == name ? (char)toupper((unsigned char)*n) : *n;
	}
	full_name[used] = '\0';
}

static void
look_up(void *argument)
{
	struct job *job = argument;
	struct passwd entry, *found = NULL;

	if (getpwuid_r(job->user.uid, &entry, job->buffer, sizeof(job->buffer), &found) != 0)
		found = NULL;
	snprintf(job->user.name, sizeof(job->user.name), "%s",
		found != NULL ? entry.pw_name : "unknown");
	user_full_name(found != NULL && entry.pw_gecos != NULL ? entry.pw_gecos : "",
		job->user.name, job->user.full_name, sizeof(job->user.full_name));
}

ph_wait
user_lookup(uint32_t uid, struct user *user, ph_deadline deadline)
{
	struct job *job = calloc(1, sizeof(*job));

	if (job == NULL)
		return PH_WAIT_TIMEOUT;
	job->user.uid = uid;
	ph_wait wait = ph_blocking(look_up, free, job, deadline);

	if (wait != PH_WAIT_OK)
		return wait;
	*user = job->user;
	free(job);
	return PH_WAIT_OK;
}

static bool
item_fits(ph_span item, const char *name)
{
	return ph_span_equal(item, ph_span_of("static:anyone")) ||
	       ph_span_equal(item, ph_span_of("static:all")) ||
	ph_span_equal(item, ph_span_of(name));
}

bool
user_is_authorized(const struct user *user, const char *list, const char *owner)
{
	static const char separators[] = ", \t\r\n{}";

	if (user->uid == 0 || strcmp(user->name, owner) == 0)
		return true;
	for (list += strspn(list, separators); *list != '\0'; list += strspn(list, separators)) {
		ph_span item = {list, strcspn(list, separators)};
		bool negated = *item.data == '!';

		list += item.size;
		item.data += negated;
		item.size -= negated;
		if (item_fits(item, user->name))
			return !negated;
	}
	return false;
}
