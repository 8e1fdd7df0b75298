/*
 * What DNS lists say of a name. Those that are asked together are asked at the same time, and no list is
 * asked twice for the same name in a session.
 */
#ifndef RESTRICTION_DNSBL_LISTING_H
#define RESTRICTION_DNSBL_LISTING_H

#include <posthouse/restriction.h>

#include "site.h"

/* An answer; in the session's pool, or in the scratch pool when a session has had too many. */
struct listing {
	const char *name;      /* that was asked for */
	ph_dns_result result;
	const char *reason;    /* why it failed; "" */
	size_t count;
	ph_address *addresses; /* no more than LISTING_ADDRESSES_MAX */
	struct listing *next;  /* of the session */
};

enum { LISTING_ADDRESSES_MAX = 32 };

struct question {
	const struct site *site;
	const char *name;
	bool decides; /* being listed there is all that one wants to know */
	const struct listing *listing; /* NULL: not asked, as a question before it has decided */
};

/*
 * Asks all questions that are not answered yet at once, and fills their listings in. The first is always
 * answered; it ends as soon as one that decides is listed and all before it are answered. Waits.
 */
void listing_ask(ph_session *session, struct question *questions, size_t count);

/* Tells whoever asks why what a list answered, and when that does not count. */
void listing_explain(ph_session *session, const struct question *question);

/* The first address of the answer that counts; NULL: it is not listed, or nobody knows. */
const ph_address *listing_match(const struct question *question);

#endif
