#include "ground/escape.h"

#include <stdio.h>
#include <string.h>

/* The length of the well-formed UTF-8 character at text (RFC 3629), 0 when there is none. */
static size_t
utf8_length(const unsigned char *text, size_t size)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t length;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if ((text[0] & 0xf0) == 0xe0)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0; /* no overlong forms, */
	else if (text[0] == 0xed)
		high = 0x9f; /* no surrogates, */
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f; /* nothing above U+10FFFF */
	if (length > size || text[1] < low || text[1] > high)
		return 0;
	for (size_t i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static bool
is_control(const unsigned char *text, size_t length)
{
	if (length == 1)
		return text[0] < 0x20 || text[0] == 0x7f;
	return length == 2 && text[0] == 0xc2 && text[1] < 0xa0;
}

/* All of it or nothing: an escape is never cut in two, nor is a character. */
void
escape_raw(struct escape_out *out, const char *text, size_t size)
{
	if (out->cut || size > (size_t)(out->end - out->at)) {
		out->cut = true;
		return;
	}
	if (size > 0)
		memcpy(out->at, text, size);
	out->at += size;
}

static void
put_octal(struct escape_out *out, const unsigned char *bytes, size_t count)
{
	char text[8];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "\\%03o", (unsigned)bytes[i]);
		escape_raw(out, text, 4);
	}
}

void
escape_line(struct escape_out *out, const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;

	for (size_t i = 0; i < size && !out->cut;) {
		size_t length = utf8_length(bytes + i, size - i);
		size_t step = length == 0 ? 1 : length;

		if (length == 0 || is_control(bytes + i, length))
			put_octal(out, bytes + i, step);
		else
			escape_raw(out, text + i, step);
		i += step;
	}
}

void
escape_json(struct escape_out *out, const char *text, size_t size)
{
	const unsigned char *bytes = (const unsigned char *)text;
	char code[8];

	for (size_t i = 0; i < size && !out->cut;) {
		size_t length = utf8_length(bytes + i, size - i);
		size_t step = length == 0 ? 1 : length;

		if (length == 0) {
			escape_raw(out, "\\ufffd", 6);
		} else if (is_control(bytes + i, length)) {
			snprintf(code, sizeof(code), "\\u%04x", (unsigned)bytes[i + length - 1]);
			escape_raw(out, code, 6);
		} else {
			if (bytes[i] == '"' || bytes[i] == '\\')
				escape_raw(out, "\\", 1);
			escape_raw(out, text + i, step);
		}
		i += step;
	}
}
