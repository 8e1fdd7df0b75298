/*
 * posthouse check: the configuration read as a whole. Each finding goes to the problems with the
 * file and line of what is to be changed; it says what is wrong, what follows, and what to write.
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "config/state.h"

/* One list of restrictions of one listener; or, without a listener, a class that is a list too. */
struct policy_list {
	const char *name;                /* "smtpd_relay_restrictions" */
	const ph_rules *rules;
	const struct instance *listener; /* NULL: it is a class */
};

/* Calls fn for the lists of all listeners that ask a policy, and for the classes. */
void policy_each(const struct config *config,
	void (*fn)(void *context, const struct policy_list *list), void *context);
/* Is it the word "warn_if_reject", which belongs to the rule behind it? */
bool policy_is_warning(const struct ph_rule *rule);
/* A rule as it stands in a list, "check_sender_access hash:/etc/x". Returns text. */
enum { POLICY_RULE_TEXT = 200 };
const char *policy_rule_text(const struct ph_rule *rule, char text[POLICY_RULE_TEXT]);
/* Where a rule stands, seen from another: "line 12", "line 12 of /etc/x.conf", "the default". */
enum { POLICY_PLACE_TEXT = 160 };
const char *policy_place(const struct ph_rule *rule, const struct ph_rule *from,
	char text[POLICY_PLACE_TEXT]);

/* ---- Tables that cannot be read, or were not compiled (check_tables.c); opens them, and closes
 * them */
void check_tables(const struct config *config, struct problems *problems);

/* ---- Entries that nobody could act on (check_entries.c); opens tables, and closes them */
void check_entries(const struct config *config, struct problems *problems);

/* ---- Rules that no session can reach, and rules that stand twice (check_reach.c) */
void check_reach(const struct config *config, struct problems *problems);
/* The same for one list; pure. */
void check_reach_list(const struct policy_list *list, struct problems *problems);

/* ---- Restrictions in a list where they can say nothing (check_places.c) */
void check_places(const struct config *config, struct problems *problems);
/* The same for one list; pure. */
void check_places_list(const struct policy_list *list, struct problems *problems);

/* ---- What is set, or defined, and used by nothing (check_unused.c); opens tables, and closes
 * them */
void check_unused(const struct config *config, struct problems *problems);

/* ---- Settings that contradict each other (check_domains.c) */
void check_domains(const struct config *config, struct problems *problems);

/* ---- Address verification: for whom it is asked, and where it keeps what it finds
 * (check_verify.c) */
void check_verify(const struct config *config, struct problems *problems);

/* ---- Listeners that relay for strangers (check_relay.c). The last check: it gives up root's
 * rights, and runs the loop of this process. */
void check_relay(const struct config *config, struct problems *problems);

#endif
