/*
 * Asking the queue role about an address, in the processes that take mail in.
 */
#ifndef QUEUE_VERIFY_CLIENT_H
#define QUEUE_VERIFY_CLIENT_H

#include "queue/verify_record.h"

/*
 * Asks about an address; waits. A verification in progress is waited for so many milliseconds
 * longer, and then VERIFY_IN_PROGRESS is the answer. PH_FOUND with status and text (room for
 * VERIFY_TEXT_MAX and a NUL); PH_FAILED: the queue role does not answer.
 */
ph_found verify_client_ask(ph_pool *pool, const char *address, int64_t patience,
	enum verify_status *status, char *text);

/* For core/queue/client.c: the connection stands, a FRAME_VERIFIED came. */
void verify_client_repeat(void);
void verify_client_take(ph_span payload);

#endif
