/*
 * A connection to a policy server, wherever it listens.
 */
#ifndef RESTRICTION_POLICY_CONNECT_H
#define RESTRICTION_POLICY_CONNECT_H

#include <posthouse/stream.h>

#include "service.h"

/* Waits, timeout milliseconds at most. NULL: failed, with why. */
ph_stream *service_connect(const struct service *service, int64_t timeout, ph_error *error);

#endif
