/*
 * Asking a policy server: a request, an answer, over a kept connection or a fresh one, again when that
 * fails.
 */
#ifndef RESTRICTION_POLICY_ASK_H
#define RESTRICTION_POLICY_ASK_H

#include "links.h"
#include "service.h"

struct question {
	struct links *links;
	const struct service *service;
	const struct service_settings *settings;
	ph_span request;
	ph_pool *pool;      /* of the answer */
};

/* The action, in the pool. NULL: there is no answer; the error says why, in the log too. Waits. */
const char *question_ask(const struct question *question, ph_error *error);

#endif
