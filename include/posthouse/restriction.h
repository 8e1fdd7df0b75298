/*
 * posthouse/restriction.h: writing a restriction.
 *
 * A restriction looks at the session and says one thing: permit, reject, defer, or no opinion. The
 * core calls the restrictions of a list in order; the first that has an opinion decides.
 */
#ifndef POSTHOUSE_RESTRICTION_H
#define POSTHOUSE_RESTRICTION_H

#include <posthouse/address.h>
#include <posthouse/base.h>
#include <posthouse/dns.h>
#include <posthouse/log.h>
#include <posthouse/map.h>
#include <posthouse/module.h>
#include <posthouse/session.h>
#include <posthouse/task.h>

PH_BEGIN_DECLS

#define PH_RESTRICTION_MAJOR 1

typedef enum ph_verdict {
	PH_DUNNO,           /* no opinion: the next restriction is asked */
	PH_PERMIT,          /* accepted, as far as this list goes */
	PH_REJECT,          /* refused; come from ph_reject() */
	PH_DEFER,           /* refused for now; come from ph_defer() */
	PH_DEFER_IF_PERMIT, /* goes on, but a later permit becomes a defer */
	PH_DEFER_IF_REJECT, /* goes on, but a later reject becomes a defer */
	PH_DISCARD          /* accepted and thrown away */
} ph_verdict;

/* The object that a restriction judges. One of a stage is not called when that object is absent
 * ("<>" for the sender, no HELO), unless it has PH_EVEN_IF_ABSENT. */
enum ph_stage {
	PH_STAGE_ANY = 0,
	PH_STAGE_CLIENT,
	PH_STAGE_HELO,
	PH_STAGE_SENDER,
	PH_STAGE_RECIPIENT,
	PH_STAGE_DATA,
	PH_STAGE_END_OF_DATA,
	PH_STAGE_ETRN
};

enum {
	PH_EVEN_IF_ABSENT = 0x100, /* or it to the stage */
	PH_REFUSES_STRANGERS = 0x200, /* or it to the stage: this restriction ends relaying for those
	                               * who have no permission; a relay list needs one such */
	PH_ASKS_OTHERS = 0x400 /* or it to the stage: what it says is another server's to decide, so
	                        * that "posthouse check" does not ask it. Not needed for what
	                        * ph_dns_lookup() asks: that is noticed by itself */
};

enum ph_argument {
	PH_NO_ARGUMENT = 0,
	PH_ARGUMENT_STRING,
	PH_ARGUMENT_MAP,      /* type:path, or a map's section; opened by the core */
	PH_OPTIONAL_STRING
};

/* One use of a restriction in a list. */
typedef struct ph_rule ph_rule;

/* The module's instance. */
PH_API const void *ph_rule_instance(const ph_rule *rule);
/* The restriction's name as written, and its argument ("" without one). */
PH_API const char *ph_rule_name(const ph_rule *rule);
PH_API const char *ph_rule_argument(const ph_rule *rule);
PH_API const ph_map *ph_rule_map(const ph_rule *rule);
/* What the restriction's prepare() made of the argument; NULL without one. */
PH_API const void *ph_rule_prepared(const ph_rule *rule);
/* The next use of a restriction of the same instance, further on in the list that is being asked;
 * NULL: there is none. For modules that want to ask for it beforehand. Whether it will be asked is
 * not known. */
PH_API const ph_rule *ph_rule_next(const ph_session *session, const ph_rule *rule);

struct ph_restriction {
	const char *name;
	uint32_t stage;    /* enum ph_stage, with flags */
	uint32_t argument; /* enum ph_argument */
	ph_verdict (*check)(const ph_rule *rule, ph_session *session);
	const char *doc; /* one sentence, for the manual and for explain */

