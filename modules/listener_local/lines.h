/*
 * Line ends of local content become CR LF: LF does, CR LF stays, a CR that stands alone becomes a
 * blank, since it could be taken for a line end further on. Pure.
 */
#ifndef LISTENER_LOCAL_LINES_H
#define LISTENER_LOCAL_LINES_H

#include <posthouse/base.h>

struct lines {
	void (*put)(void *context, ph_span bytes); /* receives the converted bytes */
	void *context;
	bool after_cr; /* a CR was read whose successor is not known yet */
	size_t size;
	char buffer[8192];
};

void lines_feed(struct lines *lines, ph_span bytes);
/* At the end of the content: what is still held back goes out. */
void lines_finish(struct lines *lines);

#endif
