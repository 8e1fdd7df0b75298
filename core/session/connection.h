/*
 * Connections of the smtpd role: what the accept loop, the sessions and the end of a process share.
 */
#ifndef SESSION_CONNECTION_H
#define SESSION_CONNECTION_H

#include <posthouse/listener.h>

#include "config/config.h"

/* Starts serving a socket that was accepted, in a task. It is closed in any case. */
void connection_accept(int fd, const ph_address *client, const struct instance *listener);

/* The session on it, for the log; NULL when it ends. A connection may be NULL (tests). */
void connection_attach(ph_connection *connection, ph_session *session);
/* Does it wait for a command, with nothing in hand? */
void connection_set_idle(ph_connection *connection, bool idle);

/* The process is about to end: idle connections are cancelled now, the others when they become
 * idle, all of them after grace milliseconds. Waits until none is left; in a task. */
void connections_drain(int64_t grace);
size_t connections_count(void);

#endif
