/*
 * The trail of a policy: each list and restriction that is asked, what it looked up, what it said.
 * For "posthouse explain" and smtpd_explain_clients. A session without anyone who listens pays one
 * comparison.
 */
#ifndef SESSION_TRAIL_H
#define SESSION_TRAIL_H

#include <stdarg.h>

#include "session/session.h"

/* What a listener hears, in order; all of them are there. Texts and rules are gone when a call
 * returns. depth: 1 in a list, more in classes and in what tables name. */
struct trail {
	void *context;
	/* The session begins: who the client is, its names with it. */
	void (*client)(void *context, const ph_session *session);
	/* A list is asked, "smtpd_client_restrictions"; one without rules too. */
	void (*list)(void *context, const char *name, const struct ph_rules *rules);
	/* A restriction is asked; skipped: it is not, as its object is absent. warn: it stands
	 * behind warn_if_reject. A class (rule->rules) is followed by its own, and says nothing
	 * itself. */
	void (*rule)(void *context, const struct ph_rule *rule, unsigned depth, bool skipped,
		bool warn);
	/* Something that it looked up, and what that gave; one line. depth 0: of no restriction. */
	void (*note)(void *context, const char *text, unsigned depth);
	/* Something that it wants done with the message: "REDIRECT", "user@example.com". */
	void (*wish)(void *context, const char *what, const char *text, unsigned depth);
	/* What it said; the reply has a code when it refused or has a reservation. warned: that was
	 * only logged (warn_if_reject). */
	void (*verdict)(void *context, const struct ph_rule *rule, ph_verdict verdict,
		const ph_reply *reply, bool warned, unsigned depth);
	/* What the event came to: accepted (0) or refused with the reply (-1). */
	void (*outcome)(void *context, const char *command, int result, const ph_reply *reply);
};

/* Tell the session's listener, if there is one. */
void trail_client(const ph_session *session);
void trail_list(const ph_session *session, const char *name, const struct ph_rules *rules);
void trail_rule(const ph_session *session, const struct ph_rule *rule, unsigned depth, bool skipped,
	bool warn);
void trail_wish(const ph_session *session, const char *what, const char *text);
void trail_verdict(const ph_session *session, const struct ph_rule *rule, ph_verdict verdict,
	const ph_reply *reply, bool warned, unsigned depth);
void trail_outcome(const ph_session *session, const char *command, int result,
	const ph_reply *reply);

/* The client's name and how it was learnt, for people: "unknown (192.0.2.1 has no name in the
 * DNS)". */
void trail_client_text(const ph_session *session, char *text, size_t size);
/* A restriction as it stands in the list, and where: "reject_rbl_client zen.example
 * (posthouse.conf:12)". Returns text. */
enum { TRAIL_RULE_TEXT = 240 };
const char *trail_rule_text(const struct ph_rule *rule, char text[TRAIL_RULE_TEXT]);
/* Why a restriction was skipped: "there is no sender". */
const char *trail_absence(const struct ph_rule *rule);
/* What a verdict is called, as the results of access(5) are: "defer_if_permit"; "no opinion". */
const char *trail_verdict_name(ph_verdict verdict);

/* A lookup and what it gave: value is that of an entry, or why it failed; NULL: not known. */
void trail_dns(ph_session *session, ph_dns_type type, const char *name,
	const ph_dns_answer *answer);
void trail_map(ph_session *session, const ph_map *map, const char *key, ph_found found,
	const char *value);

#endif
