/*
 * Going through every message of the queue, while others come and go; and waking those for a
 * domain (posthouse queue flush DOMAIN, ETRN).
 */
#ifndef QUEUE_SWEEP_H
#define QUEUE_SWEEP_H

#include "queue/manager.h"

/* Positive: it counts; 0: it does not; -1: enough. */
typedef int sweep_fn(void *context, struct message *message);

/* Calls fn for every message, with a hand on it; returns how many count. In a task; waits. */
uint64_t sweep_each(struct manager *manager, sweep_fn *fn, void *context);
/* Has a waiting message tried now: 1; 0: it does not wait. */
int sweep_one(struct manager *manager, struct message *message);
/* The same for all with a recipient in this domain. In a task; waits. */
uint64_t sweep_domain(struct manager *manager, const char *domain);
/* The same by and by; many who ask for the same domain cause one sweep. From anywhere. */
void sweep_later(struct manager *manager, const char *domain);

#endif
