#include "config/edit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "config/grow.h"
#include "config/scan.h"
#include "config/state.h"
#include "config/value.h"

int
edit_parse(ph_pool *pool, const char *argument, struct edit *edit, ph_error *error)
{
	const char *equals = strchr(argument, '=');

	if (!equals || equals == argument)
		return ph_error_set(error, "\"%s\": expected name=value", argument);
	edit->kind = EDIT_SET;
	edit->name = memory_or_die(ph_pool_copy(pool,
		value_trim((ph_span){argument, (size_t)(equals - argument)})));
	edit->value = memory_or_die(ph_pool_copy(pool, value_trim(ph_span_of(equals + 1))));
	return 0;
}

/* ---- The value, as the file has it ----------------------------------------------------------- */

/* A list in the file's syntax that grows. */
struct list {
	ph_pool *pool;
	const char *text; /* "a, b" */
};

static void
add(struct list *list, const char *element)
{
	const char *quoted = scan_quote(list->pool, element);

	list->text = memory_or_die(list->text ? ph_pool_printf(list->pool, "%s, %s", list->text,
		quoted)
		: ph_pool_strdup(list->pool, quoted));
}

/* Words of restrictions: one that takes an argument has the next word. */
static void
add_restrictions(struct list *list, const struct config *config, const char *element)
{
	ph_span rest = ph_span_of(element), word, argument;

	while ((word = value_take_word(&rest)).size) {
		const char *name = memory_or_die(ph_pool_copy(list->pool, word));

		if (rule_takes_argument(config, name) && (argument = value_take_word(&rest)).size)
			name = memory_or_die(ph_pool_printf(list->pool, "%s %.*s", name,
				(int)argument.size, argument.data));
		add(list, name);
	}
}

/* Do braces enclose the whole value? Not those of "{a b}, {c}". */
static bool
is_braced(const char *value)
{
	size_t depth = 0;

	if (value[0] != '{')
		return false;
	for (const char *c = value; *c; c++) {
		depth += *c == '{';
		depth -= *c == '}';
		if (depth == 0)
			return c[1] == '\0';
	}
	return false;
}

static const char *
list_value(ph_pool *pool, const struct config *config, enum ph_param_type type, const char *value)
{
	bool braced = is_braced(value);
	ph_span rest = braced ? (ph_span){value + 1, strlen(value) - 2} : ph_span_of(value);
	struct list list = {.pool = pool};
	const char *element;

	if (type == PH_RESTRICTIONS) {
		while (value_next_element(&rest, pool, &element))
			add_restrictions(&list, config, element);
	} else {
		while (braced ? value_next_element(&rest, pool, &element)
			: value_next_word(&rest, pool, &element))
			add(&list, element);
	}
	return memory_or_die(ph_pool_printf(pool, "{%s}", list.text ? list.text : ""));
}

static const char *
scalar_value(ph_pool *pool, const char *value)
{
	size_t size = strlen(value);

	if (size >= 2 && value[0] == value[size - 1] && (value[0] == '\'' || value[0] == '"'))
		value = memory_or_die(ph_pool_copy(pool, (ph_span){value + 1, size - 2}));
	return scan_quote(pool, value);
}

/* ---- Where it goes --------------------------------------------------------------------------- */

/* One edit of a text. */
struct place {
	const struct scan *scan;
	int section;        /* the index of its section; -1: outside */
	const char *name;   /* without the section */
};

/* The section of "listener/submission/port", and its last part. */
static int
find_place(const struct scan *scan, const struct edit *edit, struct place *place,
	ph_error *error)
{
	const char *first = strchr(edit->name, '/');
	const char *second = first ? strchr(first + 1, '/') : NULL;
	ph_span keyword, title;

	*place = (struct place){.scan = scan, .section = -1, .name = edit->name};
	if (!first)
		return 0;
	if (!second || strchr(second + 1, '/') || !second[1])
		return ph_error_set(error,
			"%s: a parameter of a section is written class/section/name", edit->name);
	keyword = (ph_span){edit->name, (size_t)(first - edit->name)};
	title = (ph_span){first + 1, (size_t)(second - first) - 1};
	place->name = second + 1;
	for (size_t i = 0; i < scan->count; i++)
		if (scan->statements[i].kind == SCAN_SECTION &&
			ph_span_equal(keyword, ph_span_of(scan->statements[i].name)) &&
			ph_span_equal(title, ph_span_of(scan->statements[i].title)))
			place->section = (int)i;
	if (place->section == -1)
		return ph_error_set(error, "%s: the file has no section \"%.*s %.*s\"", edit->name,
			(int)keyword.size, keyword.data, (int)title.size, title.data);
	return 0;
}

