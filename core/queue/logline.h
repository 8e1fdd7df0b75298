/*
 * The line that the log gets for each recipient of a delivery.
 */
#ifndef QUEUE_LOGLINE_H
#define QUEUE_LOGLINE_H

#include <posthouse/base.h>

/* Wall clock, microseconds; 0: did not happen. */
struct delivery_times {
	int64_t arrival;   /* the message came */
	int64_t active;    /* the queue manager took it up */
	int64_t started;   /* the transport had it */
	int64_t connected; /* the connection stood */
	int64_t ended;
};

struct delivery_line {
	const char *component, *queue_id;
	const char *recipient, *original; /* "" or the same: no orig_to */
	const char *relay, *status;       /* status: "2.0.0" */
	const char *word;                 /* "sent", "deferred", "bounced" */
	const char *text;
	struct delivery_times times;
};

void delivery_log(const struct delivery_line *line);

#endif
