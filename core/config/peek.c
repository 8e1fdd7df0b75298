#include "config/peek.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/expand.h"
#include "config/grow.h"
#include "config/parse.h"
#include "config/sources.h"

/* One "name = text" outside of sections. */
struct assignment {
	const char *name, *text;
};

struct view {
	ph_pool *pool;
	struct sources sources;
	struct problems *problems;
	struct assignment *items; /* a later one of the same name counts */
	size_t count, room;
};

/* ---- Reading --------------------------------------------------------------------------------- */

static int read_file(struct view *view, const char *path, bool included);

/* A directory that cannot be listed is for those to report who load the configuration. */
static void
include(struct view *view, const char *path, const struct statement *statement)
{
	const char *slash = strrchr(path, '/');
	size_t size = slash != NULL ? (size_t)(slash - path) : 0;

	for (size_t i = 0; i < statement->item_count; i++) {
		const char *name = statement->items[i].text;
		ph_strings paths;
		ph_error error;

		if (name[0] != '/' && slash != NULL)
			name = memory_or_die(
				ph_pool_printf(view->pool, "%.*s/%s", (int)size, path, name));
		if (sources_list(&view->sources, name, &paths, &error) != 0)
			continue;
		for (size_t j = 0; j < paths.count; j++)
			read_file(view, paths.items[j], true);
	}
}

static void
take_statement(struct view *view, const char *path, const struct statement *statement,
	bool included)
{
	if (statement->kind == SCAN_CALL && strcmp(statement->name, "include_dir") == 0 &&
		!included)
		include(view, path, statement);
	if (statement->kind != SCAN_ASSIGNMENT || statement->section != -1 || statement->append ||
		statement->item_count > 1)
		return;
	view->items = grow(view->pool, view->items, view->count, &view->room, sizeof(*view->items));
	view->items[view->count++] = (struct assignment){
		statement->name, statement->item_count == 1 ? statement->items[0].text : ""};
}

static int
read_file(struct view *view, const char *path, bool included)
{
	struct parsed parsed = {.count = 0};
	ph_span text;
	ph_error error;
	int result;

	if (sources_read(&view->sources, path, &text, &error) != 0) {
		problems_add(view->problems, NULL, 0, "%s", error.text);
		return -1;
	}
	result = parse_text(view->pool, path, text, NULL, &parsed, view->problems);
	for (size_t i = 0; i < parsed.count; i++)
		take_statement(view, path, &parsed.statements[i], included);
	return result;
}

/* ---- Values ---------------------------------------------------------------------------------- */

static const char *
default_text(const char *name)
{
	for (size_t i = 0; i < settings_param_count; i++)
		if (strcmp(settings_params[i].name, name) == 0)
			return settings_params[i].default_value != NULL ? settings_params[i].default_value : "";
	return NULL;
}

static const char *
value_of(void *context, ph_pool *pool, const char *name, const struct expand_chain *chain,
	ph_error *error)
{
	const struct view *view = context;
	const char *text = default_text(name);

	for (size_t i = 0; i < view->count; i++)
		if (strcmp(view->items[i].name, name) == 0)
			text = view->items[i].text;
	if (text == NULL) {
		ph_error_set(error, "%s: there is no such parameter", name);
		return NULL;
	}
	return expand_text(pool, text, value_of, context, chain, error);
}

static void
keep_first(void *context, bool warning, const char *line)
{
	ph_error *error = context;

	if (!warning && error->text[0] == '\0')
		ph_error_set(error, "%s", line);
}

int
config_peek(const char *path, ph_pool *pool, struct peek *peeks, size_t count, ph_error *error)
{
	struct view view = {.pool = pool, .sources = {.pool = pool}, .problems = problems_new()};
	ph_error why = {""};
	int result = view.problems != NULL ? 0 : ph_error_set(&why, "out of memory");

	if (result == 0 && (access(path, F_OK) == 0 || errno != ENOENT))
		result = read_file(&view, path, false);
	if (result != 0 && view.problems != NULL)
		problems_each(view.problems, keep_first, &why);
	for (size_t i = 0; i < count && result == 0; i++) {
		struct expand_chain chain = {.name = peeks[i].name};

		peeks[i].value = value_of(&view, pool, peeks[i].name, &chain, &why);
		if (peeks[i].value == NULL)
			result = -1;
	}
	if (view.problems != NULL)
		problems_free(view.problems);
	return result == 0 ? 0 : ph_error_set(error, "%s", why.text);
}
