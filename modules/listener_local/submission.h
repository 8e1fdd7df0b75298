/*
 * One submission: from the lines and bytes of <posthouse/submit.h> to a message in the queue.
 */
#ifndef LISTENER_LOCAL_SUBMISSION_H
#define LISTENER_LOCAL_SUBMISSION_H

#include <posthouse/intake.h>

#include "frames.h"
#include "lines.h"
#include "users.h"

/* On the heap: too large for a task's stack. */
struct submission {
	struct frames frames;
	struct lines lines;
	const void *listener;
	struct user user;
	ph_pool *pool;
	ph_intake *intake;       /* from the first recipient on */
	const char *from;        /* NULL: the login name */
	const char *name;
	struct ph_mail_parameters mail;
	uint32_t notify;
	const char *orcpt;       /* of the next recipient; NULL: none */
	ph_reply refusal;        /* code other than 0: nothing will be queued */
};

/* listener: the instance that it came to. */
struct submission *submission_new(const void *listener, const struct user *user);
/* NULL: nothing. What was not committed is forgotten. */
void submission_free(struct submission *submission);
/* Takes bytes; may wait. FRAMES_BAD: the refusal tells. */
enum frames_result submission_feed(struct submission *submission, ph_span bytes);
/* After FRAMES_END: queues the message; waits. */
ph_intake_result submission_commit(struct submission *submission, ph_reply *reply);

#endif
