/*
 * Text from strangers made safe for a log line. Pure.
 */
#ifndef GROUND_ESCAPE_H
#define GROUND_ESCAPE_H

#include <posthouse/base.h>

/* Where escaped text goes: written up to the end, then cut. Not terminated. */
struct escape_out {
	char *at;
	char *end;
	bool cut;
};

/* The bytes as they are. */
void escape_raw(struct escape_out *out, const char *text, size_t size);
/* Control characters (C0, DEL, C1) and bytes that are not UTF-8 become \ooo. */
void escape_line(struct escape_out *out, const char *text, size_t size);
/* The inside of a JSON string: the same become \u00xx and \ufffd. */
void escape_json(struct escape_out *out, const char *text, size_t size);

#endif
