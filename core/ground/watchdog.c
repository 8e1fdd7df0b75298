/*
 * The watchdog: a thread that looks now and then whether the loop still goes from task to task. The
 * line about one that does not is written by the loop's own thread, in a signal handler, where the
 * task cannot change under the reader.
 */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ground/emergency.h"
#include "ground/logger.h"
#include "ground/loop.h"
#include "ground/task.h"

enum {
	LOOK_SIGNAL = SIGURG /* ignored where it is not expected */
};

static struct {
	int64_t warn_ms;
	int64_t abort_ms;
	pthread_t loop_thread;
	volatile int64_t stuck_ms; /* for the handler */
} watchdog;

static void
report(int number)
{
	struct emergency line = {0};

	if (tasks.current == NULL)
		return;
	emergency_put(&line, "warning: a task has not yielded for ");
	emergency_put_number(&line, (uint64_t)watchdog.stuck_ms);
	emergency_put(&line, " ms");
	emergency_put_task(&line);
	logger_emergency(line.text);
}

static void
pause_for(int64_t milliseconds)
{
	const struct timespec interval = {.tv_sec = (time_t)(milliseconds / 1000),
		.tv_nsec = (long)(milliseconds % 1000) * 1000000};

	nanosleep(&interval, NULL);
}

static int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The process is beyond help when it does not even die of the signal. */
static void
end_process(void)
{
	pthread_kill(watchdog.loop_thread, SIGABRT);
	pause_for(1000);
	abort();
}

static void *
watch(void *argument)
{
	int64_t interval = watchdog.warn_ms / 4 < 5 ? 5 : watchdog.warn_ms / 4;
	int64_t since = clock_ms();
	unsigned beat = tasks.beat;
	bool told = false;

	if (interval > 250)
		interval = 250;
	for (;;) {
		pause_for(interval);
		if (tasks.current == NULL || tasks.beat != beat) {
			beat = tasks.beat;
			since = clock_ms();
			told = false;
			continue;
		}
		watchdog.stuck_ms = clock_ms() - since;
		if (watchdog.stuck_ms >= watchdog.warn_ms && !told) {
			told = true;
			pthread_kill(watchdog.loop_thread, LOOK_SIGNAL);
		}
		if (watchdog.stuck_ms >= watchdog.abort_ms)
			end_process();
	}
	return NULL;
}

int
watchdog_start(int64_t warn_ms, int64_t abort_ms)
{
	struct sigaction action = {.sa_handler = report, .sa_flags = SA_RESTART | SA_ONSTACK};
	sigset_t all, before;
	pthread_t thread;
	int result;

	watchdog.warn_ms = warn_ms;
	watchdog.abort_ms = abort_ms;
	watchdog.loop_thread = pthread_self();
	if (sigaction(LOOK_SIGNAL, &action, NULL) == -1)
		return -1;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = pthread_create(&thread, NULL, watch, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (result != 0)
		return -1;
	pthread_detach(thread);
	return 0;
}
