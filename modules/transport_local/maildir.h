/*
 * In the child that is the user: a batch of messages into a Maildir.
 */
#ifndef TRANSPORT_LOCAL_MAILDIR_H
#define TRANSPORT_LOCAL_MAILDIR_H

#include <posthouse/transport.h>

#include "params.h"

/* Writes them into PATH/tmp, syncs each, then moves each to PATH/new and syncs that once. path ends
 * with a slash; folders are made (0700) where they are missing. mailbox_size_limit is one of
 * a message's file. */
void maildir_deliver(const struct params *params, const char *path,
	const struct ph_user_delivery *requests, const int *fds, size_t count, char *buffer,
	struct ph_user_result *results);

#endif
