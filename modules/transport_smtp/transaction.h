/*
 * One mail transaction on a connection (RFC 5321, 3.3), pipelined where the server can (RFC 2920).
 */
#ifndef SMTP_TRANSACTION_H
#define SMTP_TRANSACTION_H

#include <posthouse/transport.h>

#include "client.h"

/* What is left to do for a recipient of the delivery. */
struct pending {
	size_t index;      /* in the delivery */
	bool done;         /* a result was given */
	char status[12];   /* the last temporary failure */
	char *text;        /* in the delivery's pool */
	char *relay;       /* the server that it is about, in the delivery's pool; NULL: none */
};

enum outcome {
	OUTCOME_DONE,   /* what is still pending failed for now at this server; another may take it */
	OUTCOME_STALE,  /* a kept connection was dead before anything was said: take another one */
	OUTCOME_FINAL   /* do not try another server in this delivery */
};

/* Gives results for those recipients about which the server decided; notes temporary failures. */
enum outcome transaction_run(struct client *client, ph_delivery *delivery, struct pending *pending,
	size_t count);
/* Notes a temporary failure for every recipient that is not done. relay: the server's; NULL: none.
 */
void transaction_fail(ph_delivery *delivery, struct pending *pending, size_t count,
	const char *status, const char *relay, const char *text);

#endif
