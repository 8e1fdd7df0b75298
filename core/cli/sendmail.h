/*
 * What the parts of the sendmail command share.
 */
#ifndef CLI_SENDMAIL_H
#define CLI_SENDMAIL_H

#include "cli/submit.h"

/* Where the daemon is. */
struct sendmail_site {
	ph_pool *pool;
	const char *run_directory, *queue_directory;
};

/* Submits; the answer, also for mail that was left in the drop directory or nowhere. Its text is
 * for people. */
void sendmail_submit(const struct sendmail_site *site, const struct outgoing *outgoing,
	ph_reply *reply);
/* The invoker's full name from its passwd entry, in the pool; NULL: none. */
const char *sendmail_full_name(ph_pool *pool);

/* sendmail -bs: SMTP on standard input and output (RFC 5321), lines in CR LF or LF. The exit
 * code. */
int sendmail_dialogue(const struct sendmail_site *site, const char *sender);

#endif
