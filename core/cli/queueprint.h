/*
 * Lists of the queue as people and programs read them.
 */
#ifndef CLI_QUEUEPRINT_H
#define CLI_QUEUEPRINT_H

#include <stdio.h>

#include <posthouse/base.h>

/* What the frames of a list say: of a message; texts live in the pool. */
struct queue_head {
	const char *id, *queue, *sender, *reason;
	uint64_t arrival, size, next; /* microseconds since 1970, bytes, microseconds (0: now) */
};
/* Reads a CONTROL_MESSAGE. 0 or -1. */
int queue_head_read(struct queue_head *head, ph_span payload, ph_pool *pool);
/* Calls fn for each recipient of a CONTROL_RECIPIENTS. */
typedef void queue_recipient_fn(void *context, const char *address, const char *reason);
void queue_recipients_each(ph_span payload, ph_pool *pool, queue_recipient_fn *fn, void *context);
/* Writes what a peer said so that it does not move the cursor of a terminal; as a JSON string. */
void queue_put_tame(FILE *out, const char *text);
void queue_put_json(FILE *out, const char *text);

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
