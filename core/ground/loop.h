/*
 * The event loop of a role, and what the core needs of tasks beyond <posthouse/task.h>.
 */
#ifndef GROUND_LOOP_H
#define GROUND_LOOP_H

#include <posthouse/task.h>

struct event_base;

/* Makes the loop of this process: event base, stack reservation. After the last fork. 0 or -1. */
int loop_open(ph_error *error);
/* Runs until loop_stop() and no task is left, or loop_break(). */
int loop_run(void);
/* Cancels every task; loop_run() returns when they have ended. */
void loop_stop(void);
/* loop_run() returns after this round, whatever still lives. */
void loop_break(void);
void loop_close(void);
struct event_base *loop_base(void);
/* Is loop_run() at work? What is collected for the end of a round would otherwise stay. */
bool loop_is_running(void);
/* Live tasks; the most that there may be (vm.max_map_count bounds it, reference: task.c). */
size_t loop_task_count(void);
size_t loop_task_limit(void);

/* Calls fn(argument) once at the end of this round of the loop, before it sleeps: for output that
 * is collected over a round. Calls for the same fn and argument in one round count once. */
void loop_at_round_end(void (*fn)(void *argument), void *argument);
/* Takes such a call back: its argument goes away. */
void loop_forget_round_end(void (*fn)(void *argument), void *argument);

/* A callback on the loop (no task) when a signal arrives. */
int loop_on_signal(int signal, void (*fn)(int signal, void *argument), void *argument);

/* What a task works for; the log adds it, a crash report and the watchdog name it. Kept by
 * reference: the owner outlives the task or takes it back (NULL). Inherited by spawned tasks. */
struct task_context {
	const char *session;  /* "unknown[192.0.2.1]" */
	const char *queue_id; /* "" or NULL: none */
	const char *instance; /* "restriction_sender", "smtp" */
};
void task_set_context(struct task_context *context);
struct task_context *task_context(void);

/* The name that it was spawned with; "" for a task that has ended. */
const char *task_name(ph_task task);

/* The crash handler: on a fatal signal writes one line (signal, role, task, queue ID, instance; a
 * stack overrun is told by the guard page) to the log's descriptor and copies "QUEUE_ID INSTANCE"
 * of the running task into blame (shared memory, may be NULL), then dies of that signal. */
void crash_install(const char *role, char *blame, size_t size);
/* Starts the watchdog of this process: a task that did not yield for warn_ms is logged, after
 * abort_ms the process aborts. */
int watchdog_start(int64_t warn_ms, int64_t abort_ms);

#endif
