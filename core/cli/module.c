/*
 * posthouse module: what is installed, what is loaded, what a module provides.
 */
#include "cli/cli.h"

#include <posthouse/map.h>
#include <posthouse/restriction.h>
#include <posthouse/transport.h>

#include <getopt.h>
#include <string.h>
#include <sysexits.h>

#include "cli/json.h"
#include "config/nearest.h"
#include "config/state.h"

static const char *const type_names[] = {
	[PH_BOOL] = "yes or no", [PH_INT] = "number", [PH_SIZE] = "size", [PH_TIME] = "time",
	[PH_STRING] = "text", [PH_PATH] = "path", [PH_ENUM] = "one of", [PH_STRINGS] = "list",
	[PH_ADDRESSES] = "addresses", [PH_NETWORKS] = "networks",
	[PH_MATCH_LIST] = "names and tables",
	[PH_MAP_REF] = "tables", [PH_RESTRICTIONS] = "restrictions"};

static int
list(const struct config *config, bool json)
{
	const char *directory = config->settings.module_directory;
	ph_strings names = loader_list(config->pool, directory);
	int result = 0;

	if (json)
		fputc('[', stdout);
	for (size_t i = 0; i < names.count; i++) {
		bool loaded = config_has_module(config, names.items[i]);
		ph_error error = {""};
		const struct module *module = loader_load(directory, names.items[i], 0, &error);

		if (json) {
			fputs(i ? ",\n  {" : "\n  {", stdout);
			json_member(stdout, "name", names.items[i], 1);
			json_member(stdout, "version", module ? module->descriptor.version : NULL,
				0);
			json_member(stdout, "purpose", module ? module->descriptor.purpose : NULL,
				0);
			json_member(stdout, "error", module ? NULL : error.text, 0);
			printf(", \"loaded\": %s}", loaded ? "true" : "false");
		} else if (module) {
			printf("%-24s %-8s %-7s %s\n", module->name, module->descriptor.version,
				loaded ? "loaded" : "", module->descriptor.purpose);
		} else {
			cli_error("%s", error.text);
			result = 1;
		}
	}
	if (json)
		fputs("\n]\n", stdout);
	else if (names.count == 0)
		cli_error("there are no modules in %s", directory);
	return result;
}

static void
print_param(const struct ph_param *param)
{
	printf("  %s = %s\n", param->name, param->default_value ? param->default_value : "");
	printf("      %s%s%s%s\n", type_names[param->type], param->choices ? ": " : "",
		param->choices ? param->choices : "",
		param->flags & PH_SECTION_ONLY ? "; only in sections"
		: param->flags & PH_PER_SECTION ? "; also in sections" : "");
	if (param->doc && param->doc[0])
		printf("      %s\n", param->doc);
}

static void
print_restriction(const struct ph_restriction *restriction)
{
	static const char *const arguments[] = {[PH_NO_ARGUMENT] = "",
		[PH_ARGUMENT_STRING] = " ARGUMENT",
		[PH_ARGUMENT_MAP] = " TYPE:PATH", [PH_OPTIONAL_STRING] = " [ARGUMENT]"};

	printf("  %s%s\n", restriction->name,
		restriction->argument <= PH_OPTIONAL_STRING ? arguments[restriction->argument]
		: "");
	if (restriction->doc && restriction->doc[0])
		printf("      %s\n", restriction->doc);
}

/* What follows the colon of a table. */
static const char *
word_of_path(const struct module *module)
{
	const struct ph_param *param = section_param(module->class, module, "path");

	if (param && param->type == PH_MAP_REF)
		return "{TYPE:PATH, ...}";
	return param && param->type == PH_PATH ? "PATH" : "TEXT";
}

