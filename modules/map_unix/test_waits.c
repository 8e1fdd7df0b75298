/* A name service that takes its time holds up nobody but who asked. */
#include "../../tests/unit/scene.h"

#include <errno.h>
#include <pwd.h>
#include <semaphore.h>
#include <string.h>
#include <time.h>

#include <posthouse/map.h>

extern const struct ph_module posthouse_module_map_unix;

int __wrap_getpwnam_r(const char *name, struct passwd *pwd, char *buffer, size_t size,
	struct passwd **result);

static sem_t gate;

/* Answers when the gate opens. A test that keeps it closed fails, and does not hang. */
int
__wrap_getpwnam_r(const char *name, struct passwd *pwd, char *buffer, size_t size,
	struct passwd **result)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 20;
	*result = NULL;
	if (sem_timedwait(&gate, &end) == -1)
		return EIO;
	*pwd = (struct passwd){.pw_name = strcpy(buffer, name)};
	*result = pwd;
	return 0;
}

static struct {
	const char *path;
} instance = {"passwd.byname"};

static ph_found found;
static ph_error why;

static void
ask(void *argument)
{
	const struct ph_map_ops *ops = posthouse_module_map_unix.operations;
	ph_pool *pool = ph_pool_new(0);
	ph_span value = {"", 0};

	found = ops->find(&instance, pool, ph_span_of("somebody"), &value, &why);
	check(found != PH_FOUND || strcmp(value.data, "somebody::0:0:::") == 0);
	ph_pool_free(pool);
}

static void
scene_others_run(void)
{
	ph_task task = ph_task_spawn("ask", ask, NULL);

	check(ph_yield() == PH_WAIT_OK);
	check(ph_yield() == PH_WAIT_OK);
	check(ph_task_alive(task)); /* it waits, and we run */
	sem_post(&gate);
	check(ph_task_join(task, ph_in(20000)) == PH_WAIT_OK);
	check(found == PH_FOUND);
}

static void
others_run_meanwhile(void **state)
{
	scene_run(scene_others_run);
}

static void
scene_cancelled(void)
{
	ph_task task = ph_task_spawn("ask", ask, NULL);

	check(ph_yield() == PH_WAIT_OK);
	ph_task_cancel(task);
	check(ph_task_join(task, ph_in(20000)) == PH_WAIT_OK);
	check(found == PH_FAILED && strcmp(why.text, "the name service did not answer") == 0);
	sem_post(&gate); /* the thread lets go of what it was given */
}

static void
cancelled_is_failed(void **state)
{
	scene_run(scene_cancelled);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_run_meanwhile),
		cmocka_unit_test(cancelled_is_failed),
	};

	sem_init(&gate, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
