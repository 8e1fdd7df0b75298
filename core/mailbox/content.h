/*
 * The content of a message in the child that delivers it: read from its descriptor, looked through,
 * copied into a mailbox.
 */
#ifndef MAILBOX_CONTENT_H
#define MAILBOX_CONTENT_H

#include <posthouse/transport.h>

#include "mailbox/mbox.h"

enum { CONTENT_CHUNK = 64 * 1024 };

/* May it be delivered? Not when it was here before (Delivered-To), or cannot be read: the result
 * says so. buffer has CONTENT_CHUNK bytes. */
bool mailbox_content_begin(const struct ph_user_delivery *request, int fd, char *buffer,
	struct ph_user_result *result);
/* The message as it stands in the mailbox; maildir: in a file of its own. 0, or -1 with errno when
 * the message cannot be read; failures of the mailbox are the mbox's. */
int mailbox_content_copy(struct mbox *mbox, const struct ph_user_delivery *request, int fd,
	bool maildir, char *buffer);

#endif
