/*
 * The queue role's clients: what an smtpd (or any other) process tells it.
 */
#ifndef QUEUE_CLIENT_H
#define QUEUE_CLIENT_H

#include "config/config.h"

/* Starts the connection to run_directory/queue and keeps it up, in tasks. 0 or -1. */
int queue_client_start(const struct config *config, ph_error *error);
void queue_client_stop(void);
/* A commit to this storage is durable: send its hint at the end of the round; repeated each second
 * until acknowledged, and on connecting. */
void queue_client_announce(const struct instance *queue);

/* Has the queue role try the mail for this domain now. 0, or -1: it cannot be told. */
int queue_client_sweep(const char *domain);

/* Sends another frame of queue/protocol.h. 0, or -1: there is no connection now. */
int queue_client_send(unsigned type, ph_span payload);

/* In the queue role itself, which writes mail of its own (reports): calls announce instead of
 * sending hints. NULL ends it. */
void queue_client_set_local(void (*announce)(void *context, const struct instance *queue),
	void *context);

#endif
