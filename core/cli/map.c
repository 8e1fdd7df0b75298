/*
 * posthouse map, postalias, postmap, newaliases: building tables and asking them.
 */
#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/map.h>
#include <posthouse/table.h>

#include "cli/maptest.h"
#include "config/state.h"

/* The syntax of a source. */
enum source_kind {
	SOURCE_AUTO,
	SOURCE_PAIRS,
	SOURCE_ALIASES
};

static const char default_type[] = "hash";

static struct config *
load_config(const char *path)
{
	struct problems *problems = problems_new();
	struct config *config = config_load(cli_config_path(path), -1, problems);

	problems_print(problems, stderr);
	problems_free(problems);
	if (config != NULL)
		config_set_current(config);
	return config;
}

/* "type:path" of what was given on the command line: the type may be left out. The caller frees it;
 * NULL: no memory. */
static char *
full_name(const char *name)
{
	size_t type = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
	char *full;

	if (type > 0 && name[type] == ':')
		return strdup(name);
	return asprintf(&full, "%s:%s", default_type, name) != -1 ? full : NULL;
}

/* The instance for a name of the command line; NULL: it was told why. */
static struct instance *
find_map(struct config *config, const char *name)
{
	char *full = full_name(name);
	struct instance *instance = NULL;
	ph_error error = {"no memory"};

	if (full != NULL)
		instance = config_map_open(config, full, &error);
	if (instance == NULL)
		cli_error("%s", error.text);
	free(full);
	return instance;
}

static struct instance *
find_opened_map(struct config *config, const char *name)
{
	struct instance *instance = find_map(config, name);
	ph_error error = {""};

	if (instance != NULL && instance_open(instance, &error) == -1) {
		cli_error("%s", error.text);
		return NULL;
	}
	return instance;
}

/* ---- Building -------------------------------------------------------------------------------- */

/* Does the source look like aliases(5)? Its name, or its beginning. */
static bool
looks_like_aliases(const char *path)
{
	char text[4096];
	FILE *file = fopen(path, "re");
	size_t size = file != NULL ? fread(text, 1, sizeof(text), file) : 0;

	if (file != NULL)
		fclose(file);
	return ph_table_is_aliases(path, (ph_span){text, size});
}

/* Builds; a table of a type that needs no building is only tried. 0 or -1. */
static int
build_one(struct config *config, const char *name, enum source_kind source)
{
	struct instance *instance = find_map(config, name);
	const struct ph_map_ops *ops;
	ph_error error = {""};
	bool aliases;
	int result;

	if (instance == NULL)
		return -1;
	ops = instance->ops;
	if (ops->build != NULL) {
		aliases = source == SOURCE_ALIASES || (source == SOURCE_AUTO &&
			looks_like_aliases(strchr(instance->name, ':') + 1));
		result = ops->build(instance->self, aliases, &error);
	} else
		result = instance_open(instance, &error);
	instance_close(instance);
	if (result == -1)
		cli_error("%s", error.text);
	return result;
}

static int
build_all(struct config *config, char **names, int count, enum source_kind source)
{
	int status = 0;

	for (int i = 0; i < count; i++)
		if (build_one(config, names[i], source) == -1)
			status = 1;
	return status;
}

/* ---- Asking ---------------------------------------------------------------------------------- */

/* Asks the tables in order, as the daemon does; prints the value, with_key after the key. */
static ph_found
query(const ph_map *map, const char *key, bool with_key)
{
	ph_pool *pool = ph_pool_new(0);
	ph_error error = {"no memory"};
	const char *value = "";
	ph_found found = pool != NULL ? ph_map_lookup(pool, map, key, &value, &error) : PH_FAILED;

	if (found == PH_FAILED)
		cli_error("%s", error.text);
	if (found == PH_FOUND && with_key)
		printf("%s\t", key);
	if (found == PH_FOUND)
		printf("%s\n", value);
	ph_pool_free(pool);
	return found;
}

/* Keys from standard input, one a line. An exit code: 0 when one was found. */
static int
query_input(const ph_map *map)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	int status = 1;

	while ((size = getline(&line, &room, stdin)) != -1) {
		while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
			line[--size] = '\0';
		switch (*line != '\0' ? query(map, line, true) : PH_NOT_FOUND) {
		case PH_FOUND:
			status = 0;
			break;
		case PH_NOT_FOUND:
			break;
		case PH_FAILED:
			free(line);
			return 1;
		}
	}
	free(line);
	return status;
}

static int
print_entry(void *context, ph_span key, ph_span value)
{
	printf("%.*s\t%.*s\n", (int)key.size, key.data, (int)value.size, value.data);
	return ferror(stdout) ? -1 : 0;
}

static int
dump(struct instance **maps, int count)
{
	for (int i = 0; i < count; i++) {
		const struct ph_map_ops *ops = maps[i]->ops;
		ph_error error = {""};

		if (ops->each == NULL) {
			cli_error("%s: the entries of a table of this type cannot be listed",
				maps[i]->name);
			return 1;
		}
		if (ops->each(maps[i]->self, print_entry, NULL, &error) != 0) {
			cli_error("%s", *error.text != '\0' ? error.text : strerror(errno));
			return 1;
		}
	}
	return 0;
}

/* What is to be done with tables. */
struct request {
	enum { REQUEST_DUMP, REQUEST_QUERY, REQUEST_QUERY_INPUT, REQUEST_TEST } kind;
	const char *argument; /* a key, or the file with the tests */
};

