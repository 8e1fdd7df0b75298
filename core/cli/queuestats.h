/*
 * What waits for whom, and since when: a row for each destination, a column for each age.
 */
#ifndef CLI_QUEUESTATS_H
#define CLI_QUEUESTATS_H

#include <stdio.h>

#include <posthouse/base.h>

/* Ages in minutes up to 5, 10, 20, … 1280, and above. */
#define QUEUESTATS_AGES 10

struct queuestats_row {
	char *domain;
	uint64_t total, ages[QUEUESTATS_AGES];
};

/* Zeroed at first. Owns its rows. */
struct queuestats {
	bool json;
	bool senders;        /* rows are the domains of senders, and messages are counted */
	bool deferred;       /* only what waits for its next attempt */

	bool counts;         /* does the message whose frames come count? */
	size_t age;          /* its column */

	struct queuestats_row sum;
	void *tree;                   /* of rows, by domain: tsearch(3) */
	struct queuestats_row **rows; /* all of them, in the order in which they came */
	size_t count, room;
};

/* The options of the command: 0 or -1. */
int queuestats_options(struct queuestats *stats, int argc, char **argv);
/* A talk_frame_fn for the answer to CONTROL_LIST. */
void queuestats_frame(void *context, unsigned type, ph_span payload, ph_pool *pool);
/* The rows, the largest first. */
void queuestats_print(struct queuestats *stats, FILE *out);
void queuestats_free(struct queuestats *stats);

#endif
