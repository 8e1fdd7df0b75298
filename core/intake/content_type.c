#include "intake/content_type.h"

#include <stdlib.h>
#include <string.h>

/* A word, a quoted string without its quotes, or one special character. */
struct token {
	ph_span text;
	bool special;
};

/* The value, whose quoted strings lose their backslashes on the way; bytes live in the copy. */
struct reader {
	char *at, *end;
};

static bool
is_white(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_special(char c)
{
	return c == '\0' || strchr("()<>@,;:\\\"/[]?=", c) != NULL;
}

/* Behind a comment, which may hold others (RFC 5322, 3.2.2). */
static void
skip_comment(struct reader *reader)
{
	size_t depth = 0;

	for (; reader->at < reader->end; reader->at++) {
		if (*reader->at == '\\' && reader->at + 1 < reader->end)
			reader->at++;
		else if (*reader->at == '(')
			depth++;
		else if (*reader->at == ')' && --depth == 0)
			break;
	}
	if (reader->at < reader->end)
		reader->at++;
}

static void
skip_white(struct reader *reader)
{
	while (reader->at < reader->end && (is_white(*reader->at) || *reader->at == '(')) {
		if (*reader->at == '(')
			skip_comment(reader);
		else
			reader->at++;
	}
}

static ph_span
take_quoted(struct reader *reader)
{
	char *start = ++reader->at, *out = start;

	for (; reader->at < reader->end && *reader->at != '"'; reader->at++) {
		if (*reader->at == '\\' && reader->at + 1 < reader->end)
			reader->at++;
		if (*reader->at != '\r' && *reader->at != '\n')
			*out++ = *reader->at;
	}
	if (reader->at < reader->end)
		reader->at++;
	return (ph_span){start, (size_t)(out - start)};
}

/* False: there is none before the next semicolon, which is taken, or the end. */
static bool
next_token(struct reader *reader, struct token *token)
{
	char *start;

	skip_white(reader);
	start = reader->at;
	if (start == reader->end)
		return false;
	if (*start == '"') {
		*token = (struct token){take_quoted(reader), false};
		return true;
	}
	reader->at++;
	if (*start == ';')
		return false;
	if (!is_special(*start))
		while (reader->at < reader->end && !is_special(*reader->at) &&
			!is_white(*reader->at))
			reader->at++;
	*token = (struct token){{start, (size_t)(reader->at - start)}, is_special(*start)};
	return true;
}

/* The first three tokens of a parameter; the rest of it is passed over. Returns how many there
 * were. */
static size_t
next_parameter(struct reader *reader, struct token tokens[3])
{
	struct token more;
	size_t count = 0;

	while (count < 3 && next_token(reader, &tokens[count]))
		count++;
	while (count == 3 && next_token(reader, &more))
		continue;
	return count;
}

static bool
is_word(const struct token *token, const char *word)
{
	return !token->special && ph_span_equal_nocase(token->text, ph_span_of(word));
}

static bool
is_sign(const struct token *token, char sign)
{
	return token->special && token->text.data[0] == sign;
}

static enum content_kind
kind_of(const struct token *tokens, size_t count)
{
	bool whole = count == 3 && is_sign(&tokens[1], '/');

	if (count > 0 && is_word(&tokens[0], "multipart"))
		return whole && is_word(&tokens[2], "digest") ? CONTENT_DIGEST : CONTENT_MULTIPART;
	if (whole && is_word(&tokens[0], "message") && is_word(&tokens[2], "rfc822"))
		return CONTENT_MESSAGE;
	return CONTENT_OTHER;
}

int
content_type_parse(struct content_type *type, ph_span value)
{
	char *copy = malloc(value.size + 1);
	struct reader reader = {copy, copy + value.size};
	struct token tokens[3];
	size_t count;
	int result = 0;

	if (copy == NULL)
		return -1;
	if (value.size > 0)
		memcpy(copy, value.data, value.size);
	count = next_parameter(&reader, tokens);
	type->kind = kind_of(tokens, count);
	while (result == 0 && reader.at < reader.end &&
		(type->kind == CONTENT_MULTIPART || type->kind == CONTENT_DIGEST)) {
		count = next_parameter(&reader, tokens);
		if (count == 3 && is_word(&tokens[0], "boundary") && is_sign(&tokens[1], '='))
			result = type->boundary(type->context, tokens[2].text);
	}
	free(copy);
	return result;
}
