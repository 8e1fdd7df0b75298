/*
 * posthouse config, postconf: parameters shown and edited.
 */
#include "cli/cli.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/json.h"
#include "cli/manual.h"
#include "config/edit.h"
#include "config/nearest.h"
#include "config/state.h"

struct options {
	const char *config;
	bool edit, only_set, defaults, values_only, expanded, json, man, man_restrictions,
		map_types;
	enum edit_kind kind;
};

enum { OPTION_MAN = 256, OPTION_MAN_RESTRICTIONS };

static const char *const type_names[] = {
	[PH_BOOL] = "bool", [PH_INT] = "int", [PH_SIZE] = "size", [PH_TIME] = "time",
	[PH_STRING] = "string", [PH_PATH] = "path", [PH_ENUM] = "enum", [PH_STRINGS] = "strings",
	[PH_ADDRESSES] = "addresses", [PH_NETWORKS] = "networks", [PH_MATCH_LIST] = "match list",
	[PH_MAP_REF] = "maps", [PH_RESTRICTIONS] = "restrictions"};

static void
print_line(void *context, bool warning, const char *line)
{
	cli_error("%s", line);
}

/* ---- One parameter --------------------------------------------------------------------------- */

/* What is shown: a parameter, of a section or not. */
struct shown {
	const struct config *config;
	const struct options *options;
	const char *name;               /* with its section */
	const struct ph_param *param;
	const struct module *owner;     /* NULL: the core */
	const struct section *section;
	size_t count;                   /* of parameters shown before it */
};

static const char *
default_of(const struct shown *shown, ph_error *error)
{
	const struct text_item *items;
	size_t count;

	default_items(shown->config, shown->param, &items, &count);
	if (shown->options->expanded &&
		items_expand(shown->config, shown->section, shown->param, items,
		count, &items, &count, error) != 0)
		return NULL;
	return items_join(shown->config->pool, items, count);
}

static const char *
value_of(const struct shown *shown, ph_error *error)
{
	if (shown->options->defaults)
		return default_of(shown, error);
	return parameter_text(shown->config, shown->section, shown->param, shown->options->expanded,
		error);
}

static void
print_json(const struct shown *shown, const char *value, const struct setting *setting)
{
	ph_error error;

	fputs(shown->count ? ",\n  {" : "\n  {", stdout);
	json_member(stdout, "name", shown->name, 1);
	json_member(stdout, "value", value, 0);
	json_member(stdout, "default", default_of(shown, &error), 0);
	json_member(stdout, "type", type_names[shown->param->type], 0);
	if (shown->param->choices)
		json_member(stdout, "choices", shown->param->choices, 0);
	printf(", \"set\": %s", setting ? "true" : "false");
	json_member(stdout, "file", setting ? setting->file : NULL, 0);
	if (setting)
		printf(", \"line\": %d", setting->line);
	json_member(stdout, "owner", shown->owner ? shown->owner->name : "core", 0);
	printf(", \"in_sections\": %s",
		shown->param->flags & (PH_PER_SECTION | PH_SECTION_ONLY) ? "true" : "false");
	json_member(stdout, "doc", shown->param->doc ? shown->param->doc : "", 0);
	fputc('}', stdout);
}

static struct setting *
setting_of(const struct shown *shown)
{
	return setting_find(shown->section ? &shown->section->set : &shown->config->set,
		shown->param->name);
}

static int
print(struct shown *shown)
{
	ph_error error;
	const char *value = value_of(shown, &error);

	if (!value) {
		cli_error("%s: %s", shown->name, error.text);
		return 1;
	}
	if (shown->options->json)
		print_json(shown, value, setting_of(shown));
	else if (shown->options->values_only)
		printf("%s\n", value);
	else
		printf("%s =%s%s\n", shown->name, value[0] ? " " : "", value);
	shown->count++;
	return 0;
}

/* ---- Many of them ---------------------------------------------------------------------------- */