	/* Since ABI 1.1. */
	const char *example; /* as it stands in a list, "reject_rbl_client zen.example"; NULL: the
	                      * name alone */
	const char *instead; /* this spelling was given up: the restriction to write in its place,
	                      * which its use is warned with; NULL: it is not */
	/* Reads the argument when the configuration is checked; pure. What it makes lives in the
	 * pool. 0, or -1 with an error that says what was expected: it is shown with file and
	 * line. */
	int (*prepare)(const void *instance, ph_pool *pool, const char *argument, const void **prepared,
		ph_error *error);
};

/* Refuses: an SMTP code (5xx), an enhanced status code (RFC 3463), the text after it. A code of
 * the other class is corrected. They return the verdict. */
PH_API ph_verdict ph_reject(ph_session *session, int code, const char *status, const char *format, ...)
	PH_PRINTF(4, 5);
/* Refuses for now (4xx). */
PH_API ph_verdict ph_defer(ph_session *session, int code, const char *status, const char *format, ...)
	PH_PRINTF(4, 5);
/* Not now: becomes a defer with this text, should the list permit later on. */
PH_API ph_verdict ph_defer_if_permit(ph_session *session, int code, const char *status,
	const char *format, ...) PH_PRINTF(4, 5);

/* Not now: becomes a defer with this text, should the list reject later on. */
PH_API ph_verdict ph_defer_if_reject(ph_session *session, int code, const char *status,
	const char *format, ...) PH_PRINTF(4, 5);
/* Rejects or defers, as the class of the code says: for codes that are parameters. */
PH_API ph_verdict ph_refuse(ph_session *session, int code, const char *status, const char *format, ...)
	PH_PRINTF(4, 5);

/*
 * Refuses an address that nobody has: one of a class whose table does not know it
 * (local_recipient_maps, virtual_alias_maps, virtual_mailbox_maps, relay_recipient_maps), that has
 * moved (relocated_maps) or that goes nowhere (transport_maps). Refuses for now when a table fails.
 * sender: it wrote the message. PH_DUNNO: there may be such an address. Waits.
 */
PH_API ph_verdict ph_refuse_unlisted(ph_session *session, const char *address, bool sender);

/* What a restriction does that cannot find out for now, as reject_tempfail_action and the
 * parameters of that kind have it ("defer_if_permit, defer"). */
enum ph_tempfail_action {
	PH_TEMPFAIL_DEFER_IF_PERMIT,
	PH_TEMPFAIL_DEFER
};
/* Does that: as ph_defer_if_permit() or as ph_defer(). */
PH_API ph_verdict ph_tempfail(ph_session *session, int action, int code, const char *status,
	const char *format, ...) PH_PRINTF(5, 6);

/* What is said of addresses that were verified, or could not be: as
 * unverified_recipient_reject_code and its like give it. The first element is the struct's size. */
struct ph_unverified {
	uint32_t size;          /* sizeof(struct ph_unverified) */
	int tempfail_action;    /* enum ph_tempfail_action */
	int64_t defer_code;     /* nothing is known for now; a code of 2xx lets it pass */
	int64_t reject_code;    /* nobody has the address; the same */
	const char *reason;     /* in place of what the probe found out; "": that */
};

/*
 * Refuses an address to which mail cannot be delivered, as a probe has found out: a delivery that
 * ends before the message (see "Probes" in MODULES.md). What was found out before is remembered.
 * While a probe is in progress the session waits, for some seconds, and then refuses for now. Never
 * refused: "<>", the sender of probes, and what that sender writes to. sender: it wrote the
 * message. Waits.
 */
PH_API ph_verdict ph_refuse_unverified(ph_session *session, const char *address, bool sender,
	const struct ph_unverified *how);

/* What the list that is asked judges, for replies "<OBJECT>: CLASS rejected: …" of restrictions
 * that may stand in any list: "user@example.com" and "Recipient address", "DATA" and "Data
 * command". */
PH_API const char *ph_list_object(const ph_session *session);
PH_API const char *ph_list_class(const ph_session *session);

