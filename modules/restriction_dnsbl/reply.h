/*
 * What those who are listed hear: default_rbl_reply, rbl_reply_maps.
 */
#ifndef RESTRICTION_DNSBL_REPLY_H
#define RESTRICTION_DNSBL_REPLY_H

#include <posthouse/restriction.h>

#include "site.h"

struct reply_settings {
	int64_t code;         /* $rbl_code */
	const char *template; /* default_rbl_reply */
	const ph_map *maps;   /* rbl_reply_maps */
};

/* Who is listed, and where. */
struct refusal {
	ph_session *session;
	const struct reply_settings *settings;
	const struct site *site;
	const char *class;  /* "Client host" */
	const char *what;   /* "192.0.2.1" */
	const char *reason; /* the list's own; "" without one */
};

/* Refuses. May wait for a table. */
ph_verdict reply_refuse(const struct refusal *refusal);

/* What a list says in a TXT record: its strings one after another, no more than REPLY_REASON_MAX bytes of
 * them; in the pool. Pure. */
enum { REPLY_REASON_MAX = 200 };
const char *reply_reason(ph_pool *pool, ph_span record);

/* Would a template give a reply? 0, or -1 with an error that says what was expected. */
int reply_check(const char *template, ph_error *error);

/* A reply's parts: "554 5.7.1 text", the status may be missing (""). */
struct reply_parts {
	int code;
	char status[12];
	const char *text;
};
/* Cuts a reply; pure. false: it does not begin with a code from 400 to 599 and a space. */
bool reply_cut(const char *reply, struct reply_parts *parts);

#endif
