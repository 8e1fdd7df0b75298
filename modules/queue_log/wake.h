/*
 * From threads to tasks: a task waits for what a thread does, and a thread's log lines. The wait
 * cannot be cancelled: in a cancelled task it blocks the loop for the moment that is left.
 */
#ifndef QUEUE_LOG_WAKE_H
#define QUEUE_LOG_WAKE_H

#include <posthouse/log.h>
#include <posthouse/task.h>

struct wake;

/* One wait. Lies where it likes; it must stay until wake_wait() returned. */
struct waiter {
	ph_task task;
	bool done;
};

struct wake *wake_new(ph_error *error);
/* After all threads have been joined; in a task. */
void wake_free(struct wake *wake);

/* On the loop, before the work is handed to a thread. */
void waiter_prepare(struct waiter *waiter);
void wake_wait(struct wake *wake, struct waiter *waiter);

/* On a thread: finish waiters between begin and end. */
void wake_begin(struct wake *wake);
void wake_finish(struct wake *wake, struct waiter *waiter);
void wake_end(struct wake *wake);
/* On a thread: a line for the log. */
void wake_say(struct wake *wake, ph_log_level level, const char *format, ...) PH_PRINTF(3, 4);

#endif
