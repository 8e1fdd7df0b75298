#include "config/value.h"

#include <inttypes.h>
#include <posthouse/module.h>
#include <stdio.h>
#include <string.h>

#include "config/nearest.h"

/* How much of a wrong value an error shows. */
#define SHOWN 60

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static int
shown(ph_span text)
{
	return text.size > SHOWN ? SHOWN : (int)text.size;
}

static const char *
start_of(ph_span text)
{
	return text.size ? text.data : "";
}

ph_span
value_trim(ph_span text)
{
	while (text.size && is_blank(text.data[0])) {
		text.data++;
		text.size--;
	}
	while (text.size && is_blank(text.data[text.size - 1]))
		text.size--;
	return text;
}

int
value_bool(ph_span text, bool *value, ph_error *error)
{
	static const char *const guesses[] = {"yes", "no", "true", "false", "on", "off", "1", "0"};
	const char *hint = "";

	for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
		if (!ph_span_equal_nocase(text, ph_span_of(guesses[i])))
			continue;
		if (i < 2) {
			*value = i == 0;
			return 0;
		}
		hint = i % 2 == 0 ? "; did you mean yes?" : "; did you mean no?";
	}
	return ph_error_set(error, "\"%.*s\" is neither yes nor no%s", shown(text), start_of(text),
		hint);
}

/* A number with its unit: "1" for a plain one, "k" for 1024 bytes. */
struct unit {
	const char *name;
	int64_t factor;
};

/* The limits in the largest unit that divides them, so that an error reads like the file. */
static const char *
unit_text(int64_t value, const struct unit *units, size_t count, char *text, size_t size)
{
	size_t best = 0;

	for (size_t i = 1; i < count && value; i++)
		if (value % units[i].factor == 0 && units[i].factor > units[best].factor)
			best = i;
	snprintf(text, size, "%" PRId64 "%s", value / units[best].factor, units[best].name);
	return text;
}

static int
out_of_range(ph_span text, int64_t min, int64_t max, const struct unit *units, size_t count,
	ph_error *error)
{
	char low[40], high[40];

	if (max == INT64_MAX)
		return ph_error_set(error, "%.*s is out of range", shown(text), start_of(text));
	unit_text(min, units, count, low, sizeof(low));
	unit_text(max, units, count, high, sizeof(high));
	return ph_error_set(error, "%.*s is out of range: %s to %s", shown(text), start_of(text),
		low, high);
}

static bool
is_number(ph_span text)
{
	size_t i = text.size && text.data[0] == '-' ? 1 : 0;

	if (i == text.size)
		return false;
	for (; i < text.size; i++)
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
	return true;
}

int
value_int(ph_span text, int64_t min, int64_t max, int64_t *value, ph_error *error)
{
	static const struct unit plain[] = {{"", 1}};

	if (min == 0 && max == 0) {
		min = INT64_MIN;
		max = INT64_MAX;
	}
	if (!is_number(text))
		return ph_error_set(error, "\"%.*s\" is not a whole number", shown(text),
			start_of(text));
	if (ph_parse_int(text, min, max, value) != 0)
		return out_of_range(text, min, max, plain, 1, error);
	return 0;
}

/* The number before its unit, times the unit. kind is for the error: "a size (…)". */
static int
value_scaled(ph_span text, const struct unit *units, size_t count, const struct unit *plain,
	int64_t min, int64_t max, const char *kind, int64_t *value, ph_error *error)
{
	const struct unit *unit = plain;
	ph_span number = text;
	uint64_t parsed;

	if (min == 0 && max == 0)
		max = INT64_MAX;
	while (number.size &&
		(number.data[number.size - 1] < '0' || number.data[number.size - 1] > '9'))
		number.size--;
	if (number.size < text.size) {
		ph_span suffix = {text.data + number.size, text.size - number.size};

		for (unit = NULL; count > 0 && !unit; count--)
			if (ph_span_equal_nocase(suffix, ph_span_of(units[count - 1].name)))
				unit = &units[count - 1];
	}
	if (!unit || !is_number(number) || number.data[0] == '-')
		return ph_error_set(error, "\"%.*s\" is not %s", shown(text), start_of(text), kind);
	if (ph_parse_uint(number, (uint64_t)(INT64_MAX / unit->factor), &parsed) != 0)
		return out_of_range(text, min, max, plain, 1, error);
	*value = (int64_t)parsed * unit->factor;
	return 0;
}

int
value_size(ph_span text, int64_t min, int64_t max, int64_t *value, ph_error *error)
{
	static const struct unit units[] = {
		{"", 1}, {"k", 1 << 10}, {"m", 1 << 20}, {"g", 1 << 30}};
	int64_t parsed;

	if (value_scaled(text, units, 4, &units[0], min, max,
		"a size (a number of bytes, with k, m or g after it for more)", &parsed, error) != 0)
		return -1;
	if ((min || max) && (parsed < min || parsed > max))
		return out_of_range(text, min, max, units, 4, error);
	*value = parsed;
	return 0;
}

