#include <posthouse/task.h>

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/logger.h"
#include "ground/sanitize.h"
#include "ground/task.h"
#include "scene.h"

enum {
	MANY = 10
};

static int counter;

static void
count(void *argument)
{
	counter++;
}

/* ---- Life ------------------------------------------------------------------------------------- */

static void
scene_spawn(void)
{
	ph_task child;

	counter = 0;
	child = ph_task_spawn("count", count, NULL);
	check(ph_task_alive(child));
	check(strcmp(task_name(child), "count") == 0);
	check(counter == 0);
	check(ph_task_join(child, PH_NEVER) == PH_WAIT_OK);
	check(counter == 1 && !ph_task_alive(child));
	check(ph_task_join(child, PH_NEVER) == PH_WAIT_OK);
}

static void
test_spawn(void **state)
{
	scene_run(scene_spawn);
}

/* A stack is used again at once; the handle of its former task is of no use. */
static void
scene_stale(void)
{
	ph_task first = ph_task_spawn("count", count, NULL);
	ph_task second;

	ph_task_join(first, PH_NEVER);
	second = ph_task_spawn("count", count, NULL);
	check(second.slot == first.slot && second.generation != first.generation);
	ph_task_cancel(first);
	ph_unpark(first);
	check(ph_task_alive(second) && !ph_task_alive(first));
	check(!ph_task_alive((ph_task){0}));
	check(!ph_task_alive((ph_task){.slot = 60000, .generation = 1}));
	ph_task_cancel((ph_task){0});
	ph_task_join(second, PH_NEVER);
	check(ph_task_alive(ph_task_self()));
}

static void
test_stale(void **state)
{
	scene_run(scene_stale);
	assert_int_equal(ph_task_self().generation, 0);
	assert_int_equal(ph_task_spawn("none", count, NULL).generation, 0);
}

static void
sleeper(void *argument)
{
	int *result = argument;

	*result = ph_sleep(ph_in(60000));
}

static void
scene_join_timeout(void)
{
	int result = 1;
	ph_task child = ph_task_spawn("sleeper", sleeper, &result);

	check(ph_task_join(child, ph_in(5)) == PH_WAIT_TIMEOUT);
	ph_task_cancel(child);
	check(ph_task_join(child, PH_NEVER) == PH_WAIT_OK);
	check(result == PH_WAIT_CANCELLED);
}

static void
test_join_timeout(void **state)
{
	scene_run(scene_join_timeout);
}

static void
nothing(void *argument)
{
}

static void
scene_limit(void)
{
	size_t limit = loop_task_limit();
	ph_task last = {0};
	size_t spawned = 0;

	check(limit >= 64);
	while (spawned < 2000 && (last = ph_task_spawn("nothing", nothing, NULL)).generation != 0)
		spawned++;
	check(spawned == (limit - 1 < 2000 ? limit - 1 : 2000));
	check(loop_task_count() == spawned + 1);
	ph_task_join(last, PH_NEVER);
	check(loop_task_count() == 1);
}

static void
test_limit(void **state)
{
	scene_run(scene_limit);
}

/* ---- Waits ------------------------------------------------------------------------------------ */

static int order[8];
static int order_count;

static void
note_sleep(void *argument)
{
	int *delay = argument;

	ph_sleep(ph_in(*delay));
	order[order_count++] = *delay;
}

static void
scene_sleep(void)
{
	int delays[] = {20, 5, 40, 10, 0};
	ph_task last = {0};
	int64_t start = ph_in(0);

	order_count = 0;
	for (size_t i = 0; i < 5; i++) {
		ph_task task = ph_task_spawn("note", note_sleep, &delays[i]);

		if (delays[i] == 40)
			last = task;
	}
	check(ph_task_join(last, PH_NEVER) == PH_WAIT_OK);
	check(ph_in(0) - start >= 40);
	check(order_count == 5 && order[0] == 0 && order[1] == 5 && order[2] == 10 && order[3] == 20);
	check(ph_now() >= start && ph_wall_clock() > INT64_C(1500000000000000));
	check(ph_in(INT64_MAX) == PH_NEVER);
}

