/*
 * Notes: what happened to a queued message, as the bytes that a storage keeps beside it.
 *
 * A storage's note is a sequence of the records below. They are idempotent: each names recipients
 * by number and the attempt it belongs to, so that one which is applied twice changes nothing.
 */
#ifndef QUEUE_NOTE_H
#define QUEUE_NOTE_H

#include <posthouse/transport.h>

/* What the sender has heard. */
enum reported {
	REPORTED_SUCCESS = 1, /* also of the aliases in the envelope */
	REPORTED_DELAY
};

enum note_type {
	NOTE_RESULT = 1, /* recipients are done: outcome */
	NOTE_DEFERRED,   /* recipients were put off: status, text */
	NOTE_EXPANDED,   /* a recipient (parent) became others: first, part, last, addresses */
	NOTE_SCHEDULE,   /* attempts so far and the time of the next one */
	NOTE_HOLD,       /* text: why */
	NOTE_RELEASE,
	NOTE_DEATH,      /* a process died with the message in hand: text is the instance */
	NOTE_OWED,       /* the sender is to hear of success: action, status, text, relay, final */
	NOTE_REPORTED    /* the sender has heard of these recipients: reported */
};

enum outcome {
	OUTCOME_NONE = 0,
	OUTCOME_SENT,
	OUTCOME_BOUNCED,
	OUTCOME_DISCARDED,
	OUTCOME_EXPANDED,
	/* not in notes, only in results of workers: */
	OUTCOME_DEFERRED,
	OUTCOME_BACK     /* was not tried: give it to someone else */
};

/* What a report of success says of a recipient. */
enum dsn_action {
	DSN_DELIVERED = 1, /* to a mailbox, or to what stands for one; of a list: to the list */
	DSN_RELAYED,       /* to a host that reports nothing */
	DSN_EXPANDED,      /* became several others */
	DSN_PASSED_ON,     /* nothing: who has it now reports */
	DSN_REPORTED       /* nothing any more: the report is written */
};

struct note_range {
	uint32_t first, count;
};

/* What a recipient became. In bytes the texts behind the kind are there from PH_TARGET_MAILBOX on:
 * a reader of before takes such a kind for malformed, and holds the message. */
struct note_address {
	const char *address;
	uint8_t kind;                      /* enum ph_target_kind */
	const char *what, *user, *sender;  /* as in struct ph_target; NULL is "" */
};

struct note {
	enum note_type type;
	uint32_t attempt;
	enum outcome outcome;
	const struct note_range *ranges; /* of recipients: ascending, disjoint */
	size_t range_count;
	int64_t time;                    /* wall clock, microseconds */
	const char *status, *text;       /* never NULL after decoding; so are these: */
	const char *relay, *final;
	enum dsn_action action;
	enum reported reported;
	uint32_t parent, first, part;
	bool last;                       /* the last part of an expansion */
	const struct note_address *addresses;
	size_t address_count;
};

/* Collects notes in a pool. */
struct note_writer {
	ph_pool *pool;
	char *data;
	size_t size, room;
	bool failed; /* no memory: everything after it is ignored */
};

void note_writer_begin(struct note_writer *writer, ph_pool *pool);
void note_put(struct note_writer *writer, const struct note *note);
ph_span note_bytes(const struct note_writer *writer);

/* Takes the next note off rest; unknown types are skipped. Lists and texts are in the pool. 1; 0 at
 * the end; -1 for malformed bytes or no memory. */
int note_next(ph_span *rest, ph_pool *pool, struct note *note, ph_error *error);

/* Ranges from ascending numbers, in the pool. Returns how many; 0 without memory. */
size_t note_ranges(ph_pool *pool, const uint32_t *numbers, size_t count,
	struct note_range **ranges);

/* Addresses that fit in one part of an expansion. */
#define NOTE_PART_ADDRESSES 256

#endif
