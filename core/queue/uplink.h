/*
 * A channel to a named socket that is made again whenever it ends.
 */
#ifndef QUEUE_UPLINK_H
#define QUEUE_UPLINK_H

#include <posthouse/base.h>

struct uplink;

struct uplink_ops {
	/* It stands: say hello. In a task. */
	void (*up)(void *context);
	/* A frame came; in the channel's task. */
	void (*frame)(void *context, unsigned type, ph_span payload);
};

/* Starts connecting; the strings and ops are kept by reference. NULL: no memory or task. */
struct uplink *uplink_open(const char *name, const char *path, const struct uplink_ops *ops,
	void *context, ph_error *error);
/* Ends it; waits for its task. NULL: nothing. */
void uplink_close(struct uplink *link);
bool uplink_is_up(const struct uplink *link);
/* -1: it is down, or the other side does not read. */
int uplink_send(struct uplink *link, unsigned type, ph_span payload);

#endif
