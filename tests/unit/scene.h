/* A test that runs in a task: the loop is opened, the task runs, everything is closed again. */
#ifndef TESTS_UNIT_SCENE_H
#define TESTS_UNIT_SCENE_H

#include <posthouse/task.h>

#include <unistd.h>

#include "ground/loop.h"
#include "test.h"

struct scene {
	void (*fn)(void);
};

static inline void
scene_task(void *argument)
{
	struct scene *scene = argument;

	scene->fn();
	loop_stop();
}

/* fn may not use assertions that jump out of the task: see check(). */
static inline void
scene_run(void (*fn)(void))
{
	struct scene scene = {.fn = fn};
	ph_error error;

	assert_int_equal(loop_open(&error), 0);
	assert_int_not_equal(ph_task_spawn("scene", scene_task, &scene).generation, 0);
	loop_run();
	assert_int_equal(loop_task_count(), 0);
	loop_close();
}

/* cmocka's assertions leave by longjmp(), which must not cross stacks: in a task a failure ends the
 * program. */
#define check(condition) \
	((condition) ? (void)0 : check_failed(#condition, __FILE__, __LINE__))

static inline void
check_failed(const char *condition, const char *file, int line)
{
	print_error("%s:%d: not true in a task: %s\n", file, line, condition);
	_exit(1);
}

#endif
