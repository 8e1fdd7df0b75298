/*
 * The loop of a process. A round: sleep until something happens, callbacks of events, deadlines,
 * the tasks that are runnable, and what was left for the end of the round.
 */
#include "ground/loop.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "ground/buffer.h"
#include "ground/logger.h"
#include "ground/poller.h"
#include "ground/task.h"

/* Something to be called at the end of a round. */
struct hook {
	void (*fn)(void *argument);
	void *argument;
	bool done;  /* was called in this round */
	bool again; /* was asked for again afterwards: in the next round */
};

struct signal_watch {
	struct signal_watch *next;
	struct event *event;
	void (*fn)(int signal, void *argument);
	void *argument;
};

static struct {
	struct event_base *base;
	struct event *timer; /* the next deadline */
	int64_t timer_at;
	int64_t now;
	bool now_known; /* in this round */
	bool running;
	bool stop;
	bool broken;
	bool in_hooks;
	struct hook *hooks;
	size_t hook_count;
	size_t hook_capacity;
	struct signal_watch *signals;
} loop = {.timer_at = PH_NEVER};

/* ---- Clocks ---------------------------------------------------------------------------------- */

static int64_t
read_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t
ph_now(void)
{
	if (loop.running && loop.now_known)
		return loop.now;
	loop.now = read_clock();
	loop.now_known = true;
	return loop.now;
}

int64_t
ph_wall_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

ph_deadline
ph_in(int64_t milliseconds)
{
	int64_t deadline;

	if (__builtin_add_overflow(read_clock(), milliseconds, &deadline))
		return milliseconds < 0 ? 0 : PH_NEVER;
	return deadline;
}

/* ---- Deadlines ------------------------------------------------------------------------------- */

/* The event only ends the sleep; what is due is seen after it. */
static void
timer_fired(evutil_socket_t fd, short what, void *argument)
{
	loop.timer_at = PH_NEVER;
}

/* libevent's timer is moved only when a deadline comes before it. */
static void
arm_timer(void)
{
	int64_t at = timers_next(&tasks.timers);
	int64_t delay;
	struct timeval interval;

	if (at >= loop.timer_at)
		return;
	delay = at - read_clock() + 1; /* its clock is coarse: rather late than twice */
	if (delay < 0)
		delay = 0;
	if (delay > INT64_C(86400000))
		delay = INT64_C(86400000);
	interval.tv_sec = (time_t)(delay / 1000);
	interval.tv_usec = (suseconds_t)(delay % 1000 * 1000);
	if (event_add(loop.timer, &interval) == 0)
		loop.timer_at = at;
}

/* ---- The end of a round ---------------------------------------------------------------------- */

static struct hook *
find_hook(void (*fn)(void *), void *argument)
{
	for (size_t i = loop.hook_count; i-- > 0;)
		if (loop.hooks[i].fn == fn && loop.hooks[i].argument == argument)
			return &loop.hooks[i];
	return NULL;
}

static bool
grow_hooks(void)
{
	size_t capacity = loop.hook_capacity == 0 ? 32 : loop.hook_capacity * 2;
	struct hook *hooks;

	if (loop.hook_count < loop.hook_capacity)
		return true;
	hooks = realloc(loop.hooks, capacity * sizeof(*hooks));
	if (hooks == NULL)
		return false;
	loop.hooks = hooks;
	loop.hook_capacity = capacity;
	return true;
}

void
loop_at_round_end(void (*fn)(void *argument), void *argument)
{
	struct hook *hook = find_hook(fn, argument);

	if (hook != NULL)
		hook->again = hook->done;
	else if (grow_hooks())
		loop.hooks[loop.hook_count++] = (struct hook){.fn = fn, .argument = argument};
	else
		fn(argument); /* no memory to do it later */
}

void
loop_forget_round_end(void (*fn)(void *argument), void *argument)
{
	struct hook *hook = find_hook(fn, argument);

	if (hook == NULL)
		return;
	hook->done = true; /* not called */
	hook->again = false;
	if (!loop.in_hooks)
		*hook = loop.hooks[--loop.hook_count];
}

