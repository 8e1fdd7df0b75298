/*
 * Tasks: their life, and the wait that all other waits are made of.
 *
 * How many there may be: with guards by mprotect() a stack takes two mappings, and a process that
 * reaches vm.max_map_count fails everywhere at once; see stack.c.
 */
#include "ground/task.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "ground/logger.h"

enum {
	LATE_WAITS = 100, /* of a cancelled task, before it ends the process */
	BUDGET = 64       /* units of work in a round */
};

struct tasks tasks;

int
tasks_open(ph_error *error)
{
	tasks = (struct tasks){.last = &tasks.first};
	return stacks_open(&tasks.stacks, error);
}

void
tasks_close(void)
{
	timers_close(&tasks.timers);
	stacks_close(&tasks.stacks);
	tasks = (struct tasks){.last = &tasks.first};
}

struct task *
task_at(size_t slot)
{
	size_t room = (sizeof(struct task) + 63) & ~(size_t)63;

	return (struct task *)(void *)(stacks_slot(&tasks.stacks, slot + 1) - room);
}

static struct task *
task_find(ph_task handle)
{
	struct task *task;

	if (handle.generation == 0 || handle.slot >= tasks.stacks.used)
		return NULL;
	task = task_at(handle.slot);
	return task->generation == handle.generation && task->state != TASK_FREE ? task : NULL;
}

static ph_task
handle_of(const struct task *task)
{
	return (ph_task){.slot = task->slot, .generation = task->generation};
}

/* ---- Running --------------------------------------------------------------------------------- */

static void
enqueue(struct task *task)
{
	task->state = TASK_RUNNABLE;
	task->next = NULL;
	*tasks.last = task;
	tasks.last = &task->next;
}

static void
wake_joiners(struct task *task)
{
	while (task->joiners != NULL) {
		struct task *joiner = task->joiners;

		task->joiners = joiner->next_joiner;
		if (joiner->state == TASK_WAITING && joiner->waits_for == task)
			task_end_wait(joiner, PH_WAIT_OK);
	}
}

static void
run_fiber(struct fiber *fiber)
{
	struct task *task = (struct task *)(void *)fiber; /* its first member */

	task->fn(task->argument);
	task->state = TASK_FREE;
}

static void
retire(struct task *task)
{
	wake_joiners(task);
	task->context = NULL;
	task->next = tasks.free;
	tasks.free = task;
	tasks.live--;
}

/* Calls what a task wants to have run on this stack. */
static void
run_call(void)
{
	void (*call)(void *) = tasks.call;

	tasks.call = NULL;
	tasks.on_loop_stack = true;
	call(tasks.call_argument);
	tasks.on_loop_stack = false;
}

static void
resume(struct task *task)
{
	task->state = TASK_RUNNING;
	task->budget = BUDGET;
	tasks.current = task;
	tasks.beat++;
	switch_in(&task->fiber);
	while (tasks.call != NULL) {
		run_call();
		switch_in(&task->fiber);
	}
	tasks.current = NULL;
	tasks.beat++;
	if (task->state == TASK_FREE)
		retire(task);
}

void
tasks_run(void)
{
	struct task *task = tasks.first;

	tasks.first = NULL;
	tasks.last = &tasks.first;
	while (task != NULL) {
		struct task *next = task->next;

		resume(task);
		task = next;
	}
}

/* ---- Birth and end --------------------------------------------------------------------------- */

static struct task *
new_stack(void)
{
	struct task *task;
	int64_t slot;

	if (timers_reserve(&tasks.timers, tasks.stacks.used + 1) == -1)
		return NULL;
	slot = stacks_take(&tasks.stacks);
	if (slot == -1)
		return NULL;
	task = task_at((size_t)slot);
	task->slot = (uint32_t)slot;
	task->fiber.run = run_fiber;
	task->fiber.bottom = stacks_slot(&tasks.stacks, (size_t)slot) + STACK_GUARD;
	task->fiber.size = (size_t)((char *)task - task->fiber.bottom);
	return task;
}

ph_task
ph_task_spawn(const char *name, void (*fn)(void *argument), void *argument)
{
	struct task *task = tasks.free;

	if (tasks.stacks.base == NULL)
		return (ph_task){0};
	if (task != NULL)
		tasks.free = task->next;
	else if ((task = new_stack()) == NULL)
		return (ph_task){0};
	task->generation++;
	if (task->generation == 0)
		task->generation = 1;
	task->name = name;
	task->fn = fn;
	task->argument = argument;
	task->context = task_context();
	task->joiners = NULL;
	task->late_waits = 0;
	task->cancelled = tasks.stopping;
	task->token = false;
	tasks.live++;
	enqueue(task);
	return handle_of(task);
}

ph_task
ph_task_self(void)
{
	return tasks.current == NULL ? (ph_task){0} : handle_of(tasks.current);
}

bool
ph_task_alive(ph_task task)
{
	return task_find(task) != NULL;
}

bool
ph_task_cancelled(void)
{
	return tasks.current != NULL && tasks.current->cancelled;
}

static void
cancel(struct task *task)
{
	task->cancelled = true;
	if (task->state == TASK_WAITING)
		task_end_wait(task, PH_WAIT_CANCELLED);
}

void
ph_task_cancel(ph_task handle)
{
	struct task *task = task_find(handle);

	if (task != NULL)
		cancel(task);
}

