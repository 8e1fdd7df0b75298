/*
 * What entries of tables say, as those modules judge it that act on it.
 */
#include "cli/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/map.h>
#include <posthouse/table.h>

enum { SOURCE_MAX = 64 << 20, TOLD_MOST = 20 };

/* One table, as a parameter of an instance names it. */
struct entries {
	struct problems *problems;
	const struct instance *owner;
	const char *parameter;
	const struct instance *table;
	const char *source;  /* the file that it is made of; NULL: none */
	int told;
};

/* ---- Where an entry stands ------------------------------------------------------------------- */

struct search {
	ph_span key;
	int line;
};

static int
is_it(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct search *search = context;

	if (!ph_span_equal_nocase(key, search->key))
		return 0;
	search->line = line;
	return 1;
}

/* 0: it is not found. */
static int
line_of(const char *path, ph_span key)
{
	struct search search = {.key = key};
	FILE *file = fopen(path, "re");
	char *text = malloc(SOURCE_MAX);
	size_t size = file && text ? fread(text, 1, SOURCE_MAX, file) : 0;
	ph_error error;

	if (file && text && feof(file))
		(void)ph_table_parse(path, (ph_span){text, size}, PH_TABLE_PAIRS, is_it, &search,
			&error);
	if (file)
		fclose(file);
	free(text);
	return search.line;
}

/* ---- Judging --------------------------------------------------------------------------------- */

static int
judge(void *context, int line, ph_span key, ph_span value)
{
	struct entries *entries = context;
	const struct ph_life *life = entries->owner->module->life;
	const struct instance *table = entries->table;
	ph_error error = {""};

	if (life->check_entry(entries->owner->self, entries->parameter, value, &error) == 0)
		return 0;
	if (line == 0 && entries->source)
		line = line_of(entries->source, key);
	if (line > 0)
		problems_add(entries->problems, entries->source, line, "%s: %s", entries->parameter,
			error.text);
	else
		problems_add(entries->problems, table->file, table->line, "%s: %s: entry %.*s: %s",
			entries->parameter, table->name, (int)(key.size < 100 ? key.size : 100),
			key.data, error.text);
	return ++entries->told == TOLD_MOST;
}

static int
judge_entry(void *context, ph_span key, ph_span value)
{
	return judge(context, 0, key, value);
}

/* One that cannot be listed, or not be read now, is another check's. */
static void
judge_table(struct entries *entries, struct instance *table)
{
	const struct ph_map_ops *ops = table->ops;
	ph_error error;

	if ((map_flags(table) & PH_MAP_WAITS) || (!ops->each && !ops->each_line))
		return;
	entries->table = table;
	entries->source = map_source(table);
	if (instance_open(table, &error) == 0) {
		if (ops->each_line)
			(void)ops->each_line(table->self, judge, entries, &error);
		else
			(void)ops->each(table->self, judge_entry, entries, &error);
	}
	instance_close(table);
}

/* ---- All of them ----------------------------------------------------------------------------- */

/* Was a table of it judged for another parameter of this instance, whose default is this one? */
static bool
is_repeated(const struct instance *owner, size_t number, const struct instance *table)
{
	const struct ph_module *module = owner->module;

	for (size_t i = 0; i < number; i++) {
		const struct ph_param *param = &module->params[i];
		const ph_map *map;

		if (param->type != PH_MAP_REF)
			continue;
		map = *(const ph_map *const *)(const void *)((const char *)owner->self +
			param->offset);
		for (size_t j = 0; map && map_table(map, j); j++)
			if (map_table(map, j) == table)
				return true;
	}
	return false;
}

static void
judge_owner(struct problems *problems, const struct instance *owner)
{
	const struct ph_module *module = owner->module;

	for (size_t i = 0; i < module->param_count; i++) {
		const struct ph_param *param = &module->params[i];
		struct entries entries = {.problems = problems, .owner = owner,
			.parameter = param->name};
		struct instance *table;
		const ph_map *map;

		if (param->type != PH_MAP_REF)
			continue;
		map = *(const ph_map *const *)(const void *)((const char *)owner->self +
			param->offset);
		for (size_t j = 0; map && (table = map_table(map, j)); j++)
			if (!is_repeated(owner, i, table))
				judge_table(&entries, table);
	}
}

void
check_entries(const struct config *config, struct problems *problems)
{
	const struct instance *owner;

	for (unsigned class = 1; class < CLASS_COUNT; class++)
		for (size_t i = 0; (owner = config_instance(config, class, i)); i++)
			if (owner->module->life && owner->module->life->check_entry &&
				!instance_is_broken(owner))
				judge_owner(problems, owner);
}
