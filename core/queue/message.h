/*
 * A queued message in the queue role.
 *
 * Every message has an entry (struct message, small); only those in delivery have a body: the
 * envelope and the state of each recipient. A message without a body keeps what its notes say as
 * bytes, and gets its body back from the storage when its time has come.
 */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include <sys/queue.h>

#include <posthouse/queue.h>

#include "intake/envelope.h"
#include "queue/memo.h"
#include "queue/note.h"

struct storage;
struct entry;
struct job;
struct probe;

enum recipient_state {
	RCPT_TODO,     /* to be resolved in this pass */
	RCPT_QUEUED,   /* waits for its destination */
	RCPT_BUSY,     /* in a job */
	RCPT_DEFERRED, /* put off in this pass */
	RCPT_FAILED,   /* undeliverable, to be reported */
	RCPT_WAITING,  /* of an expansion that is not complete */
	RCPT_DONE
};
#define RCPT_STATES 7

#define RCPT_NO_PARENT UINT32_MAX

struct rcpt {
	const char *address, *original, *orcpt; /* in the body's pool, "" when there is none */
	const char *status, *text;              /* why it was deferred or failed; NULL: never */
	const char *relay;
	const char *final;                      /* the mailbox, where that has another name; "" */
	const struct note_address *target;      /* the whole, from PH_TARGET_MAILBOX on; else NULL */
	uint32_t parent;                        /* the recipient that was expanded to this one */
	uint8_t notify;
	uint8_t state;                          /* enum recipient_state */
	uint8_t outcome;                        /* with RCPT_DONE */
	uint8_t kind;                           /* enum ph_target_kind */
	bool transient;                         /* failed by expiry: the code stays 4.x.x */
	bool expanding;                         /* parts of its expansion came, not the last one */
	uint8_t owed;                           /* enum dsn_action: to be reported; 0 nothing */
	bool delay_told;                        /* a report of its delay is written */
};

struct body {
	struct message *message;
	ph_pool *pool;
	struct envelope envelope;
	struct rcpt *rcpts;
	uint32_t count, room;
	uint32_t in_state[RCPT_STATES];
	uint32_t cursor;                 /* the next recipient to be resolved */
	int64_t active_since;            /* wall clock, microseconds */
	ph_span early;                   /* notes that speak of recipients not yet known */
	size_t early_room;
	uint32_t *seen;                  /* a hash table of expanded addresses */
	size_t seen_size, seen_count;
	TAILQ_HEAD(, entry) entries;     /* queued at destinations */
	TAILQ_HEAD(, job) jobs;          /* in hand */
	TAILQ_ENTRY(body) feed;
	bool feeding;
	bool back;                       /* some were given back untried in this pass */
	uint32_t owed;                   /* recipients of whose success the sender is to hear */
	bool aliases_told;               /* the sender has heard of envelope.aliases */
	bool watch_told;                 /* in this pass: and of the first attempt, which it wanted */
};

enum message_state {
	MESSAGE_WAITING,   /* in the heap until due */
	MESSAGE_ACTIVE,
	MESSAGE_REPORTING, /* a report is being written */
	MESSAGE_HELD,
	MESSAGE_GONE       /* removed; the entry lives until nobody has a hand on it */
};

struct message {
	struct storage *storage;
	uint64_t handle, token;
	int64_t arrival;            /* wall clock, microseconds */
	int64_t size;
	int64_t due;                /* monotonic clock, milliseconds; before a scheduler has taken the
	                             * message: the wall clock's microseconds from its notes */
	struct message *hash_next;
	TAILQ_ENTRY(message) all;   /* in order of arrival here */
	struct body *body;          /* NULL: only this entry is in memory */
	const struct memo *memo;    /* without a body: its state, as notes; NULL: nothing is known */
	uint32_t heap_index;        /* UINT32_MAX: not in the heap */
	uint16_t attempts;
	uint16_t pins;              /* hands on it: iterators, tasks */
	uint8_t deaths;
	uint8_t state;              /* enum message_state */
	uint8_t retries;            /* content not found where it was said to be */
	bool flushed;               /* asked for: what waits for that (defer_transports) goes, too */
	bool hold;                  /* to be held at the end of the pass */
	bool probe;                 /* no mail, but a question: nobody is told, nothing is tried twice */
	bool visiting;              /* in no storage, and found by no ID: scheduler_visit() */
	struct probe *asking;       /* a probe's: who wants to know; NULL: it is known */
	char id[PH_QUEUE_ID_SIZE];
};

/* An entry from what the storage claims; notes are applied. NULL: no memory. An envelope that
 * cannot be read is held: error says why, and *held is set. */
struct message *message_new(struct storage *storage, const struct ph_queue_item *item,
	ph_error *error);
/* Frees it whatever its state; unlinked by the caller. */
void message_free(struct message *message);

/* Makes the body from an envelope and the message's notes. 0, or -1 with what is wrong. */
int message_open(struct message *message, ph_span envelope, ph_error *error);
/* Drops the body; what is known is kept as notes. 0, or -1 without memory (the body stays). */
int message_close(struct message *message);
/* Applies one note, to the message and to its body if it has one. -1: no memory. */
int message_apply(struct message *message, const struct note *note);
/* What is known of a message with a body, as the fewest notes, in the pool. */
int message_encode(const struct message *message, ph_pool *pool, ph_span *notes);

/* body.c */
/* One more recipient. NULL: no memory. */
struct rcpt *body_add(struct body *body, enum recipient_state state);
/* NULL: nothing. */
void body_free(struct body *body);
void body_set_state(struct body *body, uint32_t number, enum recipient_state state);
void body_set_done(struct body *body, uint32_t number, enum outcome outcome);
/* Copies the reason into the pool. */
void body_set_reason(struct body *body, uint32_t number, const char *status, const char *text,
	const char *relay);
/* The sender is to hear that this one was served; only the first time. reason:
 * body_set_reason(). */
void body_set_owed(struct body *body, uint32_t number, enum dsn_action action);
/* The sender has heard that it was. */
void body_set_reported(struct body *body, uint32_t number);
void body_set_final(struct body *body, uint32_t number, const char *final);
/* As a note, in the writer. */
void body_note_owed(const struct body *body, uint32_t number, uint32_t attempt,
	struct note_writer *writer);
/* Does mail to this recipient go out in another sender's name, that of a list's owner? */
bool body_has_sender(const struct body *body, uint32_t number);
/* Is there a success of which the sender has not heard? */
bool body_owes(const struct body *body);
/* All done, and all said. */
bool body_is_finished(const struct body *body);
/* Recipients that are not done. */
uint32_t body_open_count(const struct body *body);
/* Is nothing in hand, queued or still to be resolved: has the pass ended? */
bool body_is_idle(const struct body *body);
/* Has an expansion brought this one already? */
bool body_has_expanded(const struct body *body, const struct note_address *address);
bool target_is_same(const struct note_address *a, const struct note_address *b);
/* What a recipient is, as an expansion says it. */
struct note_address body_target(const struct body *body, uint32_t number);
/* Gives up an expansion that was begun and not ended. */
void body_drop_expansion(struct body *body, uint32_t parent);
/* An expansion has brought this recipient: so is its address. 0, or -1 without memory. */
int body_remember(struct body *body, uint32_t number);
/* How many expansions led to this recipient. */
unsigned body_depth(const struct body *body, uint32_t number);

#endif
