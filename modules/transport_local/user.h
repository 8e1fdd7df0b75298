/*
 * In the child that is the user: a batch of messages into a mailbox, a file, or to a command.
 */
#ifndef TRANSPORT_LOCAL_USER_H
#define TRANSPORT_LOCAL_USER_H

#include <posthouse/transport.h>

#include "params.h"

/* Delivers as the requests' kind says; a mailbox is synced once. */
void user_deliver(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results);

#endif
