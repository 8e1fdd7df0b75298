/*
 * An SMTP session as the core sees it: the client, the transaction in progress, the state of the
 * policy. One for each connection of a listener that speaks SMTP; used by that connection's task.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <posthouse/listener.h>
#include <posthouse/restriction.h>

#include "config/config.h"

/* The commands that are counted for the line at the end of a session, in its order. */
enum session_command {
	COMMAND_HELO,
	COMMAND_EHLO,
	COMMAND_LHLO,
	COMMAND_STARTTLS,
	COMMAND_AUTH,
	COMMAND_MAIL,
	COMMAND_RCPT,
	COMMAND_DATA,
	COMMAND_BDAT,
	COMMAND_RSET,
	COMMAND_NOOP,
	COMMAND_VRFY,
	COMMAND_ETRN,
	COMMAND_QUIT,
	COMMAND_UNKNOWN,
	COMMAND_COUNT
};

struct command_count {
	uint32_t accepted;
	uint32_t all;
};

/* A reply that waits for what a list will say; made when the first comes up. */
struct pending {
	bool active;
	ph_reply reply;
};

/* What a login and an encrypted connection would say of the client; texts "" or NULL: nothing. */
struct session_login {
	const char *username, *method, *sender;
};
struct session_tls {
	const char *protocol, *cipher;
	int cipher_bits;
	const char *subject, *issuer, *fingerprint, *pubkey_fingerprint;
	bool trusted;
};

/* What a module keeps for the session. */
struct session_slot {
	const void *owner;
	void *value;
	struct session_slot *next;
};

struct run;
struct trail;
struct trail_log;
struct transcript;
struct wishes;

struct ph_session {
	ph_connection *connection;           /* the core's; outlives the session */
	const struct policy_settings *policy;
	const struct settings *settings;
	const char *queue;                   /* the storage's name */

	ph_address client;
	char client_text[PH_ADDRESS_TEXT];
	char *client_name;                   /* verified; owned; NULL: "unknown" */
	char *reverse_name;                  /* what the address says; owned; NULL: none */
	char *label;                         /* "unknown[192.0.2.1]"; owned; NULL: no memory for it */
	ph_found client_status;              /* of the name: verified, none, a lookup failed */
	ph_found reverse_status;             /* of what the address says */

	ph_pool *pool;                       /* all pools are made when they are first used */
	ph_pool *message_pool;
	ph_pool *scratch_pool;
	struct session_slot *slots;          /* in the session's pool */

	char *helo;                          /* owned; NULL: none */
	const char *protocol;                /* a constant */
	struct session_login login;
	struct session_tls tls;

	/* The transaction; texts in the message pool. */
	const char *sender;                  /* NULL: no MAIL yet */
	const char *recipient;               /* the one in hand; NULL outside of RCPT */
	struct ph_mail_parameters *parameters;
	int64_t announced;
	int64_t content_size;
	size_t recipients;
	const char *only_recipient;          /* the accepted one; NULL: none or several */
	ph_intake *intake;                   /* from the first accepted recipient on */
	const char *queue_id;                /* of the intake, or of the one that was just ended */
	bool in_data;
	bool discard;                        /* a restriction said so; for the transaction */
	struct wishes *wishes;               /* what else is to become of the message; NULL: nothing */
	const char *etrn_domain;             /* while ETRN is judged; else NULL */
	char transaction_id[32];             /* "": not asked for yet */

	/* The policy: the event that is judged, NULL outside; those who are told how (trail.h;
	 * NULL: nobody); where ph_reject() and the like write, NULL outside of a restriction; what
	 * the client, helo and sender lists left for the recipients (owned; NULL: nothing). */
	struct run *run;
	const struct trail *trail;
	struct trail_log *trail_log;         /* owned; the one of smtpd_explain_clients; NULL: none */
	bool rehearsal;                      /* nothing is sent, nobody is kept waiting: explain */
	bool alone;                          /* and no other server is asked: check */
	ph_reply *verdict;
	struct pending *left_by_client, *left_by_helo, *left_by_sender;

	struct transcript *transcript;       /* owned; NULL: nothing was said yet */
	struct command_count counts[COMMAND_COUNT];
};

/* Fills a reply. Returns -1, so that a refusal can end with it. */
int session_refuse(ph_reply *reply, int code, const char *status, const char *format, ...)
	PH_PRINTF(4, 5);
/* Is it the postmaster's, with no domain or one of ours (RFC 5321, 4.5.1)? */
bool destination_is_postmaster(ph_session *session, const char *address);
/* The address without what changes with time, in the scratch pool, if it is who our own probes come
 * from now; else NULL. */
const char *destination_prober(ph_session *session, const char *address);
/* Is it, and mail to it ours? Whoever verifies that address in turn must not be refused, or both
 * would remember that the other cannot be reached. */
bool destination_is_prober(ph_session *session, const char *address);

#endif
