/*
 * The header section of a message: where it ends, and its fields. Pure functions over bytes; lines
 * end in CR LF or LF.
 */
#ifndef INTAKE_HEADER_H
#define INTAKE_HEADER_H

#include <posthouse/base.h>

/* A section that is larger is cut there: the rest passes as it is, unseen by header code. */
#define HEADER_SECTION_LIMIT ((size_t)102400)
/* Bytes that may have to be shown to header_scan() before it can decide. */
#define HEADER_SCAN_LIMIT (HEADER_SECTION_LIMIT + 2048)

enum header_end {
	HEADER_MORE,    /* not in these bytes */
	HEADER_BLANK,   /* a blank line, which is consumed */
	HEADER_NO_BLANK, /* a line that is no header: the body begins with it, the blank line is missing */
	HEADER_TOO_LARGE /* the limit: the rest of the section is not looked at */
};

/* The state of a scan; all zero at first. */
struct header_scan {
	size_t line;    /* where the first line begins that was not judged yet */
	size_t field;   /* where the last field begins */
	size_t section; /* out: bytes of the section */
	size_t body;    /* out: where the body begins */
	bool from_line; /* in: the first line may be one of header_is_from_line() */
};

/* Does it begin with what stands before a message in a mailbox: "From a@b Mon …", ">From …"? "From :"
 * is a header. */
bool header_is_from_line(ph_span bytes);

/* bytes: the content from its first byte on, more of it at each call. At the end of the content
 * HEADER_MORE means: all of it is headers. The outcome does not depend on how it was cut. */
enum header_end header_scan(struct header_scan *scan, ph_span bytes);

/* One field with its folded lines and final line end. */
struct header {
	ph_span raw;
	size_t name_size; /* up to the colon */
};

/* The fields of a section; headers has room for header_count_fields() of them. */
size_t header_count_fields(ph_span section);
size_t header_split(ph_span section, struct header *headers);

/* The name without the blanks that old mailers put before the colon. */
ph_span header_name(const struct header *header);
/* Everything after the colon, without the final line end. */
ph_span header_value(const struct header *header);
/* Puts another value in place: name, colon and line end stay as they are. 0, or -1 without
 * memory. */
int header_set_value(ph_pool *pool, struct header *header, ph_span value);
bool header_is(const struct header *header, const char *name);
/* The value without blanks and line ends at both ends. */
ph_span header_trim(ph_span value);

#endif
