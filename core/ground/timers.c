#include "ground/timers.h"

#include <stdlib.h>

#include "ground/task.h"

int
timers_reserve(struct timers *timers, size_t wanted)
{
	size_t capacity = timers->capacity == 0 ? 64 : timers->capacity;
	struct timer *heap;

	if (wanted <= timers->capacity)
		return 0;
	while (capacity < wanted)
		capacity *= 2;
	heap = realloc(timers->heap, capacity * sizeof(*heap));
	if (heap == NULL)
		return -1;
	timers->heap = heap;
	timers->capacity = capacity;
	return 0;
}

/* Places are counted from 1; 0 in a task: it has no entry. */
static void
place(struct timers *timers, size_t index, struct timer timer)
{
	timers->heap[index] = timer;
	timer.task->timer = (uint32_t)index + 1;
}

static void
sift_up(struct timers *timers, size_t index, struct timer timer)
{
	while (index > 0) {
		size_t parent = (index - 1) / 2;

		if (timers->heap[parent].at <= timer.at)
			break;
		place(timers, index, timers->heap[parent]);
		index = parent;
	}
	place(timers, index, timer);
}

static void
sift_down(struct timers *timers, size_t index, struct timer timer)
{
	for (;;) {
		size_t child = 2 * index + 1;

		if (child >= timers->count)
			break;
		if (child + 1 < timers->count &&
			timers->heap[child + 1].at < timers->heap[child].at)
			child++;
		if (timers->heap[child].at >= timer.at)
			break;
		place(timers, index, timers->heap[child]);
		index = child;
	}
	place(timers, index, timer);
}

void
timers_want(struct timers *timers, struct task *task)
{
	struct timer timer = {.at = task->deadline, .task = task};

	if (task->timer == 0)
		sift_up(timers, timers->count++, timer);
	else if (timers->heap[task->timer - 1].at > task->deadline)
		sift_up(timers, task->timer - 1, timer);
}

static void
remove_first(struct timers *timers)
{
	timers->heap[0].task->timer = 0;
	timers->count--;
	if (timers->count > 0)
		sift_down(timers, 0, timers->heap[timers->count]);
}

void
timers_expire(struct timers *timers, int64_t now)
{
	while (timers->count > 0 && timers->heap[0].at <= now) {
		struct task *task = timers->heap[0].task;

		if (task->state != TASK_WAITING || task->deadline == PH_NEVER) {
			remove_first(timers);
		} else if (task->deadline > now) {
			sift_down(timers, 0, (struct timer){.at = task->deadline, .task = task});
		} else {
			remove_first(timers);
			task_end_wait(task, PH_WAIT_TIMEOUT);
		}
	}
}

int64_t
timers_next(const struct timers *timers)
{
	return timers->count == 0 ? PH_NEVER : timers->heap[0].at;
}

void
timers_close(struct timers *timers)
{
	free(timers->heap);
	*timers = (struct timers){0};
}
