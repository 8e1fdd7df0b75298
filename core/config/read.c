/*
 * Reading a configuration: the files, in two passes, and the modules between them.
 */
#include "config/state.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/grow.h"
#include "config/nearest.h"

/* The statements load(): kept until the whole file is read, as module_directory may stand below. */
struct loads {
	const struct statement **items;
	size_t count, room;
};

/* The statements of all files, in the order in which they count: those of an included file stand
 * where include_dir() did. */
struct stream {
	struct config *config;
	const struct vocabulary *vocabulary; /* NULL: the first pass */
	int depth;
	int result;
	void (*each)(struct stream *stream, const struct parsed *parsed, size_t i);
	const struct parsed *file;  /* the file in hand */
	struct section **sections;  /* of the file in hand, by the index of the statement */
	struct loads *loads;        /* the first pass */
};

/* ---- Files ----------------------------------------------------------------------------------- */

/* Whoever may write the configuration decides what root loads. */
static void
check_mode(struct config *config, const char *path)
{
	struct stat status;

	if (config->sources.snapshot || stat(path, &status) == -1)
		return;
	if (status.st_mode & (S_IWGRP | S_IWOTH))
		problems_warn(config->problems, path, 0, "is writable by %s: chmod go-w it",
			status.st_mode & S_IWOTH ? "everybody" : "its group");
	if (geteuid() == 0 && status.st_uid != 0)
		problems_warn(config->problems, path, 0,
			"belongs to user %lu, who can change what root loads: "
			"chown root it", (unsigned long)status.st_uid);
}

static void read_file(struct stream *stream, const char *path, int from_line,
	const char *from_file);

static void
include_directory(struct stream *stream, const struct statement *statement)
{
	struct config *config = stream->config;

	for (size_t i = 0; i < statement->item_count; i++) {
		const struct text_item *item = &statement->items[i];
		const char *directory = memory_or_die(item->text[0] == '/'
			? ph_pool_strdup(config->pool, item->text)
			: ph_pool_printf(config->pool, "%s/%s", config->folder, item->text));
		ph_strings paths;
		ph_error error;

		if (sources_list(&config->sources, directory, &paths, &error) != 0) {
			if (!stream->vocabulary)
				problems_add(config->problems, statement->file, item->line,
					"include_dir(%s): %s", item->text, error.text);
			continue;
		}
		for (size_t j = 0; j < paths.count; j++)
			read_file(stream, paths.items[j], item->line, statement->file);
	}
}

static void
read_statements(struct stream *stream, const struct parsed *parsed)
{
	const struct parsed *outer = stream->file;
	struct section **outer_sections = stream->sections;

	stream->file = parsed;
	stream->sections = memory_or_die(ph_pool_array(stream->config->pool, parsed->count + 1,
		sizeof(*stream->sections)));
	for (size_t i = 0; i < parsed->count; i++) {
		const struct statement *statement = &parsed->statements[i];

		if (statement->kind != SCAN_CALL || strcmp(statement->name, "include_dir") != 0)
			stream->each(stream, parsed, i);
		else if (stream->depth == 1)
			include_directory(stream, statement);
		else if (!stream->vocabulary)
			problems_add(stream->config->problems, statement->file, statement->line,
				"include_dir() stands in the main file only");
	}
	stream->file = outer;
	stream->sections = outer_sections;
}

static void
read_file(struct stream *stream, const char *path, int from_line, const char *from_file)
{
	struct config *config = stream->config;
	struct parsed parsed;
	ph_span text;
	ph_error error;

	if (sources_read(&config->sources, path, &text, &error) != 0) {
		if (!stream->vocabulary)
			problems_add(config->problems, from_file, from_line, "%s", error.text);
		stream->result = -1;
		return;
	}
	problems_file(config->problems, path);
	if (!stream->vocabulary)
		check_mode(config, path);
	if (parse_text(config->pool, path, text, stream->vocabulary, &parsed, config->problems) != 0)
		stream->result = -1;
	stream->depth++;
	read_statements(stream, &parsed);
	stream->depth--;
}

static int
read_all(struct config *config, const struct vocabulary *vocabulary,
	void (*each)(struct stream *, const struct parsed *, size_t), struct loads *loads)
{
	struct stream stream = {.config = config, .vocabulary = vocabulary, .each = each,
		.loads = loads};

	read_file(&stream, config->path, 0, NULL);
	return stream.result;
}

/* ---- What is set ----------------------------------------------------------------------------- */

