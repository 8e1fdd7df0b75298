/*
 * The envelope of a message: in memory, and as the bytes that a queue storage keeps.
 *
 * Encoded it is a list of (type, length, value) for the message and for each recipient; unknown
 * types are kept when an envelope is encoded again, a critical one makes the message held.
 */
#ifndef INTAKE_ENVELOPE_H
#define INTAKE_ENVELOPE_H

#include <posthouse/intake.h>
#include <posthouse/queue.h>

struct recipient {
	const char *address;   /* complete: local-part@domain */
	const char *original;  /* as it came in or before expansion; "": the same */
	const char *orcpt;     /* RFC 3461, decoded; "": none */
	uint32_t notify;       /* as in ph_rcpt_parameters */
	bool final;            /* not to be looked up in alias tables again */
	ph_span unknown;       /* unknown types, as they were */
};

struct envelope {
	char id[PH_QUEUE_ID_SIZE];
	int64_t arrival;       /* wall clock, microseconds */
	const char *sender;    /* "" for reports */
	uint32_t origin;       /* enum ph_origin */
	uint32_t uid;          /* local origin */
	const char *client_name, *client_address, *helo, *protocol; /* "" when unknown */
	uint32_t client_port;  /* 0 when unknown */
	const char *sasl_username, *sasl_method, *sasl_sender; /* "": nobody logged in */
	bool body_8bit;
	bool smtputf8;
	bool probe;            /* asks whether the recipient exists: nothing is ever delivered */
	bool unknown_critical; /* an unknown type that must be understood: hold the message */
	const char *envid;     /* "" none */
	uint32_t ret;
	bool watch;            /* the sender wants to hear what came of the first attempt */
	uint32_t hops;         /* Received headers counted */
	const char *filter;    /* "transport:nexthop" for all recipients; "": as each is resolved */
	int64_t content_size;
	struct recipient *recipients;
	size_t recipient_count;
	/* Recipients in whose place several others stand above, of which the sender wants to
	 * hear. */
	struct recipient *aliases;
	size_t alias_count;
	ph_span unknown;
};

/* Of nobody to nobody: every text is "". */
extern const struct envelope envelope_empty;

/* The bytes, in the pool. 0, or -1 (memory). */
int envelope_encode(const struct envelope *envelope, ph_pool *pool, ph_span *bytes);
/* Checks everything; texts are terminated copies in the pool. 0, or -1 with what is wrong. */
int envelope_decode(ph_span bytes, ph_pool *pool, struct envelope *envelope, ph_error *error);

/* Queue IDs: upper-case hexadecimal from node, microseconds and a counter; never decreasing in a
 * process, whatever the clock does. */
void queue_id_make(char id[PH_QUEUE_ID_SIZE]);

#endif
