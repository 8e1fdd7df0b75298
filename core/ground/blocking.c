/*
 * A small pool of threads for libraries that block. Made on first use, after the last fork.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ground/task.h"

enum {
	THREADS = 4
};

/* One call. Lives on the heap: task and pool may let go of it in either order. */
struct call {
	struct call *next;
	void (*fn)(void *job);
	void (*discard)(void *job);
	void *job;
	ph_task task;
	bool done;      /* loop's thread only */
	bool abandoned; /* under the lock: nobody waits any more */
};

struct queue {
	struct call *first;
	struct call **last;
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct queue waiting;  /* under the lock, as is: */
	struct queue finished;
	bool stopping;
	pthread_t threads[THREADS];
	unsigned thread_count;
	int wakeup; /* an eventfd: finished is not empty */
	struct event *event;
	bool open;
} pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void
queue_put(struct queue *queue, struct call *call)
{
	call->next = NULL;
	*queue->last = call;
	queue->last = &call->next;
}

static struct call *
queue_take(struct queue *queue)
{
	struct call *call = queue->first;

	if (call == NULL)
		return NULL;
	queue->first = call->next;
	if (queue->first == NULL)
		queue->last = &queue->first;
	return call;
}

/* ---- In the threads -------------------------------------------------------------------------- */

static void
announce(void)
{
	const uint64_t one = 1;
	ssize_t written;

	do
		written = write(pool.wakeup, &one, sizeof(one));
	while (written == -1 && errno == EINTR);
}

static void *
work(void *argument)
{
	pthread_mutex_lock(&pool.lock);
	while (!pool.stopping) {
		struct call *call = queue_take(&pool.waiting);
		bool first;

		if (call == NULL) {
			pthread_cond_wait(&pool.more, &pool.lock);
			continue;
		}
		if (!call->abandoned) {
			pthread_mutex_unlock(&pool.lock);
			call->fn(call->job);
			pthread_mutex_lock(&pool.lock);
		}
		first = pool.finished.first == NULL;
		queue_put(&pool.finished, call);
		if (first)
			announce();
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

/* ---- On the loop ----------------------------------------------------------------------------- */

static void
call_discard(struct call *call)
{
	if (call->discard != NULL)
		call->discard(call->job);
	free(call);
}

static void
collect(evutil_socket_t fd, short what, void *argument)
{
	uint64_t count;
	struct call *call;

	if (read(pool.wakeup, &count, sizeof(count)) == -1 && errno != EAGAIN)
		return;
	pthread_mutex_lock(&pool.lock);
	call = pool.finished.first;
	pool.finished = (struct queue){.last = &pool.finished.first};
	pthread_mutex_unlock(&pool.lock);
	while (call != NULL) {
		struct call *next = call->next;

		call->done = true;
		if (call->abandoned)
			call_discard(call);
		else
			task_wake(call->task, call);
		call = next;
	}
}

/* Signals belong to the loop's thread. */
static unsigned
start_threads(void)
{
	sigset_t all, before;
	unsigned count = 0;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (count < THREADS && pthread_create(&pool.threads[count], NULL, work, NULL) == 0)
		count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return count;
}

static bool
pool_open(void)
{
	if (pool.open)
		return true;
	pool.waiting = (struct queue){.last = &pool.waiting.first};
	pool.finished = (struct queue){.last = &pool.finished.first};
	pool.stopping = false;
	pool.wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (pool.wakeup == -1)
		return false;
	pool.event = event_new(loop_base(), pool.wakeup, EV_READ | EV_PERSIST, collect, NULL);
	if (pool.event != NULL && event_add(pool.event, NULL) == 0)
		pool.thread_count = start_threads();
	pool.open = true;
	if (pool.thread_count == 0)
		blocking_close();
	return pool.open;
}

static void
discard_all(struct queue *queue)
{
	struct call *call;

	while ((call = queue_take(queue)) != NULL)
		call_discard(call);
}

void
blocking_close(void)
{
	if (!pool.open)
		return;
	pthread_mutex_lock(&pool.lock);
	pool.stopping = true;
	pthread_cond_broadcast(&pool.more);
	pthread_mutex_unlock(&pool.lock);
	for (unsigned i = 0; i < pool.thread_count; i++)
		pthread_join(pool.threads[i], NULL);
	discard_all(&pool.waiting);
	discard_all(&pool.finished);
	if (pool.event != NULL)
		event_free(pool.event);
	pool.event = NULL;
	close(pool.wakeup);
	pool.thread_count = 0;
	pool.open = false;
}

static void
submit(struct call *call)
{
	pthread_mutex_lock(&pool.lock);
	queue_put(&pool.waiting, call);
	pthread_cond_signal(&pool.more);
	pthread_mutex_unlock(&pool.lock);
}

/* The pool owns the call from here on; it may have been finished in this very round. */
static void
abandon(struct call *call)
{
	if (call->done) {
		call_discard(call);
		return;
	}
	pthread_mutex_lock(&pool.lock);
	call->abandoned = true;
	pthread_mutex_unlock(&pool.lock);
}

static struct call *
call_new(void (*fn)(void *job), void (*discard)(void *job), void *job)
{
	struct call *call = pool_open() ? malloc(sizeof(*call)) : NULL;

	if (call != NULL)
		*call = (struct call){.fn = fn, .discard = discard, .job = job, .task = ph_task_self()};
	return call;
}

ph_wait
ph_blocking(void (*fn)(void *job), void (*discard)(void *job), void *job, ph_deadline deadline)
{
	bool cancelled = ph_task_cancelled();
	struct call *call;
	ph_wait result;

	if (ph_task_self().generation == 0) {
		fn(job); /* no loop to keep waiting */
		return PH_WAIT_OK;
	}
	call = cancelled ? NULL : call_new(fn, discard, job);
	if (call == NULL) {
		if (discard != NULL)
			discard(job);
		return cancelled ? PH_WAIT_CANCELLED : PH_WAIT_TIMEOUT;
	}
	submit(call);
	result = task_wait(call, deadline);
	if (result == PH_WAIT_OK)
		free(call);
	else
		abandon(call);
	return result;
}
