/*
 * The scheduler: which recipients of which messages go to which worker, and when.
 *
 * It is driven from outside: time comes as an argument, what it decides leaves through its
 * operations. All times are of the monotonic clock in milliseconds.
 *
 * A message is fed: its recipients are resolved, a window at a time, and join the queues of their
 * destinations. A destination is (transport instance, next hop); for local transports also the
 * user. Destinations take turns, and within one the messages do.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "queue/message.h"

struct instance;

struct schedule_limits {
	uint32_t active_messages;      /* with a body */
	uint32_t initial_concurrency, concurrency;
	uint32_t local_concurrency;    /* per user */
	uint32_t job_recipients;       /* recipients of one delivery */
	uint32_t window;               /* queued recipients of one message */
	uint32_t spread;               /* jobs of a destination that one worker takes */
	uint32_t destinations;         /* remembered without anything queued */
	int64_t minimal_backoff, maximal_backoff;
};

/* Queued recipients of one message at one destination. Ring: a window that moves over numbers. */
struct entry {
	struct message *message;
	struct destination *destination;
	TAILQ_ENTRY(entry) of_destination, of_message;
	uint32_t head, count, room;
	uint32_t *numbers;
};

struct destination {
	struct route *route;
	const char *key;             /* next hop in lower case, with the user of a local transport */
	const char *nexthop;
	struct destination *hash_next;
	uint32_t hash;
	TAILQ_HEAD(entry_list, entry) entries;
	TAILQ_ENTRY(destination) link; /* in its route's ready list or among the idle ones */
	enum { DESTINATION_UNLISTED, DESTINATION_READY, DESTINATION_IDLE } listed;
	uint32_t busy, window, limit;
	bool proven;                 /* it has answered since it was last dead */
	int64_t dead_until;          /* 0: alive */
	char *status, *reason;       /* why it is dead */
	struct worker *home;
};

/* A transport instance that has destinations or workers. */
struct route {
	const struct instance *instance;
	const char *name;
	bool local;
	TAILQ_HEAD(, destination) ready;
	TAILQ_ENTRY(route) link;
};

struct worker {
	void *context;
	uint32_t busy, limit;
	bool draining;               /* gets no new jobs */
	struct route **routes;       /* owned; what it serves */
	size_t route_count;
	TAILQ_HEAD(, job) jobs;
	TAILQ_ENTRY(worker) link;
};

struct job {
	uint64_t number;
	struct message *message;
	struct destination *destination; /* NULL: announced by a worker, not ours */
	struct worker *worker;           /* NULL: its worker is lost */
	int64_t lost;                    /* when */
	uint32_t attempt;
	uint32_t count;
	TAILQ_ENTRY(job) of_worker, of_message;
	struct job *hash_next;
	uint32_t numbers[];
};

struct schedule_ops {
	/* Gives a waiting message its body. 0; -1: not now (the scheduler puts it off). May
	 * wait. */
	int (*load)(void *context, struct message *message);
	/* The pass begins. */
	void (*active)(void *context, struct message *message);
	/* Finds the destination of a recipient; NULL: dealt with otherwise (the state of the
	 * recipient was changed). May wait. */
	struct destination *(*resolve)(void *context, struct message *message, uint32_t number);
	/* Hands a job to its worker. */
	void (*send)(void *context, struct job *job);
	/* This recipient was put off without an attempt: its destination is dead. The reason is
	 * set. */
	void (*suspended)(void *context, struct message *message, uint32_t number);
	/* Nothing of the message is queued, in hand or left to be resolved. */
	void (*pass_over)(void *context, struct message *message);
};

struct scheduler;

enum job_end {
	JOB_ANSWERED, /* the destination took it up, whatever became of the recipients */
	JOB_DEAD,     /* the destination did not answer */
	JOB_BACK      /* nothing is known of the destination */
};

struct scheduler *scheduler_new(const struct schedule_limits *limits,
	const struct schedule_ops *ops, void *context);
/* Frees everything that it knows, messages too. */
void scheduler_free(struct scheduler *scheduler);