static void
test_sleep(void **state)
{
	scene_run(scene_sleep);
}

static int early, late;

/* Sleeps and waits that end before their deadline, in turn: entries in the heap of timers go stale. */
static void
nap(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;

	for (int i = 0; i < 8; i++) {
		int64_t until;

		seed = seed * 1103515245u + 12345u;
		until = ph_in(seed >> 16 & 15);
		if (i % 2 == 0) {
			ph_unpark(ph_task_self());
			ph_park(ph_in(1 + (seed >> 20 & 7)));
			ph_wait_fd(STDERR_FILENO, PH_WRITABLE, ph_in(3 + (seed >> 18 & 31)));
		}
		ph_sleep(until);
		early += ph_in(0) < until;
		late += ph_in(0) > until + 2000;
	}
}

static void
scene_timers(void)
{
	ph_task all[500];

	early = late = 0;
	for (int i = 0; i < 500; i++)
		all[i] = ph_task_spawn("nap", nap, (void *)(uintptr_t)(i * 7919 + 1));
	for (int i = 0; i < 500; i++)
		check(ph_task_join(all[i], ph_in(20000)) == PH_WAIT_OK);
	check(early == 0 && late == 0);
}

static void
test_timers(void **state)
{
	scene_run(scene_timers);
}

static void
scene_park(void)
{
	ph_unpark(ph_task_self());
	ph_unpark(ph_task_self());
	check(ph_park(PH_NEVER) == PH_WAIT_OK);
	check(ph_park(ph_in(3)) == PH_WAIT_TIMEOUT);
	check(ph_park(ph_in(-1)) == PH_WAIT_TIMEOUT);
	ph_unpark(ph_task_self());
	check(ph_sleep(ph_in(2)) == PH_WAIT_OK);
	check(ph_park(ph_in(1000)) == PH_WAIT_OK);
	check(ph_yield() == PH_WAIT_OK);
}

static void
test_park(void **state)
{
	scene_run(scene_park);
}

static void
write_later(void *argument)
{
	const int *fd = argument;

	ph_sleep(ph_in(2));
	check(write(*fd, "x", 1) == 1);
}

static void
scene_wait_fd(void)
{
	int ends[2], file;

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	check(ph_wait_fd(ends[0], PH_WRITABLE, ph_in(1000)) == PH_WAIT_OK);
	check(ph_wait_fd(ends[0], PH_READABLE, ph_in(3)) == PH_WAIT_TIMEOUT);
	ph_task_spawn("write", write_later, &ends[1]);
	check(ph_wait_fd(ends[0], PH_READABLE, ph_in(1000)) == PH_WAIT_OK);
	close(ends[0]);
	close(ends[1]);
	file = open("/proc/self/exe", O_RDONLY);
	check(ph_wait_fd(file, PH_READABLE, ph_in(1000)) == PH_WAIT_OK);
	close(file);
}

static void
test_wait_fd(void **state)
{
	scene_run(scene_wait_fd);
	assert_int_equal(ph_wait_fd(STDERR_FILENO, PH_WRITABLE, ph_in(1000)), PH_WAIT_OK);
	assert_int_equal(ph_sleep(ph_in(1)), PH_WAIT_OK);
	assert_int_equal(ph_park(ph_in(1)), PH_WAIT_TIMEOUT);
}

/* ---- The thread pool -------------------------------------------------------------------------- */

struct job {
	sem_t *hold;   /* the thread waits for it; NULL: it does not */
	int value;
};

static int discarded;

static void
run_job(void *argument)
{
	struct job *job = argument;

	if (job->hold != NULL)
		while (sem_wait(job->hold) == -1 && errno == EINTR)
			;
	job->value++;
}

static void
discard_job(void *job)
{
	discarded++;
	free(job);
}

static struct job *
job_new(sem_t *hold)
{
	struct job *job = calloc(1, sizeof(*job));

	check(job != NULL);
	job->hold = hold;
	return job;
}

