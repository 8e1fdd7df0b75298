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

/* Does it need a shell? Pure. */
bool command_needs_shell(const char *command);
/* Its words, cut at white space, in the pool; ends with NULL. NULL: no memory, or there is none. */
const char *const *command_words(ph_pool *pool, const char *command, const char *last);

#endif
