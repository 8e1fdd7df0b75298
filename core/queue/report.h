/*
 * The text of a non-delivery report (RFC 3464, RFC 6522). Pure: facts in, lines out.
 */
#ifndef QUEUE_REPORT_H
#define QUEUE_REPORT_H

#include <posthouse/base.h>

struct report_recipient {
	const char *address, *original; /* "" */
	const char *orcpt;              /* "rfc822;user@example.com", "" */
	const char *status;             /* "5.1.1" */
	const char *text;               /* the diagnostic */
};

struct report {
	const char *myhostname, *mail_name;
	const char *queue_id;           /* of the message that failed */
	const char *sender;             /* its sender, who gets the report */
	const char *envid;              /* "" */
	const char *boundary;
	int64_t arrival;                /* wall clock, microseconds */
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
