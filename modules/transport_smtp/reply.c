#include "reply.h"

#include <stdio.h>
#include <string.h>

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

void
reply_begin(struct reply *reply)
{
	reply->code = 0;
	reply->lines = 0;
	reply->status[0] = '\0';
	reply->text[0] = '\0';
}

/* "5.1.1" at the start of the text, of the same class as the code (RFC 2034, 4). */
static void
take_status(struct reply *reply, ph_span text)
{
	size_t size = 0;
	unsigned dots = 0;

	while (size < text.size && size < sizeof reply->status - 1 &&
		(is_digit(text.data[size]) || text.data[size] == '.'))
		dots += text.data[size++] == '.';
	if (dots != 2 || size < 5 || text.data[1] != '.' || text.data[size - 1] == '.' ||
		(size < text.size && text.data[size] != ' ') ||
		text.data[0] - '0' != reply->code / 100)
		return;
	memcpy(reply->status, text.data, size);
	reply->status[size] = '\0';
}

static void
append_text(struct reply *reply, ph_span text)
{
	size_t used = strlen(reply->text);

	if (used > 0 && used < sizeof reply->text - 1)
		reply->text[used++] = ' ';
	for (size_t i = 0; i < text.size && used < sizeof reply->text - 1; i++) {
		unsigned char c = (unsigned char)text.data[i];

		reply->text[used++] = c < 0x20 || c == 0x7f ? '?' : (char)c;
	}
	reply->text[used] = '\0';
}

int
reply_line(struct reply *reply, ph_span line)
{
	int code;

	if (line.size < 3 || !is_digit(line.data[0]) || !is_digit(line.data[1]) ||
		!is_digit(line.data[2]) ||
		(line.size > 3 && line.data[3] != ' ' && line.data[3] != '-'))
		return -1;
	code = (line.data[0] - '0') * 100 + (line.data[1] - '0') * 10 + (line.data[2] - '0');
	if (code < 200 || code > 599 || ++reply->lines > REPLY_MAX_LINES)
		return -1;
	/* A reply whose lines disagree is taken for what its last line says. */
	reply->code = code;
	if (reply->status[0] != '\0' && reply->status[0] - '0' != code / 100)
		reply->status[0] = '\0';
	if (reply->lines == 1) {
		append_text(reply, line);
		if (line.size > 4)
			take_status(reply, (ph_span){line.data + 4, line.size - 4});
	} else if (line.size > 4) {
		append_text(reply, (ph_span){line.data + 4, line.size - 4});
	}
	return line.size > 3 && line.data[3] == '-';
}

const char *
reply_status(const struct reply *reply, const char *fallback_detail, char status[12])
{
	if (reply->status[0] != '\0')
		return reply->status;
	snprintf(status, 12, "%d.%s", reply->code / 100, fallback_detail);
	return status;
}
