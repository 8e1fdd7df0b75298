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
	bool no_body;      /* ph_body_ignore() */
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
	const char *reason;         /* ph_filter_reason(); NULL: none */
	struct filter_step *steps;
	size_t step_count;
	size_t step;                /* the one that runs; SIZE_MAX: none */
	bool writing;               /* it may write the body */
	ph_filter_result body_result; /* of the filters behind one that writes, and of the storage */
	/* Where the body goes; after a refusal message.reply is filled. */
	ph_filter_result (*body_sink)(void *context, ph_span bytes);
	void *body_context;
	bool no_mappings;           /* addresses are completed and nothing else */
	bool exempt;                /* ph_filter_is_exempt() */
	bool (*has_transport)(const char *name);
	bool returned;              /* refused, and on its way back to its sender */
	bool headers_cut;
	bool trace_made;
	struct header trace;        /* its raw size is 0: none */
	bool tls;                   /* the client's session is encrypted */
	bool rewrite_headers;       /* not a stranger's */
	uint32_t content_flags;     /* PH_CONTENT_… */
	/* What policy wants done at the commit: wishes.c. */
	const char *redirect;       /* in place of all recipients; NULL: no */
	ph_strings bcc, prepend;    /* more recipients; "Name: value" */
};

/* What the intake wants to know of a session. */
struct intake_client {
	const char *name, *address, *helo, *protocol, *sasl_username, *sasl_method, *sasl_sender;
	uint16_t port;
	bool tls;
	const ph_strings *overrides;       /* receive_override_options; NULL: none */
	const char *filter;                /* content_filter; NULL or "": none */
	bool in_interfaces, in_mynetworks; /* its address is one of ours; of our networks */
};

/* What the intake stands on; a test brings its own. */
struct intake_base {
	const struct settings *settings;
	const struct instance *(*queue)(const char *name);
	const struct instance *(*filter)(size_t number); /* NULL behind the last */
	void (*announce)(const struct instance *queue);
	void (*client)(const ph_session *session, struct intake_client *client);
	/* Of a listener, by its instance; NULL: it is none. */
	const struct policy_settings *(*policy)(const void *listener);
	bool (*has_transport)(const char *name);
};
const struct intake_base *intake_base(void); /* base.c */

/* One stage of one filter, judged. */
enum filter_stage { FILTER_HEADER, FILTER_BODY, FILTER_BODY_END, FILTER_END };
ph_filter_result filter_call(struct ph_filter_message *message, struct filter_step *step,
	enum filter_stage stage, ph_span bytes);

/* The built-in filters. */
extern const struct ph_filter_ops filter_complete, filter_rewrite, filter_drop, filter_received;

/* Builds the chain: completion, rewriting, the configured filters, headers that are dropped, Received. 0 or -1 (memory). */
int filter_chain(struct ph_filter_message *message, const struct intake_base *base);
/* Runs a stage over all. PH_FILTER_HOLD is remembered in content_flags and not returned. */
ph_filter_result filter_run_header(struct ph_filter_message *message);
/* The body passes the filters from that one on, and goes to the sink. */
ph_filter_result filter_run_body(struct ph_filter_message *message, size_t first, ph_span bytes);
ph_filter_result filter_run_body_end(struct ph_filter_message *message);
ph_filter_result filter_run_end(struct ph_filter_message *message);
void filter_run_done(struct ph_filter_message *message);

/* Takes over from where and how it comes (entry.c). 0, or -1 without memory. */
int message_take_origin(struct ph_filter_message *message, const struct intake_base *base,
	const struct ph_intake_origin *origin);
/* A copy; "" of NULL. NULL without memory. */
const char *message_copy_text(ph_pool *pool, const char *text);
/* Is the word, in whatever case, in a list of settings? NULL: an empty one. */
bool message_has_word(const ph_strings *list, const char *word);
/* Appends a recipient that is complete already. 0 or -1. */
int message_add_recipient(struct ph_filter_message *message, const char *address,
	const char *original, const struct ph_rcpt_parameters *parameters);
/* Appends to the recipients of whose expansion the sender is to hear. Shares the texts. 0 or -1. */
int message_add_alias(struct ph_filter_message *message, const struct recipient *alias);
/* Of recipients that are the same, before and after completion, the first stays, with what was
 * asked about either. 0 or -1. */
int message_drop_duplicates(struct ph_filter_message *message);
/* One more text in a list of the message's. 0 or -1. */
int message_append_text(struct ph_filter_message *message, ph_strings *list, const char *text);
/* Puts the recipients in place that policy wants, and its headers above all others. 0 or -1. */
int message_change_recipients(struct ph_filter_message *message);
int message_prepend_headers(struct ph_filter_message *message);
/* A field "Name: value" with its line end; it is folded right, or refused. 0 or -1. */
int message_make_field(struct ph_filter_message *message, const char *field, struct header *header);
int message_insert(struct ph_filter_message *message, size_t index, struct header header);
/* Takes the header section apart; its bytes live in the pool. 0 or -1. */
int message_take_headers(struct ph_filter_message *message, ph_span section);
/* The header section as it stands now and, unless part of it passed by unseen, the blank line. */
int message_head(struct ph_filter_message *message, bool blank_line, ph_span *head);

#endif
