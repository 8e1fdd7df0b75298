/*
 * Address verification in the queue role: what is known of addresses, and probes that find it out.
 *
 * A probe is no message: it is on no disk, in no list of the queue, and is lost with the process.
 * It goes the way of mail through rewriting, resolving, the scheduler and a transport, which says
 * what it would do with mail. Concurrent questions about one address share a probe.
 */
#ifndef QUEUE_PROBE_H
#define QUEUE_PROBE_H

#include "queue/manager.h"

struct probes;
struct verify_cache;

/* In a task, when the queue is owned: reads the cache. NULL: no memory or task. */
struct probes *probes_open(struct manager *manager);
/* In a task: what was found out goes to the file; probes in progress are given up. 0; -1: something
 * is still at work. NULL: nothing. */
int probes_close(struct probes *probes);
/* Frees what probes_close() has left, after the scheduler: nothing is written. NULL: nothing. */
void probes_free(struct probes *probes);

/* What is known. */
const struct verify_cache *probes_cache(const struct probes *probes);
/* Forgets an address, the addresses of a domain, or "ALL". How many. */
size_t probes_remove(struct probes *probes, const char *what);

/* Somebody asks: FRAME_VERIFY. */
void probes_ask(struct peer *peer, ph_span payload);
/* Nobody is to be answered at this peer any more. */
void probes_forget(struct peer *peer);
/* Those that wait for a worker for too long are over. */
void probes_expire(struct manager *manager);

/* The pass of a message with message->asking has ended. */
void probe_over(struct manager *manager, struct message *message);
/* May it be handed to a worker (once more)? False: it was given back too often, or in hand when
 * processes died. */
bool probe_may_go(struct message *message);
/* What resolves the recipients of a probe: the parameters address_verify_… in place of others. */
const struct resolver *probe_resolver(const struct manager *manager);

#endif
