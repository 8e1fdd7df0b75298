/*
 * What must be known of content before it is stored: does a line begin with a dot, are there
 * 8-bit characters, how does it end? Each question is asked until it is answered.
 */
#ifndef INTAKE_SCAN_H
#define INTAKE_SCAN_H

#include <posthouse/base.h>

struct content_scan {
	bool dot_lines, eight_bit;
	bool mid_line; /* the last byte was no LF */
	char last;     /* the last byte */
	bool ends_crlf;
};

/* Pieces cut anywhere; a piece at the start of all begins a line. */
void content_scan(struct content_scan *scan, ph_span bytes);

#endif
