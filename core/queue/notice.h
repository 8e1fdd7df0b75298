/*
 * One report, or a copy of it for the postmaster, on its way through intake.
 */
#ifndef QUEUE_NOTICE_H
#define QUEUE_NOTICE_H

#include "queue/manager.h"
#include "queue/report.h"

struct notice {
	struct report report;  /* boundary and full are filled in */
	const char *sender;    /* "", or who sends notices to the postmaster */
	bool whole;            /* may the original come back whole? */
};

/* In a task. 0: it is durable, and id is its queue ID, in the pool. -1: nothing was sent. Waits. */
int notice_send(struct manager *manager, struct message *message, struct notice *notice,
	ph_pool *pool, const char **id, ph_error *error);

#endif