/* The last assignment to it: the one that counts. */
static const struct scan_statement *
find_assignment(const struct place *place)
{
	const struct scan_statement *found = NULL;

	for (size_t i = 0; i < place->scan->count; i++) {
		const struct scan_statement *statement = &place->scan->statements[i];

		if (statement->kind == SCAN_ASSIGNMENT && statement->section == place->section &&
			strcmp(statement->name, place->name) == 0)
			found = statement;
	}
	return found;
}

/* The text with bytes [begin, end) replaced. */
static const char *
replaced(ph_pool *pool, const char *text, size_t begin, size_t end, const char *with)
{
	size_t size = strlen(text), inserted = strlen(with);
	char *result = memory_or_die(ph_pool_alloc(pool, size - (end - begin) + inserted + 1));

	memcpy(result, text, begin);
	memcpy(result + begin, with, inserted);
	memcpy(result + begin + inserted, text + end, size - end + 1);
	return result;
}

static size_t
line_start(const char *text, size_t at)
{
	while (at > 0 && text[at - 1] != '\n')
		at--;
	return at;
}

/* Behind the newline, or at the end. */
static size_t
next_line(const char *text, size_t at)
{
	while (text[at] && text[at] != '\n')
		at++;
	return text[at] ? at + 1 : at;
}

static const char *
replace(ph_pool *pool, const char *text, const struct scan_statement *statement, const char *value)
{
	if (!statement->append)
		return replaced(pool, text, statement->value_begin, statement->value_end, value);
	return replaced(pool, text, statement->operator_begin, statement->value_end,
		memory_or_die(ph_pool_printf(pool, "= %s", value)));
}

/* How the lines of the text end. */
static const char *
newline(const char *text)
{
	const char *end = strchr(text, '\n');

	return end && end > text && end[-1] == '\r' ? "\r\n" : "\n";
}

/* A new parameter outside of sections: behind the last statement before the first section. */
static const char *
insert_outside(ph_pool *pool, const char *text, const struct place *place, const char *value)
{
	const struct scan *scan = place->scan;
	const char *eol = newline(text);
	size_t size = strlen(text), at = size, i;
	const char *line =
		memory_or_die(ph_pool_printf(pool, "%s = %s%s", place->name, value, eol));

	for (i = 0; i < scan->count && scan->statements[i].kind != SCAN_SECTION; i++)
		;
	if (i < scan->count && i > 0)
		at = next_line(text, scan->statements[i - 1].end);
	else if (i < scan->count) {
		at = line_start(text, scan->statements[i].begin);
		line = memory_or_die(ph_pool_printf(pool, "%s%s", line, eol));
	}
	/* The statement before may share its line with the section, or the file end without a
	 * newline. */
	if (i < scan->count && at > scan->statements[i].begin) {
		at = scan->statements[i].begin;
		line = memory_or_die(ph_pool_printf(pool, "%s%s", eol, line));
	} else if (at > 0 && text[at - 1] != '\n') {
		line = memory_or_die(ph_pool_printf(pool, "%s%s", eol, line));
	}
	return replaced(pool, text, at, at, line);
}

/* The blanks at the start of the line. */
static ph_span
indentation(const char *text, size_t at)
{
	size_t begin = line_start(text, at);

	return (ph_span){text + begin, strspn(text + begin, " \t")};
}

/* A new parameter of a section: behind its last one, in the same layout. */
static const char *
insert_inside(ph_pool *pool, const char *text, const struct place *place, const char *value)
{
	const struct scan_statement *section = &place->scan->statements[place->section];
	const struct scan_statement *last = NULL;
	size_t end = section->value_begin, at;
	ph_span indent;

	for (size_t i = 0; i < place->scan->count; i++)
		if (place->scan->statements[i].section == place->section)
			last = &place->scan->statements[i];
	if (last)
		end = last->end;
	at = next_line(text, end);
	if (at > section->body_end)
		return replaced(pool, text, end, end,
			memory_or_die(ph_pool_printf(pool, "%s%s = %s%s",
			last ? "  " : " ", place->name, value,
			last || text[end] != '}' ? "" : " ")));
	indent = last ? indentation(text, last->begin) : (ph_span){"\t", 1};
	return replaced(pool, text, at, at, memory_or_die(ph_pool_printf(pool, "%.*s%s = %s%s",
		(int)indent.size, indent.data, place->name, value, newline(text))));
}

/* ---- Taking away ----------------------------------------------------------------------------- */

/* Is there nothing else on the lines of the statement but a comment? */
static bool
is_alone(const char *text, const struct scan_statement *statement)
{
	size_t begin = line_start(text, statement->begin);
	const char *rest = text + statement->end + strspn(text + statement->end, " \t\r");

	return strspn(text + begin, " \t") == statement->begin - begin &&
		(*rest == '\0' || *rest == '\n' || *rest == '#' || strncmp(rest, "//", 2) == 0);
}

