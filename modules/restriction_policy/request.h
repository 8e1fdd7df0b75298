/*
 * The request of the policy delegation protocol: all that is known of a session, "name=value" a line
 * each, and an empty line.
 */
#ifndef RESTRICTION_POLICY_REQUEST_H
#define RESTRICTION_POLICY_REQUEST_H

#include <posthouse/session.h>

/* Lies in the pool. No value can end its line: control characters become "?". false: no memory. */
bool request_make(ph_session *session, ph_pool *pool, const char *context, ph_span *request);

#endif
