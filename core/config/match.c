/*
 * Lists of names and tables (type:path, or the name of a map section), and lists of networks, from
 * their elements. An element "/file" stands for the lines of that file.
 */
#include "config/match.h"

#include <string.h>

#include "config/grow.h"
#include "config/networks.h"
#include "config/state.h"
#include "config/value.h"

/* One element. */
struct match {
	const char *name;      /* ".example.com", "example.com"; NULL: a table */
	const ph_map *map;
	bool excluded;         /* written with "!" */
};

struct ph_match_list {
	size_t count;
	const struct match *items; /* in the pool of the configuration */
};

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Is the pattern the end of the name, a whole label or more? */
static bool
is_below(ph_span name, const char *pattern)
{
	size_t size = strlen(pattern);

	return name.size > size && (pattern[0] == '.' || name.data[name.size - size - 1] == '.') &&
		ph_span_equal_nocase((ph_span){name.data + name.size - size, size},
		(ph_span){pattern, size});
}

/* Is it the name, or, with a leading dot or when that is not needed, a parent domain of it? */
static bool
name_matches(ph_span name, const char *pattern, bool parents)
{
	if (pattern[0] == '.')
		return is_below(name, pattern);
	return ph_span_equal_nocase(name, ph_span_of(pattern)) ||
		(parents && is_below(name, pattern));
}

static ph_found
table_matches(const struct match *match, ph_span name, bool parents, ph_error *error)
{
	ph_pool *pool = ph_pool_new(1 << 20);
	const char *key = pool ? ph_pool_copy(pool, name) : NULL, *dot = key;
	ph_found found = PH_FAILED;

	if (key)
		found = ph_map_lookup(pool, match->map, key, NULL, error);
	else
		ph_error_set(error, "out of memory");
	while (parents && found == PH_NOT_FOUND && (dot = strchr(dot, '.')) && *++dot)
		found = ph_map_lookup_fixed(pool, match->map, dot, NULL, error);
	ph_pool_free(pool);
	return found;
}

static ph_found
match(const ph_match_list *list, const char *name, bool parents, ph_error *error)
{
	ph_span span = ph_span_of(name);

	if (span.size > 1 && span.data[span.size - 1] == '.')
		span.size--;
	for (size_t i = 0; list && i < list->count; i++) {
		const struct match *item = &list->items[i];
		ph_found found;

		if (item->name)
			found = name_matches(span, item->name, parents) ? PH_FOUND : PH_NOT_FOUND;
		else
			found = table_matches(item, span, parents, error);
		if (found == PH_FAILED)
			return PH_FAILED;
		if (found == PH_FOUND)
			return item->excluded ? PH_NOT_FOUND : PH_FOUND;
	}
	return PH_NOT_FOUND;
}

ph_found
ph_match(const ph_match_list *list, const char *name, ph_error *error)
{
	return match(list, name, false, error);
}

ph_found
match_with_parents(const ph_match_list *list, const char *name, ph_error *error)
{
	return match(list, name, true, error);
}

/* ---- Making ---------------------------------------------------------------------------------- */

/* Calls each for every element, and for every word in the lines of a file that is one. */
struct reader {
	const struct fill *fill;
	const struct ph_param *param;
	void (*each)(struct reader *reader, const char *text, const struct text_item *item);
	void *items;
	size_t count, room;
};

static void
read_lines(struct reader *reader, const char *path, ph_span text)
{
	struct text_item item = {.file = path};

	while (text.size) {
		const char *end = memchr(text.data, '\n', text.size);
		ph_span line = {text.data, end ? (size_t)(end - text.data) : text.size};
		const char *comment = line.size ? memchr(line.data, '#', line.size) : NULL;

		item.line++;
		text.data += line.size + (end ? 1 : 0);
		text.size -= line.size + (end ? 1 : 0);
		if (comment)
			line.size = (size_t)(comment - line.data);
		while (value_next_word(&line, reader->fill->config->pool, &item.text))
			reader->each(reader, item.text, &item);
	}
}

static void
read_elements(struct reader *reader, const struct text_item *items, size_t count)
{
	struct config *config = reader->fill->config;

	for (size_t i = 0; i < count; i++) {
		ph_span text;
		ph_error error;

		if (items[i].text[0] != '/')
			reader->each(reader, items[i].text, &items[i]);
		else if (sources_read(&config->sources, items[i].text, &text, &error) == 0)
			read_lines(reader, items[i].text, text);
		else
			fill_problem(reader->fill, reader->param, &items[i], "%s", error.text);
	}
}

static void
add_match(struct reader *reader, const char *text, const struct text_item *item)
{
	struct config *config = reader->fill->config;
	struct match match = {.excluded = text[0] == '!'};
	struct instance *instance;
	ph_error error;

	text += match.excluded;
	if ((strchr(text, ':') && text[0] != '[') || map_is_section(config, text)) {
		instance = map_for(reader->fill, item, text, &error);
		if (!instance) {
			fill_problem(reader->fill, reader->param, item, "%s", error.text);
			return;
		}
		match.map = map_make(config->pool, &instance, 1, NULL);
	} else if (!text[0] || strpbrk(text, " \t,;")) {
		fill_problem(reader->fill, reader->param, item,
			"\"%s\" is neither a name nor a table (type:path)", text);
		return;
	} else {
		match.name = text;
	}
	reader->items = grow(config->pool, reader->items, reader->count, &reader->room,
		sizeof(match));
	((struct match *)reader->items)[reader->count++] = match;
}

const ph_match_list *
match_make(const struct fill *fill, const struct ph_param *param, const struct text_item *items,
	size_t count)
{
	struct reader reader = {.fill = fill, .param = param, .each = add_match};
	ph_match_list *list = memory_or_die(ph_pool_alloc(fill->config->pool, sizeof(*list)));

	read_elements(&reader, items, count);
	*list = (ph_match_list){.count = reader.count, .items = reader.items};
	return list;
}

static void
add_network(struct reader *reader, const char *text, const struct text_item *item)
{
	struct config *config = reader->fill->config;
	struct network network;
	ph_error error;

	if (network_parse(ph_span_of(text), &network, &error) != 0) {
		fill_problem(reader->fill, reader->param, item, "%s", error.text);
		return;
	}
	if (network.length == 0 && !network.excluded &&
		strcmp(reader->param->name, "mynetworks") == 0)
		problems_warn(config->problems, item->file ? item->file : reader->fill->file,
			item->file ? item->line : reader->fill->line,
			"%s: %s trusts every address of the world to relay mail", reader->param->name, text);
	reader->items = grow(config->pool, reader->items, reader->count, &reader->room,
		sizeof(network));
	((struct network *)reader->items)[reader->count++] = network;
}

const ph_networks *
networks_make(const struct fill *fill, const struct ph_param *param, const struct text_item *items,
	size_t count)
{
	struct reader reader = {.fill = fill, .param = param, .each = add_network};
	ph_networks *networks = memory_or_die(ph_pool_alloc(fill->config->pool, sizeof(*networks)));

	read_elements(&reader, items, count);
	*networks = (ph_networks){.count = reader.count, .items = reader.items};
	return networks;
}
