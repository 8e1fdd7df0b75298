#include "mailbox/headerscan.h"

#include <string.h>

static bool
is_white(char c)
{
	return c == ' ' || c == '\t';
}

void
header_scan_begin(struct header_scan *scan, const char *recipient)
{
	*scan = (struct header_scan){.recipient = recipient};
}

/* The header in hand is complete. */
static void
judge(struct header_scan *scan)
{
	static const char name[] = "Delivered-To:";
	const size_t size = sizeof(name) - 1;
	ph_span value;

	if (scan->used >= size &&
		ph_span_equal_nocase((ph_span){scan->header, size}, (ph_span){name, size})) {
		value = (ph_span){scan->header + size, scan->used - size};
		while (value.size > 0 && is_white(value.data[0]))
			value.data++, value.size--;
		while (value.size > 0 && is_white(value.data[value.size - 1]))
			value.size--;
		if (ph_span_equal_nocase(value, ph_span_of(scan->recipient)))
			scan->found = true;
	}
	scan->used = 0;
}

static void
take(struct header_scan *scan, char c)
{
	if (c == '\r')
		return;
	if (c == '\n') {
		if (scan->column == 0) {
			judge(scan);
			scan->ended = true;
		}
		scan->column = 0;
		return;
	}
	if (scan->column++ == 0 && !is_white(c))
		judge(scan);
	if (scan->used < sizeof(scan->header))
		scan->header[scan->used++] = c;
}

bool
header_scan_put(struct header_scan *scan, ph_span bytes)
{
	for (size_t i = 0; i < bytes.size && !scan->ended && !scan->found; i++)
		take(scan, bytes.data[i]);
	return scan->ended || scan->found;
}

bool
header_scan_end(struct header_scan *scan)
{
	if (!scan->ended)
		judge(scan);
	scan->ended = true;
	return scan->found;
}
