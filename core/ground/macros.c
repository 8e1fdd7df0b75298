/*
 * $name in parameters that modules expand for what they have in hand.
 */
#include <posthouse/module.h>

#include <string.h>

enum { RESULT_MAX = 4096, DEPTH_MAX = 8 };

struct expansion {
	ph_pool *pool;
	const char *allowed;
	ph_macro_fn *value;
	void *context;
	char *data;
	size_t size;
	ph_error *error;
};

static int expand(struct expansion *e, ph_span text, unsigned depth);

static int
put(struct expansion *e, char c)
{
	if (e->size + 1 >= RESULT_MAX)
		return ph_error_set(e->error, "the expanded text is longer than %d bytes",
			RESULT_MAX - 1);
	e->data[e->size++] = c;
	return 0;
}

static int
put_value(struct expansion *e, const char *value)
{
	int result = 0;

	for (; *value != '\0' && result == 0; value++)
		result = put(e, e->allowed == NULL || strchr(e->allowed, *value) != NULL ? *value
			: '_');
	return result;
}

static size_t
name_size(ph_span text)
{
	size_t n = 0;

	while (n < text.size &&
		((text.data[n] >= 'a' && text.data[n] <= 'z') || text.data[n] == '_'))
		n++;
	return n;
}

/* Where the bracket that opened text is closed; its size: nowhere. */
static size_t
find_end(ph_span text, char open, char close)
{
	unsigned depth = 1;
	size_t n = 0;

	for (; n < text.size; n++) {
		if (text.data[n] == open)
			depth++;
		else if (text.data[n] == close && --depth == 0)
			break;
	}
	return n;
}

/* "name", "name?text", "name:text". */
static int
expand_name(struct expansion *e, ph_span inner, unsigned depth)
{
	size_t n = name_size(inner);
	const char *name = ph_pool_copy(e->pool, (ph_span){inner.data, n}), *value;
	ph_span rest = {inner.data + n, inner.size - n};

	if (name == NULL)
		return ph_error_set(e->error, "no memory");
	if (n == 0 || (rest.size > 0 && *rest.data != '?' && *rest.data != ':'))
		return ph_error_set(e->error, "\"$%.*s\": a name must follow the \"$\"",
			(int)(inner.size < 40 ? inner.size : 40), inner.data);
	if ((value = e->value(e->context, name)) == NULL)
		return ph_error_set(e->error, "\"$%s\": there is no such name here", name);
	if (rest.size == 0)
		return put_value(e, value);
	if ((*rest.data == '?') != (*value != '\0'))
		return 0;
	return expand(e, (ph_span){rest.data + 1, rest.size - 1}, depth + 1);
}

/* What follows a "$". The size that it takes, or -1. */
static long
expand_macro(struct expansion *e, ph_span text, unsigned depth)
{
	char open = text.size > 0 ? *text.data : '\0', close = open == '{' ? '}' : ')';
	size_t n;

	if (open == '$')
		return put(e, '$') == 0 ? 1 : -1;
	if (open != '{' && open != '(') {
		n = name_size(text);
		return expand_name(e, (ph_span){text.data, n}, depth) == 0 ? (long)n : -1;
	}
	n = find_end((ph_span){text.data + 1, text.size - 1}, open, close);
	if (n == text.size - 1)
		return ph_error_set(e->error, "\"$%.*s\": \"%c\" is not closed",
			(int)(text.size < 40 ? text.size : 40), text.data, open);
	return expand_name(e, (ph_span){text.data + 1, n}, depth) == 0 ? (long)n + 2 : -1;
}

static int
expand(struct expansion *e, ph_span text, unsigned depth)
{
	size_t i = 0;

	if (depth > DEPTH_MAX)
		return ph_error_set(e->error, "names are nested more than %d deep", DEPTH_MAX);
	while (i < text.size) {
		long taken = 1;

		if (text.data[i] != '$')
			taken = put(e, text.data[i]) == 0 ? 1 : -1;
		else if ((taken = expand_macro(e, (ph_span){text.data + i + 1, text.size - i - 1}, depth)) != -1)
			taken++;
		if (taken == -1)
			return -1;
		i += (size_t)taken;
	}
	return 0;
}

const char *
ph_macros_expand(ph_pool *pool, const char *text, const char *allowed, ph_macro_fn *value,
	void *context, ph_error *error)
{
	struct expansion e = {.pool = pool, .allowed = allowed, .value = value, .context = context,
		.data = ph_pool_alloc(pool, RESULT_MAX), .error = error};

	if (e.data == NULL) {
		ph_error_set(error, "no memory");
		return NULL;
	}
	if (expand(&e, ph_span_of(text), 0) == -1)
		return NULL;
	e.data[e.size] = '\0';
	return e.data;
}
