/*
 * posthouse/intake.h: the one way in. SMTP, local submission, reports and re-injected mail all
 * become a message here: begin, sender, recipients, content, commit.
 *
 * Content comes as lines ending in CR LF, without dot-stuffing. Between the end of the content and
 * the commit stand the filters, in order. After ph_intake_commit() returned PH_INTAKE_QUEUED the
 * message is on disk.
 */
#ifndef POSTHOUSE_INTAKE_H
#define POSTHOUSE_INTAKE_H

#include <posthouse/base.h>
#include <posthouse/session.h>
#include <posthouse/task.h>

PH_BEGIN_DECLS

typedef struct ph_intake ph_intake;

/* Where a message comes from: this decides which headers are completed and what Received says. */
enum ph_origin {
	PH_ORIGIN_SMTP = 1, /* over the network, for a session */
	PH_ORIGIN_LOCAL,    /* the sendmail command: uid is known; headers are completed */
	PH_ORIGIN_INTERNAL  /* reports: headers are completed, no filter may refuse it */
};

/* The kinds of internal_mail_filter_classes. */
enum ph_report {
	PH_REPORT_OTHER = 0,
	PH_REPORT_BOUNCE, /* what became of a message, for its sender */
	PH_REPORT_NOTIFY  /* what went wrong, for the postmaster */
};

/* Facts about the origin. Begins with its size; everything else may be left 0. */
struct ph_intake_origin {
	uint32_t size;
	uint32_t origin;         /* enum ph_origin */
	ph_session *session;     /* with PH_ORIGIN_SMTP */
	uint32_t uid;            /* with PH_ORIGIN_LOCAL */
	const char *user_name;   /* its login name, for From: */
	const char *full_name;   /* and what stands in brackets or quotes beside it */
	const char *queue;       /* the name of the queue storage; NULL or "": the default */
	bool again;              /* a message that came in before: its headers are complete */
	uint8_t report;          /* enum ph_report, with PH_ORIGIN_INTERNAL */
	/* Since ABI 1.1. With PH_ORIGIN_LOCAL: the instance of a listener, for what its section says of
	 * receive_override_options and, if there is no name above, of the queue. */
	const void *listener;
};

/* The answer to the outside world: an SMTP code, an enhanced status code (RFC 3463), a text. Its
 * layout is fixed: it will not grow. */
typedef struct ph_reply {
	int code;         /* 0: there is no reply to give */
	char status[12];  /* "2.0.0" */
	char text[256];
} ph_reply;

/* NULL when memory or a queue ID cannot be had. A queue ID is assigned at once. */
PH_API ph_intake *ph_intake_begin(const struct ph_intake_origin *origin, ph_error *error);
PH_API const char *ph_intake_queue_id(const ph_intake *intake);

/* ESMTP parameters of the envelope; each begins with its size. Texts are copied. */
struct ph_mail_parameters {
	uint32_t size;
	uint32_t body;          /* 0: 7BIT, 1: 8BITMIME */
	bool smtputf8;
	const char *envid;      /* RFC 3461, decoded; NULL: none */
	uint32_t ret;           /* 0: none, 1: FULL, 2: HDRS */
	bool watch;             /* since ABI 1.1: the sender is told what came of the first attempt */
};
struct ph_rcpt_parameters {
	uint32_t size;
	uint32_t notify;        /* 0: default; bits 1 NEVER, 2 SUCCESS, 4 FAILURE, 8 DELAY */
	const char *orcpt;      /* "rfc822;user@example.com", decoded; NULL: none */
	const char *original;   /* the address for which this one stands; NULL or "": this one */
};

/* The reverse-path, "" for reports. Local addresses without a domain are completed (myorigin).
 * 0, or -1 with no memory. parameters may be NULL. */
PH_API int ph_intake_sender(ph_intake *intake, const char *address,
	const struct ph_mail_parameters *parameters);
PH_API int ph_intake_recipient(ph_intake *intake, const char *address,
	const struct ph_rcpt_parameters *parameters);
PH_API size_t ph_intake_recipient_count(const ph_intake *intake);

/* A piece of content, cut anywhere. May wait for the storage. A failure (-1) is remembered: further
 * pieces are swallowed and the commit gives the reply. */
PH_API int ph_intake_write(ph_intake *intake, ph_span bytes);
/* Bytes of content so far. */
PH_API int64_t ph_intake_size(const ph_intake *intake);

typedef enum ph_intake_result {
	PH_INTAKE_QUEUED,    /* durable: acknowledge */
	PH_INTAKE_DISCARDED, /* a filter threw it away: acknowledge */
	PH_INTAKE_REFUSED    /* nothing is queued; the reply tells why (4xx or 5xx) */
} ph_intake_result;

/* Runs the filters, writes the message and waits until it is durable. Frees the intake, always. A
 * cancelled task still waits for a commit that has begun. reply is always filled. */
PH_API ph_intake_result ph_intake_commit(ph_intake *intake, ph_reply *reply);
/* Frees the intake; nothing is queued. NULL: nothing. */
PH_API void ph_intake_abort(ph_intake *intake);

/* The verdicts of access tables and filters, before the commit. */
PH_API void ph_intake_hold(ph_intake *intake, const char *reason);
PH_API void ph_intake_discard(ph_intake *intake, const char *reason);
/* Through this transport, "transport:nexthop", wherever its recipients are; the last one counts.
 * These return 0, or -1 without memory. */
PH_API int ph_intake_filter(ph_intake *intake, const char *route);
/* To this address in place of all recipients (the last one counts); to this one as well. */
PH_API int ph_intake_redirect(ph_intake *intake, const char *address);
PH_API int ph_intake_bcc(ph_intake *intake, const char *address);
/* A header, "Name: value", above all others, its own Received too; several in their order. */
PH_API int ph_intake_prepend(ph_intake *intake, const char *header);

/* A message that was refused when whoever handed it in waited for no answer any more. */
struct ph_refused {
	uint32_t size;
	const char *name;       /* what the log and the report call it */
	const char *sender;     /* who is told */
	int64_t arrival;        /* wall clock, microseconds */
	uint32_t ret;           /* as in ph_mail_parameters */
	const char *envid;
	ph_strings recipients;  /* as they were named; they need be no addresses */
	ph_span content;        /* CR LF lines: all of it, or its beginning */
	bool whole;
};

/*
 * Since ABI 1.1. Tells the sender by a report of failure (RFC 3464), as of mail that could not be
 * delivered: it is durable then. Waits. 0, or -1 with the error.
 */
PH_API int ph_report_refused(const struct ph_refused *refused, const ph_reply *reply,
	ph_error *error);

PH_END_DECLS

#endif