void
tasks_cancel_all(void)
{
	tasks.stopping = true;
	for (size_t slot = 0; slot < tasks.stacks.used; slot++)
		if (task_at(slot)->state != TASK_FREE)
			cancel(task_at(slot));
}

const char *
task_name(ph_task handle)
{
	struct task *task = task_find(handle);

	return task == NULL ? "" : task->name;
}

void
task_set_context(struct task_context *context)
{
	if (tasks.current != NULL)
		tasks.current->context = context;
}

struct task_context *
task_context(void)
{
	return tasks.current == NULL ? NULL : tasks.current->context;
}

size_t
loop_task_count(void)
{
	return tasks.live;
}

size_t
loop_task_limit(void)
{
	return tasks.stacks.limit;
}

/* ---- The wait -------------------------------------------------------------------------------- */

void
task_end_wait(struct task *task, ph_wait result)
{
	task->result = (int8_t)result;
	task->waits_for = NULL;
	enqueue(task);
}

void
task_wake(ph_task handle, const void *key)
{
	struct task *task = task_find(handle);

	if (task != NULL && task->state == TASK_WAITING && task->waits_for == key)
		task_end_wait(task, PH_WAIT_OK);
}

/* A cancelled task that does not end would keep the process from stopping. */
static ph_wait
refuse_wait(struct task *task)
{
	if (++task->late_waits < LATE_WAITS)
		return PH_WAIT_CANCELLED;
	ph_log(PH_LOG_FATAL, "task \"%s\" goes on waiting after it was cancelled", task->name);
	logger_flush();
	abort();
}

static ph_wait
suspend(struct task *task, const void *key, ph_deadline deadline)
{
	if (tasks.on_loop_stack) {
		ph_log(PH_LOG_FATAL, "task \"%s\" waits on the stack of the loop", task->name);
		logger_flush();
		abort();
	}
	task->waits_for = key;
	task->deadline = deadline;
	task->state = TASK_WAITING;
	if (deadline != PH_NEVER)
		timers_want(&tasks.timers, task);
	switch_out(&task->fiber);
	return task->result;
}

ph_wait
task_wait(const void *key, ph_deadline deadline)
{
	struct task *task = tasks.current;

	if (task == NULL)
		return PH_WAIT_TIMEOUT;
	if (task->cancelled)
		return refuse_wait(task);
	if (deadline != PH_NEVER && deadline <= ph_now())
		return PH_WAIT_TIMEOUT;
	return suspend(task, key, deadline);
}

/* Outside of a task the thread itself sleeps: commands use the same code as roles. */
static int
poll_until(struct pollfd *poller, nfds_t count, ph_deadline deadline)
{
	int64_t left = deadline == PH_NEVER ? -1 : deadline - ph_now();

	if (deadline != PH_NEVER && left < 0)
		left = 0;
	return poll(poller, count, left > 1000000 ? 1000000 : (int)left);
}

ph_wait
ph_sleep(ph_deadline until)
{
	struct task *task = tasks.current;

	if (task == NULL) {
		while (until > ph_now())
			poll_until(NULL, 0, until);
		return PH_WAIT_OK;
	}
	if (until <= ph_now())
		return ph_yield();
	return task_wait(NULL, until) == PH_WAIT_CANCELLED ? PH_WAIT_CANCELLED : PH_WAIT_OK;
}

ph_wait
ph_yield(void)
{
	struct task *task = tasks.current;

	if (task == NULL)
		return PH_WAIT_OK;
	if (task->cancelled)
		return refuse_wait(task);
	task->result = PH_WAIT_OK;
	enqueue(task);
	switch_out(&task->fiber);
	return PH_WAIT_OK;
}

ph_wait
task_spend(void)
{
	if (tasks.current == NULL || tasks.current->budget-- > 0)
		return PH_WAIT_OK;
	return ph_yield();
}

ph_wait
ph_park(ph_deadline deadline)
{
	struct task *task = tasks.current;

	if (task != NULL && task->token && !task->cancelled) {
		task->token = false;
		return PH_WAIT_OK;
	}
	return task_wait(task, deadline);
}

void
ph_unpark(ph_task handle)
{
	struct task *task = task_find(handle);

	if (task == NULL)
		return;
	if (task->state == TASK_WAITING && task->waits_for == task)
		task_end_wait(task, PH_WAIT_OK);
	else
		task->token = true;
}

static void
leave_joiners(struct task *target, struct task *joiner)
{
	struct task **link = &target->joiners;

	while (*link != NULL && *link != joiner)
		link = &(*link)->next_joiner;
	if (*link != NULL)
		*link = joiner->next_joiner;
}

ph_wait
ph_task_join(ph_task handle, ph_deadline deadline)
{
	struct task *target = task_find(handle);
	struct task *self = tasks.current;
	ph_wait result;

	if (target == NULL)
		return PH_WAIT_OK;
	if (self == NULL || target == self)
		return PH_WAIT_TIMEOUT;
	self->next_joiner = target->joiners;
	target->joiners = self;
	result = task_wait(target, deadline);
	if (result != PH_WAIT_OK && (target = task_find(handle)) != NULL)
		leave_joiners(target, self);
	return result;
}

void
ph_on_loop_stack(void (*fn)(void *argument), void *argument)
{
	if (tasks.current == NULL || tasks.on_loop_stack) {
		fn(argument);
		return;
	}
	tasks.call = fn;
	tasks.call_argument = argument;
	switch_out(&tasks.current->fiber);
}
