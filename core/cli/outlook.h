/*
 * What would become of a recipient: the tables that rewrite it, where each address goes, and what
 * local delivery makes of it, to the last mailbox, command, file or relay. The live code says it;
 * nothing is delivered.
 */
#ifndef CLI_OUTLOOK_H
#define CLI_OUTLOOK_H

#include <posthouse/transport.h>

#include "queue/resolve.h"

/* What it comes to. */
enum fate {
	FATE_BECOMES,   /* targets, and nothing else */
	FATE_GOES,      /* to a transport that is not asked further */
	FATE_DELIVERED, /* text says how */
	FATE_WAITS,     /* status and text say why */
	FATE_RETURNS
};

struct outlook_note {
	struct outlook_note *next;
	const char *text;
};

/* All of it is in the outlook's pool. */
struct outlook {
	struct outlook *next, *parent;
	struct outlook *targets, **targets_end;
	enum ph_target_kind kind;
	const char *address, *what, *user, *sender; /* as in struct ph_target */
	const char *from;                           /* the sender of the message that it is in; NULL: as
	                                             * its parent's */
	struct outlook_note *notes, **notes_end;    /* what was looked up on the way */
	const char *transport, *nexthop, *why;      /* where it goes; transport NULL: nowhere, or becomes */
	enum fate fate;
	const char *status, *text;                  /* "" */
};

/* Who asks. */
struct outlook_maker {
	ph_pool *pool;
	const struct settings *settings;
	const struct resolver *resolver;
	const char *sender;          /* "": the empty one */
	const char *filter;          /* the route of the message, whoever it is for; NULL: none */
	const char *filter_why;      /* who says so: FILTER, content_filter */
	struct outlook *now;         /* whose notes are being taken; NULL: nobody's */
	size_t count;                /* of outlooks */
};

/* Of a recipient as a client gives it. In a task. NULL: no memory. */
struct outlook *outlook_make(struct outlook_maker *maker, const char *address);
/* Of the copies that go to others when these recipients were taken, a list. In a task; NULL: none,
 * or no memory. */
struct outlook *outlook_copies(struct outlook_maker *maker, const ph_strings *recipients);
/* A note where the maker is now. */
void outlook_note(struct outlook_maker *maker, const char *text);

/* Kinds and fates in a word, for JSON. */
const char *outlook_kind_name(enum ph_target_kind kind);
const char *outlook_fate_name(enum fate fate);
/* As text, behind what was printed already: " goes to …", then lines that are indented. */
void outlook_print(const struct outlook *outlook, int indent);

#endif