/* Takes a message over: waiting until due, or held. It is found by its ID from now on. -1: no
 * memory (it is still the caller's). */
int scheduler_add(struct scheduler *scheduler, struct message *message, int64_t due);
/* Takes over a message with a body that is in no storage (a probe), for one pass that begins at
 * once. It is in no list of the queue. */
void scheduler_visit(struct scheduler *scheduler, struct message *message);
struct message *scheduler_find(struct scheduler *scheduler, const struct storage *storage,
	const char *id);
struct message *scheduler_first(struct scheduler *scheduler);
size_t scheduler_count(const struct scheduler *scheduler);
size_t scheduler_active_count(const struct scheduler *scheduler);
/* Gives a waiting message its body now, whatever the time and the limit. May wait. 0, or -1. */
int scheduler_activate(struct scheduler *scheduler, struct message *message);
/* A pass has ended: wait until due (the body may be closed by the caller before). */
void scheduler_wait(struct scheduler *scheduler, struct message *message, int64_t due);
void scheduler_hold(struct scheduler *scheduler, struct message *message);
/* Takes what is queued of a message away from its destinations; jobs in hand go on. */
void scheduler_unqueue(struct scheduler *scheduler, struct message *message);
/* Forgets a message; it is freed when no job and no pin is left. */
void scheduler_remove(struct scheduler *scheduler, struct message *message);
void scheduler_unpin(struct scheduler *scheduler, struct message *message);
/* More recipients of an active message came to be (an expansion): feed it again. */
void scheduler_feed(struct scheduler *scheduler, struct message *message);

/* Nothing that waits is due before that time. */
void scheduler_not_before(struct scheduler *scheduler, int64_t due);
/* Does all that can be done now. Returns when it wants to be called again, INT64_MAX: not by
 * time. */
int64_t scheduler_run(struct scheduler *scheduler, int64_t now);

/* Destinations. */
struct route *scheduler_route(struct scheduler *scheduler, const struct instance *instance,
	const char *name, bool local);
struct destination *scheduler_destination(struct scheduler *scheduler, struct route *route,
	const char *nexthop, const char *user);

/* Workers and their jobs. */
struct worker *worker_new(struct scheduler *scheduler, void *context, uint32_t limit);
int worker_serves(struct worker *worker, struct route *route);
/* The worker is gone. Its jobs are kept as lost, until a worker announces them or they expire. */
void worker_lost(struct scheduler *scheduler, struct worker *worker, int64_t now);
struct job *job_find(struct scheduler *scheduler, uint64_t number);
/* The same for one job that could not be handed over. */
void job_lost(struct scheduler *scheduler, struct job *job, int64_t now);
/* A worker says that it has this job in hand: adopts a lost one, or makes one for recipients that
 * nobody has in hand. NULL: no memory, or it is somebody else's. */
struct job *job_adopt(struct scheduler *scheduler, struct worker *worker, struct message *message,
	uint64_t number, uint32_t attempt, const uint32_t *numbers, uint32_t count);
/* The job is over: recipients that are still busy go back to be resolved. status and reason with
 * JOB_DEAD. Frees the job; pass_over may be called, and the message may be gone afterwards. */
void job_done(struct scheduler *scheduler, struct job *job, enum job_end end, const char *status,
	const char *reason, int64_t now);
/* Jobs whose worker has been away for so long are over. */
void jobs_expire(struct scheduler *scheduler, int64_t before, int64_t now);
/* The first number of jobs: unlike those of an earlier life. */
void jobs_number_from(struct scheduler *scheduler, uint64_t number);

/* When to try again after so many attempts. */
int64_t backoff(const struct schedule_limits *limits, unsigned attempts,
	uint32_t (*random)(void *context, uint32_t bound), void *context);
/* Everything that waits is due, and dead destinations are forgotten. */
void scheduler_flush_all(struct scheduler *scheduler, int64_t now);
void scheduler_flush(struct scheduler *scheduler, struct message *message, int64_t now);
/* Forgets that a next hop is dead; NULL: all of them. */
void scheduler_revive(struct scheduler *scheduler, const char *nexthop);

#endif
