/*
 * In the child that is the user: a batch of messages into a Maildir.
 */
#ifndef MAILBOX_MAILDIR_H
#define MAILBOX_MAILDIR_H

#include <posthouse/mailbox.h>

/* Writes them into PATH/tmp, syncs each, then moves each to PATH/new and syncs that once. The path
 * ends with a slash; folders are made (0700) where they are missing. buffer: MBOX_BUFFER and
 * CONTENT_CHUNK. */
void maildir_deliver(const struct ph_mailbox *box, const struct ph_user_delivery *requests,
	const int *fds, size_t count, char *buffer, struct ph_user_result *results);

#endif
