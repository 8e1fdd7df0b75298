/*
 * The trail of a policy: each list and restriction that is asked, what it looked up, what it said.
 * For "posthouse explain" and smtpd_explain_clients. A session without anyone who listens pays one
 * comparison.
 */
#ifndef SESSION_TRAIL_H
#define SESSION_TRAIL_H

#include <stdarg.h>

#include "session/session.h"

/* What a listener hears, in order. depth: 0 in a list, more in classes and what tables name. */
struct trail {
	void *context;
	/* A list is asked: "smtpd_client_restrictions". */
	void (*list)(void *context, const char *name);
	/* A restriction is asked; skipped: it is not, as its object is absent. */
	void (*rule)(void *context, const struct ph_rule *rule, unsigned depth, bool skipped);
	/* Something that it looked up, and what that gave; one line. */
	void (*note)(void *context, const char *text, unsigned depth);
	/* What it said; the reply has a code when it refused or has a reservation. warned: that was
	 * only logged (warn_if_reject). */
	void (*verdict)(void *context, const struct ph_rule *rule, ph_verdict verdict,
		const ph_reply *reply, bool warned, unsigned depth);
	/* What the event came to: accepted (0) or refused with the reply (-1). */
	void (*outcome)(void *context, const char *command, int result, const ph_reply *reply);
};

/* Tell the session's listener, if there is one. */
void trail_list(const ph_session *session, const char *name);
void trail_rule(const ph_session *session, const struct ph_rule *rule, unsigned depth, bool skipped);
void trail_verdict(const ph_session *session, const struct ph_rule *rule, ph_verdict verdict,
	const ph_reply *reply, bool warned, unsigned depth);
void trail_outcome(const ph_session *session, const char *command, int result,
	const ph_reply *reply);

/* A lookup and what it gave: value is that of an entry, or why it failed; NULL: not known. */
void trail_dns(ph_session *session, ph_dns_type type, const char *name, const ph_dns_answer *answer);
void trail_map(ph_session *session, const ph_map *map, const char *key, ph_found found,
	const char *value);

#endif
