/*
 * A channel to a named socket that is made again whenever it ends.
 */
#ifndef QUEUE_LINK_H
#define QUEUE_LINK_H

#include <posthouse/base.h>

struct link;

struct link_ops {
	/* It stands: say hello. In a task. */
	void (*up)(void *context);
	/* A frame came; in the channel's task. */
	void (*frame)(void *context, unsigned type, ph_span payload);
};

/* Starts connecting; the strings and ops are kept by reference. NULL: no memory or task. */
struct link *link_open(const char *name, const char *path, const struct link_ops *ops, void *context,
	ph_error *error);
/* Ends it; waits for its task. NULL: nothing. */
void link_close(struct link *link);
bool link_is_up(const struct link *link);
/* -1: it is down, or the other side does not read. */
int link_send(struct link *link, unsigned type, ph_span payload);

#endif