/* "+=" adds to what was set before it, or to what counts without it. */
static void
append(struct config *config, const struct section *section, struct setting *setting,
	const struct ph_param *param, const struct statement *statement)
{
	const struct text_item *before = setting->items;
	size_t count = setting->count;
	struct text_item *joined;

	if (!setting->file && param)
		setting_in_force(config, section, param, &before, &count);
	joined = memory_or_die(ph_pool_array(config->pool, count + statement->item_count + 1,
		sizeof(*joined)));
	if (count)
		memcpy(joined, before, count * sizeof(*joined));
	memcpy(joined + count, statement->items, statement->item_count * sizeof(*joined));
	/* Elements of a default count as set here. */
	for (size_t i = 0; i < count; i++)
		if (!joined[i].file)
			joined[i] = (struct text_item){.text = joined[i].text,
				.file = statement->file,
				.line = statement->line, .by_default = true};
	setting->items = joined;
	setting->count = count + statement->item_count;
}

static void
set(struct config *config, struct section *section, const struct ph_param *param,
	const struct statement *statement)
{
	struct settings_set *set = section ? &section->set : &config->set;
	struct setting *setting = setting_find(set, statement->name),
		fresh = {.name = statement->name};
	struct setting value = setting ? *setting : fresh;

	if (setting && !statement->append)
		problems_warn(config->problems, statement->file, statement->line,
			"%s: replaces the value of line %d%s%s", statement->name, setting->line,
			strcmp(setting->file, statement->file) == 0 ? "" : " of ",
			strcmp(setting->file, statement->file) == 0 ? "" : setting->file);
	if (statement->append) {
		append(config, section, &value, param, statement);
	} else {
		value.items = statement->items;
		value.count = statement->item_count;
	}
	value.braced = statement->braced;
	value.file = statement->file;
	value.line = statement->line;
	if (!setting) {
		set->items = grow(config->pool, set->items, set->count, &set->room,
			sizeof(*set->items));
		setting = &set->items[set->count++];
	}
	*setting = value;
}

/* ---- The first pass: modules ----------------------------------------------------------------- */

/* What is meant by a name that is not CLASS_NAME: "smtp" may be a listener or a transport. */
static void
explain_name(struct config *config, const struct statement *statement, const struct text_item *item)
{
	ph_strings names = loader_list(config->pool, config->settings.module_directory);
	struct nearest nearest = nearest_to(item->text);
	const char *meant = "";
	char hint[160];

	for (size_t i = 0; i < names.count; i++) {
		nearest_try(&nearest, names.items[i]);
		if (strcmp(strchr(names.items[i], '_') + 1, item->text) == 0)
			meant = memory_or_die(ph_pool_printf(config->pool, "%s%s%s", meant,
				meant[0] ? " or " : "", names.items[i]));
	}
	nearest_hint(&nearest, hint, sizeof(hint));
	problems_add(config->problems, statement->file, item->line,
		"load(%s): a module is named CLASS_NAME, as in listener_smtp%s%s%s", item->text,
		meant[0] ? "; did you mean " : hint, meant, meant[0] ? "?" : "");
}

static void
load_module(struct config *config, const struct statement *statement, const struct text_item *item,
	unsigned flags)
{
	const struct module *module;
	ph_error error;

	if (!loader_is_name(item->text)) {
		config->load_failed = true;
		explain_name(config, statement, item);
		return;
	}
	if (config_has_module(config, item->text))
		return;
	module = loader_load(config->settings.module_directory, item->text,
		flags & CONFIG_UNTRUSTED ? LOADER_UNTRUSTED : 0, &error);
	if (!module) {
		config->load_failed = true;
		problems_add(config->problems, statement->file, item->line, "load(%s): %s",
			item->text, error.text);
		return;
	}
	config->modules = grow(config->pool, config->modules, config->module_count,
		&config->module_room, sizeof(*config->modules));
	config->modules[config->module_count++] = module;
}

static void
first_pass(struct stream *stream, const struct parsed *parsed, size_t i)
{
	struct config *config = stream->config;
	const struct statement *statement = &parsed->statements[i];
	struct loads *loads = stream->loads;
	const struct parameter *parameter;

	if (statement->kind == SCAN_CALL) {
		loads->items = grow(config->pool, loads->items, loads->count, &loads->room,
			sizeof(*loads->items));
		loads->items[loads->count++] = statement;
		return;
	}
	parameter = parameter_find(config, statement->name);
	if (statement->kind == SCAN_ASSIGNMENT && statement->section == -1 && parameter) {
		struct problems *kept = config->problems;

		/* What is wrong with it is the second pass's to say. */
		config->problems = problems_new();
		set(config, NULL, parameter->param, statement);
		problems_free(config->problems);
		config->problems = kept;
	}
}

