/*
 * What a connection's client uses up, against the limits of the listener that it came to.
 */
#ifndef SESSION_USAGE_H
#define SESSION_USAGE_H

#include "config/config.h"
#include "session/limits.h"
#include "session/session.h"

/* Of one connection. Its client is 0 when nothing is counted: no limit, or an exception. */
struct usage {
	uint64_t client;
	bool connected;     /* among the connections of its client */
	const char *excess; /* which limit it is over, as the log says it; NULL: none */
	unsigned count;     /* and how much there was */
};

/* A connection of a network client begins. */
void usage_begin(struct usage *usage, const struct instance *listener, const ph_address *address);
/* One of a user of this host. Root may have as many as it likes. */
void usage_begin_user(struct usage *usage, const struct instance *listener, uint32_t uid);
void usage_end(struct usage *usage);
/* Logs that it is over a limit; who: "unknown[192.0.2.1]". */
void usage_log(const struct usage *usage, const struct instance *listener, const char *who);
/* One event more of a session's client: 0, or -1 with the reply, logged, when that is too many. */
int usage_count(const ph_session *session, enum rate_event event, ph_reply *reply);

#endif