static const char *
comment_out(ph_pool *pool, const char *text, size_t begin, size_t end)
{
	const char *commented = "";

	while (begin < end) {
		size_t next = next_line(text, begin);

		commented = memory_or_die(ph_pool_printf(pool, "%s#%.*s", commented,
			(int)(next - begin), text + begin));
		begin = next;
	}
	return commented;
}

static const char *
take_away(ph_pool *pool, const char *text, const struct scan_statement *statement,
	const struct edit *edit, ph_error *error)
{
	size_t begin = line_start(text, statement->begin), end = next_line(text, statement->end);

	if (!is_alone(text, statement)) {
		if (edit->kind == EDIT_COMMENT) {
			ph_error_set(error, "%s: shares line %d with others: no comment can be made of it", edit->name,
				statement->line);
			return NULL;
		}
		for (begin = statement->begin; begin > 0 && strchr(" \t", text[begin - 1]);)
			begin--;
		return replaced(pool, text, begin, statement->end, "");
	}
	return replaced(pool, text, begin, end,
		edit->kind == EDIT_COMMENT ? comment_out(pool, text, begin, end) : "");
}

/* ---- One edit -------------------------------------------------------------------------------- */

/* The parameter's definition: what syntax its value has. */
static const struct ph_param *
find_param(const struct config *config, const struct edit *edit, const struct place *place)
{
	static const struct ph_param module = {.name = "module", .type = PH_STRING};
	const struct parameter *parameter = parameter_find(config, place->name);

	if (place->section == -1)
		return parameter ? parameter->param : NULL;
	for (size_t i = 0; i < config->section_count; i++) {
		const struct section *section = config->sections[i];
		const char *title = place->scan->statements[place->section].title;

		if (strcmp(section->title, title) == 0 &&
			strncmp(edit->name, section->class->name, strlen(section->class->name)) == 0)
			return strcmp(place->name, "module") == 0 ? &module
				: section_param(section->class, section->module, place->name);
	}
	return NULL;
}

/* The text without any assignment to the parameter; it is scanned again after each. */
static const char *
take_away_all(ph_pool *pool, const char *text, const struct edit *edit, ph_error *error)
{
	for (;;) {
		const struct scan_statement *assignment;
		struct place place;
		struct scan scan;

		if (scan_text(pool, ph_span_of(text), &scan, error) != 0 ||
			find_place(&scan, edit, &place, error) != 0)
			return NULL;
		assignment = find_assignment(&place);
		if (!assignment)
			return text;
		text = take_away(pool, text, assignment, edit, error);
		if (!text)
			return NULL;
	}
}

const char *
edit_text(ph_pool *pool, const struct config *config, const char *text, const struct edit *edit,
	ph_error *error)
{
	const struct scan_statement *assignment;
	const struct ph_param *param;
	struct place place;
	struct scan scan;
	ph_error why;
	char hint[160];
	const char *value;

	if (scan_text(pool, ph_span_of(text), &scan, &why) != 0) {
		ph_error_set(error, "line %d: %s", scan.error_line, why.text);
		return NULL;
	}
	if (find_place(&scan, edit, &place, error) != 0)
		return NULL;
	if (edit->kind != EDIT_SET)
		return take_away_all(pool, text, edit, error);
	param = find_param(config, edit, &place);
	if (!param) {
		parameter_hint((struct config *)config, place.name, hint, sizeof(hint));
		ph_error_set(error, "%s: no such parameter%s", edit->name, hint);
		return NULL;
	}
	value = param_is_list(param) ? list_value(pool, config, param->type, edit->value)
		: scalar_value(pool, edit->value);
	assignment = find_assignment(&place);
	if (assignment)
		return replace(pool, text, assignment, value);
	return place.section == -1 ? insert_outside(pool, text, &place, value)
		: insert_inside(pool, text, &place, value);
}

/* ---- The file -------------------------------------------------------------------------------- */

/* A problem without its place: an edit moves lines. */
static const char *
text_of(const char *line)
{
	const char *colon = strstr(line, ": ");

	return colon ? colon + 2 : line;
}

struct search {
	const char *line;
	bool found;
};

static void
compare(void *context, bool warning, const char *line)
{
	struct search *search = context;

	search->found = search->found ||
		(!warning && strcmp(text_of(search->line), text_of(line)) == 0);
}

struct fresh {
	const struct problems *before;
	struct problems *out;
};

static void
keep_fresh(void *context, bool warning, const char *line)
{
	struct fresh *fresh = context;
	struct search search = {.line = line};

	problems_each(fresh->before, compare, &search);
	if (!warning && !search.found)
		problems_add(fresh->out, NULL, 0, "%s", line);
}