/* module_directory is needed before there are modules, and so before everything else. */
static void
fill_module_directory(struct config *config)
{
	struct fill fill = {.config = config, .file = config->path};

	for (size_t i = 0; i < settings_param_count; i++)
		if (strcmp(settings_params[i].name, "module_directory") == 0)
			fill_field(&fill, &settings_params[i], &config->settings.module_directory);
}

static int
load_modules(struct config *config, unsigned flags)
{
	struct loads loads = {0};
	int result;

	result = read_all(config, NULL, first_pass, &loads);
	fill_module_directory(config);
	if (result != 0)
		return -1;
	for (size_t i = 0; i < loads.count; i++)
		for (size_t j = 0; j < loads.items[i]->item_count; j++)
			load_module(config, loads.items[i], &loads.items[i]->items[j], flags);
	rule_classes_collect(config);
	config->set = (struct settings_set){0};
	return 0;
}

/* ---- The second pass: everything ------------------------------------------------------------- */

/* The names that may stand in sections of a class: those of every module, and the policy's. */
static struct vocabulary_section
section_vocabulary(struct config *config, const struct module_class *class)
{
	size_t room = policy_param_count + 1, count = 0;
	const char **names;

	for (size_t i = 0; i < config->module_count; i++)
		room += config->modules[i]->descriptor.param_count;
	names = memory_or_die(ph_pool_array(config->pool, room, sizeof(*names)));
	names[count++] = "module";
	for (size_t i = 0; class->number == PH_CLASS_LISTENER && i < policy_param_count; i++)
		names[count++] = policy_params[i].name;
	for (size_t i = 0; i < config->module_count; i++) {
		const struct ph_module *descriptor = &config->modules[i]->descriptor;

		for (size_t j = 0; config->modules[i]->class == class &&
			j < descriptor->param_count; j++)
			names[count++] = descriptor->params[j].name;
	}
	return (struct vocabulary_section){class->name, names, count};
}

static const struct vocabulary *
make_vocabulary(struct config *config)
{
	struct vocabulary *vocabulary =
		memory_or_die(ph_pool_alloc(config->pool, sizeof(*vocabulary)));
	struct vocabulary_section *sections =
		memory_or_die(ph_pool_array(config->pool, module_class_count, sizeof(*sections)));
	const char **names = memory_or_die(
		ph_pool_array(config->pool, config->parameter_count + 1, sizeof(*names)));

	for (size_t i = 0; i < config->parameter_count; i++) {
		const char *name = config->parameters[i].param->name;

		/* One name may belong to several modules. */
		if (vocabulary->count == 0 || strcmp(names[vocabulary->count - 1], name) != 0)
			names[vocabulary->count++] = name;
	}
	for (size_t i = 0; i < module_class_count; i++)
		if (module_classes[i].sections)
			sections[vocabulary->section_count++] = section_vocabulary(config,
				&module_classes[i]);
	vocabulary->names = names;
	vocabulary->sections = sections;
	return vocabulary;
}

/* A parameter of some module's sections: the example of one. */
static const struct module *
section_owner(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->module_count; i++)
		if (section_param(config->modules[i]->class, config->modules[i], name))
			return config->modules[i];
	return NULL;
}

static void
unknown_outside(struct config *config, const struct statement *statement)
{
	const struct module *owner = section_owner(config, statement->name);
	char hint[160];

	if (owner) {
		problems_add(config->problems, statement->file, statement->line,
			"%s: belongs in a section: %s NAME { module = %s  %s = … }", statement->name,
			owner->class->name, owner->short_name, statement->name);
		return;
	}
	parameter_hint(config, statement->name, hint, sizeof(hint));
	if (hint[0] || !config->load_failed)
		problems_add(config->problems, statement->file, statement->line,
			"%s: no such parameter%s", statement->name, hint);
}

static void
unknown_keyword(struct config *config, const struct statement *statement)
{
	struct nearest nearest = nearest_to(statement->name);
	char hint[160];

	for (size_t i = 0; i < module_class_count; i++)
		if (module_classes[i].sections)
			nearest_try(&nearest, module_classes[i].name);
	problems_add(config->problems, statement->file, statement->line,
		"%s %s { … }: no such kind of section%s", statement->name, statement->title,
		nearest_hint(&nearest, hint, sizeof(hint)));
}

