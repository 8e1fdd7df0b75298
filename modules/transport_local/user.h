/*
 * In the child that is the user: a batch of messages into the mailbox.
 */
#ifndef TRANSPORT_LOCAL_USER_H
#define TRANSPORT_LOCAL_USER_H

#include <posthouse/transport.h>

/* Outcomes of struct ph_user_result. */
enum {
	USER_SENT = 0,
	USER_DEFERRED = 1,
	USER_BOUNCED = 2
};

/* Writes the messages, syncs once. limit: of the mailbox's size, 0 for none. */
void user_deliver(const struct ph_user_context *user, const struct ph_user_delivery *requests,
	const int *fds, size_t count, int64_t limit, struct ph_user_result *results);

#endif
