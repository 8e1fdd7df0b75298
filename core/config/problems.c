/*
 * What a check found, in the order of the files and lines.
 */
#include "config/state.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "ground/escape.h"

enum { PROBLEMS_MAX = 1000, BODY_MOST = 1024 };

struct problem {
	char *text;      /* "file:line: text" */
	size_t rank;     /* of the file */
	int line;
	bool warning;
};

struct problems {
	struct problem *items;
	size_t count, room, errors;
	char **files;    /* in the order in which they were first named */
	size_t file_count;
	bool cut;
};

struct problems *
problems_new(void)
{
	return calloc(1, sizeof(struct problems));
}

static size_t
rank_of(struct problems *problems, const char *file)
{
	char **grown;
	size_t i;

	if (!file)
		return 0;
	for (i = 0; i < problems->file_count; i++)
		if (strcmp(problems->files[i], file) == 0)
			return i + 1;
	grown = realloc(problems->files, (i + 1) * sizeof(*grown));
	if (!grown)
		return i;
	problems->files = grown;
	if ((problems->files[i] = strdup(file)))
		problems->file_count++;
	return i + 1;
}

void
problems_file(struct problems *problems, const char *file)
{
	rank_of(problems, file);
}

/* The place for one more, in order; NULL when it is known already or there are too many. */
static struct problem *
slot(struct problems *problems, size_t rank, int line, const char *text)
{
	struct problem *grown;
	size_t at = problems->count;

	for (size_t i = 0; i < problems->count; i++)
		if (strcmp(problems->items[i].text, text) == 0)
			return NULL;
	problems->cut = problems->count >= PROBLEMS_MAX;
	if (problems->cut)
		return NULL;
	if (problems->count == problems->room) {
		size_t room = problems->room ? 2 * problems->room : 16;

		if (!(grown = realloc(problems->items, room * sizeof(*grown))))
			return NULL;
		problems->items = grown;
		problems->room = room;
	}
	while (at > 0 && (problems->items[at - 1].rank > rank ||
		(problems->items[at - 1].rank == rank && problems->items[at - 1].line > line)))
		at--;
	memmove(problems->items + at + 1, problems->items + at,
		(problems->count - at) * sizeof(*problems->items));
	problems->count++;
	return &problems->items[at];
}

/* What a file holds may be quoted in it, and may be anything: a terminal does not get to see that.
 * The name of the file too. NULL: no memory. */
static char *
printable(const char *text)
{
	size_t size = strlen(text), room = 4 * size + 1;
	char *safe = malloc(room);
	struct escape_out out;

	if (!safe)
		return NULL;
	out = (struct escape_out){.at = safe, .end = safe + room - 1};
	escape_line(&out, text, size);
	*out.at = '\0';
	return safe;
}

static void add(struct problems *problems, bool warning, const char *file, int line,
	const char *format, va_list arguments) PH_PRINTF(5, 0);

/* Nobody listens once a configuration is loaded: problems may be NULL. */
static void
add(struct problems *problems, bool warning, const char *file, int line, const char *format,
	va_list arguments)
{
	size_t rank = problems ? rank_of(problems, file) : 0;
	struct problem *problem;
	char body[BODY_MOST], *text = NULL, *raw;
	int size;

	if (!problems)
		return;
	vsnprintf(body, sizeof(body), format, arguments);
	if (file && line > 0)
		size = asprintf(&raw, "%s:%d: %s%s", file, line, warning ? "warning: " : "", body);
	else
		size = asprintf(&raw, "%s%s%s%s", file ? file : "", file ? ": " : "",
			warning ? "warning: " : "", body);
	if (!warning)
		problems->errors++;
	if (size != -1) {
		text = printable(raw);
		free(raw);
	}
	if (!text)
		return;
	problem = slot(problems, rank, line, text);
	if (!problem) {
		if (!warning && !problems->cut)
			problems->errors--;
		free(text);
		return;
	}
	*problem = (struct problem){.text = text, .rank = rank, .line = line, .warning = warning};
}

void
problems_add(struct problems *problems, const char *file, int line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(problems, false, file, line, format, arguments);
	va_end(arguments);
}

void
problems_warn(struct problems *problems, const char *file, int line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	add(problems, true, file, line, format, arguments);
	va_end(arguments);
}

size_t
problems_count(const struct problems *problems)
{
	return problems->errors;
}

void
problems_each(const struct problems *problems,
	void (*fn)(void *context, bool warning, const char *line), void *context)
{
	for (size_t i = 0; i < problems->count; i++)
		fn(context, problems->items[i].warning, problems->items[i].text);
	if (problems->cut)
		fn(context, false, "there are more problems; these are shown first");
}

static void
print_line(void *context, bool warning, const char *line)
{
	fprintf(context, "%s\n", line);
}

void
problems_print(const struct problems *problems, FILE *out)
{
	problems_each(problems, print_line, out);
}

void
problems_free(struct problems *problems)
{
	if (!problems)
		return;
	for (size_t i = 0; i < problems->count; i++)
		free(problems->items[i].text);
	for (size_t i = 0; i < problems->file_count; i++)
		free(problems->files[i]);
	free(problems->items);
	free(problems->files);
	free(problems);
}