static void
begin_section(struct stream *stream, const struct statement *statement, size_t index)
{
	struct config *config = stream->config;
	struct section *section = memory_or_die(ph_pool_alloc(config->pool, sizeof(*section)));

	for (size_t i = 0; i < module_class_count; i++)
		if (strcmp(module_classes[i].name, statement->name) == 0)
			section->class = &module_classes[i];
	section->title = statement->title;
	section->file = statement->file;
	section->line = statement->line;
	stream->sections[index] = section;
	for (size_t i = 0; i < config->section_count; i++)
		if (config->sections[i]->class == section->class &&
			strcmp(config->sections[i]->title, section->title) == 0)
			problems_add(config->problems, statement->file, statement->line,
				"%s %s: there is one of this name already, on line %d%s%s", statement->name,
				statement->title, config->sections[i]->line,
				strcmp(config->sections[i]->file, statement->file) ? " of " : "",
				strcmp(config->sections[i]->file, statement->file)
					? config->sections[i]->file : "");
	if (!statement->title[0] || strpbrk(statement->title, "/: \t\n,"))
		problems_add(config->problems, statement->file, statement->line,
			"%s \"%s\": a section's name has no blanks, slashes, colons or commas",
			statement->name, statement->title);
	config->sections = grow(config->pool, config->sections, config->section_count,
		&config->section_room, sizeof(*config->sections));
	config->sections[config->section_count++] = section;
}

static const struct ph_param *
policy_or_global(const struct config *config, const char *name)
{
	const struct parameter *parameter = parameter_find(config, name);

	return parameter ? parameter->param : NULL;
}

static void
second_pass(struct stream *stream, const struct parsed *parsed, size_t i)
{
	struct config *config = stream->config;
	const struct statement *statement = &parsed->statements[i];
	struct section *section = statement->section == -1 ? NULL
		: stream->sections[statement->section];

	if (statement->kind == SCAN_CALL)
		return;
	if (statement->kind == SCAN_SECTION && statement->unknown)
		unknown_keyword(config, statement);
	else if (statement->kind == SCAN_SECTION)
		begin_section(stream, statement, i);
	else if (statement->section == -1 && statement->unknown)
		unknown_outside(config, statement);
	else if (statement->section == -1)
		set(config, NULL, policy_or_global(config, statement->name), statement);
	else if (section) /* of an unknown section nothing is known */
		set(config, section, policy_or_global(config, statement->name), statement);
}

/* ---- All of it ------------------------------------------------------------------------------- */

static struct config *
config_new(const char *path, struct problems *problems)
{
	ph_pool *pool = memory_or_die(ph_pool_new(0));
	struct config *config = memory_or_die(ph_pool_alloc(pool, sizeof(*config)));
	const char *slash = strrchr(path, '/');

	config->pool = pool;
	config->path = memory_or_die(ph_pool_strdup(pool, path));
	config->folder = memory_or_die(slash == path ? ph_pool_strdup(pool, "/")
		: slash ? ph_pool_copy(pool, (ph_span){path, (size_t)(slash - path)})
		: ph_pool_strdup(pool, "."));
	config->sources.pool = pool;
	config->problems = problems;
	config->settings.module_directory = MODULE_DIR;
	config_enlist(config);
	return config;
}

static void
read_into(struct config *config, unsigned flags)
{
	bool whole = true;

	config->flags = flags;
	parameters_collect(config);
	if (!(flags & CONFIG_DEFAULTS) && load_modules(config, flags) != 0) {
		/* A module that was not seen would make everything of it unknown. */
		config->set = (struct settings_set){0};
		config->load_failed = true;
	}
	parameters_collect(config);
	parameters_check(config);
	map_types_check(config);
	transport_names_check(config);
	if (!(flags & CONFIG_DEFAULTS)) {
		/* Syntax was the first pass's to complain of; problems are not added twice. */
		whole = read_all(config, make_vocabulary(config), second_pass, NULL) == 0;
		sections_check(config);
	}
	instances_build(config);
	if (whole)
		config_check(config);
}

struct config *
config_read(const char *path, ph_span text, int snapshot_fd, unsigned flags,
	struct problems *problems)
{
	struct config *config = config_new(path, problems);
	ph_error error;

	if (snapshot_fd != -1 && sources_open_snapshot(&config->sources, snapshot_fd, &error) != 0)
		problems_add(problems, NULL, 0, "%s", error.text);
	if (text.data)
		sources_add(&config->sources, config->path, text);
	read_into(config, flags);
	config->problems = NULL;
	return config;
}

struct config *
config_load(const char *path, int snapshot_fd, struct problems *problems)
{
	struct config *config = config_read(path, (ph_span){NULL, 0}, snapshot_fd, 0, problems);

	if (problems_count(problems) == 0)
		return config;
	config_free(config);
	return NULL;
}