static int
print_outside(struct shown *shown)
{
	const struct config *config = shown->config;
	int result = 0;

	shown->section = NULL;
	for (size_t i = 0; i < config->parameter_count; i++) {
		const struct parameter *parameter = &config->parameters[i];

		if (i && strcmp(config->parameters[i - 1].param->name, parameter->param->name) == 0)
			continue;
		shown->name = parameter->param->name;
		shown->param = parameter->param;
		shown->owner = parameter->owner;
		if (!shown->options->only_set || setting_of(shown))
			result |= print(shown);
	}
	return result;
}

/* What sections set, under names that -e takes. */
static int
print_sections(struct shown *shown)
{
	static const struct ph_param module = {.name = "module", .type = PH_STRING,
		.doc = "The module that the section makes an instance of."};
	int result = 0;

	for (size_t i = 0; i < shown->config->section_count; i++) {
		const struct section *section = shown->config->sections[i];

		shown->section = section;
		shown->owner = section->module;
		for (size_t j = 0; j < section->set.count; j++) {
			const char *name = section->set.items[j].name;

			shown->param = strcmp(name, "module") == 0 ? &module
				: section_param(section->class, section->module, name);
			shown->name = ph_pool_printf(shown->config->pool, "%s/%s/%s",
				section->class->name, section->title, name);
			if (shown->param && shown->name)
				result |= print(shown);
		}
	}
	return result;
}

static const struct section *
find_section(const struct config *config, const char *path, const char **name)
{
	const char *first = strchr(path, '/'), *second = first ? strchr(first + 1, '/') : NULL;

	for (size_t i = 0; second && i < config->section_count; i++) {
		const struct section *section = config->sections[i];

		if (ph_span_equal((ph_span){path, (size_t)(first - path)},
				ph_span_of(section->class->name)) &&
			ph_span_equal((ph_span){first + 1, (size_t)(second - first) - 1},
				ph_span_of(section->title))) {
			*name = second + 1;
			return section;
		}
	}
	return NULL;
}

static int
print_named(struct shown *shown, const char *path)
{
	const char *name = path;
	const struct section *section = find_section(shown->config, path, &name);
	const struct parameter *parameter = parameter_find(shown->config, path);
	char hint[160] = "";

	shown->section = section;
	shown->name = path;
	shown->owner = section ? section->module : parameter ? parameter->owner : NULL;
	shown->param = section ? section_param(section->class, section->module, name)
		: parameter ? parameter->param : NULL;
	if (shown->param)
		return print(shown);
	if (!strchr(path, '/'))
		parameter_hint((struct config *)shown->config, path, hint, sizeof(hint));
	cli_error("warning: %s: no such parameter%s", path, hint);
	return 1;
}

static int
print_map_types(const struct config *config)
{
	for (size_t i = 0; i < config->module_count; i++)
		if (config->modules[i]->class->number == PH_CLASS_MAP)
			printf("%s\n", config->modules[i]->short_name);
	return 0;
}

static int
show(const struct config *config, const struct options *options, char **names, int count)
{
	struct shown shown = {.config = config, .options = options};
	int result = 0;

	if (options->man_restrictions)
		return manual_restrictions(config, stdout);
	if (options->man)
		return manual_print(config, stdout);
	if (options->map_types)
		return print_map_types(config);
	if (options->json)
		fputc('[', stdout);
	for (int i = 0; i < count; i++)
		result |= print_named(&shown, names[i]);
	if (count == 0)
		result = print_outside(&shown);
	if (count == 0 && options->only_set && !options->defaults)
		result |= print_sections(&shown);
	if (options->json)
		fputs("\n]\n", stdout);
	return result;
}

/* ---- The command ----------------------------------------------------------------------------- */

static int
parse_edit(ph_pool *pool, const char *argument, enum edit_kind kind, struct edit *edit,
	ph_error *error)
{
	if (kind == EDIT_SET)
		return edit_parse(pool, argument, edit, error);
	*edit = (struct edit){.kind = kind, .name = argument};
	return strchr(argument, '=') ? ph_error_set(error, "\"%s\": expected a name alone",
		argument) : 0;
}

