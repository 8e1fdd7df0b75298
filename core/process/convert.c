#include "process/convert.h"

#include <string.h>

#include <posthouse/command.h>

static const char from_word[] = "From ";
enum { FROM_SIZE = sizeof(from_word) - 1 };

size_t
convert_room(size_t size)
{
	return (size + FROM_SIZE + 2) * PH_COMMAND_EOL_MAX;
}

static char *
put(char *out, const char *text, size_t size)
{
	memcpy(out, text, size);
	return out + size;
}

/* What was held back of "From " goes out; whole: with its quote. */
static char *
release(struct convert *convert, char *out)
{
	if (convert->matched == FROM_SIZE)
		*out++ = '>';
	out = put(out, from_word, convert->matched);
	convert->matched = 0;
	convert->in_line = true;
	return out;
}

/* At the start of a line. true: the character was held back. */
static bool
hold(struct convert *convert, char c)
{
	if (!(convert->flags & PH_COMMAND_QUOTE_FROM) || convert->matched == FROM_SIZE ||
		c != from_word[convert->matched])
		return false;
	convert->matched++;
	return true;
}

static char *
put_character(struct convert *convert, char c, char *out)
{
	if (!convert->in_line) {
		if (hold(convert, c))
			return out;
		if (c == '.' && convert->matched == 0 && (convert->flags & PH_COMMAND_QUOTE_DOT))
			*out++ = '.';
		out = release(convert, out);
	}
	*out++ = c;
	return out;
}

size_t
convert_put(struct convert *convert, ph_span piece, char *out)
{
	char *at = out;

	for (size_t i = 0; i < piece.size; i++) {
		char c = piece.data[i];

		if (c == '\n') {
			if (!convert->in_line)
				at = release(convert, at);
			at = put(at, convert->eol, strlen(convert->eol));
			convert->cr = convert->in_line = false;
			continue;
		}
		if (convert->cr)
			at = put_character(convert, '\r', at);
		convert->cr = c == '\r';
		if (c != '\r')
			at = put_character(convert, c, at);
	}
	return (size_t)(at - out);
}

size_t
convert_end(struct convert *convert, char *out)
{
	bool open = convert->in_line || convert->matched || convert->cr;
	char *at = out;

	if (convert->cr)
		at = put_character(convert, '\r', at);
	if (open)
		at += convert_put(convert, (ph_span){"\n", 1}, at);
	convert->cr = false;
	return (size_t)(at - out);
}