/* Hooks may ask for others, which are called in the same round, and for themselves. */
static void
run_hooks(void)
{
	size_t kept = 0;

	loop.in_hooks = true;
	for (size_t i = 0; i < loop.hook_count; i++) {
		struct hook hook = loop.hooks[i];

		loop.hooks[i].done = true;
		if (!hook.done)
			hook.fn(hook.argument);
	}
	for (size_t i = 0; i < loop.hook_count; i++)
		if (loop.hooks[i].again)
			loop.hooks[kept++] = (struct hook){
				.fn = loop.hooks[i].fn, .argument = loop.hooks[i].argument};
	loop.hook_count = kept;
	loop.in_hooks = false;
}

/* ---- Running --------------------------------------------------------------------------------- */

static void
libevent_says(int severity, const char *text)
{
	ph_log(severity >= EVENT_LOG_ERR ? PH_LOG_ERROR : PH_LOG_DEBUG, "libevent: %s", text);
}

int
loop_open(ph_error *error)
{
	struct event_config *config = event_config_new();

	signal(SIGPIPE, SIG_IGN); /* sendfile() cannot be told otherwise */
	event_set_log_callback(libevent_says);
	if (config == NULL)
		return ph_error_set(error, "no memory for the event loop");
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK); /* one thread uses it */
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV);
	loop.base = event_base_new_with_config(config);
	event_config_free(config);
	if (loop.base == NULL)
		return ph_error_set(error, "cannot make an event loop");
	loop.timer = evtimer_new(loop.base, timer_fired, NULL);
	loop.timer_at = PH_NEVER;
	if (loop.timer == NULL)
		ph_error_set(error, "no memory for the event loop");
	else if (tasks_open(error) == 0)
		return 0;
	loop_close();
	return -1;
}

static void
run_round(void)
{
	int flags = EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY;

	arm_timer();
	if (tasks.first != NULL)
		flags |= EVLOOP_NONBLOCK;
	loop.now_known = false;
	event_base_loop(loop.base, flags);
	if (timers_next(&tasks.timers) != PH_NEVER)
		timers_expire(&tasks.timers, ph_now());
	tasks_run();
	run_hooks();
}

int
loop_run(void)
{
	loop.running = true;
	while (!loop.broken && !(loop.stop && tasks.live == 0))
		run_round();
	run_hooks();
	loop.running = loop.broken = loop.stop = false;
	tasks.stopping = false;
	return 0;
}

void
loop_stop(void)
{
	loop.stop = true;
	tasks_cancel_all();
	event_base_loopbreak(loop.base);
}

void
loop_break(void)
{
	loop.broken = true;
	event_base_loopbreak(loop.base);
}

static void
close_signals(void)
{
	while (loop.signals != NULL) {
		struct signal_watch *watch = loop.signals;

		loop.signals = watch->next;
		event_free(watch->event);
		free(watch);
	}
}

void
loop_close(void)
{
	blocking_close();
	poller_close();
	buffers_trim();
	logger_flush();
	close_signals();
	if (loop.timer != NULL)
		event_free(loop.timer);
	if (loop.base != NULL)
		event_base_free(loop.base);
	free(loop.hooks);
	memset(&loop, 0, sizeof(loop));
	loop.timer_at = PH_NEVER;
	tasks_close();
}

struct event_base *
loop_base(void)
{
	return loop.base;
}

bool
loop_is_running(void)
{
	return loop.running;
}

static void
signal_arrived(evutil_socket_t number, short what, void *argument)
{
	struct signal_watch *watch = argument;

	watch->fn((int)number, watch->argument);
}

int
loop_on_signal(int number, void (*fn)(int signal, void *argument), void *argument)
{
	struct signal_watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return -1;
	watch->fn = fn;
	watch->argument = argument;
	watch->event = evsignal_new(loop.base, number, signal_arrived, watch);
	if (watch->event == NULL || event_add(watch->event, NULL) == -1) {
		if (watch->event != NULL)
			event_free(watch->event);
		free(watch);
		return -1;
	}
	watch->next = loop.signals;
	loop.signals = watch;
	return 0;
}
