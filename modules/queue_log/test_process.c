/* Processes: two write while a third owns; one of the writers is killed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../tests/unit/queue_conformance.h"
#include "../../tests/unit/scene.h"
#include "queue_log.h"

enum {
	WRITERS = 2,
	TASKS = 10,
	EACH = 60,
	SLOTS = WRITERS * TASKS * EACH
};

static char *folder;
static char path[256], corrupt[256];
static int pipes[WRITERS][2]; /* from the writers: what was acknowledged, and hints */
static pid_t children[WRITERS];
static int my_pipe;

static void
prepare(void *self, const char *at)
{
	snprintf(path, sizeof path, "%s/log", at);
	snprintf(corrupt, sizeof corrupt, "%s/corrupt", at);
	*(struct queue_log *)self = (struct queue_log){.path = path, .corrupt_path = corrupt,
		.segment_size = 1 << 20, .big_message_size = 64 << 10, .buffer_limit = 64 << 20,
		.spare_segments = 4, .verify = true};
}

static const struct queue_subject subject = {&posthouse_module_queue_log, prepare};

/* One acknowledgement on the pipe. Written in one piece. */
struct report {
	uint32_t slot;
	uint32_t hint_size;
	char hint[128];
};

/* ---- A writer -------------------------------------------------------------------------------- */

static struct {
	void *self;
	unsigned number;
} writer;

static size_t
size_of(unsigned slot)
{
	return slot % 29 == 3 ? 100000 : 500 + slot * 7 % 5000;
}

static void
fill(char *body, unsigned slot)
{
	size_t size = size_of(slot);

	for (size_t i = 0; i < size; i++)
		body[i] = (char)(slot * 3 + i * 11 + i / 256);
}

static void
writer_task(void *argument)
{
	unsigned first = (writer.number * TASKS + (unsigned)(uintptr_t)argument) * EACH;
	char *body = malloc(100000), id[24];
	struct report *report = calloc(1, sizeof *report);
	ph_error error;

	for (unsigned slot = first; slot < first + EACH; slot++) {
		fill(body, slot);
		snprintf(id, sizeof id, "P%06u", slot);
		check(queue_put(&subject, writer.self, id, id, ph_span_of("H: 1\r\n"),
			      (ph_span){body, size_of(slot)}, 0, NULL, &error) == 0);
		report->slot = slot;
		report->hint_size = (uint32_t)queue_ops(&subject)->hint(writer.self, report->hint,
			sizeof report->hint);
		check(write(my_pipe, report, sizeof *report) == sizeof *report);
	}
	free(report);
	free(body);
}

static void
scene_writer(void)
{
	ph_task tasks[TASKS];

	writer.self = queue_open(&subject, folder);
	for (uintptr_t i = 0; i < TASKS; i++)
		tasks[i] = ph_task_spawn("writer", writer_task, (void *)i);
	for (unsigned i = 0; i < TASKS; i++)
		ph_task_join(tasks[i], PH_NEVER);
	queue_close(&subject, writer.self);
}

static void
start_writers(void)
{
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_int_equal(pipe(pipes[i]), 0);
		children[i] = fork();
		assert_int_not_equal(children[i], -1);
		if (children[i] == 0) {
			writer.number = i;
			my_pipe = pipes[i][1];
			scene_run(scene_writer);
			_exit(0);
		}
		close(pipes[i][1]);
	}
}

/* ---- The owner ------------------------------------------------------------------------------- */

static struct {
	void *self;
	unsigned char acknowledged[SLOTS], claimed[SLOTS];
	unsigned acknowledged_count, claimed_count, open_pipes;
	unsigned kill_after; /* acknowledgements; 0: nobody is killed */
} owner;

static void
reader_task(void *argument)
{
	int fd = *(int *)argument;
	struct report report;

	for (;;) {
		if (ph_wait_fd(fd, PH_READABLE, ph_in(60000)) != PH_WAIT_OK ||
			read(fd, &report, sizeof report) != sizeof report)
			break;
		owner.acknowledged[report.slot] = 1;
		owner.acknowledged_count++;
		queue_ops(&subject)->hinted(owner.self, (ph_span){report.hint, report.hint_size});
		if (owner.acknowledged_count == owner.kill_after)
			kill(children[0], SIGKILL);
	}
	close(fd);
	owner.open_pipes--;
}

static int
claim_some(struct ph_queue_item *items, char *body)
{
	const struct ph_queue_ops *ops = queue_ops(&subject);
	ph_error error;
	int count = ops->claim(owner.self, items, 64, 0, &error);

	check(count >= 0);
	for (int i = 0; i < count; i++) {
		unsigned slot = (unsigned)atoi(items[i].id + 1);

		check(slot < SLOTS && owner.claimed[slot]++ == 0);
		owner.claimed_count++;
		fill(body, slot);
		check(queue_has(&subject, owner.self, items[i].handle, ph_span_of("H: 1\r\n"),
			(ph_span){body, size_of(slot)}));
		check(ops->remove(owner.self, items[i].handle, items[i].token, &error) == 0);
	}
	return count;
}

static void
scene_owner(void)
{
	const struct ph_queue_ops *ops = queue_ops(&subject);
	struct ph_queue_item *items = calloc(64, sizeof *items);
	char *body = malloc(100000);
	unsigned lost = 0, turns = 0;
	ph_error error;

	owner.self = queue_open(&subject, folder);
	check(ops->own(owner.self, &error) == 0);
	owner.open_pipes = WRITERS;
	for (unsigned i = 0; i < WRITERS; i++)
		ph_task_spawn("reader", reader_task, &pipes[i][0]);
	while (owner.open_pipes > 0) {
		if (claim_some(items, body) == 0)
			ph_sleep(ph_in(1));
		if (++turns % 50 == 0)
			ops->tend(owner.self);
	}
	/* The writers are gone: what they did not tell of is found. */
	ops->tend(owner.self);
	while (claim_some(items, body) > 0)
		;
	for (unsigned slot = 0; slot < SLOTS; slot++)
		lost += owner.acknowledged[slot] && !owner.claimed[slot];
	print_message("%u acknowledged, %u claimed, %u lost\n", owner.acknowledged_count,
		owner.claimed_count, lost);
	check(lost == 0);
	check(ops->sync(owner.self, &error) == 0);
	ops->tend(owner.self);
	check(ops->disown(owner.self, &error) == 0);
	queue_close(&subject, owner.self);
	/* Nothing is left. */
	owner.self = queue_open(&subject, folder);
	check(ops->own(owner.self, &error) == 0);
	check(ops->claim(owner.self, items, 64, 0, &error) == 0);
	check(ops->disown(owner.self, &error) == 0);
	queue_close(&subject, owner.self);
	free(items);
	free(body);
}

static void
run(unsigned kill_after)
{
	int status;

	memset(&owner, 0, sizeof owner);
	owner.kill_after = kill_after;
	folder = queue_folder_make();
	start_writers();
	scene_run(scene_owner);
	for (unsigned i = 0; i < WRITERS; i++) {
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFEXITED(status) ? WEXITSTATUS(status) == 0 : kill_after != 0);
	}
	queue_folder_remove(folder);
}

static void
test_processes(void **state)
{
	run(0);
	assert_int_equal(owner.claimed_count, SLOTS);
	assert_int_equal(owner.acknowledged_count, SLOTS);
}

static void
test_killed(void **state)
{
	run(100);
	run(333);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_processes),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests_name("queue_log_process", tests, NULL, NULL);
}
