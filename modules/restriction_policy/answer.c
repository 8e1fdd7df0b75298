#include "answer.h"

#include <string.h>

static ph_span
without_end(ph_span line)
{
	if (line.size > 0 && line.data[line.size - 1] == '\n')
		line.size--;
	if (line.size > 0 && line.data[line.size - 1] == '\r')
		line.size--;
	return line;
}

/* What is to be shown and logged; a result needs no control characters. */
static const char *
keep(ph_pool *pool, ph_span value)
{
	char *text = ph_pool_copy(pool, value);

	for (char *c = text; c != NULL && *c != '\0'; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			*c = '?';
	return text;
}

static int
complete(const struct answer *answer, ph_error *error)
{
	return answer->action != NULL ? 0 : ph_error_set(error, "the answer has no action");
}

/* The first action counts. */
static int
take_action(struct answer *answer, ph_pool *pool, ph_span value, ph_error *error)
{
	size_t blanks = 0;

	if (answer->action != NULL)
		return 1;
	while (blanks < value.size && (value.data[blanks] == ' ' || value.data[blanks] == '\t'))
		blanks++;
	if (blanks == value.size)
		return ph_error_set(error, "the action is empty");
	answer->action = keep(pool, value);
	return answer->action != NULL ? 1 : ph_error_set(error, "out of memory");
}

int
answer_line(struct answer *answer, ph_pool *pool, ph_span line, ph_error *error)
{
	static const ph_span action = {"action", 6};
	const char *equals;
	ph_span name;

	line = without_end(line);
	if (line.size == 0)
		return complete(answer, error);
	if (++answer->lines > ANSWER_LINES_MAX)
		return ph_error_set(error, "the answer has more than %d lines", ANSWER_LINES_MAX);
	if (memchr(line.data, '\0', line.size) != NULL)
		return ph_error_set(error, "there is a NUL in the answer");
	equals = memchr(line.data, '=', line.size);
	if (equals == NULL)
		return ph_error_set(error, "a line of the answer is not \"name=value\"");
	name = (ph_span){line.data, (size_t)(equals - line.data)};
	if (!ph_span_equal(name, action))
		return 1;
	return take_action(answer, pool,
		(ph_span){equals + 1, line.size - name.size - 1}, error);
}
