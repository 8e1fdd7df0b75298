/*
 * How many messages a second one process commits: N tasks in a closed loop, 4 KiB each; and how
 * long an owner takes to start with what was left, without and with the index.
 *
 *   tests/unit/bench_queue_log [FOLDER [SECONDS [TASKS…]]]
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../../tests/unit/queue_conformance.h"
#include "../../tests/unit/scene.h"
#include "queue_log.h"

static const char *base = "/tmp";
static char *folder;
static char path[256], corrupt[256];
static int seconds = 2;
static unsigned tasks_wanted[8] = {1, 20, 100}, tasks_count = 3;
static ph_deadline end;
static uint64_t committed;
static bool owning;

static void
prepare(void *self, const char *at)
{
	snprintf(path, sizeof path, "%s/log", at);
	snprintf(corrupt, sizeof corrupt, "%s/corrupt", at);
	*(struct queue_log *)self = (struct queue_log){.path = path, .corrupt_path = corrupt,
		.segment_size = 64 << 20, .big_message_size = 256 << 10,
		.buffer_limit = 64 << 20, .spare_segments = 4, .verify = true};
}

static const struct queue_subject subject = {&posthouse_module_queue_log, prepare};

static void
committer(void *argument)
{
	static char body[3900];
	const struct ph_queue_ops *ops = queue_ops(&subject);
	ph_queue_writer *writer;
	ph_error error;

	memset(body, 'x', sizeof body);
	while (ph_now() < end) {
		check(ops->begin(argument, sizeof body, &writer, &error) == 0);
		check(ops->append(writer, (ph_span){body, sizeof body}, &error) == 0);
		check(ops->commit(writer, "0123456789ABCDEF", ph_span_of("an envelope of some size"),
			      ph_span_of("Received: by here\r\n"), 0, NULL, &error) == 0);
		committed++;
	}
}

/* An owner at work in the same process: claims and removes everything. */
static void
owner_task(void *argument)
{
	const struct ph_queue_ops *ops = queue_ops(&subject);
	struct ph_queue_item *items = calloc(256, sizeof *items);
	int64_t tended = ph_now();
	ph_error error;

	while (ph_now() < end) {
		int count = ops->claim(argument, items, 256, 0, &error);

		for (int i = 0; i < count; i++)
			ops->remove(argument, items[i].handle, items[i].token, &error);
		if (count < 100)
			ph_sleep(ph_in(2));
		if (ph_now() > tended + 200) {
			ops->tend(argument);
			tended = ph_now();
		}
	}
	free(items);
}

static double
cpu(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
		(double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void
measure(void *self, unsigned count)
{
	ph_task *tasks = calloc(count + 1, sizeof *tasks);
	ph_deadline began = 0;
	uint64_t already = 0;
	double before = 0;

	/* The first second makes segments. */
	committed = 0;
	for (int pass = 0; pass < 2; pass++) {
		already = committed;
		began = ph_in(0);
		before = cpu();
		end = began + (pass == 0 ? 1000 : seconds * 1000);
		for (unsigned i = 0; i < count; i++)
			tasks[i] = ph_task_spawn("committer", committer, self);
		if (owning)
			tasks[count] = ph_task_spawn("owner", owner_task, self);
		for (unsigned i = 0; i < count + owning; i++)
			ph_task_join(tasks[i], PH_NEVER);
	}
	printf("%s, %3u tasks: %8.0f commits/s, %5.1f us of CPU each\n",
		owning ? "with owner" : "alone     ", count,
		(double)(committed - already) * 1000 / (double)(ph_in(0) - began),
		(cpu() - before) * 1e6 / (double)(committed - already));
	free(tasks);
}

static int64_t
heap(void)
{
	return (int64_t)mallinfo2().uordblks + (int64_t)mallinfo2().hblkhd;
}

static void
start_owner(const char *how)
{
	void *self = queue_open(&subject, folder);
	int64_t began, before = heap();
	ph_error error;

	began = ph_in(0);
	check(queue_ops(&subject)->own(self, &error) == 0);
	printf("own, %s: %llu messages, %lld ms, %.0f bytes each\n", how,
		(unsigned long long)committed, (long long)(ph_in(0) - began),
		(double)(heap() - before) / (double)committed);
	check(queue_ops(&subject)->disown(self, &error) == 0);
	queue_close(&subject, self);
}

static void
measure_start(void)
{
	void *self;

	owning = false;
	folder = queue_folder_make();
	self = queue_open(&subject, folder);
	measure(self, 100);
	queue_close(&subject, self);
	start_owner("reading all");
	start_owner("index      ");
	queue_folder_remove(folder);
}

static void
scene(void)
{
	for (unsigned i = 0; i < tasks_count; i++)
		for (int with = 0; with < 2; with++) {
			void *self;
			ph_error error;

			owning = with;
			folder = queue_folder_make();
			self = queue_open(&subject, folder);
			check(queue_ops(&subject)->own(self, &error) == 0);
			measure(self, tasks_wanted[i]);
			queue_close(&subject, self);
			queue_folder_remove(folder);
		}
	measure_start();
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		base = argv[1];
	setenv("TMPDIR", base, 1);
	if (argc > 2)
		seconds = atoi(argv[2]);
	if (argc > 3)
		tasks_count = 0;
	for (int i = 3; i < argc && tasks_count < 8; i++)
		tasks_wanted[tasks_count++] = (unsigned)atoi(argv[i]);
	scene_run(scene);
	return 0;
}
