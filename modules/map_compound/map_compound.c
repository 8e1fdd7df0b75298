/*
 * map_compound: tables that are made of other tables.
 */
#include <posthouse/map.h>

#include <string.h>

struct compound {
	const ph_map *tables;
};

static const struct ph_param params[] = {
	{.name = "path", .type = PH_MAP_REF, .flags = PH_SECTION_ONLY,
		.offset = offsetof(struct compound, tables),
		.doc = "The tables that it is made of: {type:path, type:path}."},
};

/* The key as a text; NULL: it is none, or there is no memory for it, which error then says. */
static const char *
text_of(ph_pool *pool, ph_span key, ph_error *error)
{
	const char *text;

	error->text[0] = '\0';
	if (key.size > 0 && memchr(key.data, '\0', key.size) != NULL)
		return NULL;
	text = ph_pool_copy(pool, key);
	if (text == NULL)
		ph_error_set(error, "no memory");
	return text;
}

static ph_found
no_text(const ph_error *error)
{
	return error->text[0] != '\0' ? PH_FAILED : PH_NOT_FOUND;
}

/* ---- unionmap -------------------------------------------------------------------------------- */

/* All that the tables say, with commas between. One that cannot be asked may be the one that
 * knows. */
static ph_found
union_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct compound *compound = self;
	const char *text = text_of(pool, key, error), *all = NULL, *one;
	const ph_map *table;

	if (text == NULL)
		return no_text(error);
	for (size_t i = 0; (table = ph_map_part(compound->tables, i)) != NULL; i++) {
		ph_found found = ph_map_lookup(pool, table, text, &one, error);

		if (found == PH_FAILED)
			return PH_FAILED;
		if (found == PH_NOT_FOUND)
			continue;
		all = all == NULL ? one : ph_pool_printf(pool, "%s,%s", all, one);
		if (all == NULL) {
			ph_error_set(error, "no memory");
			return PH_FAILED;
		}
	}
	if (all == NULL)
		return PH_NOT_FOUND;
	*value = ph_span_of(all);
	return PH_FOUND;
}

static uint32_t
union_flags(const void *self)
{
	const struct compound *compound = self;

	return ph_map_flags(compound->tables);
}

/* ---- pipemap --------------------------------------------------------------------------------- */

/* What a table says is what the next one is asked. */
static ph_found
pipe_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct compound *compound = self;
	const char *text = text_of(pool, key, error);
	const ph_map *table;

	if (text == NULL)
		return no_text(error);
	for (size_t i = 0; (table = ph_map_part(compound->tables, i)) != NULL; i++) {
		ph_found found = ph_map_lookup(pool, table, text, &text, error);

		if (found != PH_FOUND)
			return found;
	}
	*value = ph_span_of(text);
	return PH_FOUND;
}

/* The others are asked for what tables say, not for keys; but they may wait. */
static uint32_t
pipe_flags(const void *self)
{
	const struct compound *compound = self;
	unsigned others = ph_map_flags(compound->tables) & ~(unsigned)(PH_MAP_FIXED | PH_MAP_PATTERNS);

	return ph_map_flags(ph_map_part(compound->tables, 0)) | others;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int
compound_check(void *self, ph_error *error)
{
	const struct compound *compound = self;

	if (!ph_map_is_empty(compound->tables))
		return 0;
	return ph_error_set(error, "a table of type %s needs tables: path = {type:path, type:path}",
		ph_map_type(self));
}

static const struct ph_map_ops types[] = {
	{.size = sizeof(struct ph_map_ops), .type = "unionmap", .find = union_find, .flags_of = union_flags},
	{.size = sizeof(struct ph_map_ops), .type = "pipemap", .find = pipe_find, .flags_of = pipe_flags},
};

PH_MODULE(map_compound, "1.0", "tables that are made of other tables",
	PH_MAP_TABLE(types),
	PH_INSTANCE(struct compound, params),
	PH_LIFE(.check = compound_check));
