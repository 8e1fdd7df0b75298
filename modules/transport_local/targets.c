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

/* Comments and empty lines at the start of a line. */
static void
skip_comments(ph_span *text)
{
	*text = trim(*text);
	while (text->size > 0 && text->data[0] == '#') {
		const char *end = memchr(text->data, '\n', text->size);
		size_t size = end == NULL ? text->size : (size_t)(end - text->data);

		*text = trim((ph_span){text->data + size, text->size - size});
	}
}

/* The piece up to the next separator that is not in quotes. A quotation ends on its line. -1: it
 * does not. */
static int
take_piece(ph_span *text, enum target_syntax syntax, ph_span *piece)
{
	bool lines = syntax == TARGET_LINES, quoted = false;
	size_t n = 0;

	for (; n < text->size && (quoted || text->data[n] != ','); n++) {
		if (lines && text->data[n] == '\n')
			break;
		if (text->data[n] == '"')
			quoted = !quoted;
		else if (quoted && text->data[n] == '\\' && n + 1 < text->size)
			n++;
	}
	if (quoted)
		return -1;
	*piece = trim((ph_span){text->data, n});
	*text = (ph_span){text->data + n, text->size - n};
	if (text->size == 0)
		return 0;
	/* behind a comma a line goes on, and "#" is a character like any other */
	lines = lines && text->data[0] == '\n';
	text->data++, text->size--;
	if (lines)
		skip_comments(text);
	return 0;
}

/* Is the whole piece one string in quotes? Then what they hold, without backslashes. */
static const char *
unquote(ph_pool *pool, ph_span piece)
{
	char *out;
	size_t size = 0, i;

	if (piece.size < 2 || piece.data[0] != '"' ||
		(out = ph_pool_alloc(pool, piece.size)) == NULL)
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

/* more: what stands behind the address and a blank. "joe sue" are two. */
static int
parse_address(ph_pool *pool, ph_span piece, struct target *target, ph_span *more, ph_error *error)
{
	int shown = (int)(piece.size < 80 ? piece.size : 80);
	ph_span rest;
	ph_error why = {""};

	target->kind = TARGET_ADDRESS;
	if (ph_path_parse(pool, strip_name(piece), PH_PATH_UTF8, &target->text, &rest, &why) == -1)
		return ph_error_set(error, "\"%.*s\": %s", shown, piece.data, why.text);
	*more = trim(rest);
	/* no comments here: somebody who thinks that there are should hear of it */
	if (*target->text == '\0' || *target->text == '@' || (more->size > 0 &&
		(!is_white(more->data[-1]) || *piece.data == '#' || *more->data == '#')))
		return ph_error_set(error, "\"%.*s\" is not an address", shown, piece.data);
	return 1;
}

/* Something other than an address? Its kind; TARGET_ADDRESS else. */
static enum target_kind
special_kind(ph_span text)
{
	if (ph_span_equal(text, ph_span_of("/dev/null")))
		return TARGET_NOWHERE;
	if (begins_with(text, "/") || begins_with(text, "~/"))
		return TARGET_FILE;
	if (begins_with(text, "|"))
		return TARGET_COMMAND;
	if (begins_with(text, ":include:"))
		return TARGET_INCLUDE;
	return TARGET_ADDRESS;
}

/* The command behind a bar: |"prog -x" is |prog -x. */
static const char *
command_text(ph_pool *pool, ph_span text)
{
	ph_span command = trim((ph_span){text.data + 1, text.size - 1});
	const char *unquoted = unquote(pool, command);

	return unquoted != NULL ? unquoted : ph_pool_copy(pool, command);
}

static int
take_special(ph_pool *pool, ph_span text, struct target *target, ph_error *error)
{
	size_t prefix = target->kind == TARGET_INCLUDE ? strlen(":include:") : 0;

	if (memchr(text.data, '\0', text.size) != NULL ||
		memchr(text.data, '\n', text.size) != NULL)
		return ph_error_set(error,
			"a control character in the name of a command or a file");
	target->text = target->kind == TARGET_COMMAND ? command_text(pool, text)
		: ph_pool_copy(pool, trim((ph_span){text.data + prefix, text.size - prefix}));
	if (target->text == NULL)
		return ph_error_set(error, "no memory");
	if (*target->text == '\0')
		return ph_error_set(error,
			target->kind == TARGET_COMMAND ? "there is no command behind the \"|\""
			: "there is no file behind \":include:\"");
	return 1;
}

static int
take_address(ph_pool *pool, ph_span piece, struct target *target, ph_span *more, ph_error *error)
{
	int result;

	if (piece.data[0] != '\\' || piece.size == 1)
		return parse_address(pool, piece, target, more, error);
	result = parse_address(pool, (ph_span){piece.data + 1, piece.size - 1}, target, more,
		error);
	target->kind = TARGET_USER;
	return result;
}

int
targets_next(ph_pool *pool, ph_span *text, enum target_syntax syntax, struct target *target,
	ph_error *error)
{
	ph_span piece = {NULL, 0}, more = {NULL, 0}, special;
	const char *unquoted;
	int result;

	while (piece.size == 0) {
		if (syntax == TARGET_LINES && text->size > 0 && text->data[0] == '#')
			skip_comments(text);
		if (text->size == 0)
			return 0;
		if (take_piece(text, syntax, &piece) == -1)
			return ph_error_set(error, "a double quote is not closed");
	}
	unquoted = unquote(pool, piece);
	special = unquoted != NULL ? ph_span_of(unquoted) : piece;
	target->kind = special_kind(special);
	if (target->kind != TARGET_ADDRESS)
		return take_special(pool, special, target, error);
	result = take_address(pool, piece, target, &more, error);
	if (result == 1 && more.size > 0)
		*text = (ph_span){more.data, (size_t)(text->data + text->size - more.data)};
	return result;
}
