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
	BUFFER_MAX = 1 << 20,
	HOME_SIZE = 512,       /* a longer home is nobody's */
	SHELL_SIZE = 256
};

struct facts {
	char name[USER_NAME_SIZE], home[HOME_SIZE], shell[SHELL_SIZE];
	uint32_t uid;
};

struct known {
	struct facts facts;
	int64_t until;
};

struct users {
	struct known cache[CACHE_SIZE];
};

/* A lookup for the thread pool: everything in one piece of memory. */
struct lookup {
	struct facts facts; /* name "": look for uid */
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

static int
ask(struct lookup *lookup, char *buffer, size_t size)
{
	struct passwd pwd, *found = NULL;
	struct facts *facts = &lookup->facts;
	int code = *facts->name != '\0' ? getpwnam_r(facts->name, &pwd, buffer, size, &found) :
		getpwuid_r(facts->uid, &pwd, buffer, size, &found);

	lookup->failure = code;
	lookup->found = code == 0 ? PH_NOT_FOUND : PH_FAILED; /* ENOENT is a service that could not be asked */
	if (found == NULL)
		return code;
	lookup->found = PH_FOUND;
	facts->uid = pwd.pw_uid;
	if (*facts->name == '\0' && strlen(pwd.pw_name) < sizeof(facts->name))
		strcpy(facts->name, pwd.pw_name);
	if (strlen(pwd.pw_dir) < sizeof(facts->home))
		strcpy(facts->home, pwd.pw_dir);
	if (strlen(pwd.pw_shell) < sizeof(facts->shell))
		strcpy(facts->shell, pwd.pw_shell);
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

/* Fills the facts from the name in them or, without one, from the uid. */
static ph_found
look_up(struct facts *facts, ph_error *error)
{
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	ph_found found;

	if (lookup == NULL) {
		ph_error_set(error, "no memory");
		return PH_FAILED;
	}
	lookup->facts = *facts;
	if (ph_blocking(run_lookup, free, lookup, ph_in(LOOKUP_TIME)) != PH_WAIT_OK) {
		ph_error_set(error, "the name service did not answer");
		return PH_FAILED;
	}
	found = lookup->found;
	if (found == PH_FAILED)
		ph_error_set(error, "the name service failed: %s", strerror(lookup->failure));
	*facts = lookup->facts;
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

/* On the heap: the task waits meanwhile. */
static ph_found
ask_for(struct users *users, const char *name, ph_error *error)
{
	struct facts *facts = calloc(1, sizeof(*facts));
	struct known *known = cached(users, name);
	ph_found found;

	if (facts == NULL) {
		ph_error_set(error, "no memory");
		return PH_FAILED;
	}
	strcpy(facts->name, name);
	found = look_up(facts, error);
	if (found == PH_FOUND)
		*known = (struct known){*facts, ph_now() + CACHE_TIME};
	free(facts);
	return found;
}

ph_found
users_find(struct users *users, ph_pool *pool, const char *name, struct user *user, ph_error *error)
{
	const struct known *known;
	ph_found found;

	/* No name of a user, whatever a name service might make of it: it becomes a file's name. */
	if (*name == '\0' || *name == '.' || *name == '-' || strchr(name, '/') != NULL ||
		strlen(name) >= USER_NAME_SIZE)
		return PH_NOT_FOUND;
	known = cached(users, name);
	if ((known->until <= ph_now() || strcmp(known->facts.name, name) != 0) &&
		(found = ask_for(users, name, error)) != PH_FOUND)
		return found;
	*user = (struct user){known->facts.uid, ph_pool_strdup(pool, known->facts.name),
		ph_pool_strdup(pool, known->facts.home), ph_pool_strdup(pool, known->facts.shell)};
	if (user->name != NULL && user->home != NULL && user->shell != NULL)
		return PH_FOUND;
	ph_error_set(error, "no memory");
	return PH_FAILED;
}

ph_found
users_self(char *name, ph_error *error)
{
	struct facts *facts = calloc(1, sizeof(*facts));
	ph_found found;

	memset(name, 0, USER_NAME_SIZE);
	if (facts == NULL) {
		ph_error_set(error, "no memory");
		return PH_FAILED;
	}
	facts->uid = geteuid();
	found = look_up(facts, error);
	if (found == PH_FOUND)
		memcpy(name, facts->name, USER_NAME_SIZE);
	free(facts);
	return found == PH_FOUND && *name == '\0' ? PH_NOT_FOUND : found;
}
