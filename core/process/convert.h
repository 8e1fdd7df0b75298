/*
 * Content on its way to a command: line ends, and lines that must be quoted. Pure.
 */
#ifndef PROCESS_CONVERT_H
#define PROCESS_CONVERT_H

#include <posthouse/base.h>

/* Begins zeroed but for eol and flags. */
struct convert {
	const char *eol;
	unsigned flags;   /* PH_COMMAND_QUOTE_… */
	bool cr;          /* a CR was held back */
	bool in_line;     /* the line's start is behind us */
	unsigned matched; /* characters of "From " at a line's start that were held back */
};

/* How much room size bytes need at the most, eol being at most PH_COMMAND_EOL_MAX long. */
size_t convert_room(size_t size);
/* Converts a piece, wherever it is cut; returns the bytes written. */
size_t convert_put(struct convert *convert, ph_span piece, char *out);
/* Ends the last line, if it is not ended. */
size_t convert_end(struct convert *convert, char *out);

#endif
