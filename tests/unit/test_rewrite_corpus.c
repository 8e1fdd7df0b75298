/*
 * Whole header sections, before and after: tests/unit/rewrite_corpus. A file has lines
 *
 *   map FROM => TO         an address, "@domain", or a local name, and what becomes of it
 *   == what is awkward     begins a case: the section before
 *   -- becomes             the section after
 *   -- unchanged           it is the same
 *
 * Lines of a section end in CR LF; "." alone is an empty line, {} at the end of a line takes its line
 * end away, {0d} is a byte, {100*text} repeats. Empty lines and those that begin with # are left out.
 */
#include "test.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <posthouse/rewrite.h>

struct bytes {
	char *data;
	size_t size;
};

struct mapping {
	char *from, *to;
};

struct corpus {
	const char *file;
	struct mapping maps[16];
	size_t map_count, cases;
	char *name;                 /* of the case in hand */
	struct bytes before, after;
	enum { NOTHING, BEFORE, AFTER, UNCHANGED } part;
};

/* ---- The files --------------------------------------------------------------------------------- */

static void
put(struct bytes *bytes, const char *data, size_t size)
{
	bytes->data = realloc(bytes->data, bytes->size + size + 1);
	memcpy(bytes->data + bytes->size, data, size);
	bytes->size += size;
	bytes->data[bytes->size] = '\0';
}

/* The bracket that closes the one before text. */
static const char *
closing(const char *text, const char *end)
{
	for (size_t depth = 1; text < end; text++)
		if (*text == '{')
			depth++;
		else if (*text == '}' && --depth == 0)
			return text;
	fail_msg("a bracket is open: %s", text);
	return end;
}

static void
expand(struct bytes *bytes, const char *text, const char *end)
{
	while (text < end) {
		if (*text != '{') {
			put(bytes, text++, 1);
			continue;
		}
		const char *close = closing(text + 1, end);
		char *after;
		unsigned long number = strtoul(text + 1, &after, 16);

		if (after == close) {
			put(bytes, &(char){(char)number}, 1);
		} else {
			number = strtoul(text + 1, &after, 10);
			assert_int_equal(*after, '*');
			for (unsigned long i = 0; i < number; i++)
				expand(bytes, after + 1, close);
		}
		text = close + 1;
	}
}

static void
put_line(struct bytes *bytes, const char *line)
{
	size_t size = strlen(line);
	bool open = size >= 2 && strcmp(line + size - 2, "{}") == 0;

	if (strcmp(line, ".") != 0)
		expand(bytes, line, line + size - (open ? 2 : 0));
	put(bytes, "\r\n", open ? 0 : 2);
}

static char *
expanded(const char *text)
{
	struct bytes bytes = {NULL, 0};

	expand(&bytes, text, text + strlen(text));
	return bytes.data;
}

static void
put_map(struct corpus *corpus, char *line)
{
	char *arrow = strstr(line, " => ");

	assert_non_null(arrow);
	assert_true(corpus->map_count < sizeof(corpus->maps) / sizeof(corpus->maps[0]));
	*arrow = '\0';
	corpus->maps[corpus->map_count++] = (struct mapping){expanded(line), expanded(arrow + 4)};
}

/* ---- A case ------------------------------------------------------------------------------------ */

static int
rewrite(void *context, const char *address, const char **rewritten)
{
	static char text[8192];
	const struct corpus *corpus = context;
	const char *at = strrchr(address, '@');

	for (size_t i = 0; i < corpus->map_count; i++)
		if (strcasecmp(corpus->maps[i].from, address) == 0) {
			*rewritten = corpus->maps[i].to;
			return 0;
		}
	for (size_t i = 0; at != NULL && i < corpus->map_count; i++)
		if (strcasecmp(corpus->maps[i].from, at) == 0) {
			snprintf(text, sizeof(text), "%.*s%s", (int)(at - address), address,
				corpus->maps[i].to);
			*rewritten = text;
		}
	return 0;
}

static int
keep(void *context, const char *address, const char **rewritten)
{
	return 0;
}

/* What becomes of a section; what is behind the header section is added, as a delivery does it. */
static struct bytes
rewritten(ph_span section, ph_header_rewrite_fn *change, struct corpus *corpus)
{
	ph_pool *pool = ph_pool_new(0);
	char *copy = malloc(section.size + 1);
	struct bytes result = {NULL, 0};
	ph_span head;
	size_t used;

	/* At the end of its memory, so that a sanitizer sees a byte too far. */
	memcpy(copy + 1, section.data, section.size);
	assert_int_equal(ph_headers_rewrite(pool, (ph_span){copy + 1, section.size}, change, corpus,
		&head, &used), 0);
	put(&result, head.data, head.size);
	put(&result, copy + 1 + used, section.size - used);
	free(copy);
	ph_pool_free(pool);
	return result;
}

