/*
 * Maps: the instances that "type:path" and sections mean, and asking them.
 */
#include "config/state.h"

#include <posthouse/map.h>

#include <stdio.h>
#include <string.h>

#include "config/grow.h"
#include "config/nearest.h"
#include "config/value.h"

/* The longest key: of tables of fixed strings, and of patterns, which a whole header is matched
 * with. */
enum { KEY_MAX = 4096, SUBJECT_MAX = 1 << 20 };

struct ph_map {
	size_t count;
	struct instance *const *items;
	const char *name;          /* of all of them */
	const struct ph_map *parts; /* each on its own; NULL: there is but one */
	const char *parameter;     /* whose value it is; NULL: it is in none of its own */
};

/* Who hears of lookups; NULL: nobody. */
static struct {
	map_watch_fn *fn;
	void *context;
} watch;

void
map_set_watch(map_watch_fn *fn, void *context)
{
	watch.fn = fn;
	watch.context = context;
}

static void
tell(const ph_map *map, const struct instance *table, const char *key, ph_found found,
	const char *text)
{
	if (watch.fn && map->parameter && found != PH_NOT_FOUND)
		watch.fn(watch.context, &(struct map_answer){.parameter = map->parameter,
			.table = table->name, .key = key, .found = found, .text = text});
}

static int
each_of(const ph_map *map, int (*fn)(struct instance *, ph_error *), ph_error *error)
{
	int result = 0;

	for (size_t i = 0; map && i < map->count && result == 0; i++)
		result = fn(map->items[i], error);
	return result;
}

int
map_open_tables(const ph_map *map, ph_error *error)
{
	return each_of(map, instance_open, error);
}

