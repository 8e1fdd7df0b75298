/*
 * What schedule.c, destination.c and jobs.c share and nobody else sees.
 */
#ifndef QUEUE_SCHEDULE_INSIDE_H
#define QUEUE_SCHEDULE_INSIDE_H

#include "queue/schedule.h"

struct scheduler {
	struct schedule_limits limits;
	const struct schedule_ops *ops;
	void *context;
	int64_t now;

	TAILQ_HEAD(, message) all;
	TAILQ_HEAD(, message) visiting;
	struct message **by_id;      /* a hash table, its size a power of two */
	size_t by_id_size, count, active;

	struct message **heap;       /* by due */
	size_t heap_count, heap_room;

	TAILQ_HEAD(feed_list, body) feed;     /* bodies with recipients to be resolved */

	TAILQ_HEAD(, route) routes;
	struct destination **by_key;
	size_t by_key_size, destination_count, idle_count;
	TAILQ_HEAD(, destination) idle;

	TAILQ_HEAD(, worker) workers;
	TAILQ_HEAD(, job) lost;
	struct job **by_number;
	size_t by_number_size, job_count;
	uint64_t next_number;
};

/* waiting.c */
/* Room for so many. 0, or -1 without memory. */
int waiting_reserve(struct scheduler *scheduler, size_t count);
/* Room was reserved when the message was added: it cannot fail. */
void waiting_add(struct scheduler *scheduler, struct message *message);
/* Nothing, if it does not wait. */
void waiting_take(struct scheduler *scheduler, struct message *message);

/* destination.c */
/* May it give out a job now? Brings it into the ready list, or out of it. */
void destination_update(struct scheduler *scheduler, struct destination *destination);
int destination_queue(struct scheduler *scheduler, struct destination *destination,
	struct message *message, uint32_t number);
void destination_answered(struct destination *destination);
void destination_failed(struct scheduler *scheduler, struct destination *destination,
	const char *status, const char *reason);
bool destination_is_dead(const struct scheduler *scheduler, struct destination *destination);
void destinations_free(struct scheduler *scheduler);
/* The others have their turn now. */
void destination_rotate(struct scheduler *scheduler, struct destination *destination);
void entry_free(struct entry *entry);

/* jobs.c */
/* Gives out one job of the route; false: nothing that could go. */
bool route_dispatch(struct scheduler *scheduler, struct route *route);
void jobs_free(struct scheduler *scheduler);
/* schedule.c */
/* Has its pass ended; is it gone and nobody has a hand on it? The message may be freed. */
void message_check_over(struct scheduler *scheduler, struct message *message);

#endif
