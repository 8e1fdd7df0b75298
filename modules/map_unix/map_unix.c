/*
 * map_unix: the users and groups of this host, as its name service knows them.
 */
#include "lookup.h"

#include <posthouse/map.h>
#include <posthouse/task.h>

#include <string.h>

enum { LOOKUP_TIME = 30000 }; /* milliseconds */

struct database {
	const char *path;
};

static const struct ph_param params[] = {
	{.name = "path", .type = PH_STRING, .flags = PH_SECTION_ONLY,
		.offset = offsetof(struct database, path),
		.doc = "passwd.byname for users, group.byname for groups."},
};

static const char users[] = "passwd.byname", groups[] = "group.byname";

/* Can it be the name of anybody? Some services would take a line end for the end of their
 * question. */
static bool
is_name(ph_span key)
{
	if (key.size == 0 || key.size >= LOOKUP_KEY_SIZE)
		return false;
	for (size_t i = 0; i < key.size; i++)
		if ((unsigned char)key.data[i] < ' ' || key.data[i] == ':')
			return false;
	return true;
}

/* What came of a lookup, into the pool. */
static ph_found
take_result(const struct lookup *lookup, ph_pool *pool, ph_span *value, ph_error *error)
{
	const char *copy;

	if (lookup->found == PH_FAILED)
		ph_error_set(error, "the name service failed: %s", strerror(lookup->failure));
	if (lookup->found != PH_FOUND)
		return lookup->found;
	copy = ph_pool_strdup(pool, lookup->value);
	if (copy == NULL) {
		ph_error_set(error, "no memory");
		return PH_FAILED;
	}
	*value = ph_span_of(copy);
	return PH_FOUND;
}

static ph_found
unix_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct database *database = self;
	const char *name;
	struct lookup *lookup = NULL;
	ph_found found;

	if (!is_name(key))
		return PH_NOT_FOUND;
	name = ph_pool_copy(pool, key);
	if (name != NULL)
		lookup = lookup_new(name, strcmp(database->path, groups) == 0);
	if (lookup == NULL) {
		ph_error_set(error, "no memory");
		return PH_FAILED;
	}
	if (ph_blocking(lookup_run, lookup_free, lookup, ph_in(LOOKUP_TIME)) != PH_WAIT_OK) {
		ph_error_set(error, "the name service did not answer");
		return PH_FAILED;
	}
	found = take_result(lookup, pool, value, error);
	lookup_free(lookup);
	return found;
}

static int
unix_check(void *self, ph_error *error)
{
	const struct database *database = self;

	if (strcmp(database->path, users) != 0 && strcmp(database->path, groups) != 0)
		return ph_error_set(error,
			"\"%.60s\" is not a table of this host: expected unix:%s or unix:%s",
			database->path, users, groups);
	return 0;
}

PH_MODULE(map_unix, "1.0", "the users and groups of this host",
	PH_MAP(.flags = PH_MAP_WAITS, .find = unix_find),
	PH_INSTANCE(struct database, params),
	PH_LIFE(.check = unix_check));
