#include "lines.h"

#include <string.h>

static void
flush(struct lines *lines)
{
	if (lines->size > 0)
		lines->put(lines->context, (ph_span){lines->buffer, lines->size});
	lines->size = 0;
}

static void
put(struct lines *lines, const char *data, size_t size)
{
	while (size > 0) {
		size_t take = sizeof(lines->buffer) - lines->size;

		if (take > size)
			take = size;
		memcpy(lines->buffer + lines->size, data, take);
		lines->size += take;
		data += take;
		size -= take;
		if (lines->size == sizeof(lines->buffer))
			flush(lines);
	}
}

/* Bytes without LF; the CRs in them stand alone, but for a last one, which waits. */
static void
put_text(struct lines *lines, const char *data, size_t size)
{
	const char *end = data + size, *cr;

	if (size > 0 && lines->after_cr) {
		put(lines, " ", 1);
		lines->after_cr = false;
	}
	while (data < end && (cr = memchr(data, '\r', (size_t)(end - data))) != NULL) {
		put(lines, data, (size_t)(cr - data));
		data = cr + 1;
		if (data == end) {
			lines->after_cr = true;
			return;
		}
		put(lines, " ", 1);
	}
	put(lines, data, (size_t)(end - data));
}

void
lines_feed(struct lines *lines, ph_span bytes)
{
	const char *at = bytes.data, *end = bytes.data + bytes.size;

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));

		put_text(lines, at, (size_t)((lf != NULL ? lf : end) - at));
		if (lf == NULL)
			return;
		put(lines, "\r\n", 2);
		lines->after_cr = false;
		at = lf + 1;
	}
}

void
lines_finish(struct lines *lines)
{
	if (lines->after_cr)
		put(lines, " ", 1);
	lines->after_cr = false;
	flush(lines);
}
