/*
 * posthouse/mailbox.h: messages into mailboxes, mbox and Maildir.
 *
 * Only for deliver_as_user() of a transport, in the process that is the user; it blocks. What does
 * not need that process says so.
 */
#ifndef POSTHOUSE_MAILBOX_H
#define POSTHOUSE_MAILBOX_H

#include <posthouse/base.h>
#include <posthouse/transport.h>

PH_BEGIN_DECLS

enum {
	/* A file that somebody named, and no mailbox of a user: texts say so, and what cannot be
	 * opened returns the mail. */
	PH_MAILBOX_FILE = 1,
	/* Messages get no Delivered-To. */
	PH_MAILBOX_BARE = 2,
	/* Of ph_mailbox_head(): "From sender  date" before the headers. */
	PH_MAILBOX_FROM = 4
};

struct ph_mailbox {
	uint32_t size;
	uint32_t flags;
	const char *path;  /* a Maildir's ends with a slash; its folders are made where they are missing */
	const char *user;  /* whose it is, for texts */
	int fd;            /* of an mbox, opened to append and locked; not used for a Maildir */
	int failure;       /* errno of why there is no fd; 0: there is one */
	int64_t limit;     /* of the mbox's size, of the size of a message in a Maildir; 0: none */
};

/*
 * Writes a batch of messages, each begun with Return-Path, X-Original-To and Delivered-To (in an
 * mbox with "From " before that), and syncs once for all. What does not succeed is taken back. One
 * whose headers have a Delivered-To that names its recipient is returned, 5.4.6. fds has a
 * descriptor for each; requests and results lie as far apart as their sizes say. Fills every
 * result.
 */
PH_API void ph_mailbox_write(const struct ph_mailbox *mailbox, const struct ph_user_delivery *requests,
	const int *fds, size_t count, struct ph_user_result *results);

enum {
	PH_LOCK_FCNTL = 1,
	PH_LOCK_FLOCK = 2,
	PH_LOCK_DOTLOCK = 4 /* PATH.lock */
};

/*
 * Opens an mbox to append, creates it (0600) where it is missing, and locks it, with all of these
 * kinds; waits for locks until the time (milliseconds) is up. It must be a regular file with one
 * name that belongs to the user of this process. The descriptor; ph_mailbox_unlock() removes a
 * .lock. -1: errno, and *why is empty; or it is not what it should be, or stays locked: *why says
 * that, "is locked by another program".
 */
PH_API int ph_mailbox_open(const char *path, unsigned locks, int64_t time, ph_error *why);
PH_API void ph_mailbox_unlock(const char *path);

/* "Return-Path:", "X-Original-To:" and "Delivered-To:", each ended by LF; flags: PH_MAILBOX_BARE
 * and PH_MAILBOX_FROM. In the pool; NULL: no memory. Pure, but for the clock. */
PH_API const char *ph_mailbox_head(ph_pool *pool, const struct ph_user_delivery *request,
	unsigned flags);

/* Was the message here before: has it a Delivered-To that names this recipient? Reads the content
 * at offset in fd. 1, 0, or -1 with errno. In any process; a disk may hold it up. */
PH_API int ph_mailbox_was_here(int fd, int64_t offset, int64_t length, const char *recipient);

/* Writes a result down. outcome: enum ph_user_outcome. */
PH_API void ph_user_answer(struct ph_user_result *result, int outcome, const char *status,
	const char *format, ...) PH_PRINTF(4, 5);

PH_END_DECLS

#endif
