#include "users.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/task.h>

enum {
	CACHE_SIZE = 256,
	CACHE_TIME = 5000,     /* milliseconds; those who are not known are asked for each time */
	LOOKUP_TIME = 60000,
	BUFFER_MAX = 1 << 20
};

struct known {
	char name[USER_NAME_SIZE];
	uint32_t uid;
	int64_t until;
};

struct users {
	struct known cache[CACHE_SIZE];
};

/* A lookup for the thread pool: everything in one piece of memory. */
struct lookup {
	char name[USER_NAME_SIZE]; /* "": look for uid, and fill it */
	uint32_t uid;
	ph_found found;
	int failure; /* errno */
};

struct users *
users_new(void)
{
	return calloc(1, sizeof(struct users));
}

void
users_free(struct users *users)
{
	free(users);
}

/* getpwnam_r() and getpwuid_r() say so with these too, depending on the service. */
static bool
means_unknown(int code)
{
	return code == 0 || code == ENOENT || code == ESRCH;
}

static int
ask(struct lookup *lookup, char *buffer, size_t size)
{
	struct passwd pwd, *found = NULL;
	int code = *lookup->name != '\0' ? getpwnam_r(lookup->name, &pwd, buffer, size, &found) :
		getpwuid_r(lookup->uid, &pwd, buffer, size, &found);

	lookup->failure = code;
	lookup->found = means_unknown(code) ? PH_NOT_FOUND : PH_FAILED;
	if (found == NULL)
		return code;
	lookup->found = PH_FOUND;
	lookup->uid = pwd.pw_uid;
	if (*lookup->name == '\0' && strlen(pwd.pw_name) < sizeof(lookup->name))
		strcpy(lookup->name, pwd.pw_name);
	return 0;
}

/* On a thread of the pool. */
static void
run_lookup(void *job)
{
	struct lookup *lookup = job;
	size_t size = 4096;

	for (;;) {
		char *buffer = malloc(size);

		lookup->found = PH_FAILED;
		lookup->failure = ENOMEM;
		if (buffer == NULL)
			return;
		ask(lookup, buffer, size);
		free(buffer);
		if (lookup->failure != ERANGE || size >= BUFFER_MAX)
			return;
		size *= 4;
	}
}

/* Fills name and uid. */
static ph_found
look_up(char *name, uint32_t *uid, ph_error *error)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	ph_found found;

	if (lookup == NULL) {
		ph_error_set(error, "no memory");
		return PH_FAILED;
	}
	memcpy(lookup->name, name, USER_NAME_SIZE);
	lookup->uid = *uid;
	if (ph_blocking(run_lookup, free, lookup, ph_in(LOOKUP_TIME)) != PH_WAIT_OK) {
		ph_error_set(error, "the name service did not answer");
		return PH_FAILED;
	}
	found = lookup->found;
	if (found == PH_FAILED)
		ph_error_set(error, "the name service failed: %s", strerror(lookup->failure));
	memcpy(name, lookup->name, USER_NAME_SIZE);
	*uid = lookup->uid;
	free(lookup);
	return found;
}

static struct known *
cached(struct users *users, const char *name)
{
	size_t hash = 5381;

	for (const char *c = name; *c != '\0'; c++)
		hash = hash * 33 ^ (unsigned char)*c;
	return &users->cache[hash % CACHE_SIZE];
}

ph_found
users_find(struct users *users, const char *name, uint32_t *uid, ph_error *error)
{
	struct known *known;
	char copy[USER_NAME_SIZE] = "";
	uint32_t number = 0;
	ph_found found;

	/* No name of a user, whatever a name service might make of it: it becomes a file's name. */
	if (*name == '\0' || *name == '.' || *name == '-' || strchr(name, '/') != NULL ||
		strlen(name) >= sizeof(copy))
		return PH_NOT_FOUND;
	known = cached(users, name);
	if (known->until <= ph_now() || strcmp(known->name, name) != 0) {
		strcpy(copy, name);
		found = look_up(copy, &number, error);
		if (found != PH_FOUND)
			return found;
		strcpy(known->name, name);
		known->uid = number;
		known->until = ph_now() + CACHE_TIME;
	}
	if (uid != NULL)
		*uid = known->uid;
	return PH_FOUND;
}

ph_found
users_self(char *name, ph_error *error)
{
	uint32_t uid = geteuid();
	ph_found found;

	memset(name, 0, USER_NAME_SIZE);
	found = look_up(name, &uid, error);
	return found == PH_FOUND && *name == '\0' ? PH_NOT_FOUND : found;
}
