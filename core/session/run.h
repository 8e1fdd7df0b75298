/*
 * One event being judged: what the files of the policy engine share.
 */
#ifndef SESSION_RUN_H
#define SESSION_RUN_H

#include "session/policy.h"
#include "session/trail.h"

/* The lists, for the texts of the core's own words. */
enum list {
	LIST_CLIENT,
	LIST_HELO,
	LIST_SENDER,
	LIST_RELAY,
	LIST_RECIPIENT,
	LIST_DATA,
	LIST_END_OF_DATA,
	LIST_ETRN
};

struct run {
	ph_session *session;
	const char *where;      /* the command, as the log shows it */
	enum list list;
	const ph_rules *rules;  /* the list, or the list within it, that is being asked */
	unsigned depth;         /* of lists within lists */
	unsigned asking;        /* restrictions that are in the middle of their work */
	bool early;             /* there is no message yet that could be changed */
	bool asked_others;      /* in a session that is alone: the restriction wanted another server */
	bool warn;              /* warn_if_reject: what would refuse is only logged */
	ph_reply *reply;        /* what the last restriction said */
	struct pending *permit; /* applied should all lists permit; NULL: none so far */
	ph_reply *reject;       /* applied should this list reject; NULL: none so far */
};

/* The deepest that lists may lie in lists. */
#define RUN_DEPTH_MAX 20

/* What the list judges: its object, "Client host". */
const char *run_object(const struct run *run);
const char *run_class(const struct run *run);
/* A reply about the object of the list, "<a@b>: Sender address rejected: …". */
void run_say(struct run *run, int code, const char *status, const char *why);
/* Asks a word of the core's own. */
ph_verdict run_word(struct run *run, const ph_rule *rule);
/* Asks one list. PH_DUNNO, PH_PERMIT, PH_DISCARD, or PH_REJECT with the reply. */
ph_verdict run_list(struct run *run, const ph_rules *rules);
/* The same for a list within another. */
ph_verdict run_rules(struct run *run, const ph_rules *rules);
/* Refuses an unlisted address at the end of a list: PH_DUNNO, or PH_REJECT with the reply. */
ph_verdict run_unlisted(struct run *run, const char *address, bool sender);
/* Keeps a reply for the case that all is permitted, unless there is one. 0, or -1 (memory). */
int run_reserve(struct run *run, const ph_reply *reply);

#endif
