#include "targets.h"

#include <string.h>

#include <posthouse/address.h>

static bool
is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
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

static bool
begins_with(ph_span s, const char *word)
{
	size_t n = strlen(word);

	return s.size >= n && ph_span_equal_nocase((ph_span){s.data, n}, ph_span_of(word));
}

/* The piece up to the next comma that is not in quotes. -1: quotes are not closed. */
static int
take_piece(ph_span *value, ph_span *piece)
{
	bool quoted = false;
	size_t n = 0;

	for (; n < value->size && (quoted || value->data[n] != ','); n++) {
		if (value->data[n] == '"')
			quoted = !quoted;
		else if (quoted && value->data[n] == '\\' && n + 1 < value->size)
			n++;
	}
	if (quoted)
		return -1;
	*piece = trim((ph_span){value->data, n});
	n += n < value->size ? 1 : 0;
	*value = (ph_span){value->data + n, value->size - n};
	return 0;
}

/* Is the whole piece one string in quotes? Then what they hold, without backslashes. */
static const char *
unquote(ph_pool *pool, ph_span piece)
{
	char *out;
	size_t size = 0, i;

	if (piece.size < 2 || piece.data[0] != '"' || (out = ph_pool_alloc(pool, piece.size)) == NULL)
		return NULL;
	for (i = 1; i < piece.size && piece.data[i] != '"'; i++) {
		if (piece.data[i] == '\\' && i + 1 < piece.size)
			i++;
		out[size++] = piece.data[i];
	}
	return i == piece.size - 1 ? out : NULL;
}

/* "Full Name <address>" is that address. */
static ph_span
strip_name(ph_span piece)
{
	const char *open = memchr(piece.data, '<', piece.size);

	if (open != NULL && piece.data[piece.size - 1] == '>')
		return (ph_span){open, (size_t)(piece.data + piece.size - open)};
	return piece;
}

static int
parse_address(ph_pool *pool, ph_span piece, struct target *target, ph_error *error)
{
	ph_span rest;
	ph_error why = {""};

	target->kind = TARGET_ADDRESS;
	if (ph_path_parse(pool, strip_name(piece), PH_PATH_UTF8, &target->text, &rest, &why) == -1)
		return ph_error_set(error, "\"%.*s\": %s", (int)(piece.size < 80 ? piece.size : 80), piece.data,
			why.text);
	if (trim(rest).size > 0 || *target->text == '\0' || *target->text == '@')
		return ph_error_set(error, "\"%.*s\" is not an address",
			(int)(piece.size < 80 ? piece.size : 80), piece.data);
	return 1;
}

/* Something other than an address? Its kind; TARGET_ADDRESS else. */
static enum target_kind
special_kind(ph_span text)
{
	if (ph_span_equal(text, ph_span_of("/dev/null")))
		return TARGET_NOWHERE;
	if (begins_with(text, "/"))
		return TARGET_FILE;
	if (begins_with(text, "|"))
		return TARGET_COMMAND;
	if (begins_with(text, ":include:"))
		return TARGET_INCLUDE;
	return TARGET_ADDRESS;
}

int
targets_next(ph_pool *pool, ph_span *value, struct target *target, ph_error *error)
{
	ph_span piece = {NULL, 0};
	const char *unquoted;

	while (piece.size == 0) {
		if (value->size == 0)
			return 0;
		if (take_piece(value, &piece) == -1)
			return ph_error_set(error, "a double quote is not closed");
	}
	unquoted = unquote(pool, piece);
	target->kind = special_kind(unquoted != NULL ? ph_span_of(unquoted) : piece);
	if (target->kind != TARGET_ADDRESS) {
		target->text = unquoted != NULL ? unquoted : ph_pool_copy(pool, piece);
		return target->text != NULL ? 1 : ph_error_set(error, "no memory");
	}
	if (piece.data[0] == '\\' && piece.size > 1) {
		int result = parse_address(pool, (ph_span){piece.data + 1, piece.size - 1}, target, error);

		target->kind = TARGET_USER;
		return result;
	}
	return parse_address(pool, piece, target, error);
}
