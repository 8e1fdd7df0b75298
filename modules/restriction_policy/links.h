/*
 * The connections to policy servers: kept for the next request, and bounded in number.
 */
#ifndef RESTRICTION_POLICY_LINKS_H
#define RESTRICTION_POLICY_LINKS_H

#include <posthouse/stream.h>
#include <posthouse/task.h>

enum { LINKS_MAX = 100 /* to one server, by one process */ };

/* A connection. It belongs to whoever took it, else to those that are kept. */
struct link {
	struct link *next;
	ph_stream *stream;
	ph_deadline idle_end; /* of a kept one */
	ph_deadline end;      /* of its life */
	int64_t requests;     /* that were answered */
};

struct links;
/* A server's connections; lives as long as the links. */
struct line;

/* NULL: no memory. */
struct links *links_new(void);
/* In a task: closes those that are kept, and keeps none any more. NULL: nothing. */
void links_stop(struct links *links);
void links_free(struct links *links);

/* NULL: no memory. */
struct line *links_line(struct links *links, const char *server);
/* Waits until there is room for one more connection. Who got it has to leave. */
ph_wait line_enter(struct line *line, ph_deadline deadline);
void line_leave(struct line *line);
/* A kept connection that is still sound, the one used last; NULL: there is none. The caller's. */
struct link *line_take(struct line *line);
/* Keeps it until its idle_end. */
void line_give(struct line *line, struct link *link);
/* The server has closed one: those that are kept are not worth asking. */
void line_forget(struct line *line);
/* NULL: nothing. */
void link_close(struct link *link);

#endif
