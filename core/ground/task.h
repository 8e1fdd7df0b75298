/*
 * The inside of tasks, for the files of this room.
 */
#ifndef GROUND_TASK_H
#define GROUND_TASK_H

#include <posthouse/task.h>

#include "ground/loop.h"
#include "ground/stack.h"
#include "ground/switch.h"
#include "ground/timers.h"

enum task_state {
	TASK_FREE = 0,
	TASK_RUNNABLE, /* in the queue */
	TASK_RUNNING,
	TASK_WAITING
};

/* At the top of its own stack; the memory stays when the task has ended, for stale handles. */
struct task {
	struct fiber fiber;
	struct task *next;   /* in the queue of runnable tasks, or in the list of free ones */
	const char *name;
	void (*fn)(void *argument);
	void *argument;
	struct task_context *context;
	const void *waits_for; /* what may end the wait, compared by task_wake() */
	int64_t deadline;
	struct task *joiners;  /* tasks that wait for the end of this one */
	struct task *next_joiner;
	uint32_t slot;
	uint32_t generation;   /* 0: never used */
	uint32_t timer;        /* its place in the heap of timers, from 1 */
	uint16_t late_waits;   /* waits since it was cancelled */
	uint16_t budget;       /* what it may still do without a wait in this round */
	int8_t state;          /* enum task_state */
	int8_t result;         /* of the wait */
	bool cancelled;
	bool token;            /* ph_unpark() came before ph_park() */
};

/* One a process: everything of the loop that tasks need. */
struct tasks {
	struct stacks stacks;
	struct timers timers;
	struct task *first;   /* runnable, in order */
	struct task **last;
	struct task *free;    /* the last that ended is the first that is used again */
	struct task *current;
	void (*call)(void *argument); /* ph_on_loop_stack() */
	void *call_argument;
	bool on_loop_stack;
	bool stopping;        /* new tasks are born cancelled */
	size_t live;
	volatile unsigned beat; /* changes whenever a task is entered or left: for the watchdog */
};

extern struct tasks tasks;

int tasks_open(ph_error *error);
void tasks_close(void);
/* Runs those that were runnable when it was called. */
void tasks_run(void);
void tasks_cancel_all(void);

struct task *task_at(size_t slot);
/* Suspends the running task until task_wake() with the same key, the deadline or a cancellation.
 * A deadline that has passed: PH_WAIT_TIMEOUT at once. */
ph_wait task_wait(const void *key, ph_deadline deadline);
/* Ends the wait of a task, if it waits for this key. */
void task_wake(ph_task handle, const void *key);
/* Ends the wait of a waiting task. */
void task_end_wait(struct task *task, ph_wait result);
/* A unit of work was done without waiting: gives way to others now and then, so that a task whose
 * peer is always ready does not keep the loop. */
ph_wait task_spend(void);

/* The thread pool (blocking.c). */
void blocking_close(void);

#endif