static int
edit(const char *path, char **arguments, int count, enum edit_kind kind)
{
	ph_pool *pool = ph_pool_new(0);
	struct edit *edits = pool ? ph_pool_array(pool, (size_t)count, sizeof(*edits)) : NULL;
	struct problems *problems = problems_new();
	ph_error error;
	int result = 0;

	if (!edits || !problems) {
		cli_error("out of memory");
		return EX_OSERR;
	}
	for (int i = 0; i < count && result == 0; i++)
		result = parse_edit(pool, arguments[i], kind, &edits[i], &error);
	if (result == 0)
		result = edit_file(path, edits, (size_t)count, problems, &error);
	problems_each(problems, print_line, NULL);
	if (result != 0)
		cli_error("%s", error.text);
	problems_free(problems);
	ph_pool_free(pool);
	return result == 0 ? 0 : 1;
}

static int
usage(const char *name)
{
	cli_error("usage: %s [-c FILE] [-d] [-h] [-j] [-n] [-x] [NAME ...] | [-c FILE] -e NAME=VALUE ... | "
		"[-c FILE] -X | -# NAME ...", name);
	return EX_USAGE;
}

static int
no_master(void)
{
	cli_error("there is no master.cf: listeners and transports are sections of posthouse.conf; -n shows "
		"their parameters, -e listener/NAME/PARAMETER=VALUE sets one");
	return 1;
}

/* 0, -1 for a wrong use, or 1: it was told what is wrong. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const struct option long_options[] = {{"man", no_argument, NULL, OPTION_MAN},
		{"man-restrictions", no_argument, NULL, OPTION_MAN_RESTRICTIONS}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "c:dehjmnxX#MPF", long_options, NULL)) != -1) {
		if (option == 'c')
			options->config = optarg;
		else if (option == 'd')
			options->defaults = true;
		else if (option == 'e')
			options->edit = true;
		else if (option == 'h')
			options->values_only = true;
		else if (option == 'j')
			options->json = true;
		else if (option == 'm')
			options->map_types = true;
		else if (option == 'n')
			options->only_set = true;
		else if (option == 'x')
			options->expanded = true;
		else if (option == 'X' || option == '#')
			options->kind = option == 'X' ? EDIT_REMOVE : EDIT_COMMENT;
		else if (option == OPTION_MAN)
			options->man = true;
		else if (option == OPTION_MAN_RESTRICTIONS)
			options->man_restrictions = options->man = true;
		else if (option == 'M' || option == 'P' || option == 'F')
			return no_master();
		else
			return -1;
	}
	return 0;
}

/* Values are shown of a configuration with problems too; that there are some is said. */
static int
show_file(const char *path, const struct options *options, char **names, int count)
{
	struct problems *problems = problems_new();
	struct config *config;
	ph_span none = {NULL, 0};
	ph_span text;
	ph_error error;
	int result = 1;

	if (!problems)
		return EX_OSERR;
	config = config_read(path, none, -1, options->man ? CONFIG_UNTRUSTED : 0, problems);
	if (sources_read(&config->sources, path, &text, &error) != 0 && !options->defaults) {
		cli_error("%s", error.text);
	} else {
		if (problems_count(problems) && !options->man)
			cli_error("%s has problems (%zu); \"posthouse check\" shows them", path,
				problems_count(problems));
		result = show(config, options, names, count);
	}
	config_free(config);
	problems_free(problems);
	return result;
}

int
command_config(int argc, char **argv)
{
	struct options options = {0};
	const char *path;
	bool has_value = false;

	int parsed = parse_options(argc, argv, &options);

	if (parsed != 0)
		return parsed == 1 ? EX_USAGE : usage(argv[0]);
	path = cli_config_path(options.config);
	for (int i = optind; i < argc; i++)
		has_value = has_value || strchr(argv[i], '=');
	if ((options.edit || options.kind != EDIT_SET) && optind == argc)
		return usage(argv[0]);
	if (options.edit || options.kind != EDIT_SET || has_value)
		return edit(path, argv + optind, argc - optind, options.kind);
	return show_file(path, &options, argv + optind, argc - optind);
}

int
command_postconf(int argc, char **argv)
{
	return command_config(argc, argv);
}
