/*
 * What follows DATA: the content, with what smtp_generic_maps and the checks make of it, and a dot
 * before each dot that begins a line (RFC 5321, 4.5.2).
 */
#ifndef SMTP_CONTENT_H
#define SMTP_CONTENT_H

#include <posthouse/transport.h>

#include "checks.h"
#include "generic.h"

/* Texts are in the delivery's pool. */
struct content {
	const struct smtp_settings *settings;
	ph_delivery *delivery;
	int fd;
	int64_t offset, length; /* length: of what is sent */
	bool dot_lines;
	struct generic generic; /* with smtp_generic_maps or checks; all zero without */
	struct checks *checks;  /* NULL without; the caller's */
	const char *failure;    /* a lookup on the way: why it was not sent */
};

/* Sends it and the dot at its end, once; waits. 0, or not: the connection is of no use any more. */
int content_send(struct content *content, ph_stream *stream);

#endif
