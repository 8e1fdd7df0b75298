/*
 * Deliveries on their way to the spawner. Those for a user that come while others for the same user
 * are under way wait, and go together: one child, one lock, one fsync.
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
	bool abandoned;
	ph_task waiting;
	struct letter *next;
};

struct batches *batches_new(void *self);
void batches_free(struct batches *batches);
/* In tasks: before the first letter; after the last. 0 or -1. */
int batches_start(struct batches *batches);
void batches_stop(struct batches *batches);

/* Hands a letter over; fd is duplicated. NULL: no memory, no descriptor, no task. The request's
 * user names the mailbox. */
struct letter *batches_post(struct batches *batches, const struct ph_user_delivery *request, int fd);
/* Waits until a letter is done or the deadline has come. */
void batches_wait(struct letter *letter, ph_deadline deadline);
/* Gives a letter up, done or not: what is under way goes on by itself. */
void batches_release(struct letter *letter);

#endif
