/*
 * The answer of a policy server, line by line: "action=…", perhaps other attributes, an empty line. Pure.
 */
#ifndef RESTRICTION_POLICY_ANSWER_H
#define RESTRICTION_POLICY_ANSWER_H

#include <posthouse/base.h>

enum {
	ANSWER_LINE_MAX = 4096, /* with its line end */
	ANSWER_LINES_MAX = 20
};

struct answer {
	const char *action; /* in the pool; NULL: not seen yet */
	unsigned lines;
};

/* Takes one line, with its end. 1: more has to come; 0: the answer is complete; -1: it is none, with
 * what is wrong. */
int answer_line(struct answer *answer, ph_pool *pool, ph_span line, ph_error *error);

#endif
