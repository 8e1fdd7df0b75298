/*
 * Deliveries on their way to the spawner. Those for a mailbox or a file that come while others for
 * the same one are under way wait, and go together: one child, one lock, one fsync. Commands go
 * alone and at once.
 */
#ifndef TRANSPORT_LOCAL_BATCHES_H
#define TRANSPORT_LOCAL_BATCHES_H

#include <posthouse/transport.h>

struct batches;

/* One message for one mailbox. */
struct letter {
	struct ph_user_delivery request;
	struct ph_user_result result; /* once done */
	bool done;
	/* the rest is of batches.c */
	int fd;
	int64_t time;
	bool abandoned;
	ph_task waiting;
	struct letter *next;
};

struct batches *batches_new(void *self);
void batches_free(struct batches *batches);
/* In tasks: before the first letter; after the last. 0 or -1. */
int batches_start(struct batches *batches);
void batches_stop(struct batches *batches);

/* Hands a letter over; fd is duplicated. time is what the spawner may take for it, in milliseconds.
 * NULL: no memory, no descriptor, no task. */
struct letter *batches_post(struct batches *batches, const struct ph_user_delivery *request, int fd,
	int64_t time);
/* Waits until a letter is done or the deadline has come. */
void batches_wait(struct letter *letter, ph_deadline deadline);
/* Gives a letter up, done or not: what is under way goes on by itself. */
void batches_release(struct letter *letter);

#endif
