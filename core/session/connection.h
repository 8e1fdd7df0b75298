/*
 * Connections of the smtpd role: what the accept loop, the sessions and the end of a process share.
 */
#ifndef SESSION_CONNECTION_H
#define SESSION_CONNECTION_H

#include <posthouse/listener.h>

#include "config/config.h"

struct usage;

/* Starts serving a socket that was accepted, in a task. It is closed in any case. */
void connection_accept(int fd, const ph_address *client, const struct instance *listener);

/* What it rehearses, for nobody is there; NULL: it is a real one. */
struct rehearsal;
const struct rehearsal *connection_rehearsal(const ph_connection *connection);

/* The session on it, for the log; NULL when it ends. A connection may be NULL (tests). */
void connection_attach(ph_connection *connection, ph_session *session);
/* What its client uses up; NULL for no connection. The listener that it came to. */
const struct usage *connection_usage(const ph_connection *connection);
const struct instance *connection_listener(const ph_connection *connection);
/* Does it wait for a command, with nothing in hand? */
void connection_set_idle(ph_connection *connection, bool idle);

/*
 * The process is about to end: waits until no connection is left, at most for grace milliseconds,
 * then cancels those that are. Meanwhile sessions are served as ever, so that no client notices a
 * reload; one that has waited for a command for patience milliseconds is cancelled earlier, and
 * with no patience at all it is as soon as it has nothing in hand. In a task.
 */
void connections_drain(int64_t grace, int64_t patience);
size_t connections_count(void);

#endif
