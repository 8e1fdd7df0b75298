/*
 * The queue manager: what the queue role is made of. One for each process.
 */
#ifndef QUEUE_MANAGER_H
#define QUEUE_MANAGER_H

#include <posthouse/intake.h>
#include <posthouse/task.h>

#include "config/config.h"
#include "process/channel.h"
#include "queue/resolve.h"
#include "queue/schedule.h"

/* A queue storage that this process owns. */
struct storage {
	const struct instance *instance;
	const struct ph_queue_ops *ops;
	void *self;
	const char *name;
	bool owned;
	bool more;  /* claim() may have something */
	bool dirty; /* noted since the last sync() */
};

/* The other end of a connection on run_directory/queue: a worker or a giver of hints. */
struct peer {
	struct manager *manager;
	struct channel *channel;
	struct worker *worker;    /* NULL before its hello */
	char *role;
	uint64_t *acks;           /* jobs whose results wait for a sync */
	size_t ack_count, ack_room;
	size_t syncing;           /* of them, those that the sync in progress makes durable */
	TAILQ_ENTRY(peer) link;
};

/* A message whose report is to be written, or that has recipients to be forwarded to. */
struct report_wish {
	struct message *message;  /* pinned */
	TAILQ_ENTRY(report_wish) link;
};

struct visitor;
struct debt;
struct probes;

/* Domains whose mail is to be tried now: sweep.c. */
enum { SWEEP_MAX = 32, SWEEP_DOMAIN_MAX = 256 };
struct sweep_wishes {
	char domains[SWEEP_MAX][SWEEP_DOMAIN_MAX];
	size_t count;
	ph_task task;
};

struct manager {
	const struct settings *settings;
	struct resolver resolver;
	struct scheduler *scheduler;
	struct schedule_limits limits;
	struct storage *storages;
	size_t storage_count;
	bool owned;                  /* all storages are */
	bool recovering;             /* what was there is being read: nothing is opened for delivery */
	bool stopping;               /* give out no more work */
	int64_t owned_since;         /* wall clock, microseconds */
	int64_t announced;           /* the workers have announced what they hold: monotonic */
	ph_task engine, syncer, tender;
	TAILQ_HEAD(, peer) peers;
	TAILQ_HEAD(, visitor) visitors;
	TAILQ_HEAD(, report_wish) reports;
	unsigned reporters;          /* tasks that write reports */
	TAILQ_HEAD(, report_wish) forwards;
	unsigned forwarders;         /* tasks that forward */
	unsigned busy;               /* frames that are being worked on */
	TAILQ_HEAD(, debt) debts;    /* what the storages did not take yet: ledger.c */
	char (*departed)[PH_QUEUE_ID_SIZE]; /* removed since the last sync */
	size_t departed_count, departed_room;
	bool syncing;                /* a sync is in progress */
	bool unsound;                /* the last one failed */
	struct sweep_wishes sweeps;
	struct probes *probes;       /* address verification: probe.h; NULL: before the queue is owned */
	uint32_t random;
	unsigned lines;              /* logged so far */
	ph_pool *scratch;            /* for one call that does not wait */
};

/* manager.c */
/* Without storages. NULL: no memory. */
struct manager *manager_new(const struct settings *settings, const struct resolver *resolver);
void manager_free(struct manager *manager);
/* Adds a storage before manager_own(); its instance is open. 0 or -1. */
int manager_add_storage(struct manager *manager, const struct instance *instance, void *self,
	const struct ph_queue_ops *ops, const char *name);
struct storage *manager_storage(struct manager *manager, const char *name);
/* In a task: owns the storages and reads what is in them; waits for the previous owner. 0, or -1
 * (cancelled or failed). */
int manager_own(struct manager *manager, ph_error *error);
/* Workers can connect now: those of any generation say what they hold before it is scheduled. */
void manager_announce(struct manager *manager);
/* Starts the tasks that claim, schedule, sync and tend. */
int manager_start(struct manager *manager, ph_error *error);
/* In a task: no more work; what is noted is durable and the storages are given up. 0; -1: something
 * is still at work, the manager cannot be freed. */
