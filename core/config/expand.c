#include "config/expand.h"

#include <stdio.h>
#include <string.h>

#define RESULT_MAX 65536
#define DEPTH_MAX 32

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
		c == '_';
}

/* The reference at the start of text, which begins with a dollar sign: its size, and the name. 0:
 * it is none. */
static size_t
reference(const char *text, ph_span *name)
{
	char close = text[1] == '{' ? '}' : text[1] == '(' ? ')' : 0;
	size_t start = close ? 2 : 1, end = start;

	while (is_name_char(text[end]))
		end++;
	*name = (ph_span){text + start, end - start};
	if (end == start || (close && text[end] != close))
		return 0;
	return close ? end + 1 : end;
}

int
expand_check_loop(const struct expand_chain *chain, const char *name, ph_error *error)
{
	const struct expand_chain *links[DEPTH_MAX + 1];
	size_t depth = 0, used = 0;
	char text[200] = "";
	bool found = false;

	for (const struct expand_chain *link = chain; link && depth <= DEPTH_MAX; link = link->up) {
		links[depth++] = link;
		found = found || strcmp(link->name, name) == 0;
	}
	if (depth > DEPTH_MAX)
		return ph_error_set(error, "$%s: more than %d parameters refer to each other", name,
			DEPTH_MAX);
	if (!found)
		return 0;
	while (depth-- > 0 && used < sizeof(text))
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s -> ",
			links[depth]->name);
	return ph_error_set(error, "refers to itself: %s%s", text, name);
}

/* Text that grows in a buffer as large as a result may be. */
struct output {
	char *data;
	size_t size;
	ph_error *error;
};

static int
put(struct output *output, const char *data, size_t size)
{
	if (size >= RESULT_MAX - output->size)
		return ph_error_set(output->error, "the expanded value is longer than %d bytes",
			RESULT_MAX);
	memcpy(output->data + output->size, data, size);
	output->size += size;
	output->data[output->size] = '\0';
	return 0;
}

static int
put_reference(struct output *output, ph_pool *pool, ph_span span, expand_fn *lookup, void *context,
	const struct expand_chain *chain)
{
	const char *name = ph_pool_copy(pool, span), *value;
	struct expand_chain link = {.name = name, .up = chain};

	if (!name)
		return ph_error_set(output->error, "out of memory");
	if (expand_check_loop(chain, name, output->error) != 0)
		return -1;
	value = lookup(context, pool, name, &link, output->error);
	return value ? put(output, value, strlen(value)) : -1;
}

static int
expand_into(struct output *output, ph_pool *pool, const char *text, expand_fn *lookup,
	void *context, const struct expand_chain *chain)
{
	while (*text) {
		size_t plain = strcspn(text, "$"), size;
		ph_span name;

		if (put(output, text, plain) != 0)
			return -1;
		text += plain;
		if (!*text)
			break;
		if (text[1] == '$') {
			if (put(output, "$", 1) != 0)
				return -1;
			text += 2;
			continue;
		}
		size = reference(text, &name);
		if (size == 0)
			return ph_error_set(output->error,
				"\"%.20s\": a parameter's name must follow $ (a dollar sign itself is $$)", text);
		if (put_reference(output, pool, name, lookup, context, chain) != 0)
			return -1;
		text += size;
	}
	return 0;
}

const char *
expand_text(ph_pool *pool, const char *text, expand_fn *lookup, void *context,
	const struct expand_chain *chain, ph_error *error)
{
	struct output output = {.error = error};
	ph_pool *scratch;
	const char *result = NULL;

	if (!strchr(text, '$'))
		return ph_pool_strdup(pool, text);
	scratch = ph_pool_new(0);
	output.data = scratch ? ph_pool_alloc(scratch, RESULT_MAX) : NULL;
	if (!output.data)
		ph_error_set(error, "out of memory");
	else if (expand_into(&output, pool, text, lookup, context, chain) == 0)
		result = ph_pool_strdup(pool, output.data);
	ph_pool_free(scratch);
	return result;
}

bool
expand_is_reference(ph_pool *pool, const char *text, const char **name)
{
	ph_span span;
	size_t size = text[0] == '$' ? reference(text, &span) : 0;

	if (size == 0 || text[size] != '\0')
		return false;
	*name = ph_pool_copy(pool, span);
	return *name != NULL;
}

bool
expand_refers(const char *text, const char *name)
{
	while ((text = strchr(text, '$'))) {
		ph_span span;
		size_t size = text[1] == '$' ? 2 : reference(text, &span);

		if (text[1] != '$' && size && ph_span_equal(span, ph_span_of(name)))
			return true;
		text += size ? size : 1;
	}
	return false;
}
