/*
 * Messages of the queue by what they are: --from, --to, --destination, --older.
 */
#ifndef CLI_QUEUESELECT_H
#define CLI_QUEUESELECT_H

#include <posthouse/base.h>

/* All criteria that are given must hold. Owns its IDs. */
struct selection {
	const char *sender;      /* an address, "@domain", "<>"; NULL: any */
	const char *recipient;   /* an address or "@domain" of one that still waits; NULL: any */
	const char *destination; /* the domain of one that still waits; NULL: any */
	int64_t older;           /* microseconds in the queue; 0: any */
	bool any;                /* is there a criterion? */
	bool dry;                /* -n */

	/* The message whose frames come. */
	char *id;
	bool fits, to_found, destination_found;

	char **ids;
	size_t count, room;
};

/* Takes the options of a command; the index of what follows them, or -1: they are wrong. */
int selection_options(struct selection *selection, int argc, char **argv);
/* A talk_frame_fn for the answer to CONTROL_LIST; with dry, prints each that is chosen. */
void selection_frame(void *context, unsigned type, ph_span payload, ph_pool *pool);
/* The answer is over. */
void selection_end(struct selection *selection);
void selection_free(struct selection *selection);

#endif
