/*
 * In the child that is the user: one message to a command.
 */
#ifndef TRANSPORT_LOCAL_COMMAND_H
#define TRANSPORT_LOCAL_COMMAND_H

#include <posthouse/transport.h>

#include "params.h"

/* Runs what the request names or, for PH_USER_INSTANCE, what the parameters do. */
void command_deliver(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *request, int fd, struct ph_user_result *result);

#endif
