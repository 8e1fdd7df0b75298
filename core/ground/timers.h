/*
 * The deadlines of waiting tasks: a heap in which an entry outlives its wait. A task that waits
 * again, for later, finds its entry in place and costs nothing; an entry that comes up too early is
 * moved to where the task's deadline is now.
 */
#ifndef GROUND_TIMERS_H
#define GROUND_TIMERS_H

#include <posthouse/task.h>

struct task;

struct timer {
	int64_t at;
	struct task *task;
};

struct timers {
	struct timer *heap;
	size_t count;
	size_t capacity;
};

/* Room for that many tasks, so that a wait never fails. 0 or -1. */
int timers_reserve(struct timers *timers, size_t wanted);
/* The task waits until its deadline. */
void timers_want(struct timers *timers, struct task *task);
/* Ends the waits whose deadline has passed. */
void timers_expire(struct timers *timers, int64_t now);
/* When to look again; PH_NEVER. */
int64_t timers_next(const struct timers *timers);
void timers_close(struct timers *timers);

#endif