static void
print(const char *what, const struct bytes *bytes)
{
	print_error("%s:\n", what);
	for (size_t i = 0; i < bytes->size && i < 2000; i++) {
		char c = bytes->data[i];

		print_error(c == '\n' || (c >= ' ' && c < 127) ? "%c" : "{%02x}", (unsigned char)c);
	}
	print_error("\n");
}

static void
expect(const struct corpus *corpus, const struct bytes *before, const struct bytes *after,
	struct bytes result)
{
	if (result.size != after->size || memcmp(result.data, after->data, result.size) != 0) {
		print("before", before);
		print("became", &result);
		print("expected", after);
		fail_msg("%s: %s", corpus->file, corpus->name);
	}
	free(result.data);
}

/* Cut anywhere it is read within its bounds. */
static void
cut(struct corpus *corpus, const struct bytes *before)
{
	for (size_t size = 0; size < before->size && before->size < 2000; size++)
		free(rewritten((ph_span){before->data, size}, rewrite, corpus).data);
}

static void
end_case(struct corpus *corpus)
{
	const struct bytes *before = &corpus->before, *after = &corpus->after;

	if (corpus->part == NOTHING)
		return;
	assert_int_not_equal(corpus->part, BEFORE);
	if (corpus->part == UNCHANGED)
		after = before;
	else if (before->size == after->size && memcmp(before->data, after->data, after->size) == 0)
		fail_msg("%s: %s: say \"-- unchanged\"", corpus->file, corpus->name);
	ph_span first = {before->data, before->size}, second = {after->data, after->size};

	expect(corpus, before, after, rewritten(first, rewrite, corpus));
	expect(corpus, after, after, rewritten(second, rewrite, corpus));
	expect(corpus, before, before, rewritten(first, keep, corpus));
	cut(corpus, before);
	free(corpus->before.data);
	free(corpus->after.data);
	free(corpus->name);
	corpus->before = corpus->after = (struct bytes){NULL, 0};
	corpus->part = NOTHING;
	corpus->cases++;
}

static void
take_line(struct corpus *corpus, char *line)
{
	if (*line == '\0' || *line == '#')
		return;
	if (strncmp(line, "== ", 3) == 0) {
		end_case(corpus);
		corpus->name = strdup(line + 3);
		corpus->part = BEFORE;
	} else if (strcmp(line, "-- becomes") == 0 && corpus->part == BEFORE) {
		corpus->part = AFTER;
	} else if (strcmp(line, "-- unchanged") == 0 && corpus->part == BEFORE) {
		corpus->part = UNCHANGED;
	} else if (strncmp(line, "map ", 4) == 0 && corpus->part == NOTHING) {
		put_map(corpus, line + 4);
	} else if (corpus->part == BEFORE || corpus->part == AFTER) {
		put_line(corpus->part == BEFORE ? &corpus->before : &corpus->after, line);
	} else {
		fail_msg("%s: a line that belongs to nothing: %s", corpus->file, line);
	}
}

static size_t
run_file(const char *folder, const char *name)
{
	struct corpus corpus = {.file = name};
	char path[4608], *line = NULL;
	size_t room = 0;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	for (ssize_t size; (size = getline(&line, &room, file)) > 0;) {
		if (line[size - 1] == '\n')
			line[size - 1] = '\0';
		take_line(&corpus, line);
	}
	end_case(&corpus);
	fclose(file);
	free(line);
	for (size_t i = 0; i < corpus.map_count; i++) {
		free(corpus.maps[i].from);
		free(corpus.maps[i].to);
	}
	return corpus.cases;
}

static void
sections(void **state)
{
	const char *top = getenv("top_srcdir");
	char folder[4096];
	size_t cases = 0;

	snprintf(folder, sizeof(folder), "%s/tests/unit/rewrite_corpus", top != NULL ? top : ".");
	DIR *directory = opendir(folder);

	assert_non_null(directory);
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		const char *dot = strrchr(entry->d_name, '.');

		if (dot != NULL && strcmp(dot, ".txt") == 0)
			cases += run_file(folder, entry->d_name);
	}
	closedir(directory);
	assert_true(cases >= 200);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sections)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
