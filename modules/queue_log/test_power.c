/* The power goes, at every moment of a busy life: what was promised holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/log.h>

#include "../../tests/unit/scene.h"
#include "ground/logger.h"
#include "history.h"

static void
hint(struct queue_log *writer, struct queue_log *owner)
{
	const struct ph_queue_ops *ops = posthouse_module_queue_log.operations;
	char bytes[256];
	size_t size = ops->hint(writer, bytes, sizeof bytes);

	ops->hinted(owner, (ph_span){bytes, size});
}

static void
tend(struct queue_log *owner)
{
	((const struct ph_queue_ops *)posthouse_module_queue_log.operations)->tend(owner);
}

struct burst {
	struct history *history;
	struct queue_log *log;
	size_t size;
};

static void
burst_task(void *argument)
{
	struct burst *burst = argument;

	history_put(burst->history, burst->log, burst->size);
}

/* Several at once: a batch. */
static void
burst(struct history *history, struct queue_log *log, unsigned count)
{
	struct burst bursts[12];
	ph_task tasks[12];

	for (unsigned i = 0; i < count; i++) {
		bursts[i] = (struct burst){history, log, 100 + i * 700};
		tasks[i] = ph_task_spawn("burst", burst_task, bursts + i);
	}
	for (unsigned i = 0; i < count; i++)
		ph_task_join(tasks[i], PH_NEVER);
}

/* Removes the claimed messages from first on, all but each keep-th. */
static void
deliver(struct history *history, struct queue_log *owner, unsigned first, unsigned keep)
{
	for (unsigned i = first; i < history->count; i++) {
		struct told *told = history->messages + i;

		if (!told->claimed || told->remove_begun != NEVER)
			continue;
		if (keep != 0 && i % keep == 0) {
			if (told->note_count < HISTORY_NOTES)
				history_note(history, owner, told);
		} else {
			history_remove(history, owner, told);
		}
	}
	check(history_sync(history, owner) == 0);
}

/* The next owner; the old one ends in order, with a checkpoint, or not. */
static struct queue_log *
new_owner(struct history *history, struct queue_log *old, bool orderly)
{
	const struct ph_queue_ops *ops = posthouse_module_queue_log.operations;
	struct queue_log *owner = history_open(history->disk);
	ph_error error;

	if (old != NULL && orderly)
		check(ops->disown(old, &error) == 0);
	if (old != NULL)
		history_close(old);
	check(ops->own(owner, &error) == 0);
	history_claim(history, owner);
	return owner;
}

static void
receive(struct history *history, struct queue_log *writer, struct queue_log *owner)
{
	hint(writer, owner);
	history_claim(history, owner);
}

/* One round of it: commits alone and in batches, full segments, notes, removals, a big message. */
static void
live_round(struct history *history, unsigned round, struct queue_log *a, struct queue_log *b,
	struct queue_log *owner)
{
	unsigned first = history->count;

	for (unsigned i = 0; i < 4; i++)
		history_put(history, i % 2 == 0 ? a : b, 200 + i * 1500);
	burst(history, a, 6);
	burst(history, b, 4);
	history_put(history, b, 20000 + round);
	history_put(history, owner, 900);
	receive(history, a, owner);
	receive(history, b, owner);
	deliver(history, owner, first, round % 2 == 0 ? 7 : 0);
	tend(owner);
	/* Messages of one size: a segment that is used again has old headers where new ones end. */
	for (unsigned i = 0; i < 5; i++)
		history_put(history, round % 2 == 0 ? a : b, 7800);
	receive(history, a, owner);
	receive(history, b, owner);
	deliver(history, owner, first, 5);
	tend(owner);
	if (round % 3 == 2)
		deliver(history, owner, 0, 11);
	tend(owner);
	tend(owner);
}

/* Two writers, an owner and its successors, until all is delivered. */
static void
life(struct history *history)
{
	struct queue_log *a = history_open(history->disk), *b = history_open(history->disk);
	struct queue_log *owner = new_owner(history, NULL, true);

	for (unsigned round = 0; round < 9; round++) {
		live_round(history, round, a, b, owner);
		if (round % 4 == 3) {
			history_close(a);
			a = history_open(history->disk);
		}
		if (round % 2 == 1)
			owner = new_owner(history, owner, round % 4 == 1);
	}
	history_close(a);
	tend(owner);
	deliver(history, owner, 0, 13);
	tend(owner);
	owner = new_owner(history, owner, true);
	history_close(b);
	tend(owner);
	deliver(history, owner, 0, 0);
	tend(owner);
	tend(owner);
	owner = new_owner(history, owner, true);
	history_close(owner);
}

static unsigned bad, cuts;

static void
cut_at(const struct history *history, size_t position, enum disk_cut how, unsigned seed)
{
	static const char *const names[] = {"lost", "present", "torn"};
	struct disk *disk = disk_cut(history->disk, position, how, seed);
	struct outcome outcome;

	/* With what the last owner had saved, and without. */
	if (seed % 2 == 1)
		disk_forget(disk, "/sim/log/index");
	outcome = history_check(history, disk, position, seed % 3 != 0);
	cuts++;
	if (!outcome_good(&outcome) || outcome.corrupt != 0) {
		bad++;
		print_error("cut at %zu, %s, %u: present %u lost %u doubled %u returned %u "
			    "broken %u strange %u notes wrong %u corrupt %u\n",
			position, names[how], seed, outcome.present, outcome.lost, outcome.doubled,
			outcome.returned, outcome.broken, outcome.strange, outcome.notes_wrong,
			(unsigned)outcome.corrupt);
	}
	disk_free(disk);
}

/* All of them take a while: "make check" takes each seventh, and another one each time. */
static void
cut_everywhere(const struct history *history)
{
	const char *text = getenv("POWER_STRIDE");
	size_t stride = text == NULL ? 7 : (size_t)atoi(text);
	size_t count = disk_operations(history->disk);

	for (size_t at = (size_t)getpid() % stride; at <= count; at += stride) {
		unsigned seed = (unsigned)at * 2654435761u >> 8;

		cut_at(history, at, DISK_LOST, seed);
		cut_at(history, at, DISK_LOST, seed + 1);
		cut_at(history, at, DISK_PRESENT, seed);
		cut_at(history, at, DISK_PRESENT, seed + 1);
		cut_at(history, at, DISK_TORN, seed);
		cut_at(history, at, DISK_TORN, seed + 1);
	}
	print_message("%u messages, %zu operations, %zu segments used again, %zu compacted; "
		      "%u power cuts, %u bad\n",
		history->count, count, disk_renamed(history->disk, "spare-"),
		disk_renamed(history->disk, ".copy"), cuts, bad);
	check(bad == 0);
	check(disk_renamed(history->disk, "spare-") > 0 && disk_renamed(history->disk, ".copy") > 0);
}

static void
scene_power(void)
{
	struct history history;
	struct disk *disk = disk_new(true);

	history_init(&history, disk);
	life(&history);
	cut_everywhere(&history);
	history_clear(&history);
	disk_free(disk);
}

static void
test_power(void **state)
{
	scene_run(scene_power);
}

static void
ignore(const char *component, ph_log_level level, const char *line, void *context)
{
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power),
	};

	if (getenv("POWER_LOG") == NULL)
		logger_capture(ignore, NULL);
	return cmocka_run_group_tests_name("queue_log_power", tests, NULL, NULL);
}
