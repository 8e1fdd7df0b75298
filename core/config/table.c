/*
 * The text of tables, cut into entries. Pure: bytes in, entries out.
 */
#include <posthouse/table.h>

#include <stdlib.h>
#include <string.h>

/* One entry while its lines are collected. */
struct entry {
	char *data; /* lines without their ends, one after the other */
	size_t size;
	int line;   /* where it begins; 0: none */
};

struct parse {
	const char *name;
	enum ph_table_style style;
	ph_table_entry_fn *fn;
	void *context;
	ph_error *error;
};

static bool
is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static ph_span
trim(ph_span s)
{
	while (s.size > 0 && is_white(s.data[0]))
		s.data++, s.size--;
	while (s.size > 0 && is_white(s.data[s.size - 1]))
		s.size--;
	return s;
}

/* Removes and returns the line at the start of the text, without its end. */
static ph_span
take_line(ph_span *text)
{
	const char *end = memchr(text->data, '\n', text->size);
	ph_span line = {text->data, end != NULL ? (size_t)(end - text->data) : text->size};
	size_t taken = end != NULL ? line.size + 1 : line.size;

	text->data += taken;
	text->size -= taken;
	return line;
}

static ph_span
after(ph_span s, size_t count)
{
	return (ph_span){s.data + count, s.size - count};
}

/*
 * Takes a word in double quotes from the start of s, which begins with a quote; backslashes before
 * any character are dropped, in place: the entry's buffer is ours. -1: no closing quote.
 */
static int
take_quoted(ph_span *s, ph_span *word)
{
	char *to = (char *)s->data;
	size_t i = 1, size = 0;

	for (; i < s->size && s->data[i] != '"'; i++) {
		if (s->data[i] == '\\' && i + 1 < s->size)
			i++;
		to[size++] = s->data[i];
	}
	if (i >= s->size)
		return -1;
	*word = (ph_span){to, size};
	*s = after(*s, i + 1);
	return 0;
}

static int
bad_entry(const struct parse *p, int line, const char *what)
{
	return ph_error_set(p->error, "%s:%d: %s", p->name, line, what);
}

static int
pair_entry(const struct parse *p, struct entry *e)
{
	ph_span rest = {e->data, e->size}, key;

	if (rest.data[0] == '"') {
		if (take_quoted(&rest, &key) == -1)
			return bad_entry(p, e->line, "a double quote is not closed");
		if (rest.size > 0 && !is_white(rest.data[0]))
			return bad_entry(p, e->line, "expected white space after the quoted key");
	} else {
		size_t n = 0;

		while (n < rest.size && !is_white(rest.data[n]))
			n++;
		key = (ph_span){rest.data, n};
		rest = after(rest, n);
	}
	rest = trim(rest);
	if (rest.size == 0)
		return bad_entry(p, e->line, "expected \"key value\", found a key without a value");
	return p->fn(p->context, e->line, key, rest, p->error);
}

static int
alias_entry(const struct parse *p, struct entry *e)
{
	ph_span rest = {e->data, e->size}, name;

	if (rest.data[0] == '"') {
		if (take_quoted(&rest, &name) == -1)
			return bad_entry(p, e->line, "a double quote is not closed");
		rest = trim(rest);
		if (rest.size == 0 || rest.data[0] != ':')
			return bad_entry(p, e->line, "expected a colon after the quoted name");
		rest = after(rest, 1);
	} else {
		const char *colon = memchr(rest.data, ':', rest.size);

		if (colon == NULL)
			return bad_entry(p, e->line, "expected \"name: value\", found no colon");
		name = trim((ph_span){rest.data, (size_t)(colon - rest.data)});
		rest = after(rest, (size_t)(colon - rest.data) + 1);
	}
	rest = trim(rest);
	if (name.size == 0)
		return bad_entry(p, e->line, "expected a name before the colon");
	if (rest.size == 0)
		return bad_entry(p, e->line,
			"expected \"name: value\", found a name without a value");
	return p->fn(p->context, e->line, name, rest, p->error);
}

static int
finish_entry(const struct parse *p, struct entry *e)
{
	int result = 0;

	if (e->line == 0)
		return 0;
	while (e->size > 0 && is_white(e->data[e->size - 1]))
		e->size--;
	switch (p->style) {
	case PH_TABLE_PAIRS:
		result = pair_entry(p, e);
		break;
	case PH_TABLE_ALIASES:
		result = alias_entry(p, e);
		break;
	case PH_TABLE_LINES:
		result = p->fn(p->context, e->line, (ph_span){e->data, e->size}, (ph_span){"", 0},
			p->error);
		break;
	}
	e->line = 0;
	e->size = 0;
	return result;
}

static bool
is_left_out(ph_span line)
{
	ph_span content = trim(line);

	return content.size == 0 || content.data[0] == '#';
}

static int
parse_lines(const struct parse *p, ph_span text, struct entry *e)
{
	for (int number = 1; text.size > 0; number++) {
		ph_span line = take_line(&text);
		int result;

		if (memchr(line.data, '\0', line.size) != NULL)
			return bad_entry(p, number, "a NUL byte is not allowed");
		if (is_left_out(line))
			continue;
		if (is_white(line.data[0])) {
			if (e->line == 0)
				return bad_entry(p, number,
					"a continuation line, but no entry before it");
		} else {
			if ((result = finish_entry(p, e)) != 0)
				return result;
			e->line = number;
		}
		memcpy(e->data + e->size, line.data, line.size);
		e->size += line.size;
	}
	return finish_entry(p, e);
}

int
ph_table_parse(const char *name, ph_span text, enum ph_table_style style, ph_table_entry_fn *entry,
	void *context, ph_error *error)
{
	struct parse p = {name, style, entry, context, error};
	struct entry e = {.data = malloc(text.size + 1)}; /* no entry is larger than the text */
	int result;

	if (e.data == NULL)
		return ph_error_set(error, "%s: no memory", name);
	result = parse_lines(&p, text, &e);
	free(e.data);
	return result;
}

bool
ph_table_is_aliases(const char *path, ph_span text)
{
	const char *slash = strrchr(path, '/');

	if (strstr(slash != NULL ? slash + 1 : path, "alias") != NULL)
		return true;
	while (text.size > 0) {
		ph_span line = take_line(&text);
		size_t n = 0;

		if (is_left_out(line))
			continue;
		if (line.data[0] == '"') {
			for (n = 1; n < line.size && line.data[n] != '"'; n++)
				if (line.data[n] == '\\')
					n++;
			return n + 1 < line.size && line.data[n + 1] == ':';
		}
		while (n < line.size && !is_white(line.data[n]))
			n++;
		return n > 0 && line.data[n - 1] == ':';
	}
	return false;
}
