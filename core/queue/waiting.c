/*
 * The messages that wait for their time: a heap by due.
 */
#include "queue/schedule_inside.h"

#include <stdlib.h>

static void
heap_set(struct scheduler *scheduler, size_t at, struct message *message)
{
	scheduler->heap[at] = message;
	message->heap_index = (uint32_t)at;
}

static void
heap_up(struct scheduler *scheduler, size_t at)
{
	struct message *message = scheduler->heap[at];

	while (at > 0 && scheduler->heap[(at - 1) / 2]->due > message->due) {
		heap_set(scheduler, at, scheduler->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_set(scheduler, at, message);
}

static void
heap_down(struct scheduler *scheduler, size_t at)
{
	struct message *message = scheduler->heap[at];

	for (;;) {
		size_t child = at * 2 + 1;

		if (child >= scheduler->heap_count)
			break;
		if (child + 1 < scheduler->heap_count &&
			scheduler->heap[child + 1]->due < scheduler->heap[child]->due)
			child++;
		if (scheduler->heap[child]->due >= message->due)
			break;
		heap_set(scheduler, at, scheduler->heap[child]);
		at = child;
	}
	heap_set(scheduler, at, message);
}

int
waiting_reserve(struct scheduler *scheduler, size_t count)
{
	size_t room = scheduler->heap_room == 0 ? 64 : scheduler->heap_room;
	struct message **bigger;

	while (room < count)
		room *= 2;
	if (room == scheduler->heap_room)
		return 0;
	if (room > UINT32_MAX - 1 ||
		(bigger = realloc(scheduler->heap, room * sizeof(struct message *))) == NULL)
		return -1;
	scheduler->heap = bigger;
	scheduler->heap_room = room;
	return 0;
}

void
waiting_add(struct scheduler *scheduler, struct message *message)
{
	scheduler->heap[scheduler->heap_count] = message;
	heap_up(scheduler, scheduler->heap_count++);
}

void
waiting_take(struct scheduler *scheduler, struct message *message)
{
	size_t at = message->heap_index;

	if (at == UINT32_MAX)
		return;
	message->heap_index = UINT32_MAX;
	if (at == --scheduler->heap_count)
		return;
	heap_set(scheduler, at, scheduler->heap[scheduler->heap_count]);
	heap_up(scheduler, at);
	heap_down(scheduler, scheduler->heap[at]->heap_index);
}

/* ---- All of them at once --------------------------------------------------------------------- */

void
scheduler_flush_all(struct scheduler *scheduler, int64_t now)
{
	scheduler_revive(scheduler, NULL);
	/* all are equal now, which any order of the heap satisfies */
	for (size_t i = 0; i < scheduler->heap_count; i++) {
		scheduler->heap[i]->due = now;
		scheduler->heap[i]->flushed = true;
	}
}

void
scheduler_not_before(struct scheduler *scheduler, int64_t due)
{
	/* raising the small ones keeps the heap in order */
	for (size_t i = 0; i < scheduler->heap_count; i++)
		if (scheduler->heap[i]->due < due)
			scheduler->heap[i]->due = due;
}
