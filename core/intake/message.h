/*
 * A message on its way in: what intake and filters share. Everything in it lives in its pool.
 */
#ifndef INTAKE_MESSAGE_H
#define INTAKE_MESSAGE_H

#include <posthouse/filter.h>
#include <posthouse/intake.h>
#include <posthouse/queue.h>

#include "config/config.h"
#include "intake/envelope.h"
#include "intake/header.h"

/* One filter in a message's chain. */
struct filter_step {
	const struct ph_filter_ops *ops;
	void *self;
	const char *name;  /* for the log: the instance, or "received" */
	void *state;
	bool begun;        /* header() was called: done() is due */
};

struct ph_filter_message {
	ph_pool *pool;
	const struct settings *settings;
	struct ph_intake_origin origin;
	struct envelope envelope;
	size_t recipient_room, alias_room;
	struct header *headers;
	size_t header_count, header_room;
	ph_reply reply;             /* what ph_filter_reply() or a failure wants to say */
	struct filter_step *steps;
	size_t step_count;
	bool body_wanted;           /* some filter has body() */
	bool tls;                   /* the client's session is encrypted */
	bool rewrite_headers;       /* not a stranger's */
	uint32_t content_flags;     /* PH_CONTENT_… */
	/* What policy wants done at the commit: wishes.c. */
	const char *redirect;       /* in place of all recipients; NULL: no */
	ph_strings bcc, prepend;    /* more recipients; "Name: value" */
};

/* What the intake wants to know of a session. */
struct intake_client {
	const char *name, *address, *helo, *protocol, *sasl_username;
	bool tls;
	bool in_interfaces, in_mynetworks; /* its address is one of ours; of our networks */
};

/* What the intake stands on; a test brings its own. */
struct intake_base {
	const struct settings *settings;
	const struct instance *(*queue)(const char *name);
	const struct instance *(*filter)(size_t number); /* NULL behind the last */
	void (*announce)(const struct instance *queue);
	void (*client)(const ph_session *session, struct intake_client *client);
};
const struct intake_base *intake_base(void); /* base.c */

/* The built-in filters. */
extern const struct ph_filter_ops filter_complete, filter_rewrite, filter_received;

/* Builds the chain: completion, rewriting, the configured filters, Received. 0 or -1 (memory). */
int filter_chain(struct ph_filter_message *message, const struct intake_base *base);
/* Runs a stage over all. PH_FILTER_HOLD is remembered in content_flags and not returned. */
ph_filter_result filter_run_header(struct ph_filter_message *message);
ph_filter_result filter_run_body(struct ph_filter_message *message, ph_span bytes);
ph_filter_result filter_run_end(struct ph_filter_message *message);
void filter_run_done(struct ph_filter_message *message);

/* Appends a recipient that is complete already. 0 or -1. */
int message_add_recipient(struct ph_filter_message *message, const char *address,
	const char *original, const struct ph_rcpt_parameters *parameters);
/* Appends to the recipients of whose expansion the sender is to hear. Shares the texts. 0 or -1. */
int message_add_alias(struct ph_filter_message *message, const struct recipient *alias);
/* Of recipients that are the same, before and after completion, the first stays, with what was asked
 * about either. 0 or -1. */
int message_drop_duplicates(struct ph_filter_message *message);
/* One more text in a list of the message's. 0 or -1. */
int message_append_text(struct ph_filter_message *message, ph_strings *list, const char *text);
/* Puts the recipients in place that policy wants, and its headers above all others. 0 or -1. */
int message_change_recipients(struct ph_filter_message *message);
int message_prepend_headers(struct ph_filter_message *message);
/* Takes the header section apart; its bytes live in the pool. 0 or -1. */
int message_take_headers(struct ph_filter_message *message, ph_span section);
/* The header section as it stands now and, unless part of it passed by unseen, the blank line. */
int message_head(struct ph_filter_message *message, bool blank_line, ph_span *head);

#endif
