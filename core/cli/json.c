#include "cli/json.h"

#include <string.h>

/* The size of the UTF-8 sequence at text; 0: it is none (RFC 3629). */
static size_t
sequence(const unsigned char *text)
{
	size_t size = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 : text[0] < 0xe0 ? 2
		: text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < size; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] > 0x9f) ||
		(text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] > 0x8f))
		return 0;
	return size;
}

void
json_string(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (!text) {
		fputs("null", out);
		return;
	}
	fputc('"', out);
	while (*at) {
		size_t size = sequence(at);

		if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else if (size)
			fwrite(at, 1, size, out);
		else
			fputs("\\ufffd", out);
		at += size ? size : 1;
	}
	fputc('"', out);
}

void
json_member(FILE *out, const char *name, const char *text, int first)
{
	fprintf(out, "%s\"%s\": ", first ? "" : ", ", name);
	json_string(out, text);
}
