/*
 * Tables that cannot be read, and those whose source was edited and not compiled again.
 */
#include "cli/check.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <posthouse/map.h>
#include <posthouse/table.h>

enum { SOURCE_MAX = 64 << 20 };

static const char *
place_of(const struct config *config, const struct instance *instance)
{
	return instance->file ? instance->file : config_path(config);
}

/* ---- Sources --------------------------------------------------------------------------------- */

static int
no_entry(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	return 0;
}

/* Does it parse, as what it looks like? One that cannot be read does. */
static int
try_source(const char *path, ph_error *error)
{
	FILE *file = fopen(path, "re");
	char *text = malloc(SOURCE_MAX);
	size_t size = file && text ? fread(text, 1, SOURCE_MAX, file) : 0;
	ph_span span = {text, size};
	int result = 0;

	if (file && text && feof(file) && !ferror(file))
		result = ph_table_parse(path, span,
			ph_table_is_aliases(path, span) ? PH_TABLE_ALIASES : PH_TABLE_PAIRS,
			no_entry, NULL, error);
	if (file)
		fclose(file);
	free(text);
	return result;
}

static bool
is_newer(const struct stat *source, const struct stat *result)
{
	return source->st_mtim.tv_sec > result->st_mtim.tv_sec ||
		(source->st_mtim.tv_sec == result->st_mtim.tv_sec &&
			source->st_mtim.tv_nsec > result->st_mtim.tv_nsec);
}

/* Was the source edited, and not compiled again? A missing one of both is another matter. */
static void
check_age(const struct config *config, struct problems *problems, const struct instance *instance)
{
	const struct ph_map_ops *ops = instance->ops;
	const char *path = map_source(instance);
	char compiled[PATH_MAX];
	struct stat source, result;
	ph_error error = {""};

	if (!ops->build || !ops->suffix || !path ||
		snprintf(compiled, sizeof(compiled), "%s%s", path, ops->suffix) >= (int)sizeof(compiled) ||
		stat(path, &source) == -1 || stat(compiled, &result) == -1 ||
		!is_newer(&source, &result))
		return;
	problems_warn(problems, place_of(config, instance), instance->line,
		"%s is newer than its compiled form; run: posthouse map build %s:%s", path, ops->type, path);
	if (try_source(path, &error) != 0)
		problems_warn(problems, place_of(config, instance), instance->line,
			"%s; it cannot be compiled", error.text);
}

/* ---- Lookups --------------------------------------------------------------------------------- */

/* Does the error name a line of its file? Then the file is there, and wrong. */
static bool
names_line(const struct instance *instance, const char *text)
{
	const char *path = map_source(instance);
	const char *at = path ? strstr(text, path) : NULL;

	while (at && !(at[strlen(path)] == ':' && isdigit((unsigned char)at[strlen(path) + 1])))
		at = strstr(at + 1, path);
	return at != NULL;
}

/* Can it be read now? */
static void
check_table(const struct config *config, struct problems *problems, struct instance *instance,
	ph_pool *pool)
{
	const struct ph_map_ops *ops = instance->ops;
	ph_error error = {""};
	ph_span value;

	if (instance_open(instance, &error) != 0 && names_line(instance, error.text))
		problems_add(problems, place_of(config, instance), instance->line, "%s",
			error.text);
	else if (!instance->opened)
		problems_warn(problems, place_of(config, instance), instance->line,
			"%s; the daemon does not start without it", error.text);
	else if (ops->find(instance->self, pool, ph_span_of("posthouse"), &value, &error) == PH_FAILED)
		problems_warn(problems, place_of(config, instance), instance->line,
			"%s: %s; lookups in it fail", instance->name, error.text);
	instance_close(instance);
}

static int
was_told(struct instance *instance, ph_error *error)
{
	int result = instance_open(instance, error);

	instance_close(instance);
	return result;
}

/* Tables, those of defaults too. What is wrong with one that others are made of is told of that
 * one. */
void
check_tables(const struct config *config, struct problems *problems)
{
	ph_pool *pool = ph_pool_new(0);
	struct instance *instance;
	ph_error error;

	for (size_t i = 0; pool && (instance = config_instance(config, PH_CLASS_MAP, i)); i++) {
		if (!(map_flags(instance) & PH_MAP_WAITS) &&
			map_each_nested(instance, was_told, &error) == 0)
			check_table(config, problems, instance, pool);
		check_age(config, problems, instance);
	}
	ph_pool_free(pool);
}
