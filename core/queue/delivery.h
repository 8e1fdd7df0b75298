/*
 * A delivery: one message and those of its recipients that go to one next hop, as a transport has
 * it in hand.
 */
#ifndef QUEUE_DELIVERY_H
#define QUEUE_DELIVERY_H

#include <posthouse/queue.h>
#include <posthouse/transport.h>

#include "ground/loop.h"
#include "queue/note.h"
#include "queue/schedule.h"

struct delivery_recipient {
	uint32_t number;
	const char *address, *original;
	uint8_t kind;                       /* enum ph_target_kind */
	const char *what, *user, *sender;   /* as in struct ph_target */
	const char *orcpt;                  /* RFC 3461, decoded; "" */
	uint8_t notify;
	uint8_t action;                     /* enum dsn_action, of a recipient that was served */
	const char *final;                  /* the mailbox, where that has another name; "" */
	enum outcome outcome;
	const char *status, *text, *relay;
	int64_t ended;                      /* wall clock, microseconds */
	const char *bounced;                /* the status with which it was refused, when soft_bounce keeps
	                                     * it; NULL */
	const struct note_address *expansion;
	size_t expansion_count;
};

/* All texts live in its pool. */
struct ph_delivery {
	ph_pool *pool;
	const struct instance *transport;
	const struct instance *storage;
	uint64_t number, handle;
	uint32_t attempt;
	const char *storage_name, *transport_name;
	const char *id, *nexthop, *sender;
	const char *envid;                           /* RFC 3461, decoded; "" */
	unsigned ret;
	/* Who handed it in; "" of what is not known. */
	const char *client_address, *client_hostname, *client_helo, *client_protocol, *client_port;
	const char *sasl_username, *sasl_method, *sasl_sender;
	int64_t arrival, active, started, connected; /* wall clock, microseconds */
	unsigned flags;                              /* JOB_… */
	struct delivery_recipient *recipients;
	uint32_t count;
	struct ph_queue_content content;
	bool opened;                                 /* content.fd is open */
	bool missing;                                /* the content is not where it was said to be */
	bool dead;
	const char *dead_status, *dead_reason;
	struct task_context context;
	void (*told)(void *context, const char *text); /* NULL: nobody listens */
	void *told_context;
};

/* A job frame's fields. NULL: malformed or no memory. */
struct ph_delivery *delivery_read(ph_span payload);
void delivery_free(struct ph_delivery *delivery);
/* In place of deliver(), for a probe that its transport does not know. */
void delivery_pass_probe(struct ph_delivery *delivery);
/* What a transport makes of a recipient, in a rehearsal. Texts are in the pool. */
struct rehearsed {
	enum outcome outcome;              /* OUTCOME_EXPANDED: expansion; never OUTCOME_BACK or _NONE */
	const char *status, *text;
	const struct note_address *expansion;
	size_t expansion_count;
};
/* Who asks what, and hears what is found on the way. */
struct rehearsal_of {
	const char *sender, *nexthop, *original;
	const struct ph_target *target;
	void (*told)(void *context, const char *text);
	void *context;
};
/* Asks a transport that knows rehearsals (PH_TRANSPORT_REHEARSES), in a task. 0; -1: no memory. */
int delivery_rehearse(const struct instance *transport, const struct rehearsal_of *question,
	ph_pool *pool, struct rehearsed *rehearsed);
/* After deliver(): what was not said is filled in. cancelled: nothing more was tried. */
void delivery_complete(struct ph_delivery *delivery, bool cancelled);
/* What soft_bounce makes of a status: of class 4, in the pool. */
const char *delivery_soft_status(ph_pool *pool, const char *status);
/* Logs each recipient. */
void delivery_log_all(const struct ph_delivery *delivery);
/* How the destination did. */
enum job_end delivery_end(const struct ph_delivery *delivery);

#endif