static int
run_request(const struct config *config, const struct request *request, struct instance **maps,
	int count)
{
	const ph_map *map = map_make(config->pool, maps, (size_t)count, NULL);

	switch (request->kind) {
	case REQUEST_DUMP:
		return dump(maps, count);
	case REQUEST_QUERY:
		return query(map, request->argument, false) == PH_FOUND ? 0 : 1;
	case REQUEST_QUERY_INPUT:
		return query_input(map);
	case REQUEST_TEST:
		return maptest_file(map, request->argument);
	}
	return 1;
}

/* Opens the tables, and does it. An exit code. */
static int
with_maps(struct config *config, char **names, int count, const struct request *request)
{
	struct instance **maps = calloc((size_t)count, sizeof(struct instance *));
	int status = 1, opened;

	for (opened = 0; maps != NULL && opened < count; opened++)
		if ((maps[opened] = find_opened_map(config, names[opened])) == NULL)
			break;
	if (maps != NULL && opened == count)
		status = run_request(config, request, maps, count);
	for (int i = 0; i < opened; i++)
		instance_close(maps[i]);
	free(maps);
	return fflush(stdout) == 0 ? status : 1;
}

static int
ask_all(struct config *config, char **names, int count, const char *key)
{
	struct request request = {.kind = REQUEST_DUMP, .argument = key};

	if (key != NULL)
		request.kind = strcmp(key, "-") == 0 ? REQUEST_QUERY_INPUT : REQUEST_QUERY;
	return with_maps(config, names, count, &request);
}

/* ---- postmap, postalias ---------------------------------------------------------------------- */

static int
traditional_usage(const char *name)
{
	fprintf(stderr, "usage: %s [-c file] [-q key | -s] [type:]path ...\n", name);
	return 1;
}

static int
run_traditional(int argc, char **argv, enum source_kind source)
{
	const char *path = NULL, *key = NULL;
	bool list = false;
	struct config *config;
	int option, status;

	optind = 1;
	/* Those that say nothing here: constant databases are always made anew, with the
	 * permissions of their source, and keys are always folded. */
	while ((option = getopt(argc, argv, "c:q:sfnNoprRuvw")) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'q':
			key = optarg;
			break;
		case 's':
			list = true;
			break;
		case '?':
			return traditional_usage(argv[0]);
		}
	}
	if (optind == argc || (list && key != NULL))
		return traditional_usage(argv[0]);
	config = load_config(path);
	if (config == NULL)
		return 1;
	if (list || key != NULL)
		status = ask_all(config, argv + optind, argc - optind, key);
	else
		status = build_all(config, argv + optind, argc - optind, source);
	config_free(config);
	return status;
}

int
command_postmap(int argc, char **argv)
{
	return run_traditional(argc, argv, SOURCE_PAIRS);
}

int
command_postalias(int argc, char **argv)
{
	return run_traditional(argc, argv, SOURCE_ALIASES);
}

/* ---- newaliases ------------------------------------------------------------------------------ */

int
command_newaliases(int argc, char **argv)
{
	const char *path = NULL;
	struct config *config;
	ph_strings databases;
	int option, status = 0;

	optind = 1;
	opterr = 0; /* called as "sendmail -bi" it gets sendmail's options */
	while ((option = getopt(argc, argv, "c:C:b:o:v")) != -1)
		if (option == 'c' || option == 'C')
			path = optarg;
	opterr = 1;
	config = load_config(path);
	if (config == NULL)
		return 1;
	databases = config_settings(config)->alias_database;
	for (size_t i = 0; i < databases.count; i++)
		if (build_one(config, databases.items[i], SOURCE_ALIASES) == -1)
			status = 1;
	config_free(config);
	return status;
}

/* ---- posthouse map --------------------------------------------------------------------------- */

static int
map_usage(void)
{
	fputs("usage: posthouse map [-c file] build [-a] [type:]path ...\n"
		"       posthouse map [-c file] query [type:]path key\n"
		"       posthouse map [-c file] dump [type:]path ...\n"
		"       posthouse map [-c file] test [type:]path [file]\n"
		"-a: the source is an aliases(5) file, whatever it looks like\n", stderr);
	return 64;
}

/* What follows the options; action first. */
static int
run_map(struct config *config, int argc, char **argv, bool aliases)
{
	const char *action = argv[0];

	argc--;
	argv++;
	if (strcmp(action, "build") == 0 && argc > 0)
		return build_all(config, argv, argc, aliases ? SOURCE_ALIASES : SOURCE_AUTO);
	if (strcmp(action, "query") == 0 && argc == 2)
		return ask_all(config, argv, 1, argv[1]);
	if (strcmp(action, "dump") == 0 && argc > 0)
		return ask_all(config, argv, argc, NULL);
	if (strcmp(action, "test") == 0 && (argc == 1 || argc == 2))
		return with_maps(config, argv, 1,
			&(struct request){.kind = REQUEST_TEST,
			.argument = argc == 2 ? argv[1] : "-"});
	return map_usage();
}

int
command_map(int argc, char **argv)
{
	const char *path = NULL;
	bool aliases = false;
	struct config *config;
	int option, status;

	optind = 1;
	while ((option = getopt(argc, argv, "ac:")) != -1) {
		if (option == '?')
			return map_usage();
		if (option == 'a')
			aliases = true;
		else
			path = optarg;
	}
	if (optind == argc)
		return map_usage();
	config = load_config(path);
	if (config == NULL)
		return 1;
	status = run_map(config, argc - optind, argv + optind, aliases);
	config_free(config);
	return status;
}