static void
scene_blocking(void)
{
	struct job *job = job_new(NULL);
	sem_t hold;

	discarded = 0;
	check(ph_blocking(run_job, discard_job, job, PH_NEVER) == PH_WAIT_OK);
	check(job->value == 1 && discarded == 0);
	free(job);
	sem_init(&hold, 0, 0);
	for (int i = 0; i < MANY; i++)
		check(ph_blocking(run_job, discard_job, job_new(&hold), ph_in(2)) == PH_WAIT_TIMEOUT);
	/* One that no thread had begun may be discarded already; the others when their threads end. */
	for (int i = 0; i < MANY; i++)
		sem_post(&hold);
	while (discarded < MANY)
		check(ph_sleep(ph_in(1)) == PH_WAIT_OK);
	ph_task_cancel(ph_task_self());
	check(ph_blocking(run_job, discard_job, job_new(NULL), PH_NEVER) == PH_WAIT_CANCELLED);
	check(discarded == MANY + 1);
	sem_destroy(&hold);
}

static void
test_blocking(void **state)
{
	struct job *job = job_new(NULL);

	assert_int_equal(ph_blocking(run_job, discard_job, job, PH_NEVER), PH_WAIT_OK);
	free(job);
	scene_run(scene_blocking);
	assert_int_equal(discarded, MANY + 1);
}

/* Jobs that are still queued when the loop closes are discarded too. */
static void
scene_blocking_stop(void)
{
	static sem_t hold;

	discarded = 0;
	sem_init(&hold, 0, 0);
	for (int i = 0; i < MANY; i++)
		ph_blocking(run_job, discard_job, job_new(&hold), ph_in(1));
	for (int i = 0; i < MANY; i++)
		sem_post(&hold);
}

static void
test_blocking_stop(void **state)
{
	scene_run(scene_blocking_stop);
	assert_int_equal(discarded, MANY);
}

/* ---- Cancellation ----------------------------------------------------------------------------- */

static int fds[2];
static int ended[8];
static ph_task target;
static sem_t gate;

static void
in_sleep(void *argument)
{
	ended[0] += ph_sleep(PH_NEVER) == PH_WAIT_CANCELLED;
}

static void
in_park(void *argument)
{
	ended[1] += ph_park(ph_in(60000)) == PH_WAIT_CANCELLED;
}

static void
in_wait_fd(void *argument)
{
	ended[2] += ph_wait_fd(fds[0], PH_READABLE, ph_in(60000)) == PH_WAIT_CANCELLED;
}

static void
in_join(void *argument)
{
	ended[3] += ph_task_join(target, ph_in(60000)) == PH_WAIT_CANCELLED;
}

static void
in_blocking(void *argument)
{
	ended[4] += ph_blocking(run_job, discard_job, job_new(&gate), PH_NEVER) == PH_WAIT_CANCELLED;
}

static void
in_two_waits(void *argument)
{
	bool first = ph_sleep(ph_in(60000)) == PH_WAIT_CANCELLED;

	ended[5] += first && ph_task_cancelled() && ph_park(PH_NEVER) == PH_WAIT_CANCELLED &&
		ph_yield() == PH_WAIT_CANCELLED && ph_sleep(0) == PH_WAIT_CANCELLED;
}

