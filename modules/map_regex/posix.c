#include "posix.h"

#include <ctype.h>
#include <string.h>

struct translation {
	ph_span rest;
	bool lines;
	char *out;         /* with room for the longest: a character becomes LONGEST at most */
	size_t size;
	char repetition;   /* * + ? or { when that was put last; else NUL */
	ph_error *error;
};

/* "\\>" becomes nine. */
enum { LONGEST = 5 };

static void
put(struct translation *t, const char *text, size_t size)
{
	memcpy(t->out + t->size, text, size);
	t->size += size;
}

static void
put_string(struct translation *t, const char *text)
{
	put(t, text, strlen(text));
}

static void
skip(struct translation *t, size_t size)
{
	t->rest.data += size;
	t->rest.size -= size;
}

/* ---- Escapes --------------------------------------------------------------------------------- */

/* GNU's words that Perl has no escape for, or another. */
static const struct {
	char letter;
	const char *perl;
} escapes[] = {
	{'<', "\\b(?=\\w)"},
	{'>', "\\b(?<=\\w)"},
	{'`', "\\A"},
	{'\'', "\\z"},
};

/* A backslash and the character behind it; a pattern never ends with a lone one. */
static void
take_escape(struct translation *t)
{
	char c = t->rest.size > 1 ? t->rest.data[1] : '\\';
	size_t i = 0;

	while (i < sizeof(escapes) / sizeof(escapes[0]) && escapes[i].letter != c)
		i++;
	if (i < sizeof(escapes) / sizeof(escapes[0]))
		put_string(t, escapes[i].perl);
	else if (isalpha((unsigned char)c) && !strchr("wWsSbB", c))
		put(t, &c, 1);
	else if (c == '0')
		put(t, &c, 1);
	else
		put(t, (const char[]){'\\', c}, 2);
	skip(t, t->rest.size > 1 ? 2 : 1);
}

/* ---- Sets ------------------------------------------------------------------------------------ */

/* "[:name:]", "[.x.]" or "[=x=]" within a set, at the start of the rest: its size, or 0. */
static size_t
class_size(ph_span rest)
{
	if (rest.size < 4 || rest.data[0] != '[' || !strchr(":.=", rest.data[1]))
		return 0;
	for (size_t i = 2; i + 1 < rest.size; i++)
		if (rest.data[i] == rest.data[1] && rest.data[i + 1] == ']')
			return i + 2;
	return 0;
}

static void
put_member(struct translation *t, char c, const char *escaped)
{
	if (c != '\0' && strchr(escaped, c) != NULL)
		put(t, "\\", 1);
	put(t, &c, 1);
}

/* "[" and all up to its "]": a backslash is a member like any other. One that is not closed is
 * PCRE's to complain of. */
static void
take_set(struct translation *t)
{
	bool first = true;

	put(t, "[", 1);
	skip(t, 1);
	if (t->rest.size > 0 && t->rest.data[0] == '^') {
		put_string(t, t->lines ? "^\\n" : "^");
		skip(t, 1);
	}
	for (; t->rest.size > 0 && (first || t->rest.data[0] != ']'); first = false) {
		size_t size = class_size(t->rest);

		if (size == 5 && t->rest.data[1] != ':') /* [.x.] and [=x=] are x */
			put_member(t, t->rest.data[2], "\\[]^-");
		else if (size > 0)
			put(t, t->rest.data, size);
		else
			put_member(t, t->rest.data[0], "\\[]^");
		skip(t, size > 0 ? size : 1);
	}
	if (t->rest.size > 0) {
		put(t, "]", 1);
		skip(t, 1);
	}
}

/* ---- Repetitions ----------------------------------------------------------------------------- */

/* A repetition of what is repeated already: to Perl "a*?" and "a*+" are something else. */
static int
take_repetition(struct translation *t)
{
	char c = t->rest.data[0];

	if (t->repetition == '{')
		return ph_error_set(t->error,
			"\"%c\" behind {…}: put what it repeats in parentheses", c);
	if (t->repetition != '\0') {
		c = t->repetition == c ? c : '*';
		t->size--;
	}
	put(t, &c, 1);
	skip(t, 1);
	t->repetition = c;
	return 0;
}

/* "{2}", "{2,}", "{2,3}", "{,3}" at the start of the rest: its size, or 0. */
static size_t
interval_size(ph_span rest)
{
	size_t i = 1, commas = 0;

	for (; i < rest.size && rest.data[i] != '}'; i++) {
		if (rest.data[i] == ',')
			commas++;
		else if (!isdigit((unsigned char)rest.data[i]))
			return 0;
	}
	return i < rest.size && i > 1 + commas && commas <= 1 ? i + 1 : 0;
}

static int
take_brace(struct translation *t)
{
	size_t size = interval_size(t->rest);

	if (size == 0) {
		put_string(t, "\\{");
		skip(t, 1);
		t->repetition = '\0';
		return 0;
	}
	if (t->repetition != '\0')
		return ph_error_set(t->error,
			"{…} behind \"%c\": put what it repeats in parentheses",
			t->repetition == '{' ? '}' : t->repetition);
	put_string(t, t->rest.data[1] == ',' ? "{0" : "{");
	put(t, t->rest.data + 1, size - 1);
	skip(t, size);
	t->repetition = '{';
	return 0;
}

/* ------------------------------------------------------------------------------------------------ */

static int
take_one(struct translation *t)
{
	char c = t->rest.data[0];

	if (c == '*' || c == '+' || c == '?')
		return take_repetition(t);
	if (c == '{')
		return take_brace(t);
	t->repetition = '\0';
	if (c == '\\') {
		take_escape(t);
	} else if (c == '[') {
		take_set(t);
	} else {
		put(t, &c, 1);
		skip(t, 1);
		/* What Perl calls a group with a purpose, "(?", stays one. */
		if (c == '(' && t->rest.size > 0 && t->rest.data[0] == '?') {
			put(t, "?", 1);
			skip(t, 1);
		}
	}
	return 0;
}

const char *
posix_translate(ph_pool *pool, ph_span pattern, bool lines, ph_error *error)
{
	struct translation t = {.rest = pattern, .lines = lines, .error = error};

	t.out = ph_pool_array(pool, pattern.size + 1, LONGEST);
	if (t.out == NULL) {
		ph_error_set(error, "no memory");
		return NULL;
	}
	while (t.rest.size > 0)
		if (take_one(&t) == -1)
			return NULL;
	return t.out;
}
