/* The power goes, at every moment of a busy life: what was promised holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static struct queue_log *
new_owner(struct history *history, struct queue_log *old)
{
	const struct ph_queue_ops *ops = posthouse_module_queue_log.operations;
	struct queue_log *owner = history_open(history->disk);
	ph_error error;

	if (old != NULL) {
		check(ops->disown(old, &error) == 0);
		history_close(old);
	}
	check(ops->own(owner, &error) == 0);
	return owner;
}

/* Two writers, an owner and its successors: commits alone and in batches, notes, removals, full
 * segments, recycled and compacted ones, big messages, checkpoints. */
static void
life(struct history *history)
{
	struct queue_log *a = history_open(history->disk), *b = history_open(history->disk);
	struct queue_log *owner = new_owner(history, NULL);

	for (unsigned round = 0; round < 4; round++) {
		unsigned first = history->count;

		for (unsigned i = 0; i < 4; i++)
			history_put(history, i % 2 == 0 ? a : b, 200 + i * 1500);
		burst(history, a, 8);
		burst(history, b, 6);
		history_put(history, b, 20000 + round);
		history_put(history, owner, 900);
		hint(a, owner);
		hint(b, owner);
		history_claim(history, owner);
		deliver(history, owner, first, round % 2 == 0 ? 7 : 0);
		tend(owner);
		/* Fills up a segment. */
		for (unsigned i = 0; i < 5; i++)
			history_put(history, a, 7800);
		hint(a, owner);
		history_claim(history, owner);
		deliver(history, owner, first, 5);
		tend(owner);
		if (round == 1)
			owner = new_owner(history, owner);
		if (round == 1)
			history_claim(history, owner);
		/* All that is left of the first rounds but a few goes. */
		if (round >= 2)
			deliver(history, owner, 0, 11);
		tend(owner);
		tend(owner);
	}
	history_close(a);
	tend(owner);
	tend(owner);
	deliver(history, owner, 0, 13);
	tend(owner);
	owner = new_owner(history, owner);
	history_claim(history, owner);
	history_close(b);
	owner = new_owner(history, owner);
	history_close(owner);
}

static unsigned bad, cuts;

static void
cut_at(const struct history *history, size_t position, enum disk_cut how, unsigned seed)
{
	static const char *const names[] = {"lost", "present", "torn"};
	struct disk *disk = disk_cut(history->disk, position, how, seed);
	struct outcome outcome = history_check(history, disk, position);

	cuts++;
	if (!outcome_good(&outcome) || outcome.corrupt != 0) {
		bad++;
		print_error("cut at %zu, %s: present %u lost %u doubled %u returned %u broken %u "
			    "strange %u notes wrong %u corrupt %u\n",
			position, names[how], outcome.present, outcome.lost, outcome.doubled,
			outcome.returned, outcome.broken, outcome.strange, outcome.notes_wrong,
			(unsigned)outcome.corrupt);
	}
	disk_free(disk);
}

static size_t
stride(void)
{
	const char *text = getenv("POWER_STRIDE");

	return text == NULL ? 1 : (size_t)atoi(text);
}

static void
cut_everywhere(struct history *history)
{
	size_t count = disk_operations(history->disk);

	for (size_t at = 0; at <= count; at += stride()) {
		cut_at(history, at, DISK_LOST, 0);
		cut_at(history, at, DISK_PRESENT, 0);
		cut_at(history, at, DISK_TORN, (unsigned)at * 2654435761u + 1);
		cut_at(history, at, DISK_TORN, (unsigned)at * 40503u + 7);
	}
	print_message("%u messages, %zu operations, %u power cuts, %u bad\n", history->count, count,
		cuts, bad);
	check(bad == 0);
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