static void
scene_cancel(void)
{
	static void (*const kinds[])(void *) = {in_sleep, in_park, in_wait_fd, in_join, in_blocking,
		in_two_waits};
	ph_task all[MANY * 6];
	int result;

	discarded = 0;
	memset(ended, 0, sizeof(ended));
	sem_init(&gate, 0, 0);
	check(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	target = ph_task_spawn("sleeper", sleeper, &result);
	for (int i = 0; i < MANY * 6; i++)
		all[i] = ph_task_spawn("waiting", kinds[i % 6], NULL);
	check(ph_sleep(ph_in(5)) == PH_WAIT_OK);
	for (int i = 0; i < MANY * 6; i++)
		ph_task_cancel(all[i]);
	for (int i = 0; i < MANY * 6; i++)
		check(ph_task_join(all[i], PH_NEVER) == PH_WAIT_OK);
	for (int i = 0; i < 6; i++)
		check(ended[i] == MANY);
	for (int i = 0; i < MANY; i++)
		sem_post(&gate);
	ph_task_cancel(target);
	ph_task_join(target, PH_NEVER);
	close(fds[0]);
	close(fds[1]);
}

static void
test_cancel(void **state)
{
	scene_run(scene_cancel);
	assert_int_equal(discarded, MANY);
	sem_destroy(&gate);
}

/* What came first stands: a task that was woken and then cancelled sees its wake-up. */
static int first_result, second_result;

static void
waits_twice(void *argument)
{
	first_result = ph_park(PH_NEVER);
	second_result = ph_park(PH_NEVER);
}

static void
scene_first_stands(void)
{
	ph_task task = ph_task_spawn("twice", waits_twice, NULL);

	ph_yield();
	ph_unpark(task);
	ph_task_cancel(task);
	ph_task_join(task, PH_NEVER);
	check(first_result == PH_WAIT_OK && second_result == PH_WAIT_CANCELLED);
}

static void
test_first_stands(void **state)
{
	scene_run(scene_first_stands);
}

/* loop_stop() ends everything, also what is born after it. */
static void
sleep_for_ever(void *argument)
{
	check(ph_park(PH_NEVER) == PH_WAIT_CANCELLED);
	counter++;
}

static void
scene_stop(void)
{
	counter = 0;
	for (int i = 0; i < MANY; i++)
		ph_task_spawn("for ever", sleep_for_ever, NULL);
	ph_yield();
	loop_stop();
	ph_task_spawn("late", sleep_for_ever, NULL);
}

static void
test_stop(void **state)
{
	scene_run(scene_stop);
	assert_int_equal(counter, MANY + 1);
}

/* ---- The loop --------------------------------------------------------------------------------- */

static int hook_runs[2];

static void
second_hook(void *argument)
{
	hook_runs[1]++;
}

static void
first_hook(void *argument)
{
	hook_runs[0]++;
	loop_at_round_end(second_hook, NULL);
}

static void
scene_round_end(void)
{
	for (int i = 0; i < 3; i++)
		loop_at_round_end(first_hook, NULL);
	loop_at_round_end(first_hook, hook_runs);
	loop_forget_round_end(first_hook, hook_runs);
	check(hook_runs[0] == 0);
	ph_yield();
	check(hook_runs[0] == 1 && hook_runs[1] == 1);
	ph_yield();
	check(hook_runs[0] == 1 && hook_runs[1] == 1);
}

static void
test_round_end(void **state)
{
	hook_runs[0] = hook_runs[1] = 0;
	scene_run(scene_round_end);
}

static char *volatile deep;

static void
dig(void *argument)
{
	char large[700000];

	memset(large, 1, sizeof(large));
	deep = large;
	counter += deep[5] + (ph_task_self().generation != 0);
	ph_on_loop_stack(count, NULL);
	deep = NULL;
}

static void
scene_loop_stack(void)
{
	counter = 0;
	ph_on_loop_stack(dig, NULL);
	check(counter == 3);
}

static void
test_loop_stack(void **state)
{
	scene_run(scene_loop_stack);
	ph_on_loop_stack(count, NULL);
	assert_int_equal(counter, 4);
}

static void
on_signal(int number, void *argument)
{
	*(int *)argument = number;
}

static void
scene_signal(void)
{
	int seen = 0;

	check(loop_on_signal(SIGUSR1, on_signal, &seen) == 0);
	raise(SIGUSR1);
	for (int i = 0; seen == 0 && i < 1000; i++)
		ph_sleep(ph_in(1));
	check(seen == SIGUSR1);
}

static void
test_signal(void **state)
{
	scene_run(scene_signal);
}

static struct task_context *inherited;

static void
look_at_context(void *argument)
{
	inherited = task_context();
}

static void
scene_context(void)
{
	struct task_context context = {.session = "s", .queue_id = "Q", .instance = "i"};
	ph_task child;

	check(task_context() == NULL);
	task_set_context(&context);
	child = ph_task_spawn("look", look_at_context, NULL);
	ph_task_join(child, PH_NEVER);
	check(inherited == &context);
	task_set_context(NULL);
}

static void
test_context(void **state)
{
	scene_run(scene_context);
}

/* ---- Crashes, in a child process -------------------------------------------------------------- */

static char report[16384];

/* Runs a scene in a child; collects what it writes to its standard error; returns how it ended. */
static int
run_child(void (*fn)(void), char *blame, size_t size)
{
	int ends[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		logger_open("stderr", "posthouse", "smtpd", false, NULL);
		crash_install("smtpd", blame, size);
		scene_run(fn);
		_exit(0);
	}
	close(ends[1]);
	while (used < sizeof(report) - 1 &&
		(got = read(ends[0], report + used, sizeof(report) - 1 - used)) > 0)
		used += (size_t)got;
	report[used] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static int
recurse(int depth)
{
	volatile char frame[3000];

	frame[0] = (char)depth;
	if (depth == 1000000)
		return 0;
	return recurse(depth + 1) + frame[0];
}

static void
crash_context(void)
{
	static struct task_context context = {.session = "client[192.0.2.1]", .queue_id = "4FADF",
		.instance = "restriction_x"};

	task_set_context(&context);
}

static void
scene_overrun(void)
{
	crash_context();
	counter = recurse(0);
}

static void
test_overrun(void **state)
{
	char *blame = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = run_child(scene_overrun, blame, 4096);

	assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	if (!GROUND_SANITIZED)
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
	assert_non_null(strstr(report, "task \"scene\" overran its stack"));
	assert_non_null(strstr(report, "queue ID 4FADF, session client[192.0.2.1], module restriction_x"));
	assert_string_equal(blame, "4FADF restriction_x");
	munmap(blame, 4096);
}

static void
scene_abort(void)
{
	crash_context();
	abort();
}

static void
test_abort(void **state)
{
	int status = run_child(scene_abort, NULL, 0);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(report, "posthouse/smtpd["));
	assert_non_null(strstr(report, "]: fatal: smtpd died of SIGABRT, task scene, queue ID 4FADF"));
}

static void
scene_stuck(void)
{
	int64_t start = ph_in(0);

	crash_context();
	watchdog_start(20, 200);
	while (ph_in(0) - start < 20000)
		;
}

static void
test_watchdog(void **state)
{
	int status = run_child(scene_stuck, NULL, 0);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(report, "warning: a task has not yielded for "));
	assert_non_null(strstr(report, " ms, task scene, queue ID 4FADF"));
	assert_non_null(strstr(report, "died of SIGABRT"));
}

