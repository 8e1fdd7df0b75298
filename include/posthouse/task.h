/*
 * posthouse/task.h: tasks, code in a straight line.
 *
 * A task is a coroutine with its own small stack on the event loop of its process. Every function
 * marked "waits" suspends only the calling task. Rules:
 *
 *  - Every wait has a deadline. In a cancelled task every wait returns PH_WAIT_CANCELLED at once;
 *    the task ends through its own cleanup, which does not wait.
 *  - Other tasks run during a wait: what is shared may have changed afterwards. Hold no lock.
 *  - No local array above 512 bytes in a function that waits: stacks are small.
 *
 * Waiting functions may be called in a task only; the others anywhere on the loop's thread.
 */
#ifndef POSTHOUSE_TASK_H
#define POSTHOUSE_TASK_H

#include <posthouse/base.h>

PH_BEGIN_DECLS

/* A task, by slot and generation: a handle outlives its task harmlessly. {0} is no task. */
typedef struct ph_task {
	uint32_t slot;
	uint32_t generation;
} ph_task;

/* A moment of the monotonic clock in milliseconds. */
typedef int64_t ph_deadline;
#define PH_NEVER INT64_MAX

typedef enum ph_wait {
	PH_WAIT_OK = 0,
	PH_WAIT_TIMEOUT = -1,
	PH_WAIT_CANCELLED = -2
} ph_wait;

/* The monotonic clock, read once for each round of the loop. Milliseconds. */
PH_API int64_t ph_now(void);
/* The wall clock in microseconds since 1970. */
PH_API int64_t ph_wall_clock(void);
/* The deadline that many milliseconds from now (from a fresh reading of the clock). */
PH_API ph_deadline ph_in(int64_t milliseconds);

/*
 * Starts a task that runs fn(argument) in the next round of the loop. The name is kept by
 * reference, for reports. On failure (no slot left, no memory) returns {0}.
 */
PH_API ph_task ph_task_spawn(const char *name, void (*fn)(void *argument), void *argument);
/* The running task; {0} outside of one. */
PH_API ph_task ph_task_self(void);
PH_API bool ph_task_alive(ph_task task);
/* Marks the task cancelled; a wait in progress returns in the next round. A stale handle:
 * nothing. */
PH_API void ph_task_cancel(ph_task task);
/* Is the running task cancelled? */
PH_API bool ph_task_cancelled(void);
/* Waits until the task has ended. */
PH_API ph_wait ph_task_join(ph_task task, ph_deadline deadline);

/* Waits until the deadline: PH_WAIT_OK when it came. */
PH_API ph_wait ph_sleep(ph_deadline until);
/* Gives way to the other runnable tasks for one round. */
PH_API ph_wait ph_yield(void);

#define PH_READABLE 1
#define PH_WRITABLE 2
/* Waits until a descriptor is ready. For sockets with traffic use a stream. */
PH_API ph_wait ph_wait_fd(int fd, int what, ph_deadline deadline);

/*
 * The base of queues and conditions: ph_park() waits until some other task or completion calls
 * ph_unpark(). A wake-up that comes before the wait is kept (one of them). The parked task tests
 * its own condition afterwards: wake-ups may be spurious.
 */
PH_API ph_wait ph_park(ph_deadline deadline);
PH_API void ph_unpark(ph_task task);

/*
 * Runs fn(job) on a thread of a small pool, for libraries that block; waits. On PH_WAIT_OK the job
 * is the caller's again. On anything else the pool owns it: fn may still run or be skipped, then
 * discard(job) is called once, on the loop's thread. The job is heap memory that points to nothing
 * on the task's stack or in its pools; fn calls no ph_ function.
 */
PH_API ph_wait ph_blocking(void (*fn)(void *job), void (*discard)(void *job), void *job,
	ph_deadline deadline);

/* Runs fn(argument) on the loop's large stack, now. For code that digs deep; fn may not wait. */
PH_API void ph_on_loop_stack(void (*fn)(void *argument), void *argument);

PH_END_DECLS

#endif
