/*
 * Between the local role and the spawner: deliveries that need a user's rights.
 *
 * A batch is any number of SPAWN_DESCRIPTORS and then its SPAWN_REQUEST; answers come in any order.
 */
#ifndef PROCESS_SPAWN_H
#define PROCESS_SPAWN_H

#include <pwd.h>

#include <posthouse/transport.h>

#include "process/process.h"

enum {
	SPAWN_DESCRIPTORS = 1, /* descriptors of the next request */
	SPAWN_REQUEST,         /* u32 number of the batch, u32 of the transport's instance; u64 timeout in
	                          milliseconds; u32 count; for each: bytes ph_user_delivery, u8 index of
	                          its descriptor */
	SPAWN_RESULT           /* u32 number; string error, "" when there are results; u32 count; for each:
	                          bytes ph_user_result */
};

/* A batch as the child gets it. */
struct batch {
	const struct instance *transport;
	size_t count;
	struct ph_user_delivery requests[PH_SPAWN_MAX];
	int fds[PH_SPAWN_MAX]; /* one for each request */
	int64_t timeout;       /* milliseconds */
};

/* What the child writes to its pipe: first CHILD_DOTLOCK if it made one, then CHILD_RESULTS and the
 * results. */
enum { CHILD_DOTLOCK = 'D', CHILD_RESULTS = 'R' };

/* The child of the spawner, to its end. */
noreturn void batch_run(const struct batch *batch, const struct process_setup *setup, int result_fd);

/* How a mailbox is opened (mailbox.c). */
enum mailbox_result {
	MAILBOX_OPEN,
	MAILBOX_UNSAFE, /* it is not what it should be, or somebody holds its lock: the error tells */
	MAILBOX_FAILED  /* the system said no: errno */
};

/*
 * Opens the mailbox NAME in the directory, creates it where it is missing (owner uid, group gid, 0600)
 * and locks it, by fcntl and then by NAME.lock; waits for locks until timeout (milliseconds). made
 * is set as soon as the .lock file is there: it is the caller's to remove.
 */
enum mailbox_result mailbox_open(const char *directory, const char *name, uid_t uid, gid_t gid,
	bool change_owner, int64_t timeout, int *fd, bool *made, ph_error *error);
/* Removes NAME.lock if the process with that number made it. */
void mailbox_unlock(const char *directory, const char *name, pid_t maker);

#endif
