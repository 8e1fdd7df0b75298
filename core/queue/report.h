/*
 * The text of a report (RFC 3464, RFC 6522). Pure: facts in, lines out.
 */
#ifndef QUEUE_REPORT_H
#define QUEUE_REPORT_H

#include <posthouse/base.h>

#include "config/template.h"

struct report_recipient {
	const char *address;            /* the final one */
	const char *original;           /* as it came in; "" the same */
	const char *orcpt;              /* "rfc822;user@example.com", "" */
	const char *action;             /* "failed", "delayed", "delivered", "relayed", "expanded" */
	const char *status;             /* "5.1.1" */
	const char *text;               /* the diagnostic */
	const char *relay;              /* who said it, "mx.example.com[192.0.2.1]:25"; "" */
};

struct report {
	enum template_kind kind;
	const struct template *template;
	const char *myhostname, *myorigin, *mail_name;
	const char *queue_id;           /* of the message that it is about */
	const char *sender;             /* its sender, "" of a report */
	const char *to;                 /* who gets this report */
	bool postmaster;                /* it is a copy for the postmaster */
	const char *envid;              /* "" */
	const char *boundary;
	int64_t arrival;                /* wall clock, microseconds */
	int64_t retry_until;            /* the same; 0: nothing is tried any more */
	bool eightbit, utf8;
	bool full;                      /* the original follows whole, not its header only */
	const struct report_recipient *recipients;
	size_t recipient_count;
};

/* The lines go out through write; a result of -1 ends it. */
struct report_sink {
	int (*write)(void *context, ph_span bytes);
	void *context;
	ph_pool *pool;
	int result;
};

/* Everything before the original, and after it. */
void report_begin(struct report_sink *sink, const struct report *report);
void report_end(struct report_sink *sink, const struct report *report);
/* The size of the header section that ends in content, with the empty line; 0: it does not end
 * there. at_start: content is the beginning, and may have no header at all. */
size_t report_header_size(ph_span content, bool at_start);

#endif
