#include "wake.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Lines that wait beyond this many are dropped. */
#define LINES_MAX 256

struct line {
	struct line *next;
	ph_log_level level;
	char text[480];
};

struct wake {
	pthread_mutex_t mutex;
	pthread_cond_t finished;
	int event;
	ph_task *tasks; /* to be woken, by handle: their waiters may be gone by then */
	size_t task_count, task_room;
	struct line *lines, **lines_end;
	size_t line_count;
	ph_task waker;
};

/* Takes what the threads left and hands it to the tasks and the log. */
static void
wake_deliver(struct wake *wake)
{
	struct line *lines, *next;
	ph_task *tasks;
	size_t count;

	pthread_mutex_lock(&wake->mutex);
	tasks = wake->tasks;
	count = wake->task_count;
	wake->tasks = NULL;
	wake->task_count = wake->task_room = 0;
	lines = wake->lines;
	wake->lines = NULL;
	wake->lines_end = &wake->lines;
	wake->line_count = 0;
	pthread_mutex_unlock(&wake->mutex);
	for (size_t i = 0; i < count; i++)
		ph_unpark(tasks[i]);
	free(tasks);
	for (; lines != NULL; lines = next) {
		next = lines->next;
		ph_log(lines->level, "%s", lines->text);
		free(lines);
	}
}

static void
wake_task(void *argument)
{
	struct wake *wake = argument;
	uint64_t count;

	while (ph_wait_fd(wake->event, PH_READABLE, ph_in(3600 * 1000)) != PH_WAIT_CANCELLED) {
		if (read(wake->event, &count, sizeof count) == -1 && errno != EAGAIN)
			break;
		wake_deliver(wake);
	}
}

struct wake *
wake_new(ph_error *error)
{
	struct wake *wake = calloc(1, sizeof *wake);

	if (wake == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	wake->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	wake->lines_end = &wake->lines;
	if (wake->event == -1) {
		ph_error_set(error, "eventfd: %s", strerror(errno));
		free(wake);
		return NULL;
	}
	pthread_mutex_init(&wake->mutex, NULL);
	pthread_cond_init(&wake->finished, NULL);
	wake->waker = ph_task_spawn("queue_log wake", wake_task, wake);
	return wake;
}

void
wake_free(struct wake *wake)
{
	if (wake == NULL)
		return;
	/* A cancelled task cannot join: the waker holds nothing, it is gone after this round. */
	ph_task_cancel(wake->waker);
	while (ph_task_alive(wake->waker))
		if (ph_task_join(wake->waker, PH_NEVER) == PH_WAIT_CANCELLED)
			break;
	wake_deliver(wake);
	if (!ph_task_alive(wake->waker)) {
		close(wake->event);
		pthread_cond_destroy(&wake->finished);
		pthread_mutex_destroy(&wake->mutex);
		free(wake);
	}
}

void
waiter_prepare(struct waiter *waiter)
{
	*waiter = (struct waiter){.task = ph_task_self()};
}

void
wake_wait(struct wake *wake, struct waiter *waiter)
{
	for (;;) {
		bool done;

		pthread_mutex_lock(&wake->mutex);
		done = waiter->done;
		pthread_mutex_unlock(&wake->mutex);
		if (done)
			return;
		/* A second is only a net: should the waker have been cancelled, this still ends. */
		if (ph_park(ph_in(1000)) == PH_WAIT_CANCELLED)
			break;
	}
	pthread_mutex_lock(&wake->mutex);
	while (!waiter->done)
		pthread_cond_wait(&wake->finished, &wake->mutex);
	pthread_mutex_unlock(&wake->mutex);
}

void
wake_begin(struct wake *wake)
{
	pthread_mutex_lock(&wake->mutex);
}

void
wake_finish(struct wake *wake, struct waiter *waiter)
{
	waiter->done = true;
	if (wake->task_count == wake->task_room) {
		size_t room = wake->task_room == 0 ? 64 : wake->task_room * 2;
		ph_task *tasks = realloc(wake->tasks, room * sizeof *tasks);

		if (tasks == NULL)
			return; /* its task looks again within a second */
		wake->tasks = tasks;
		wake->task_room = room;
	}
	wake->tasks[wake->task_count++] = waiter->task;
}

/* The event's counter cannot overflow: the write cannot fail. */
static void
wake_signal(struct wake *wake)
{
	uint64_t one = 1;
	ssize_t n = write(wake->event, &one, sizeof one);

	(void)n;
}

void
wake_end(struct wake *wake)
{
	pthread_cond_broadcast(&wake->finished);
	pthread_mutex_unlock(&wake->mutex);
	wake_signal(wake);
}

void
wake_say(struct wake *wake, ph_log_level level, const char *format, ...)
{
	struct line *line = malloc(sizeof *line);
	va_list args;

	if (line == NULL)
		return;
	*line = (struct line){.level = level};
	va_start(args, format);
	vsnprintf(line->text, sizeof line->text, format, args);
	va_end(args);
	pthread_mutex_lock(&wake->mutex);
	if (wake->line_count < LINES_MAX) {
		*wake->lines_end = line;
		wake->lines_end = &line->next;
		wake->line_count++;
		line = NULL;
	}
	pthread_mutex_unlock(&wake->mutex);
	free(line);
	wake_signal(wake);
}
