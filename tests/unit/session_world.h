/*
 * A world for sessions: settings, tables, a DNS and an intake that a test fills, in place of the
 * configuration's, the resolver's and the intake's. The session itself is the real one.
 */
#ifndef TESTS_UNIT_SESSION_WORLD_H
#define TESTS_UNIT_SESSION_WORLD_H

#include "config/config.h"
#include "queue/verify_record.h"
#include "session/session.h"

/* One name in the DNS; records as text: addresses, names, "10 mx.example". */
struct world_record {
	ph_dns_type type;
	const char *name;
	ph_dns_result result;
	const char *records[4];
};

struct world {
	struct settings settings;
	struct policy_settings policy;
	struct instance listener;
	struct instance queue;

	const char *mynetworks[4];   /* addresses */
	const char *explained[4];    /* smtpd_explain_clients; for a test that begins the trail */
	const char *mydestination[4];
	const char *relay_domains[4];
	bool tables_fail;
	const struct world_record *dns;
	size_t dns_count;
	unsigned dns_rounds;         /* of the loop that an answer takes; 0: the test has no loop */
	unsigned dns_asked, dns_waiting, dns_most; /* lookups: all, now, the most at the same time */

	/* What the intake got. */
	unsigned intakes;            /* live */
	unsigned committed, aborted, discarded;
	bool intake_fails;           /* to begin */
	ph_intake_result result;     /* of the commit */
	char sender[400];
	char recipients[4000];       /* each with a newline */
	char content[8192];
	size_t content_size;
	char wishes[1024];           /* "hold triggers HOLD action", each with a newline */
	int64_t total_size;

	bool queue_is_away;
	char swept[256];             /* the domain whose mail is to be tried */
	ph_found verified;           /* what the queue role says of addresses: an answer, or PH_FAILED */
	enum verify_status verify_status;
	const char *verify_text;
	char verify_asked[256];      /* the address */
	int64_t verify_patience;     /* that long it was to be waited for */
	const ph_rules *answer;      /* what a text of restrictions' names means; NULL: nonsense */

	char log[16384];             /* each line with a newline */
};

/* A table of the world: {key, value} in pairs, ends with NULL. */
struct ph_map {
	const char *name;
	const char *const *entries;
	bool patterns;               /* it is not asked for parts of keys */
	bool fails;
};

extern struct world world;

/* An empty world; a session policy with Postfix's defaults; the log goes to world.log. */
void world_reset(void);
/* A session without a connection, of a client with that address. */
ph_session *world_session(const char *address);
/* Gives the client a name that is verified. */
void world_name_client(ph_session *session, const char *name);
void world_end(ph_session *session);

/* Rules: "permit", or a restriction of these. */
#define WORLD_WORD(word) {.name = (word), .argument = ""}
#define WORLD_RULES(...) \
	&(const ph_rules){sizeof((const ph_rule[]){__VA_ARGS__}) / sizeof(ph_rule), \
		(const ph_rule[]){__VA_ARGS__}}

/* Asks a restriction of a module by its name, with the module's default codes in an instance that
 * the test gives. The reply is filled if it refuses. */
ph_verdict world_ask(const struct ph_module *module, const void *self, const char *name,
	ph_session *session, ph_reply *reply);
/* The same with a table, or with an argument, which is prepared. */
ph_verdict world_ask_map(const struct ph_module *module, const void *self, const char *name,
	const ph_map *map, ph_session *session, ph_reply *reply);
ph_verdict world_ask_argument(const struct ph_module *module, const void *self, const char *name,
	const char *argument, ph_session *session, ph_reply *reply);

#endif
