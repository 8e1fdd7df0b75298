/*
 * A queue storage that keeps the last message in memory, and surroundings of the intake with it:
 * for tests of what goes in.
 */
#ifndef TESTS_UNIT_FAKE_QUEUE_H
#define TESTS_UNIT_FAKE_QUEUE_H

#include "intake/message.h"

struct fake_queue {
	char content[1 << 20]; /* head and body of the last message */
	size_t size;
	struct envelope envelope;
	ph_pool *pool;
	uint32_t flags;
	int begun, committed, aborted, announced;
	int64_t space;         /* free_space() */
	bool has_error;        /* there is a transport of that name */
	bool fail_begin, fail_append, fail_commit;
};

extern struct fake_queue fake_queue;
extern struct settings fake_settings;
/* Filters between the built-in ones; NULL behind the last. */
extern const struct instance *fake_filters[4];
extern struct intake_client fake_client;

/* Forgets everything; settings as in a small site. */
void fake_reset(void);
void fake_free(void);

#endif