/* ---- What tables and policy servers answer --------------------------------------------------- */

/* What a reply to such an answer is about: "<NAME>: CLASS rejected: Access denied". */
struct ph_subject {
	uint32_t size;      /* sizeof(struct ph_subject) */
	uint32_t reserved;
	const char *name;   /* "user@example.com"; NULL: the object of the list that is asked */
	const char *what;   /* "Sender address"; NULL: as the list has it */
	const char *source; /* who answered, for the log: "hash:/etc/posthouse/access" */
};

/*
 * Does what a result of access(5) says: OK, a number, REJECT, 4NN and 5NN with text, DEFER,
 * DEFER_IF_PERMIT, DEFER_IF_REJECT, DUNNO, DISCARD, HOLD, FILTER, REDIRECT, BCC, PREPEND, INFO,
 * WARN; anything else is a list of restrictions, which are asked. A result that makes no sense is
 * logged and refuses for now (451 4.3.5). May wait.
 */
PH_API ph_verdict ph_apply_result(ph_session *session, const char *result,
	const struct ph_subject *subject);

/* What is to become of the message in hand, whatever else is decided. They hold for the
 * transaction; before MAIL nothing happens and the log says so. 0, or -1: no memory. */
PH_API int ph_message_hold(ph_session *session, const char *reason);
/* All of it through this transport, "transport:nexthop". */
PH_API int ph_message_filter(ph_session *session, const char *route);
/* To this address in place of all recipients; to this address as well. */
PH_API int ph_message_redirect(ph_session *session, const char *address);
PH_API int ph_message_bcc(ph_session *session, const char *address);
/* A header, "Name: value", at the top. The same one twice is one. */
PH_API int ph_message_prepend(ph_session *session, const char *header);

/*
 * A line for whoever asks why ("posthouse explain", smtpd_explain_clients): what was looked up and
 * what it gave. DNS and table lookups for a session are noted by themselves. Costs nothing when
 * nobody asks.
 */
PH_API void ph_explain(ph_session *session, const char *format, ...) PH_PRINTF(2, 3);
PH_API bool ph_explaining(const ph_session *session);

/* ---- Domains --------------------------------------------------------------------------------- */

/* Could mail be sent to a domain? */
typedef enum ph_mail_domain {
	PH_MAIL_DOMAIN_FAILED = -1, /* a lookup failed for now */
	PH_MAIL_DOMAIN_FOUND,       /* it has a mail exchanger or an address; literals too */
	PH_MAIL_DOMAIN_UNKNOWN,     /* neither of these */
	PH_MAIL_DOMAIN_MALFORMED,   /* no MX record of it names a host */
	PH_MAIL_DOMAIN_NULL_MX      /* it says that it takes no mail (RFC 7505) */
} ph_mail_domain;
/* Looks up its mail exchangers and, without any, its addresses (RFC 5321, 5.1). Waits. */
PH_API ph_mail_domain ph_mail_domain_of(ph_session *session, const char *domain);

/* In PH_MODULE: a module of one restriction … */
#define PH_RESTRICTION(restriction_name, restriction_stage, restriction_argument, function) \
	.class_number = PH_CLASS_RESTRICTION, .class_major = PH_RESTRICTION_MAJOR, \
	.operations = &(const struct ph_restriction){.name = (restriction_name), \
		.stage = (restriction_stage), .argument = (restriction_argument), .check = (function)}, \
	.operation_count = 1, .operation_stride = sizeof(struct ph_restriction)

/* … or of a table of them. */
#define PH_RESTRICTION_TABLE(table) \
	.class_number = PH_CLASS_RESTRICTION, .class_major = PH_RESTRICTION_MAJOR, \
	.operations = (table), .operation_count = sizeof(table) / sizeof((table)[0]), \
	.operation_stride = sizeof(struct ph_restriction)

PH_END_DECLS

#endif