/* What a module provides beside parameters. */
static void
print_operations(const struct module *module)
{
	const struct ph_restriction *restrictions = module->descriptor.operations;
	const struct ph_map_ops *types = module->descriptor.operations;
	const struct ph_transport_ops *transports = module->descriptor.operations;
	size_t count = module->descriptor.operation_count;

	if (module->class->number == PH_CLASS_RESTRICTION) {
		printf("\nRestrictions:\n");
		for (size_t i = 0; i < count; i++)
			print_restriction(&restrictions[i]);
	}
	if (module->class->number == PH_CLASS_MAP) {
		printf("\nTables:\n");
		for (size_t i = 0; i < count; i++)
			printf("  %s:%s%s\n", types[i].type, word_of_path(module),
				types[i].build ? " (compiled)" : "");
	}
	if (module->class->number == PH_CLASS_TRANSPORT) {
		printf("\nTransports:\n");
		for (size_t i = 0; i < count; i++)
			printf("  %s\n", transports[i].name);
	}
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static const char *const stage_names[] = {
	[PH_STAGE_ANY] = "any", [PH_STAGE_CLIENT] = "client", [PH_STAGE_HELO] = "helo",
	[PH_STAGE_SENDER] = "sender", [PH_STAGE_RECIPIENT] = "recipient", [PH_STAGE_DATA] = "data",
	[PH_STAGE_END_OF_DATA] = "end_of_data", [PH_STAGE_ETRN] = "etrn"};

static void
json_restriction(const struct ph_restriction *restriction)
{
	static const char *const arguments[] = {[PH_NO_ARGUMENT] = "none",
		[PH_ARGUMENT_STRING] = "string",
		[PH_ARGUMENT_MAP] = "table", [PH_OPTIONAL_STRING] = "optional string"};
	uint32_t stage = restriction->stage & 0xff;

	json_member(stdout, "name", restriction->name, 1);
	json_member(stdout, "stage", stage <= PH_STAGE_ETRN ? stage_names[stage] : NULL, 0);
	json_member(stdout, "argument", restriction->argument <= PH_OPTIONAL_STRING
		? arguments[restriction->argument] : NULL, 0);
	json_member(stdout, "example",
		restriction->example ? restriction->example : restriction->name, 0);
	json_member(stdout, "instead", restriction->instead, 0);
	json_member(stdout, "doc", restriction->doc, 0);
}

static void
json_table(const struct ph_map_ops *type)
{
	json_member(stdout, "type", type->type, 1);
	printf(", \"compiled\": %s", type->build ? "true" : "false");
}

/* "name": [{…}, …] for the operations of a class that has names for them. */
static void
json_operations(const struct module *module)
{
	const struct ph_restriction *restrictions = module->descriptor.operations;
	const struct ph_map_ops *types = module->descriptor.operations;
	const struct ph_transport_ops *transports = module->descriptor.operations;
	static const char *const names[] = {[PH_CLASS_MAP] = "tables",
		[PH_CLASS_RESTRICTION] = "restrictions", [PH_CLASS_TRANSPORT] = "transports"};
	unsigned class = module->class->number;

	if (!names[class])
		return;
	printf(", \"%s\": [", names[class]);
	for (size_t i = 0; i < module->descriptor.operation_count; i++) {
		fputs(i ? ",\n  {" : "\n  {", stdout);
		if (class == PH_CLASS_MAP)
			json_table(&types[i]);
		else if (class == PH_CLASS_TRANSPORT)
			json_member(stdout, "name", transports[i].name, 1);
		else
			json_restriction(&restrictions[i]);
		fputc('}', stdout);
	}
	fputc(']', stdout);
}

static void
json_info(const struct module *module, bool loaded)
{
	const struct ph_module *descriptor = &module->descriptor;

	fputc('{', stdout);
	json_member(stdout, "name", module->name, 1);
	json_member(stdout, "version", descriptor->version, 0);
	json_member(stdout, "purpose", descriptor->purpose, 0);
	json_member(stdout, "path", module->path, 0);
	printf(", \"abi\": \"%u.%u\", \"loaded\": %s", descriptor->abi_major, module->abi_minor,
		loaded ? "true" : "false");
	json_operations(module);
	fputs(", \"parameters\": [", stdout);
	for (size_t i = 0; i < descriptor->param_count; i++) {
		const struct ph_param *param = &descriptor->params[i];

		fputs(i ? ",\n  {" : "\n  {", stdout);
		json_member(stdout, "name", param->name, 1);
		json_member(stdout, "type", type_names[param->type], 0);
		json_member(stdout, "default", param->default_value ? param->default_value : "", 0);
		json_member(stdout, "doc", param->doc, 0);
		fputc('}', stdout);
	}
	fputs("]}\n", stdout);
}

/* ---- One module ------------------------------------------------------------------------------ */

static void
text_info(const struct module *module, bool loaded)
{
	const struct ph_module *descriptor = &module->descriptor;

	printf("%s %s: %s\n%s, ABI %u.%u, %s\n", module->name, descriptor->version,
		descriptor->purpose,
		module->path, descriptor->abi_major, module->abi_minor,
		loaded ? "loaded" : "not loaded");
	print_operations(module);
	if (descriptor->param_count)
		printf("\nParameters, with their defaults:\n");
	for (size_t i = 0; i < descriptor->param_count; i++)
		print_param(&descriptor->params[i]);
}

static int
info(const struct config *config, const char *name, bool json)
{
	const char *directory = config->settings.module_directory;
	const struct module *module;
	ph_error error;

	if (!loader_is_name(name)) {
		cli_error("%s: a module is named CLASS_NAME, as in listener_smtp", name);
		return 1;
	}
	module = loader_load(directory, name, 0, &error);
	if (!module) {
		cli_error("%s", error.text);
		return 1;
	}
	if (json)
		json_info(module, config_has_module(config, name));
	else
		text_info(module, config_has_module(config, name));
	return 0;
}

static int
usage(void)
{
	cli_error("usage: posthouse module list [-c FILE] [-j] | info [-c FILE] [-j] NAME");
	return EX_USAGE;
}

int
command_module(int argc, char **argv)
{
	const char *given = NULL;
	struct problems *problems = problems_new();
	struct config *config;
	bool json = false, listing;
	int option, result;

	while ((option = getopt(argc, argv, "c:j")) != -1) {
		if (option == 'c')
			given = optarg;
		else if (option == 'j')
			json = true;
		else
			return usage();
	}
	listing = optind + 1 == argc && strcmp(argv[optind], "list") == 0;
	if (!problems || (!listing && (optind + 2 != argc || strcmp(argv[optind], "info") != 0)))
		return usage();
	config = config_read(cli_config_path(given), (ph_span){NULL, 0}, -1, 0, problems);
	result = listing ? list(config, json) : info(config, argv[optind + 1], json);
	config_free(config);
	problems_free(problems);
	return result;
}
