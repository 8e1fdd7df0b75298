#include "config/parse.h"

#include <confuse.h>
#include <stdlib.h>
#include <string.h>

#include "config/grow.h"
#include "config/nearest.h"

/* A value as libconfuse read it. */
struct event {
	const char *name;
	const char *text;
};

/* A name that is in no table, in a section with that keyword (NULL: outside). */
struct extra {
	const char *keyword;
	const char *name;
};

struct parser {
	ph_pool *pool;
	const char *path;
	const struct vocabulary *vocabulary;
	const struct scan *scan;
	struct event *events;
	size_t event_count, event_room;
	struct extra *extras;
	size_t extra_count, extra_room;
	bool grown;        /* the attempt failed for a name that is now among the extras */
	ph_error error;    /* any other failure of libconfuse */
	int error_line;
};

/* libconfuse's callbacks have no argument for their caller. Set during cfg_parse_fp() only. */
static struct parser *running;

static const char *const functions[] = {"load", "include_dir"};

#define FUNCTIONS (sizeof(functions) / sizeof(functions[0]))

static void
add_event(const char *name, const char *text)
{
	char *copy = memory_or_die(ph_pool_strdup(running->pool, text));

	for (char *c = copy; *c; c++) {
		if (*c == SCAN_BRACE_OPEN || *c == SCAN_PAREN_OPEN)
			*c = *c == SCAN_BRACE_OPEN ? '{' : '(';
		else if (*c == SCAN_BRACE_CLOSE || *c == SCAN_PAREN_CLOSE)
			*c = *c == SCAN_BRACE_CLOSE ? '}' : ')';
	}
	running->events = grow(running->pool, running->events, running->event_count,
		&running->event_room, sizeof(*running->events));
	running->events[running->event_count++] =
		(struct event){memory_or_die(ph_pool_strdup(running->pool, name)), copy};
}

static int
on_value(cfg_t *cfg, cfg_opt_t *option, const char *value, void *result)
{
	add_event(option->name, value);
	*(const char **)result = value;
	return 0;
}

static int
on_call(cfg_t *cfg, cfg_opt_t *option, int argc, const char **argv)
{
	for (int i = 0; i < argc; i++)
		add_event(option->name, argv[i]);
	return 0;
}

static void
add_extra(struct parser *parser, const char *keyword, const char *name)
{
	for (size_t i = 0; i < parser->extra_count; i++) {
		const struct extra *extra = &parser->extras[i];

		if (!keyword == !extra->keyword && strcmp(extra->name, name) == 0 &&
			(!keyword || strcmp(keyword, extra->keyword) == 0))
			return;
	}
	parser->extras = grow(parser->pool, parser->extras, parser->extra_count,
		&parser->extra_room, sizeof(*parser->extras));
	parser->extras[parser->extra_count++] = (struct extra){
		keyword ? memory_or_die(ph_pool_strdup(parser->pool, keyword)) : NULL,
		memory_or_die(ph_pool_strdup(parser->pool, name))};
	parser->grown = true;
}

static void on_error(cfg_t *cfg, const char *format, va_list arguments) PH_PRINTF(2, 0);

/* An unknown name joins the schema, and the file is parsed again: all of them are to be
 * reported. */
static void
on_error(cfg_t *cfg, const char *format, va_list arguments)
{
	char text[200];

	if (strcmp(format, "no such option '%s'") == 0) {
		const char *name = va_arg(arguments, const char *);

		add_extra(running, strcmp(cfg->name, "root") == 0 ? NULL : cfg->name, name);
		return;
	}
	vsnprintf(text, sizeof(text), format, arguments);
	ph_error_set(&running->error, "%s", text);
	running->error_line = cfg->line;
}

/* Every option is a list to libconfuse: whether one value was due is ours to say. */
static cfg_opt_t
option(const char *name)
{
	return (cfg_opt_t){.name = name, .type = CFGT_STR, .flags = CFGF_LIST | CFGF_NODEFAULT,
		.parsecb = on_value};
}

static bool
is_section(const struct parser *parser, const char *name)
{
	for (size_t i = 0; i < parser->scan->count; i++)
		if (parser->scan->statements[i].kind == SCAN_SECTION &&
			strcmp(parser->scan->statements[i].name, name) == 0)
			return true;
	return false;
}

