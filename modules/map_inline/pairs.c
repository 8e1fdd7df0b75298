#include "pairs.h"

#include <stdlib.h>
#include <string.h>

enum { SHOWN = 60 }; /* bytes of a wrong text in an error */

static bool
is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_separator(char c)
{
	return c == ',' || is_white(c);
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

static int
fail(ph_error *error, ph_span text, const char *what)
{
	return ph_error_set(error, "\"%.*s\": %s", (int)(text.size < SHOWN ? text.size : SHOWN),
		text.data != NULL ? text.data : "", what);
}

/* ---- Braces ---------------------------------------------------------------------------------- */

/* Where the brace that opens the text is closed, or its size. */
static size_t
closing_brace(ph_span text)
{
	size_t depth = 0, i = 0;

	for (; i < text.size; i++) {
		depth += text.data[i] == '{';
		depth -= text.data[i] == '}';
		if (depth == 0)
			break;
	}
	return i;
}

int
pairs_unwrap(ph_span text, ph_span *inside, ph_error *error)
{
	size_t end;

	*inside = text = trim(text);
	if (text.size == 0 || text.data[0] != '{')
		return 0;
	end = closing_brace(text);
	if (end == text.size)
		return fail(error, text, "a brace is not closed");
	if (end + 1 < text.size)
		return fail(error, (ph_span){text.data + end + 1, text.size - end - 1},
			"unexpected text behind a closing brace");
	*inside = trim((ph_span){text.data + 1, end - 1});
	return 0;
}

/* ---- Entries --------------------------------------------------------------------------------- */

/* The end of the element at the start of the text: a separator outside of braces. */
static size_t
element_size(ph_span text)
{
	size_t depth = 0, i = 0;

	for (; i < text.size && (depth > 0 || !is_separator(text.data[i])); i++) {
		depth += text.data[i] == '{';
		depth -= text.data[i] == '}' && depth > 0;
	}
	return i;
}

/* Takes the next element from the rest; empty: there is none. */
static ph_span
take_element(ph_span *rest)
{
	ph_span element;

	while (rest->size > 0 && is_separator(rest->data[0]))
		rest->data++, rest->size--;
	element = (ph_span){rest->data, element_size(*rest)};
	rest->data += element.size;
	rest->size -= element.size;
	return element;
}

/* Counts the elements within the braces of the text, which become the rest. 0 or -1. */
static int
count_elements(ph_span text, ph_span *inside, size_t *count, const char *expected, ph_error *error)
{
	ph_span rest;

	if (trim(text).size == 0 || trim(text).data[0] != '{')
		return fail(error, text, expected);
	if (pairs_unwrap(text, inside, error) == -1)
		return -1;
	*count = 0;
	for (rest = *inside; take_element(&rest).size > 0;)
		++*count;
	return *count > 0 ? 0 : ph_error_set(error, "\"%.*s\": %s, found no entry",
		(int)(text.size < SHOWN ? text.size : SHOWN), text.data, expected);
}

static char *
fold(char *text)
{
	for (char *c = text; text != NULL && *c != '\0'; c++)
		if (*c >= 'A' && *c <= 'Z')
			*c += 'a' - 'A';
	return text;
}

static int
add_element(struct pairs *pairs, ph_pool *pool, ph_span element, ph_error *error)
{
	struct pair *pair = &pairs->items[pairs->count++];
	const char *equals;
	ph_span inside;

	if (pairs_unwrap(element, &inside, error) == -1)
		return -1;
	equals = inside.size > 0 ? memchr(inside.data, '=', inside.size) : NULL;
	if (equals == NULL)
		return fail(error, element,
			"expected key=value, or { key = value } for one with spaces");
	pair->key = trim((ph_span){inside.data, (size_t)(equals - inside.data)});
	pair->value = trim((ph_span){equals + 1, inside.size - (size_t)(equals + 1 - inside.data)});
	if (pair->key.size == 0)
		return fail(error, element, "expected a key before the =");
	if (pair->value.size == 0)
		return fail(error, element, "expected a value behind the =");
	pair->key.data = fold(ph_pool_copy(pool, pair->key));
	pair->value.data = ph_pool_copy(pool, pair->value);
	return pair->key.data != NULL && pair->value.data != NULL ? 0
		: ph_error_set(error, "no memory");
}

static int
compare_keys(ph_span a, ph_span b)
{
	size_t least = a.size < b.size ? a.size : b.size;
	int order = least > 0 ? memcmp(a.data, b.data, least) : 0;

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int
compare(const void *a, const void *b)
{
	return compare_keys(((const struct pair *)a)->key, ((const struct pair *)b)->key);
}

static int
sort(struct pairs *pairs, ph_error *error)
{
	qsort(pairs->items, pairs->count, sizeof(*pairs->items), compare);
	for (size_t i = 1; i < pairs->count; i++)
		if (compare(&pairs->items[i - 1], &pairs->items[i]) == 0)
			return fail(error, pairs->items[i].key, "this key is there twice");
	return 0;
}

int
pairs_parse(struct pairs *pairs, ph_pool *pool, ph_span text, ph_error *error)
{
	ph_span rest, element;
	size_t room;

	*pairs = (struct pairs){0};
	if (count_elements(text, &rest, &room, "expected { key=value, … }", error) == -1)
		return -1;
	pairs->items = ph_pool_array(pool, room, sizeof(*pairs->items));
	if (pairs->items == NULL)
		return ph_error_set(error, "no memory");
	while ((element = take_element(&rest)).size > 0)
		if (add_element(pairs, pool, element, error) == -1)
			return -1;
	return sort(pairs, error);
}

const struct pair *
pairs_find(const struct pairs *pairs, ph_span key)
{
	struct pair wanted = {.key = key};

	return bsearch(&wanted, pairs->items, pairs->count, sizeof(*pairs->items), compare);
}

/* ---- Texts ----------------------------------------------------------------------------------- */

int
texts_parse(struct texts *texts, ph_pool *pool, ph_span text, ph_error *error)
{
	ph_span rest, element;
	size_t room;

	*texts = (struct texts){0};
	if (count_elements(text, &rest, &room, "expected { text, { text with spaces }, … }", error) == -1)
		return -1;
	texts->items = ph_pool_array(pool, room, sizeof(*texts->items));
	if (texts->items == NULL)
		return ph_error_set(error, "no memory");
	while ((element = take_element(&rest)).size > 0) {
		ph_span *item = &texts->items[texts->count++];

		if (pairs_unwrap(element, item, error) == -1)
			return -1;
		if (item->size == 0)
			return fail(error, element, "expected a text within the braces");
	}
	return 0;
}