int manager_stop(struct manager *manager);
/* There is something to do. */
void manager_wake(struct manager *manager);
/* One round: claims, schedules. Returns when the next is due. For the engine and for tests. */
int64_t manager_round(struct manager *manager);
int64_t manager_lifetime(const struct manager *manager, const struct message *message);
/* Opens a message's content, in the pool: the caller closes content->fd. NULL with the error.
 * Waits. */
struct ph_queue_content *manager_content(const struct message *message, ph_pool *pool,
	ph_error *error);
/* Reads the envelope again. 0, or -1: the message is not there (any more). Waits. */
int manager_load(struct message *message, ph_error *error);
/* Puts it on hold, for good. 1, or 0: it was. */
int manager_hold(struct manager *manager, struct message *message, const char *reason);
void manager_release(struct manager *manager, struct message *message);
void manager_blame(struct manager *manager, const char *queue_id, const char *instance,
	const char *role);

/* The earliest time at which what was there before us may go out: workers may have it in hand. */
int64_t manager_earliest(const struct manager *manager);

/* ledger.c */
/* Notes for a message. A storage that does not take them is told again until it does. */
void manager_note(struct manager *manager, struct message *message, ph_span notes);
/* Removes a message from its storage and forgets it; the log says so when it is durable. */
void manager_remove(struct manager *manager, struct message *message);
/* Is there something that a storage did not take? */
bool manager_is_in_debt(const struct manager *manager);
/* One sync of all that is dirty; acknowledges results. 0 or -1. Waits. */
int manager_sync(struct manager *manager);
/* The task that syncs when there is something to. */
void ledger_run(void *manager);
void ledger_free(struct manager *manager);

/* results.c: frames of workers */
void results_hello(struct peer *peer, ph_span payload);
void results_expansion(struct peer *peer, ph_span payload);
void results_result(struct peer *peer, ph_span payload);

/* pass.c */
/* A line was logged: empties the log's ring now and then. */
void manager_logged(struct manager *manager);
void pass_over(struct manager *manager, struct message *message);
/* After reports: what is open is scheduled again, or the message removed. */
void pass_finish(struct manager *manager, struct message *message);
/* A recipient cannot be delivered (in_pass); logs it as the error transport would. */
void pass_fail(struct manager *manager, struct message *message, uint32_t number,
	const char *status, const char *text);
void pass_defer(struct manager *manager, struct message *message, uint32_t number,
	const char *status, const char *text);
/* It counts as sent, and is seen by nobody (in_pass). */
void pass_throw_away(struct manager *manager, struct message *message, uint32_t number,
	const char *text);

/* bounce.c */
/* Is there something of which the sender is to hear? */
bool bounce_is_due(const struct manager *manager, const struct message *message);
/* Writes the reports, in a task of its own; then pass_finish(). */
void bounce_start(struct manager *manager, struct message *message);
/* Frees the wishes for reports that nobody has taken up. */
void bounces_forget(struct manager *manager);
/* notice.c: copies a message's content, or its header section only, into another. 0 or -1. */
int content_copy(ph_intake *intake, const struct ph_queue_content *content, bool full);

/* forward.c: a recipient of the kind PH_TARGET_FORWARD is due (in_pass): it is in hand until a task
 * has written the new message. */
void forward_start(struct manager *manager, struct message *message, uint32_t number);
void forwards_forget(struct manager *manager);

/* peers.c */
struct peer *peer_accept(struct manager *manager, int fd);
void peers_close(struct manager *manager);
void peer_send_job(struct manager *manager, struct job *job);
void peer_ack(struct peer *peer, uint64_t number);
/* Those that are being synced are durable. */
void peers_send_acks(struct manager *manager);

/* control.c */
void visitors_close(struct manager *manager);
void control_accept(int fd, void *manager);

/* Is each of its users a destination? Not so where all mail goes the same way with the same
 * rights. */
bool manager_is_for_users(const struct instance *transport);

#endif
