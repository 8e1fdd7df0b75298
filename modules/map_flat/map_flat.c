/*
 * map_flat: a text file read into memory.
 */
#include <posthouse/log.h>
#include <posthouse/map.h>
#include <posthouse/table.h>

#include <string.h>

enum {
	FORMAT_AUTO,
	FORMAT_MAP,
	FORMAT_ALIASES,
	MAX_FILE = 256 << 20
};

struct flat {
	const char *path;
	int format;
	ph_table *table;
};

static const struct ph_param params[] = {
	{.name = "path", .type = PH_PATH, .flags = PH_SECTION_ONLY, .offset = offsetof(struct flat, path),
		.doc = "The text file."},
	{.name = "format", .type = PH_ENUM, .flags = PH_SECTION_ONLY,
		.offset = offsetof(struct flat, format), .default_value = "auto",
		.choices = "auto, map, aliases",
		.doc = "Whether lines are \"key value\" or \"name: value\"; auto: the latter when the name of "
			"the file contains \"alias\" or its first entry begins with a word and a colon."},
};

struct entry {
	ph_span key;
	ph_span value;
	uint64_t hash;
};

/* What is made of the file: its entries in order, and an open hash table of indices + 1. */
struct entries {
	struct entry *items;
	size_t count, room;
	uint32_t *slots;
	size_t mask;
	ph_pool *pool;
	const char *name;
};

/* FNV-1a. Whoever asks does not choose the keys of the table, so chains cannot be made long. */
static uint64_t
hash_of(ph_span key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < key.size; i++)
		hash = (hash ^ (unsigned char)key.data[i]) * UINT64_C(0x100000001b3);
	return hash ^ hash >> 32;
}

/* The slot where the key is, or where it would be put. */
static size_t
slot_of(const struct entries *entries, ph_span key, uint64_t hash)
{
	size_t slot = (size_t)hash & entries->mask;

	for (; entries->slots[slot] != 0; slot = (slot + 1) & entries->mask) {
		const struct entry *e = &entries->items[entries->slots[slot] - 1];

		if (e->hash == hash && ph_span_equal(e->key, key))
			break;
	}
	return slot;
}

static int
count_entry(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct entries *entries = context;

	entries->room++;
	return 0;
}

static char *
fold(char *text)
{
	for (char *c = text; *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	return text;
}

static int
add_entry(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct entries *entries = context;
	char *folded = ph_pool_copy(entries->pool, key), *copy = ph_pool_copy(entries->pool, value);
	struct entry *e = &entries->items[entries->count];
	size_t slot;

	if (folded == NULL || copy == NULL)
		return ph_error_set(error, "%s:%d: no memory", entries->name, line);
	fold(folded);
	*e = (struct entry){{folded, key.size}, {copy, value.size}, 0};
	e->hash = hash_of(e->key);
	slot = slot_of(entries, e->key, e->hash);
	if (entries->slots[slot] != 0) {
		ph_log(PH_LOG_WARNING, "%s:%d: \"%s\" is there already; the first one stays",
			entries->name, line, folded);
		return 0;
	}
	entries->slots[slot] = (uint32_t)++entries->count;
	return 0;
}

/* texthash tables are what postmap would compile: a file "virtual_aliases" is no aliases(5)
 * file. */
static enum ph_table_style
style_of(const struct flat *flat, const char *name, ph_span text)
{
	if (strcmp(ph_map_type(flat), "texthash") == 0)
		name = "";
	if (flat->format == FORMAT_ALIASES ||
		(flat->format == FORMAT_AUTO && ph_table_is_aliases(name, text)))
		return PH_TABLE_ALIASES;
	return PH_TABLE_PAIRS;
}

static int
load(void *self, ph_pool *pool, const char *name, ph_span text, void **content, ph_error *error)
{
	enum ph_table_style style = style_of(self, name, text);
	struct entries *entries = ph_pool_alloc(pool, sizeof(*entries));
	size_t slots = 4;

	if (entries == NULL)
		return ph_error_set(error, "%s: no memory", name);
	if (ph_table_parse(name, text, style, count_entry, entries, error) != 0)
		return -1;
	while (slots < entries->room * 2)
		slots *= 2;
	entries->pool = pool;
	entries->name = name;
	entries->mask = slots - 1;
	entries->items = ph_pool_array(pool, entries->room + 1, sizeof(*entries->items));
	entries->slots = ph_pool_array(pool, slots, sizeof(*entries->slots));
	if (entries->items == NULL || entries->slots == NULL)
		return ph_error_set(error, "%s: no memory for %zu entries", name, entries->room);
	if (ph_table_parse(name, text, style, add_entry, entries, error) != 0)
		return -1;
	*content = entries;
	return 0;
}

static ph_found
flat_find(void *self, ph_pool *pool, ph_span key, ph_span *value, ph_error *error)
{
	const struct flat *flat = self;
	const struct entries *entries = ph_table_content(flat->table, error);
	uint32_t found;
	char *copy;

	if (entries == NULL)
		return PH_FAILED;
	found = entries->slots[slot_of(entries, key, hash_of(key))];
	if (found == 0)
		return PH_NOT_FOUND;
	copy = ph_pool_copy(pool, entries->items[found - 1].value);
	if (copy == NULL) {
		ph_error_set(error, "%s: no memory", flat->path);
		return PH_FAILED;
	}
	*value = (ph_span){copy, entries->items[found - 1].value.size};
	return PH_FOUND;
}

static int
flat_each(void *self, int (*fn)(void *context, ph_span key, ph_span value), void *context,
	ph_error *error)
{
	const struct flat *flat = self;
	const struct entries *entries = ph_table_content(flat->table, error);
	int result = 0;

	if (entries == NULL)
		return -1;
	for (size_t i = 0; i < entries->count && result == 0; i++)
		result = fn(context, entries->items[i].key, entries->items[i].value);
	return result;
}

static int
flat_check(void *self, ph_error *error)
{
	const struct flat *flat = self;

	if (flat->path[0] != '/')
		return ph_error_set(error, "a table of type %s needs an absolute path",
			ph_map_type(self));
	return 0;
}

static void
flat_close(void *self)
{
	struct flat *flat = self;

	ph_table_free(flat->table);
	flat->table = NULL;
}

static int
flat_open(void *self, ph_error *error)
{
	static const struct ph_table_ops ops = {.size = sizeof(ops), .load = load};
	struct flat *flat = self;

	flat->table = ph_table_new(self, "path", flat->path, NULL, MAX_FILE, &ops);
	if (flat->table == NULL)
		return ph_error_set(error, "%s: no memory", flat->path);
	if (ph_table_content(flat->table, error) != NULL)
		return 0;
	flat_close(self);
	return -1;
}

#define TYPE(name) {.size = sizeof(struct ph_map_ops), .find = flat_find, .each = flat_each, \
	.type = (name)}

static const struct ph_map_ops types[] = {TYPE("flat"), TYPE("texthash")};

PH_MODULE(map_flat, "1.1", "tables in text files, read into memory",
	PH_MAP_TABLE(types),
	PH_INSTANCE(struct flat, params),
	PH_LIFE(.check = flat_check, .open = flat_open, .close = flat_close));
