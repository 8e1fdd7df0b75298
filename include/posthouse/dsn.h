/*
 * posthouse/dsn.h: what a sender asks about reports (delivery status notifications, RFC 3461), as
 * text and as values. Pure functions.
 */
#ifndef POSTHOUSE_DSN_H
#define POSTHOUSE_DSN_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

/* NOTIFY: when the sender wants to hear of a recipient. 0: nothing was said; failures, and
 * delays. */
enum {
	PH_NOTIFY_NEVER = 1,
	PH_NOTIFY_SUCCESS = 2,
	PH_NOTIFY_FAILURE = 4,
	PH_NOTIFY_DELAY = 8
};

/* RET: how much of the message comes back with a report of failure. 0: nothing was said. */
enum {
	PH_RET_FULL = 1,
	PH_RET_HDRS = 2
};

/* The longest values, as they are on the wire (RFC 3461, 4.2 and 4.4). */
enum {
	PH_DSN_ORCPT_MAX = 500,
	PH_DSN_ENVID_MAX = 100
};

/* "NEVER", or a list of SUCCESS, FAILURE, DELAY with commas, each once. 0, or -1. */
PH_API int ph_dsn_notify_parse(ph_span text, uint32_t *notify);
/* The list for a value; "" for 0. Static. */
PH_API const char *ph_dsn_notify_text(uint32_t notify);
/* What is asked of each of several addresses that stand for one: no success of theirs is reported,
 * for the one was said to be expanded (RFC 3461, 5.2.7.3). */
PH_API uint32_t ph_dsn_notify_expanded(uint32_t notify);
/* "FULL" or "HDRS". 0, or -1. */
PH_API int ph_dsn_ret_parse(ph_span text, uint32_t *ret);
/* ENVID: printable ASCII as xtext, PH_DSN_ENVID_MAX at most, decoded into the pool. 0, or -1 (also
 * without memory). */
PH_API int ph_dsn_envid_parse(ph_pool *pool, ph_span text, const char **envid);
/* ORCPT: "type;address", the address as xtext of printable ASCII, PH_DSN_ORCPT_MAX at most. The
 * result is the same with the address decoded, in the pool. 0, or -1 (also without memory). */
PH_API int ph_dsn_orcpt_parse(ph_pool *pool, ph_span text, const char **orcpt);
/* The other way round: what ENVID= and ORCPT= have, in the pool. NULL: no memory, or longer than
 * the parameter may be. */
PH_API const char *ph_dsn_envid_text(ph_pool *pool, const char *envid);
PH_API const char *ph_dsn_orcpt_text(ph_pool *pool, const char *orcpt);

/* xtext (RFC 3461, 4): "+41" for a character that is no printable ASCII, a plus or an equals sign.
 * In the pool. NULL: malformed (for encoding never), or no memory. */
PH_API const char *ph_xtext_decode(ph_pool *pool, ph_span text);
PH_API const char *ph_xtext_encode(ph_pool *pool, const char *text);

PH_END_DECLS

#endif
