/*
 * One field or line: looked up, and what the table answers done.
 */
#ifndef FILTER_CHECKS_ACT_H
#define FILTER_CHECKS_ACT_H

#include <posthouse/checks.h>
#include <posthouse/filter.h>
#include <posthouse/map.h>
#include <posthouse/mime.h>

struct settings {
	const ph_map *header, *mime, *nested, *body;
	int64_t body_limit, header_limit, nesting_limit, boundary_limit;
	bool no_mime;
};

/* The checks of one message. */
struct checks {
	const struct settings *settings;
	ph_filter_message *message;
	ph_pool *scratch;        /* whoever takes the next field or line resets it */
	bool stopped;            /* nothing more is checked: it was refused, passed or discarded */
	ph_filter_result result; /* for the filter to return */
	/* The body: stream.c. */
	ph_mime *mime;
	ph_span piece, run;      /* what is fed; what of it is to go on, and was not written yet */
	bool dropping;           /* the field in hand goes, all of it */
	bool mid_line;           /* what goes on so far does not end a line */
};

/* The table for a field, and its parameter. */
const ph_map *act_table(const struct settings *settings, enum ph_mime_place place, ph_span field,
	const char **parameter);

/* What becomes of the text. */
enum fate { FATE_STAYS, FATE_GOES, FATE_REPLACED, FATE_PREPENDED };

/* Looks the field or line up, logs and does what is to be done with the message. text: of what is
 * put in place or before, in the scratch pool. A table that cannot be asked stops the checks. */
enum fate act_on(struct checks *checks, const ph_map *map, const char *parameter, bool header,
	ph_span bytes, const char **text);
/* Refuses for now: no memory. */
void act_fail(struct checks *checks);
/* Refuses a message with more multipart entities in each other than the limit. */
void act_too_deep(struct checks *checks, ph_span field);

#endif
