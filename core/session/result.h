/*
 * What a result of access(5) comes to, for those who read tables without a session.
 */
#ifndef SESSION_RESULT_H
#define SESSION_RESULT_H

#include <posthouse/base.h>

enum result_kind {
	RESULT_GOES_ON,  /* DUNNO, and what only does something with the message */
	RESULT_PERMITS,  /* OK, a number */
	RESULT_REFUSES,  /* REJECT, DEFER, 4NN, 5NN */
	RESULT_DISCARDS, /* DISCARD */
	RESULT_NAMES     /* anything else: restrictions, if it is right */
};

/* Pure. */
enum result_kind result_kind(ph_span text);

#endif
