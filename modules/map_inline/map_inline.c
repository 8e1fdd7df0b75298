/*
 * map_inline: tables that stand in the configuration itself.
 */
#include "pairs.h"

#include <posthouse/map.h>

#include <string.h>
#include <sys/random.h>

struct table {
	const char *path;    /* what follows the colon */
	ph_pool *pool;       /* while it is open: of what follows */
	struct pairs pairs;  /* inline */
	struct texts texts;  /* randmap; in path */
	ph_span text;        /* static; in path */
};

static const struct ph_param params[] = {
	{.name = "path", .type = PH_STRING, .flags = PH_SECTION_ONLY,
		.offset = offsetof(struct table, path),
		.doc = "The table itself: {key=value, …}, the text that every key has for its value, {text, …} of "
			"which each lookup gets one, or why every lookup fails."},
};

static int
parse(struct table *table, const char *type, ph_pool *pool, ph_error *error)
{
	if (table->path[0] == '\0')
		return ph_error_set(error, "a table of type %s needs a text: path = '…'", type);
	if (strcmp(type, "inline") == 0)
		return pairs_parse(&table->pairs, pool, ph_span_of(table->path), error);
	if (strcmp(type, "randmap") == 0)
		return texts_parse(&table->texts, pool, ph_span_of(table->path), error);
	if (pairs_unwrap(ph_span_of(table->path), &table->text, error) == -1)
		return -1;
	return table->text.size > 0 ? 0 : ph_error_set(error, "expected a text within the braces");
}

/* ---- Lookups --------------------------------------------------------------------------------- */

static ph_found
give(ph_pool *pool, ph_span found, ph_span *value, ph_error *error)
{
	const char *copy = ph_pool_copy(pool, found);

	*value = (ph_span){copy, found.size};
	if (copy != NULL)
		return PH_FOUND;
	ph_error_set(error, "no memory");
	return PH_FAILED;
}

static ph_found
inline_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct table *table = self;
	const struct pair *pair = pairs_find(&table->pairs, key);

	return pair != NULL ? give(pool, pair->value, value, error) : PH_NOT_FOUND;
}

static int
inline_each(void *self, int (*fn)(void *context, ph_span key, ph_span value), void *context,
	ph_error *error)
{
	const struct table *table = self;
	int result = 0;

	for (size_t i = 0; i < table->pairs.count && result == 0; i++)
		result = fn(context, table->pairs.items[i].key, table->pairs.items[i].value);
	return result;
}

static ph_found
static_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct table *table = self;

	return give(pool, table->text, value, error);
}

static ph_found
randmap_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct table *table = self;
	uint64_t number;

	if (getrandom(&number, sizeof(number), GRND_NONBLOCK) != sizeof(number)) {
		ph_error_set(error, "the system has no random numbers yet");
		return PH_FAILED;
	}
	return give(pool, table->texts.items[number % table->texts.count], value, error);
}

static ph_found
fail_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct table *table = self;

	ph_error_set(error, "every lookup fails: %.*s",
		(int)(table->text.size < 200 ? table->text.size : 200), table->text.data);
	return PH_FAILED;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int
table_check(void *self, ph_error *error)
{
	struct table scratch = *(struct table *)self;
	ph_pool *pool = ph_pool_new(0);
	int result;

	if (pool == NULL)
		return ph_error_set(error, "no memory");
	result = parse(&scratch, ph_map_type(self), pool, error);
	ph_pool_free(pool);
	return result;
}

static void
table_close(void *self)
{
	struct table *table = self;

	ph_pool_free(table->pool);
	table->pool = NULL;
	table->pairs = (struct pairs){0};
	table->texts = (struct texts){0};
}

static int
table_open(void *self, ph_error *error)
{
	struct table *table = self;

	table->pool = ph_pool_new(0);
	if (table->pool == NULL)
		return ph_error_set(error, "no memory");
	if (parse(table, ph_map_type(self), table->pool, error) == 0)
		return 0;
	table_close(self);
	return -1;
}

static const struct ph_map_ops types[] = {
	{.size = sizeof(struct ph_map_ops), .type = "inline", .find = inline_find, .each = inline_each},
	{.size = sizeof(struct ph_map_ops), .type = "static", .find = static_find},
	{.size = sizeof(struct ph_map_ops), .type = "randmap", .find = randmap_find},
	{.size = sizeof(struct ph_map_ops), .type = "fail", .find = fail_find},
};

PH_MODULE(map_inline, "1.0", "tables in the configuration itself",
	PH_MAP_TABLE(types),
	PH_INSTANCE(struct table, params),
	PH_LIFE(.check = table_check, .open = table_open, .close = table_close));
