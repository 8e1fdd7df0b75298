/*
 * How many lookups a second does a type of tables do? The way of a restriction: the key folded where
 * the type wants it, the value copied into a pool. No process in between, one thread.
 *   make tests/bench/lookups_cidr && tests/bench/lookups_cidr TYPE:PATH FILE_OF_KEYS [SECONDS]
 * Keys are asked in the order of the file, over and over. A table that is compiled is compiled first.
 */
#include <posthouse/map.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/state.h"

extern const struct ph_module MODULE;

static char **keys;
static size_t key_count;

static double
now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void
fail(const char *text)
{
	fprintf(stderr, "%s\n", text);
	exit(1);
}

static void
read_keys(const char *path)
{
	FILE *file = fopen(path, "r");
	size_t room = 0;
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) != -1) {
		if (key_count == room)
			keys = realloc(keys, (room = room ? 2 * room : 1024) * sizeof(*keys));
		line[strcspn(line, "\n")] = '\0';
		keys[key_count++] = strdup(line);
	}
	if (key_count == 0)
		fail("no keys");
	fclose(file);
	free(line);
}

/* Kilobytes of this process in memory. */
static long
resident(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long all = 0, pages = 0;

	if (!file || fscanf(file, "%ld %ld", &all, &pages) != 2)
		fail("/proc/self/statm");
	fclose(file);
	return pages * 4;
}

static struct instance *
open_table(struct config *config, const char *name)
{
	const struct module **modules = ph_pool_array(config->pool, 1, sizeof(*modules));
	struct instance *instance = NULL;
	const struct ph_map_ops *ops;
	ph_error error = {""};

	modules[0] = loader_adopt(&MODULE, MODULE.name, "/built-in", &error);
	config->modules = modules;
	config->module_count = modules[0] ? 1 : 0;
	if (modules[0])
		instance = map_instance(config, name, NULL, 0, &error);
	ops = instance ? instance->ops : NULL;
	if (!ops || (ops->build && ops->build(instance->self, false, &error) != 0) ||
		instance_open(instance, &error) != 0)
		fail(error.text);
	return instance;
}

static void
measure(const ph_map *map, double seconds)
{
	ph_pool *pool = ph_pool_new(0);
	size_t done = 0, found = 0;
	double begin = now(), end;
	ph_error error;

	do {
		for (int i = 0; i < 1000; i++, done++) {
			const char *value;

			found += ph_map_lookup(pool, map, keys[done % key_count], &value, &error) == PH_FOUND;
			ph_pool_reset(pool);
		}
	} while ((end = now()) - begin < seconds);
	printf("%.2f million lookups a second (%.0f ns each), %.0f%% of the keys found\n",
		(double)done / (end - begin) / 1e6, (end - begin) * 1e9 / (double)done,
		100.0 * (double)found / (double)done);
	ph_pool_free(pool);
}

int
main(int argc, char **argv)
{
	struct problems *problems = problems_new();
	struct config *config = config_read("/bench", ph_span_of("\n"), -1, 0, problems);
	struct instance *instance;
	double begin;
	long before;

	if (argc < 3)
		fail("usage: lookups_TYPE TYPE:PATH FILE_OF_KEYS [SECONDS]");
	read_keys(argv[2]);
	before = resident();
	begin = now();
	instance = open_table(config, argv[1]);
	printf("opened in %.0f ms, %ld KiB\n", (now() - begin) * 1000, resident() - before);
	measure(map_make(config->pool, &instance, 1, NULL), argc > 3 ? strtod(argv[3], NULL) : 3);
	instance_close(instance);
	config_free(config);
	problems_free(problems);
	return 0;
}
