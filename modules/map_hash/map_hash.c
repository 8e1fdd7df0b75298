/*
 * map_hash: constant databases (cdb), compiled from text files.
 *
 * The file is read into memory and every offset in it is checked before it is used (reader.c).
 */
#include "reader.h"
#include "builder.h"

#include <posthouse/log.h>
#include <posthouse/map.h>
#include <posthouse/table.h>
#include <posthouse/task.h>

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SUFFIX ".cdb"

enum {
	MAX_FILE = 512 << 20,
	AGE_INTERVAL = 60000 /* milliseconds between two looks at the age of the source */
};

/* What changes while the instance is read-only. */
struct state {
	ph_table *table;
	int64_t next_age_check;
	bool warned; /* that the source is newer; until the database is built anew */
};

struct hash {
	const char *path;
	struct state *state;
};

static const struct ph_param params[] = {
	{.name = "path", .type = PH_PATH, .flags = PH_SECTION_ONLY, .offset = offsetof(struct hash, path),
		.doc = "The text file from which the database was built, without the suffix .cdb."},
};

static int
load(void *self, ph_pool *pool, const char *name, ph_span text, void **content, ph_error *error)
{
	struct hash *hash = self;
	struct reader *reader = ph_pool_alloc(pool, sizeof(*reader));
	const char *wrong;

	if (reader == NULL)
		return ph_error_set(error, "%s: no memory", name);
	wrong = reader_open(reader, text);
	if (wrong != NULL)
		return ph_error_set(error,
			"%s: the database is damaged (%s); build it again: postmap or "
			"postalias", name, wrong);
	hash->state->warned = false;
	hash->state->next_age_check = 0;
	*content = reader;
	return 0;
}

/* Somebody edited the source and forgot to build. Once for each database. */
static void
warn_of_age(const struct hash *hash)
{
	struct state *state = hash->state;
	struct stat st;

	if (state->warned || ph_now() < state->next_age_check)
		return;
	state->next_age_check = ph_now() + AGE_INTERVAL;
	if (stat(hash->path, &st) == 0 &&
		(int64_t)st.st_mtim.tv_sec > ph_table_modified(state->table)) {
		ph_log(PH_LOG_WARNING, "database %s.cdb is older than source file %s", hash->path,
			hash->path);
		state->warned = true;
	}
}

static const struct reader *
content_of(const struct hash *hash, ph_error *error)
{
	const struct reader *reader = ph_table_content(hash->state->table, error);

	if (reader != NULL)
		warn_of_age(hash);
	return reader;
}

static ph_found
hash_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct hash *hash = self;
	const struct reader *reader = content_of(hash, error);
	ph_span found;
	char *copy;

	if (reader == NULL)
		return PH_FAILED;
	switch (reader_find(reader, key, &found)) {
	case PH_NOT_FOUND:
		return PH_NOT_FOUND;
	case PH_FAILED:
		ph_error_set(error, "%s.cdb: the database is damaged; build it again", hash->path);
		return PH_FAILED;
	case PH_FOUND:
		break;
	}
	copy = ph_pool_copy(pool, found);
	if (copy == NULL) {
		ph_error_set(error, "%s.cdb: no memory", hash->path);
		return PH_FAILED;
	}
	*value = (ph_span){copy, found.size};
	return PH_FOUND;
}

static int
hash_each(void *self, int (*fn)(void *context, ph_span key, ph_span value), void *context,
	ph_error *error)
{
	const struct hash *hash = self;
	const struct reader *reader = content_of(hash, error);
	ph_span key, value;
	size_t at = 0;
	ph_found more;

	if (reader == NULL)
		return -1;
	while ((more = reader_next(reader, &at, &key, &value)) == PH_FOUND) {
		int result = fn(context, key, value);

		if (result != 0)
			return result;
	}
	return more == PH_FAILED ?
		ph_error_set(error, "%s.cdb: the database is damaged; build it again", hash->path)
		: 0;
}

static int
hash_build(void *self, bool aliases, ph_error *error)
{
	struct hash *hash = self;
	ph_pool *pool = ph_pool_new(0);
	unsigned mode = 0;
	ph_span text;
	int result = -1;

	if (pool == NULL)
		return ph_error_set(error, "%s: no memory", hash->path);
	if (ph_table_read(self, "path", hash->path, MAX_FILE, pool, &text, &mode, error) == 0)
		result = builder_build(hash->path, text,
			aliases ? PH_TABLE_ALIASES : PH_TABLE_PAIRS, mode, error);
	ph_pool_free(pool);
	return result;
}

static int
hash_check(void *self, ph_error *error)
{
	const struct hash *hash = self;

	if (hash->path[0] != '/')
		return ph_error_set(error, "a table of type %s needs an absolute path",
			ph_map_type(self));
	return 0;
}

static void
hash_close(void *self)
{
	struct hash *hash = self;

	if (hash->state == NULL)
		return;
	ph_table_free(hash->state->table);
	free(hash->state);
	hash->state = NULL;
}

/* Most often it was never built. */
static void
explain(const struct hash *hash, const ph_error *why, ph_error *error)
{
	struct stat st;

	if (strstr(why->text, "No such file") == NULL)
		ph_error_set(error, "%s", why->text);
	else if (stat(hash->path, &st) == 0)
		ph_error_set(error, "there is no %s.cdb yet: run newaliases if this is a table of aliases, "
			"else posthouse map build hash:%s", hash->path, hash->path);
	else
		ph_error_set(error, "there is no %s, nor a .cdb of it: write it, if only empty, and run newaliases "
			"if it is a table of aliases, else posthouse map build hash:%s", hash->path, hash->path);
}

static int
hash_open(void *self, ph_error *error)
{
	static const struct ph_table_ops ops = {.size = sizeof(ops), .load = load};
	struct hash *hash = self;
	ph_error why = {""};

	hash->state = calloc(1, sizeof(*hash->state));
	if (hash->state != NULL)
		hash->state->table = ph_table_new(self, "path", hash->path, SUFFIX, MAX_FILE, &ops);
	if (hash->state == NULL || hash->state->table == NULL)
		ph_error_set(error, "%s: no memory", hash->path);
	else if (content_of(hash, &why) != NULL)
		return 0;
	else
		explain(hash, &why, error);
	hash_close(self);
	return -1;
}

#define TYPE(name) {.size = sizeof(struct ph_map_ops), .find = hash_find, .build = hash_build, \
	.each = hash_each, .type = (name), .suffix = SUFFIX}

static const struct ph_map_ops types[] = {TYPE("hash"), TYPE("cdb")};

PH_MODULE(map_hash, "1.1", "compiled tables in constant databases (cdb)",
	PH_MAP_TABLE(types),
	PH_INSTANCE(struct hash, params),
	PH_LIFE(.check = hash_check, .open = hash_open, .close = hash_close));