static const struct vocabulary_section *
find_section(const struct parser *parser, const char *keyword)
{
	for (size_t i = 0; parser->vocabulary && i < parser->vocabulary->section_count; i++)
		if (strcmp(parser->vocabulary->sections[i].keyword, keyword) == 0)
			return &parser->vocabulary->sections[i];
	return NULL;
}

static cfg_opt_t
section(struct parser *parser, const char *keyword)
{
	const struct vocabulary_section *known = find_section(parser, keyword);
	size_t count = known ? known->count : 0, at = 0;
	cfg_opt_t *options = memory_or_die(ph_pool_array(parser->pool,
		count + parser->extra_count + 1, sizeof(*options)));

	for (size_t i = 0; i < count; i++)
		options[at++] = option(known->names[i]);
	for (size_t i = 0; i < parser->extra_count; i++)
		if (parser->extras[i].keyword && strcmp(parser->extras[i].keyword, keyword) == 0)
			options[at++] = option(parser->extras[i].name);
	options[at] = (cfg_opt_t)CFG_END();
	return (cfg_opt_t){.name = keyword, .type = CFGT_SEC, .flags = CFGF_MULTI | CFGF_TITLE,
		.subopts = options};
}

/* The schema: functions, the tables' names, sections, and the extras. */
static cfg_opt_t *
schema(struct parser *parser)
{
	const struct vocabulary *known = parser->vocabulary;
	size_t count = known ? known->count + known->section_count : 0, at = 0;
	cfg_opt_t *options = memory_or_die(ph_pool_array(parser->pool,
		FUNCTIONS + count + parser->extra_count + 1, sizeof(*options)));

	for (size_t i = 0; i < FUNCTIONS; i++)
		options[at++] = (cfg_opt_t)CFG_FUNC(functions[i], on_call);
	for (size_t i = 0; known && i < known->count; i++)
		options[at++] = option(known->names[i]);
	for (size_t i = 0; known && i < known->section_count; i++)
		options[at++] = section(parser, known->sections[i].keyword);
	for (size_t i = 0; i < parser->extra_count; i++)
		if (!parser->extras[i].keyword)
			options[at++] = is_section(parser, parser->extras[i].name)
				? section(parser, parser->extras[i].name)
				: option(parser->extras[i].name);
	options[at] = (cfg_opt_t)CFG_END();
	return options;
}

/* One attempt with the schema as it is now. 0, or -1 with parser->grown or parser->error. */
static int
attempt(struct parser *parser, size_t size)
{
	cfg_t *cfg = cfg_init(schema(parser), parser->vocabulary ? CFGF_NONE : CFGF_IGNORE_UNKNOWN);
	FILE *file = size ? fmemopen(parser->scan->clean, size, "r") : NULL;
	int result = -1;

	parser->event_count = 0;
	parser->grown = false;
	parser->error.text[0] = '\0';
	memory_or_die(cfg);
	cfg->filename = memory_or_die(strdup(parser->path));
	cfg_set_error_function(cfg, on_error);
	running = parser;
	if (size == 0)
		result = 0;
	else if (memory_or_die(file))
		result = cfg_parse_fp(cfg, file) == CFG_SUCCESS ? 0 : -1;
	running = NULL;
	if (file)
		fclose(file);
	cfg_free(cfg);
	return result;
}

static const char *
keyword_of(const struct scan *scan, const struct scan_statement *statement)
{
	return statement->section == -1 ? NULL : scan->statements[statement->section].name;
}

/* In the first pass every name of the file is known: what libconfuse 3.3 does with an unknown one
 * (it loses the statement behind "+=", and cannot skip a section) must not matter. */
static void
accept_all(struct parser *parser)
{
	for (size_t i = 0; i < parser->scan->count; i++) {
		const struct scan_statement *statement = &parser->scan->statements[i];

		if (statement->kind != SCAN_CALL)
			add_extra(parser, keyword_of(parser->scan, statement), statement->name);
	}
}

static bool
is_function(const char *name, struct nearest *nearest)
{
	bool found = false;

	for (size_t i = 0; i < FUNCTIONS; i++) {
		nearest_try(nearest, functions[i]);
		found = found || strcmp(functions[i], name) == 0;
	}
	return found;
}

