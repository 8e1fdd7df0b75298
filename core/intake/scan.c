#include "intake/scan.h"

#include <string.h>

static bool
has_dot_line(ph_span bytes, bool mid_line)
{
	const char *at = bytes.data, *end = bytes.data + bytes.size;

	if (!mid_line && *at == '.')
		return true;
	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL && ++at < end)
		if (*at == '.')
			return true;
	return false;
}

static bool
has_eight_bit(ph_span bytes)
{
	const char *at = bytes.data, *end = bytes.data + bytes.size;
	uint64_t all = 0, word;

	for (; end - at >= (ptrdiff_t)sizeof(word); at += sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		all |= word;
	}
	for (; at < end; at++)
		all |= (unsigned char)*at;
	return (all & UINT64_C(0x8080808080808080)) != 0;
}

void
content_scan(struct content_scan *scan, ph_span bytes)
{
	if (bytes.size == 0)
		return;
	char before = bytes.size > 1 ? bytes.data[bytes.size - 2] : scan->last;

	if (!scan->dot_lines)
		scan->dot_lines = has_dot_line(bytes, scan->mid_line);
	if (!scan->eight_bit)
		scan->eight_bit = has_eight_bit(bytes);
	scan->last = bytes.data[bytes.size - 1];
	scan->mid_line = scan->last != '\n';
	scan->ends_crlf = before == '\r' && scan->last == '\n';
}
