/*
 * A thread for whatever touches files and is no group commit: recovery, big messages, cleaning up.
 */
#ifndef QUEUE_LOG_HELPER_H
#define QUEUE_LOG_HELPER_H

#include "wake.h"

struct helper;

/* The thread starts with the first call. */
struct helper *helper_new(struct wake *wake, ph_error *error);
/* Does what was handed over, then ends. */
void helper_free(struct helper *helper);
/* Runs fn(argument) on the thread; waits, and cannot be cancelled. fn calls nothing of the loop. */
int helper_call(struct helper *helper, void (*fn)(void *argument), void *argument, ph_error *error);
/* The same without waiting: the argument belongs to fn. */
int helper_post(struct helper *helper, void (*fn)(void *argument), void *argument);

#endif