/* Is the form of each statement the one that its name has? */
static int
check_forms(struct parser *parser, struct problems *problems)
{
	int result = 0;
	char hint[128];

	for (size_t i = 0; i < parser->scan->count; i++) {
		const struct scan_statement *statement = &parser->scan->statements[i];
		struct nearest nearest = nearest_to(statement->name);
		bool function = is_function(statement->name, &nearest);
		bool keyword = find_section(parser, statement->name) != NULL;

		if (statement->kind == SCAN_CALL && !function)
			problems_add(problems, parser->path, statement->line,
				"%s(…): no such function%s",
				statement->name, nearest_hint(&nearest, hint, sizeof(hint)));
		else if (statement->kind == SCAN_CALL && statement->section != -1)
			problems_add(problems, parser->path, statement->line,
				"%s(…) stands outside of sections", statement->name);
		else if (statement->kind != SCAN_CALL && function)
			problems_add(problems, parser->path, statement->line,
				"%s is a function: %s(name, name)", statement->name, statement->name);
		else if (statement->kind == SCAN_ASSIGNMENT && statement->section == -1 && keyword)
			problems_add(problems, parser->path, statement->line,
				"%s is a section: %s NAME { … }", statement->name, statement->name);
		else
			continue;
		result = -1;
	}
	return result;
}

/* The values of a statement are the next events: both readings of the file must agree. */
static bool
take_events(struct parser *parser, const struct scan_statement *from, struct statement *to,
	size_t *at)
{
	struct text_item *items;

	if (from->item_count > parser->event_count - *at)
		return false;
	items = memory_or_die(ph_pool_array(parser->pool, from->item_count + 1, sizeof(*items)));
	for (size_t i = 0; i < from->item_count; i++) {
		const struct event *event = &parser->events[*at + i];

		if (strcmp(event->name, from->name) != 0)
			return false;
		items[i] = (struct text_item){.text = event->text, .file = parser->path,
			.line = from->items[i].line};
	}
	*at += from->item_count;
	to->items = items;
	to->item_count = from->item_count;
	return true;
}

static bool
is_known(const struct parser *parser, const struct scan_statement *statement)
{
	const char *keyword = keyword_of(parser->scan, statement);

	if (!parser->vocabulary)
		return true;
	if (!keyword && statement->kind == SCAN_CALL)
		return true;
	for (size_t i = 0; i < parser->extra_count; i++) {
		const struct extra *extra = &parser->extras[i];

		if (strcmp(extra->name, statement->name) == 0 && (keyword
			? extra->keyword && strcmp(extra->keyword, keyword) == 0 : !extra->keyword))
			return false;
	}
	return true;
}

static void
collect(struct parser *parser, struct parsed *parsed, struct problems *problems, bool complete)
{
	const struct scan *scan = parser->scan;
	struct statement *statements =
		memory_or_die(ph_pool_array(parser->pool, scan->count + 1, sizeof(*statements)));
	size_t at = 0, i;

	for (i = 0; i < scan->count; i++) {
		const struct scan_statement *from = &scan->statements[i];

		statements[i] = (struct statement){.kind = from->kind, .name = from->name,
			.title = from->title, .file = parser->path, .line = from->line,
			.section = from->section, .append = from->append, .braced = from->braced,
			.unknown = !is_known(parser, from)};
		if (!take_events(parser, from, &statements[i], &at))
			break;
	}
	if (i < scan->count && complete)
		problems_add(problems, parser->path, scan->statements[i].line,
			"%s: this value cannot be read; write it in single quotes",
			scan->statements[i].name);
	*parsed = (struct parsed){.statements = statements, .count = i};
}

int
parse_text(ph_pool *pool, const char *path, ph_span text, const struct vocabulary *vocabulary,
	struct parsed *parsed, struct problems *problems)
{
	struct scan scan;
	struct parser parser = {.pool = pool, .path = path, .vocabulary = vocabulary,
		.scan = &scan};
	ph_error error;
	int result;

	*parsed = (struct parsed){0};
	if (scan_text(pool, text, &scan, &error) != 0) {
		problems_add(problems, path, scan.error_line, "%s", error.text);
		return -1;
	}
	if (!vocabulary)
		accept_all(&parser);
	if (check_forms(&parser, problems) != 0)
		return -1;
	do {
		result = attempt(&parser, text.size);
	} while (result != 0 && parser.grown);
	if (result != 0)
		problems_add(problems, path, parser.error_line, "%s",
			parser.error.text[0] ? parser.error.text : "syntax error");
	collect(&parser, parsed, problems, result == 0);
	return result;
}