/* Reads the new text as if it stood in the file. 0 when it has no problem that is new. */
static int
validate(const char *path, const char *text, const struct problems *before, struct problems *out)
{
	struct problems *after = memory_or_die(problems_new());
	struct fresh fresh = {before, out};

	config_free(config_read(path, ph_span_of(text), -1, 0, after));
	problems_each(after, keep_fresh, &fresh);
	problems_free(after);
	return problems_count(out) ? -1 : 0;
}

static int
write_whole(int fd, const char *text)
{
	size_t size = strlen(text);

	while (size) {
		ssize_t put = write(fd, text, size);

		if (put == -1 && errno == EINTR)
			continue;
		if (put == -1)
			return -1;
		text += put;
		size -= (size_t)put;
	}
	return fsync(fd);
}

/* A new file beside the old one takes its place. */
static int
store(const char *path, const char *text, int folder, ph_error *error)
{
	char *fresh = NULL;
	struct stat status;
	int fd, result = -1;

	if (stat(path, &status) == -1 || asprintf(&fresh, "%s.XXXXXX", path) == -1)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	fd = mkostemp(fresh, O_CLOEXEC);
	if (fd == -1) {
		ph_error_set(error, "%s: %s", fresh, strerror(errno));
		free(fresh);
		return -1;
	}
	if ((fchown(fd, status.st_uid, status.st_gid) == -1 && geteuid() == 0) ||
		fchmod(fd, status.st_mode & 07777) == -1 || write_whole(fd, text) == -1 ||
		rename(fresh, path) == -1) {
		ph_error_set(error, "%s: %s", fresh, strerror(errno));
		unlink(fresh);
	} else {
		result = fsync(folder) == -1 && errno != EINVAL
			? ph_error_set(error, "%s: %s", path, strerror(errno)) : 0;
	}
	close(fd);
	free(fresh);
	return result;
}

/* Not for ever: whoever may read the folder can lock it too. */
static int
lock_patiently(int fd)
{
	const struct timespec pause = {.tv_nsec = 20 * 1000000};

	for (int attempt = 0; attempt < 500; attempt++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK && errno != EINTR)
			return -1;
		nanosleep(&pause, NULL);
	}
	errno = EWOULDBLOCK;
	return -1;
}

/* The folder of the file, locked: one edit at a time. */
static int
lock_folder(const char *path, ph_error *error)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	int fd;

	snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1 || lock_patiently(fd) == -1) {
		ph_error_set(error, "%s: %s", folder,
			errno == EWOULDBLOCK ? "is locked by another process" : strerror(errno));
		if (fd != -1)
			close(fd);
		return -1;
	}
	return fd;
}

/* All edits, one after another. NULL: the only one has the error, of several each that is wrong is
 * in problems. */
static const char *
edit_all(const struct config *config, const char *text, const struct edit *edits, size_t count,
	struct problems *problems, ph_error *error)
{
	for (size_t i = 0; i < count; i++) {
		const char *edited = edit_text(config->pool, config, text, &edits[i], error);

		if (!edited && count == 1)
			return NULL;
		if (edited)
			text = edited;
		else
			problems_add(problems, NULL, 0, "%s", error->text);
	}
	return problems_count(problems) ? NULL : text;
}

static int
edit_locked(const char *path, const char *real, int folder, const struct edit *edits, size_t count,
	struct problems *problems, ph_error *error)
{
	struct problems *before = memory_or_die(problems_new());
	struct config *config = config_read(path, (ph_span){NULL, 0}, -1, 0, before);
	const char *old = NULL, *text;
	ph_span source;
	int result = -1;

	if (sources_read(&config->sources, path, &source, error) != 0)
		goto done;
	old = memory_or_die(ph_pool_copy(config->pool, source));
	if (strlen(old) != source.size) {
		ph_error_set(error, "%s: holds a NUL byte", path);
		goto done;
	}
	text = edit_all(config, old, edits, count, problems, error);
	if (text && strcmp(text, old) == 0)
		result = 0;
	else if (!text && !problems_count(problems))
		goto done;
	else if (!text || validate(path, text, before, problems) != 0)
		ph_error_set(error, "%s was not changed", path);
	else
		result = store(real, text, folder, error);
done:
	config_free(config);
	problems_free(before);
	return result;
}

int
edit_file(const char *path, const struct edit *edits, size_t count, struct problems *problems,
	ph_error *error)
{
	char real[PATH_MAX];
	int folder, result;

	if (!realpath(path, real))
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	folder = lock_folder(real, error);
	if (folder == -1)
		return -1;
	result = edit_locked(path, real, folder, edits, count, problems, error);
	close(folder);
	return result;
}
