/*
 * Lists of the queue as people and programs read them.
 */
#ifndef CLI_QUEUEPRINT_H
#define CLI_QUEUEPRINT_H

#include <stdio.h>

#include <posthouse/base.h>

struct queueprint {
	FILE *out;
	bool json;
	bool open;         /* a JSON object, or a message's block, is to be closed */
	size_t messages, recipients;
	uint64_t bytes;
	char *reason;      /* of the recipient before */
};

void queueprint_begin(struct queueprint *print, FILE *out, bool json);
/* One frame of an answer. */
void queueprint_frame(struct queueprint *print, unsigned type, ph_span payload, ph_pool *pool);
/* The answer is over. */
void queueprint_end(struct queueprint *print);
/* "-- 5 Kbytes in 2 Requests.", "Mail queue is empty". */
void queueprint_total(const struct queueprint *print);

#endif
