/*
 * In the child that is the user: a batch of messages into a Maildir.
 */
#ifndef MAILBOX_MAILDIR_H
#define MAILBOX_MAILDIR_H

#include <posthouse/transport.h>

/* Writes them into PATH/tmp, syncs each, then moves each to PATH/new and syncs that once. path ends
 * with a slash; folders are made (0700) where they are missing. limit: of one message's file; 0: none. */
void maildir_deliver(const char *path, const struct ph_user_delivery *requests, const int *fds,
	size_t count, int64_t limit, char *buffer, struct ph_user_result *results);

#endif