int
map_each_nested(const struct instance *instance, int (*fn)(struct instance *, ph_error *),
	ph_error *error)
{
	const struct ph_module *module = instance->module;
	int result = 0;

	if (module->class_number != PH_CLASS_MAP)
		return 0;
	for (size_t i = 0; i < module->param_count && result == 0; i++)
		if (module->params[i].type == PH_MAP_REF)
			result = each_of(*(const ph_map *const *)((const char *)instance->self +
				module->params[i].offset), fn, error);
	return result;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static const struct ph_map_ops *
ops_of(const struct instance *instance)
{
	return instance->ops;
}

/* The key in lower case. */
static const char *
folded(ph_pool *pool, const char *key)
{
	char *copy = ph_pool_strdup(pool, key);

	for (char *c = copy; c && *c; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c = (char)(*c - 'A' + 'a');
	return copy;
}

unsigned
map_flags(const struct instance *instance)
{
	const struct ph_map_ops *ops = ops_of(instance);
	unsigned flags = ops->flags_of ? ops->flags_of(instance->self) : ops->flags;

	return flags & PH_MAP_PATTERNS ? flags : flags | PH_MAP_FIXED;
}

static ph_found
ask(const struct instance *instance, ph_pool *pool, const char *key, const char **value,
	ph_error *error)
{
	const struct ph_map_ops *ops = ops_of(instance);
	ph_error why = {"failed"};
	ph_span result = {NULL, 0};
	ph_found found;

	if (!instance->opened || !ops->find) {
		ph_error_set(error, "%s: is not open", instance->name);
		return PH_FAILED;
	}
	found = ops->find(instance->self, pool, ph_span_of(key), &result, &why);
	if (found == PH_FAILED) {
		if (strstr(why.text, instance->name))
			ph_error_set(error, "%s", why.text);
		else
			ph_error_set(error, "%s: %s", instance->name, why.text);
	}
	if (found != PH_FOUND || !value)
		return found;
	*value = ph_pool_copy(pool, result);
	if (*value)
		return PH_FOUND;
	ph_error_set(error, "%s: out of memory", instance->name);
	return PH_FAILED;
}

static ph_found
lookup(ph_pool *pool, const ph_map *map, const char *key, bool fixed_only, const char **value,
	ph_error *error)
{
	const char *lower = NULL;
	size_t size = strlen(key);

	for (size_t i = 0; map && i < map->count; i++) {
		unsigned flags = map_flags(map->items[i]);
		bool patterns = (flags & PH_MAP_PATTERNS) != 0;
		ph_found found;

		if ((fixed_only && (flags & PH_MAP_FIXED) == 0) ||
			size > (patterns ? (size_t)SUBJECT_MAX : (size_t)KEY_MAX))
			continue;
		if (!patterns && !lower && !(lower = folded(pool, key))) {
			ph_error_set(error, "%s: out of memory", map->items[i]->name);
			return PH_FAILED;
		}
		found = ask(map->items[i], pool, patterns ? key : lower, value, error);
		tell(map, map->items[i], patterns ? key : lower, found,
			found == PH_FOUND ? value ? *value : NULL : error ? error->text : NULL);
		if (found != PH_NOT_FOUND)
			return found;
	}
	return PH_NOT_FOUND;
}

ph_found
ph_map_lookup(ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error)
{
	return lookup(pool, map, key, false, value, error);
}

ph_found
ph_map_lookup_fixed(ph_pool *pool, const ph_map *map, const char *key, const char **value,
	ph_error *error)
{
	return lookup(pool, map, key, true, value, error);
}

bool
ph_map_is_empty(const ph_map *map)
{
	return !map || map->count == 0;
}

struct instance *
map_table(const ph_map *map, size_t index)
{
	return index < map->count ? map->items[index] : NULL;
}

const char *
map_source(const struct instance *instance)
{
	const struct module *module = instance_module(instance);
	const struct ph_param *param = section_param(module->class, module, "path");

	if (!param || param->type != PH_PATH)
		return NULL;
	return *(const char *const *)((const char *)instance->self + param->offset);
}

const char *
ph_map_name(const ph_map *map)
{
	return map ? map->name : "";
}

const ph_map *
ph_map_part(const ph_map *map, size_t number)
{
	if (!map || number >= map->count)
		return NULL;
	return map->parts ? &map->parts[number] : map;
}

unsigned
ph_map_flags(const ph_map *map)
{
	unsigned flags = 0;

	for (size_t i = 0; map && i < map->count; i++)
		flags |= map_flags(map->items[i]);
	return flags;
}

static const char *
join_names(ph_pool *pool, struct instance *const *instances, size_t count)
{
	const char *names = count ? instances[0]->name : "";

	for (size_t i = 1; i < count; i++)
		names = memory_or_die(ph_pool_printf(pool, "%s, %s", names, instances[i]->name));
	return names;
}

static const ph_map *
make_parts(ph_pool *pool, struct instance *const *items, size_t count)
{
	ph_map *parts = count > 1 ? memory_or_die(ph_pool_array(pool, count, sizeof(*parts)))
		: NULL;

	for (size_t i = 0; parts && i < count; i++)
		parts[i] = (ph_map){.count = 1, .items = &items[i], .name = items[i]->name};
	return parts;
}

const ph_map *
map_make(ph_pool *pool, struct instance *const *instances, size_t count, const char *parameter)
{
	ph_map *map = memory_or_die(ph_pool_alloc(pool, sizeof(*map)));
	struct instance **items =
		memory_or_die(ph_pool_array(pool, count + 1, sizeof(*items)));

	if (count)
		memcpy(items, instances, count * sizeof(*items));
	*map = (ph_map){.count = count, .items = items,
		.name = join_names(pool, instances, count), .parts = make_parts(pool, items, count),
		.parameter = parameter};
	return map;
}

/* ---- Finding the instance -------------------------------------------------------------------- */

bool
map_is_section(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->section_count; i++)
		if (config->sections[i]->class->number == PH_CLASS_MAP &&
			strcmp(config->sections[i]->title, name) == 0)
			return true;
	return false;
}

static struct instance *
section_instance(const struct config *config, const char *name, ph_error *error)
{
	struct nearest nearest = nearest_to(name);
	char hint[128];

	for (size_t i = 0; i < config->section_count; i++) {
		struct section *section = config->sections[i];

		if (section->class->number != PH_CLASS_MAP)
			continue;
		if (strcmp(section->title, name) == 0) {
			section->referred = true;
			if (!section->instance)
				ph_error_set(error, "%s: this map has no module", name);
			return section->instance;
		}
		nearest_try(&nearest, section->title);
	}
	ph_error_set(error, "%s: is neither type:path nor the name of a map section%s", name,
		nearest_hint(&nearest, hint, sizeof(hint)));
	return NULL;
}

/* The tables of "{hash:/a, hash:/b}"; NULL with the error. */
static const ph_map *
make_nested(struct config *config, const char *reference, const char *text, const char *file,
	int line, ph_error *error)
{
	struct instance **items = NULL, *item;
	size_t count = 0, room = 0;
	const char *word;
	ph_span rest;

	if (map_nested(text, &rest) != 0) {
		ph_error_set(error, "%s: expected tables in braces after the colon: {type:path, type:path}",
			reference);
		return NULL;
	}
	while (value_next_word(&rest, config->pool, &word)) {
		item = map_instance(config, word, file, line, error);
		if (!item)
			return NULL;
		items = grow(config->pool, items, count, &room, sizeof(*items));
		items[count++] = item;
	}
	if (count)
		return map_make(config->pool, items, count, NULL);
	ph_error_set(error, "%s: no table stands in the braces", reference);
	return NULL;
}

/* Is what follows the colon what the type takes there? 0 or -1. */
static int
check_path(const struct ph_param *param, const struct ph_map_ops *ops, const char *reference,
	const char *path, ph_error *error)
{
	if (!param || (param->type != PH_PATH && param->type != PH_STRING &&
		param->type != PH_MAP_REF))
		return ph_error_set(error,
			"%s: a table of type %s is made in a section: map NAME { module = %s }", reference,
			ops->type, ops->type);
	if (!path[0])
		return ph_error_set(error, "%s: expected %s after the colon", reference,
			param->type == PH_PATH ? "a path" :
			param->type == PH_STRING ? "a text" : "{type:path, type:path}");
	if (param->type == PH_PATH && path[0] != '/')
		return ph_error_set(error, "%s: expected an absolute path after %s:", reference,
			ops->type);
	return 0;
}

/* A map that is opened in place: an instance with that path. */
static struct instance *
make_instance(struct config *config, const struct module *module, const struct ph_map_ops *ops,
	const char *reference, const char *path, const char *file, int line, ph_error *error)
{
	const struct ph_param *param = section_param(module->class, module, "path");
	struct instance *instance;
	struct fill fill = {.config = config, .file = file, .line = line, .path = path};

	if (check_path(param, ops, reference, path, error) != 0)
		return NULL;
	if (param->type == PH_MAP_REF &&
		!(fill.tables = make_nested(config, reference, path, file, line, error)))
		return NULL;
	instance = instance_new(config, module, reference, file, line);
	instance->ops = ops;
	fill_struct(&fill, module->descriptor.params, module->descriptor.param_count,
		instance->self);
	return instance;
}

struct instance *
map_instance(struct config *config, const char *reference, const char *file, int line,
	ph_error *error)
{
	const char *given = reference, *colon, *type;
	const struct module *module;
	const struct ph_map_ops *ops;

	reference = map_without_proxy(config, given);
	colon = strchr(reference, ':');
	if (reference != given)
		problems_warn(config->problems, file, line,
			"%s: proxy: is not needed here; %s means the same", given, reference);
	if (!colon)
		return section_instance(config, reference, error);
	for (size_t i = 0; i < config->instance_count[PH_CLASS_MAP]; i++)
		if (strcmp(config->instances[PH_CLASS_MAP][i]->name, reference) == 0)
			return config->instances[PH_CLASS_MAP][i];
	type = memory_or_die(ph_pool_copy(config->pool,
		(ph_span){reference, (size_t)(colon - reference)}));
	ops = map_type(config, type, &module);
	if (ops)
		return make_instance(config, module, ops, reference, colon + 1, file, line, error);
	map_type_explain(config, reference, type, error);
	return NULL;
}

/* A default is nobody's text: the module that it needs is loaded for it. */
static int
load_for_default(struct config *config, const char *reference, ph_error *error)
{
	return config->flags & CONFIG_DEFAULTS ? 0 : map_types_load(config, reference, error);
}

struct instance *
map_for(const struct fill *fill, const struct text_item *item, const char *reference,
	ph_error *error)
{
	if ((!item->file || item->by_default) &&
		load_for_default(fill->config, reference, error) != 0)
		return NULL;
	return map_instance(fill->config, reference, item->file ? item->file : fill->file,
		item->file ? item->line : fill->line, error);
}

const char *
ph_map_type(const void *self)
{
	const struct instance *instance = instance_of(self);

	return instance && instance->module->class_number == PH_CLASS_MAP ? ops_of(instance)->type
		: "";
}