static void
scene_stubborn(void)
{
	ph_task_cancel(ph_task_self());
	for (;;)
		ph_sleep(ph_in(1000));
}

static void
test_stubborn(void **state)
{
	int status = run_child(scene_stubborn, NULL, 0);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(report, "task \"scene\" goes on waiting after it was cancelled"));
}

static void
scene_wait_on_loop_stack(void)
{
	ph_on_loop_stack(sleeper, &counter);
}

static void
test_wait_on_loop_stack(void **state)
{
	int status = run_child(scene_wait_on_loop_stack, NULL, 0);

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	assert_non_null(strstr(report, "waits on the stack of the loop"));
}

static int
overflow_after_wait(volatile int index)
{
	char frame[16];
	char *volatile at = frame; /* the compiler does not see through it */

	frame[0] = 1;
	ph_sleep(ph_in(1));
	at[index] = 1;
	return at[0];
}

static void
scene_overflow(void)
{
	counter = overflow_after_wait(16);
}

/* An overflow in a frame that had been suspended is seen. */
static void
test_overflow(void **state)
{
	if (!GROUND_SANITIZED)
		skip();
	assert_int_not_equal(run_child(scene_overflow, NULL, 0), 0);
	assert_non_null(strstr(report, "stack-buffer-overflow"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spawn),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_join_timeout),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_sleep),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_park),
		cmocka_unit_test(test_wait_fd),
		cmocka_unit_test(test_blocking),
		cmocka_unit_test(test_blocking_stop),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_first_stands),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_round_end),
		cmocka_unit_test(test_loop_stack),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_overrun),
		cmocka_unit_test(test_abort),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_stubborn),
		cmocka_unit_test(test_wait_on_loop_stack),
		cmocka_unit_test(test_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
