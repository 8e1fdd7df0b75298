#include "cli/maptest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/table.h>

#include "cli/cli.h"

enum { TEXT_MAX = 64 << 20 };

/* What an entry expects. */
enum expectation {
	EXPECT_RESULT,
	EXPECT_ANY,
	EXPECT_NONE
};

struct run {
	const ph_map *map;
	const char *name;
	size_t keys, different;
};

struct entry {
	enum expectation expectation;
	ph_span key, result;
};

/* "key result", "key", "! key"; quotes keep a key with blanks together. */
static int
parse_entry(ph_span line, struct entry *entry, ph_error *error)
{
	const char *end = line.size && line.data[0] == '"' ? memchr(line.data + 1, '"', line.size - 1) : NULL;
	size_t size = 0;

	if (line.data[0] == '"' && !end)
		return ph_error_set(error, "a quote is not closed");
	if (end) {
		entry->key = (ph_span){line.data + 1, (size_t)(end - line.data) - 1};
		size = (size_t)(end - line.data) + 1;
	} else {
		while (size < line.size && !strchr(" \t\r\n", line.data[size]))
			size++;
		entry->key = (ph_span){line.data, size};
	}
	while (size < line.size && strchr(" \t\r\n", line.data[size]))
		size++;
	entry->result = (ph_span){line.data + size, line.size - size};
	entry->expectation = entry->result.size ? EXPECT_RESULT : EXPECT_ANY;
	return 0;
}

static int
parse_line(ph_span line, struct entry *entry, ph_error *error)
{
	if (parse_entry(line, entry, error) != 0)
		return -1;
	if (line.data[0] == '"' || !ph_span_equal(entry->key, ph_span_of("!")))
		return 0;
	if (entry->expectation == EXPECT_ANY)
		return ph_error_set(error, "expected a key behind the !");
	line = entry->result;
	if (parse_entry(line, entry, error) != 0)
		return -1;
	if (entry->expectation == EXPECT_RESULT)
		return ph_error_set(error,
			"! means that a key is not there: expected nothing behind it");
	entry->expectation = EXPECT_NONE;
	return 0;
}

static void
print_difference(struct run *run, int line, const struct entry *entry, const char *found,
	const char *value)
{
	run->different++;
	printf("%s:%d: %.*s: expected ", run->name, line, (int)entry->key.size, entry->key.data);
	if (entry->expectation == EXPECT_RESULT)
		printf("\"%.*s\"", (int)entry->result.size, entry->result.data);
	else
		fputs(entry->expectation == EXPECT_ANY ? "something" : "nothing", stdout);
	printf(value ? ", %s \"%s\"\n" : ", %s\n", found, value);
}

/* One key; -1: there is no memory. */
static int
ask(struct run *run, int line, const struct entry *entry)
{
	ph_pool *pool = ph_pool_new(0);
	const char *key = pool ? ph_pool_copy(pool, entry->key) : NULL, *value = "";
	ph_error error = {""};

	if (!key) {
		ph_pool_free(pool);
		return -1;
	}
	run->keys++;
	switch (ph_map_lookup(pool, run->map, key, &value, &error)) {
	case PH_FOUND:
		if (entry->expectation == EXPECT_NONE || (entry->expectation == EXPECT_RESULT &&
			!ph_span_equal(entry->result, ph_span_of(value))))
			print_difference(run, line, entry, "found", value);
		break;
	case PH_NOT_FOUND:
		if (entry->expectation != EXPECT_NONE)
			print_difference(run, line, entry, "found nothing", NULL);
		break;
	case PH_FAILED:
		print_difference(run, line, entry, "the lookup failed:", error.text);
		break;
	}
	ph_pool_free(pool);
	return 0;
}

static int
take_line(void *context, int line, ph_span key, ph_span value, ph_error *error)
{
	struct run *run = context;
	struct entry entry;
	ph_error why;

	if (parse_line(key, &entry, &why) != 0)
		return ph_error_set(error, "%s:%d: %s", run->name, line, why.text);
	return ask(run, line, &entry) == 0 ? 0 : ph_error_set(error, "out of memory");
}

int
maptest_run(const ph_map *map, const char *name, ph_span text)
{
	struct run run = {.map = map, .name = name};
	ph_error error = {""};

	if (ph_table_parse(name, text, PH_TABLE_LINES, take_line, &run, &error) != 0) {
		fflush(stdout);
		cli_error("%s", error.text);
		return 1;
	}
	printf("%zu %s, %zu %s\n", run.keys, run.keys == 1 ? "key" : "keys", run.different,
		run.different == 1 ? "differs" : "differ");
	return fflush(stdout) == 0 && run.different == 0 ? 0 : 1;
}

int
maptest_file(const ph_map *map, const char *path)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *file = standard ? stdin : fopen(path, "re");
	char *text = malloc(TEXT_MAX);
	size_t size = file && text ? fread(text, 1, TEXT_MAX, file) : 0;
	int result = 1;

	if (!text)
		cli_error("no memory");
	else if (!file || ferror(file))
		cli_error("%s: %s", path, strerror(errno));
	else if (!feof(file))
		cli_error("%s: larger than %d bytes", path, TEXT_MAX);
	else
		result = maptest_run(map, standard ? "standard input" : path,
			(ph_span){text, size});
	if (file && !standard)
		fclose(file);
	free(text);
	return result;
}
