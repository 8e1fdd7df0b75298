/*
 * Between the local role and the spawner: deliveries that need a user's rights.
 *
 * A batch is any number of SPAWN_DESCRIPTORS and then its SPAWN_REQUEST; answers come in any order.
 */
#ifndef PROCESS_SPAWN_H
#define PROCESS_SPAWN_H

#include <posthouse/transport.h>

#include "config/config.h"
#include "process/channel.h"
#include "process/process.h"
#include "process/rights.h"

enum {
	SPAWN_DESCRIPTORS = 1, /* descriptors of the next request */
	SPAWN_REQUEST,         /* u32 number of the batch, u32 of the transport's instance; u64 timeout in
	                          milliseconds; u32 size of the transport's requests; u32 count; for each:
	                          bytes ph_user_delivery without the zeros at its end, u8 index of its
	                          descriptor */
	SPAWN_RESULT           /* u32 number; string error, "" when there are results; u32 count; for each:
	                          bytes ph_user_result, bytes text of a file that was read */
};

/* How many batches the local role has under way at once; more wait there. */
enum { SPAWN_UNDER_WAY = 100 };

/* A batch as the child gets it. */
struct batch {
	const struct instance *transport;
	enum ph_user_kind kind; /* of all requests */
	size_t stride;          /* of the requests that the transport knows */
	size_t count;
	struct ph_user_delivery requests[PH_SPAWN_MAX];
	int fds[PH_SPAWN_MAX]; /* one for each request; -1 for PH_USER_READ */
	int64_t timeout;       /* milliseconds */
};

/*
 * What a SPAWN_REQUEST says behind its number (batch_read.c). Everything in it is checked; the
 * client's descriptors are referred to, not taken. batch begins zeroed. 0, or -1 with what is
 * wrong.
 */
int batch_read(struct wire_reader *reader, const struct config *config, const int *fds,
	size_t fd_count, struct batch *batch, ph_error *error);

/* What the child writes to its pipe: first CHILD_DOTLOCK if it made one in mail_spool_directory,
 * then CHILD_RESULTS and the results, and for PH_USER_READ, for each, the text as
 * wire.c writes bytes. */
enum { CHILD_DOTLOCK = 'D', CHILD_RESULTS = 'R' };

/* The child of the spawner, to its end. */
noreturn void batch_run(const struct batch *batch, const struct process_setup *setup,
	int result_fd);

/*
 * A batch whose rights the transport finds (find_rights): the rest of the child's work, up to the
 * results. Runs with the spawner's rights, and no module's code in this process (shares.c).
 * result_fd: the pipe to the spawner, which is none of the business of those who deliver.
 */
void shares_run(const struct batch *batch, const struct process_setup *setup, int result_fd,
	struct ph_user_result *results);
/* What deliver_as_user() is called with, for those requests of a batch, as a user: never returns
 * before the process is them for good. results: of these requests, which a module filled. */
void batch_deliver_as(const struct batch *batch, const struct process_setup *setup,
	const struct rights *rights, struct ph_user_result *results);
/* The requests as far apart as the transport has them; on the heap, or the process ends. */
const void *batch_requests(const struct batch *batch);
/* Becomes the user for good, in surroundings that have nothing of the daemon's. commands: as
 * rights_take() has it. Ends the process when that fails. */
void batch_become(const struct process_setup *setup, const struct rights *rights, bool commands,
	int64_t timeout);

/* How far apart a transport's results lie that knows requests of this size. */
size_t result_stride(size_t request_size);

/* How a mailbox is opened (mailbox.c). */
enum mailbox_result {
	MAILBOX_OPEN,
	MAILBOX_UNSAFE, /* it is not what it should be, or somebody holds its lock: the error tells */
	MAILBOX_FAILED  /* the system said no: errno */
};

struct mailbox_place {
	const char *directory, *name;
	uid_t uid;          /* whose it is to be */
	gid_t gid;
	bool change_owner;  /* we have the rights to give it to them */
	bool any_file;      /* a file that somebody named, and no mailbox: anybody's, and with a .lock
	                     * only where the folder lets us */
	int64_t timeout;    /* milliseconds */
	unsigned locks;     /* PH_LOCK_…, all of them; 0: fcntl and .lock */
};

/*
 * Opens the mailbox, creates it where it is missing (0600) and locks it, last by NAME.lock; waits
 * for locks until the timeout. made is set as soon as the .lock file is there: it is the caller's
 * to remove.
 */
enum mailbox_result mailbox_open(const struct mailbox_place *place, int *fd, bool *made,
	ph_error *error);
/* Removes NAME.lock if the process with that number made it. */
void mailbox_unlock(const char *directory, const char *name, pid_t maker);
/* Makes the user's folder, 0700, where it is missing. 0, or -1 with errno. */
int mailbox_folder(const struct mailbox_place *place);

#endif
