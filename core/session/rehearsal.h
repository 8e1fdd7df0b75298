/*
 * A rehearsal: a session whose client is made up. The listener, the lists and the restrictions are
 * the real ones, and so are their lookups; nothing is queued, counted or waited for.
 */
#ifndef SESSION_REHEARSAL_H
#define SESSION_REHEARSAL_H

#include "session/session.h"
#include "session/trail.h"

/* The caller's; outlives the session. */
struct rehearsal {
	const struct instance *listener;
	ph_address client, server;
	const char *client_name;  /* verified; "unknown": none; NULL: it is looked up */
	const char *reverse_name; /* unverified; "unknown": none; NULL: looked up, or the client_name */
	struct session_login login;
	struct session_tls tls;
	bool alone;               /* no other server is asked: what would ask one has no opinion */
	const struct trail *trail;
};

/* Serves a connection to the made-up client, in a task of its own; fd, one end of a socket pair, is
 * closed in any case. 0, or -1: no memory. */
int connection_rehearse(int fd, const struct rehearsal *rehearsal);

#endif