int
value_time(ph_span text, int64_t min, int64_t max, int64_t *value, ph_error *error)
{
	static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000},
		{"d", 86400000}, {"w", 604800000}};
	int64_t parsed;

	if (value_scaled(text, units, 6, &units[1], min, max,
		"a time (a number with s, m, h, d or w after it; seconds without one)", &parsed, error) != 0)
		return -1;
	if ((min || max) && (parsed < min || parsed > max))
		return out_of_range(text, min, max, units, 6, error);
	*value = parsed;
	return 0;
}

int
ph_parse_time(ph_span text, int64_t min, int64_t max, int64_t *milliseconds, ph_error *error)
{
	return value_time(text, min, max, milliseconds, error);
}

int
value_enum(ph_span text, const char *choices, int *value, ph_error *error)
{
	ph_span rest = ph_span_of(choices), choice;
	char word[40], candidates[8][40], hint[64];
	struct nearest nearest;

	snprintf(word, sizeof(word), "%.*s", shown(text), start_of(text));
	nearest = nearest_to(word);
	for (int i = 0; rest.size; i++) {
		const char *comma = memchr(rest.data, ',', rest.size);
		size_t size = comma ? (size_t)(comma - rest.data) : rest.size;

		choice = value_trim((ph_span){rest.data, size});
		if (ph_span_equal_nocase(choice, text)) {
			*value = i;
			return 0;
		}
		if (i < 8) {
			snprintf(candidates[i], sizeof(candidates[i]), "%.*s", (int)choice.size,
				choice.data);
			nearest_try(&nearest, candidates[i]);
		}
		rest.data += comma ? size + 1 : size;
		rest.size -= comma ? size + 1 : size;
	}
	return ph_error_set(error, "\"%s\" is none of: %s%s", word, choices,
		nearest_hint(&nearest, hint, sizeof(hint)));
}

int
value_address(ph_span text, ph_address *value, ph_error *error)
{
	const char *at = text.size ? memchr(text.data, '@', text.size) : NULL;
	ph_span host = {text.data, at ? (size_t)(at - text.data) : text.size};
	uint64_t port = 0;

	if (at && (ph_parse_uint((ph_span){at + 1, text.size - host.size - 1}, 65535, &port) != 0 ||
		port == 0))
		return ph_error_set(error,
			"\"%.*s\": the port after @ must lie between 1 and 65535",
			shown(text), text.data);
	if (host.size >= 2 && host.data[0] == '[' && host.data[host.size - 1] == ']')
		host = (ph_span){host.data + 1, host.size - 2};
	if (ph_address_parse(host, value) != 0)
		return ph_error_set(error,
			"\"%.*s\" is not an address, or address@port (host names are not looked up here)",
			shown(text), start_of(text));
	value->port = (uint16_t)port;
	return 0;
}

int
value_path(ph_span text, ph_error *error)
{
	if (text.size && text.data[0] != '/')
		return ph_error_set(error, "\"%.*s\" is not an absolute path", shown(text),
			text.data);
	if (text.size >= 4096)
		return ph_error_set(error, "a path of %zu characters is too long", text.size);
	return 0;
}

/* Where an element that begins at text ends: at a separator outside of brackets and quotes. A quote
 * within a word or within brackets is a character like others. */
static size_t
element_size(ph_span text, bool blanks_separate)
{
	int depth = 0;
	char quote = 0;

	for (size_t i = 0; i < text.size; i++) {
		char c = text.data[i];

		if (quote) {
			if (c == quote)
				quote = 0;
		} else if (depth == 0 && (c == '\'' || c == '"') &&
			(i == 0 || is_blank(text.data[i - 1]))) {
			quote = c;
		} else if (c == '{' || c == '[' || c == '(') {
			depth++;
		} else if (c == '}' || c == ']' || c == ')') {
			depth -= depth > 0;
		} else if (depth == 0 && (c == ',' || (blanks_separate && is_blank(c)))) {
			return i;
		}
	}
	return text.size;
}

/* A quote that encloses the whole element is dropped; braces around it too. */
static ph_span
unwrap(ph_span element)
{
	char first = element.size ? element.data[0] : 0;
	char last = element.size ? element.data[element.size - 1] : 0;

	if (element.size >= 2 && ((first == last && (first == '\'' || first == '"')) ||
		(first == '{' && last == '}')))
		return value_trim((ph_span){element.data + 1, element.size - 2});
	return element;
}

static bool
next_of(ph_span *rest, ph_pool *pool, bool blanks_separate, const char **out)
{
	while (rest->size) {
		size_t size = element_size(*rest, blanks_separate);
		ph_span element = unwrap(value_trim((ph_span){rest->data, size}));
		size_t skip = size < rest->size ? size + 1 : size;

		rest->data += skip;
		rest->size -= skip;
		if (element.size)
			return (*out = ph_pool_copy(pool, element)) != NULL;
	}
	return false;
}

bool
value_next_word(ph_span *rest, ph_pool *pool, const char **word)
{
	return next_of(rest, pool, true, word);
}

bool
value_next_element(ph_span *rest, ph_pool *pool, const char **element)
{
	return next_of(rest, pool, false, element);
}

ph_span
value_take_word(ph_span *rest)
{
	ph_span word = {NULL, 0};

	while (rest->size && word.size == 0) {
		size_t size = element_size(*rest, true), skip = size < rest->size ? size + 1 : size;

		word = (ph_span){rest->data, size};
		rest->data += skip;
		rest->size -= skip;
	}
	return word;
}
