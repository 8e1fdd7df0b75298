/* Disks that fail while they write, that are full, and that change what they hold. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/log.h>

#include "../../tests/unit/scene.h"
#include "ground/logger.h"
#include "history.h"

static const struct ph_queue_ops *
ops(void)
{
	return posthouse_module_queue_log.operations;
}

/* ---- Failures -------------------------------------------------------------------------------- */

struct load {
	struct history *history;
	struct queue_log *log;
	size_t size;
};

static void
load_task(void *argument)
{
	struct load *load = argument;

	history_put(load->history, load->log, load->size);
}

static void
batch(struct history *history, struct queue_log *log)
{
	struct load loads[5];
	ph_task tasks[5];

	for (unsigned i = 0; i < 5; i++) {
		loads[i] = (struct load){history, log, 500 + i * 900};
		tasks[i] = ph_task_spawn("load", load_task, loads + i);
	}
	for (unsigned i = 0; i < 5; i++)
		ph_task_join(tasks[i], PH_NEVER);
}

/* A short life. Whatever fails says so. Returns the disk's count before the writers stop. */
static size_t
short_life(struct history *history)
{
	size_t stopping;

	struct queue_log *writer = history_open(history->disk);
	struct queue_log *owner = history_open(history->disk);
	bool owned;
	ph_error error;

	owned = ops()->own(owner, &error) == 0;
	for (unsigned round = 0; round < 3; round++) {
		char bytes[256];
		size_t size;

		history_put(history, writer, 700);
		batch(history, writer);
		history_put(history, writer, 20000);
		for (unsigned i = 0; i < 4; i++)
			history_put(history, writer, 7500);
		if (!owned)
			continue;
		size = ops()->hint(writer, bytes, sizeof bytes);
		ops()->hinted(owner, (ph_span){bytes, size});
		history_claim(history, owner);
		for (unsigned i = 0; i < history->count; i++) {
			struct told *told = history->messages + i;

			if (!told->claimed || told->remove_begun != NEVER)
				continue;
			if (i % 3 != 0 && history_remove(history, owner, told) == -1)
				told->remove_begun = NEVER;
			if (i % 3 == 0 && told->note_count < HISTORY_NOTES)
				history_note(history, owner, told);
		}
		history_sync(history, owner);
		ops()->tend(owner);
		ops()->tend(owner);
	}
	stopping = disk_failable(history->disk);
	history_close(writer);
	if (owned) {
		ops()->tend(owner);
		ops()->disown(owner, &error);
	}
	history_close(owner);
	return stopping;
}

static unsigned runs, refused, bad;

static void
check_after(const struct history *history, enum disk_cut how, size_t from, size_t count, int error,
	bool healed)
{
	struct disk *disk = disk_cut(history->disk, disk_operations(history->disk), how,
		(unsigned)from * 40503u);
	struct outcome outcome = history_check(history, disk, disk_operations(history->disk), true);

	runs++;
	if (!healed)
		outcome.returned = outcome.notes_wrong = 0;
	if (!outcome_good(&outcome)) {
		bad++;
		print_error("%s from %zu for %zu, cut %d: present %u lost %u doubled %u returned %u "
			    "broken %u strange %u notes wrong %u\n",
			strerror(error), from, count, (int)how, outcome.present, outcome.lost,
			outcome.doubled, outcome.returned, outcome.broken, outcome.strange,
			outcome.notes_wrong);
	}
	disk_free(disk);
}

/* One life with failures. false: they came after its end. */
static bool
live_with_failure(size_t from, size_t count, int error)
{
	struct history history;
	struct disk *disk = disk_new(true);
	bool reached, healed;

	history_init(&history, disk);
	if (from % 5 == 4)
		disk_without_dsync(disk);
	disk_fail(disk, from, count, error);
	/* A disk that did not work again before a writer stopped could not be told what is void. */
	healed = short_life(&history) > from + count;
	reached = disk_failable(disk) > from;
	disk_fail(disk, 0, 0, 0);
	for (unsigned i = 0; i < history.count; i++)
		refused += history.messages[i].failed != NEVER;
	check_after(&history, DISK_PRESENT, from, count, error, healed);
	check_after(&history, DISK_LOST, from, count, error, healed);
	check_after(&history, DISK_TORN, from, count, error, healed);
	history_clear(&history);
	disk_free(disk);
	return reached;
}

static void
scene_failures(void)
{
	const char *text = getenv("FAIL_STRIDE");
	size_t stride = text == NULL ? 3 : (size_t)atoi(text);
	static const struct {
		size_t count;
		int error;
	} kinds[] = {{1, EIO}, {1, ENOSPC}, {6, EIO}, {40, ENOSPC}};

	for (size_t kind = 0; kind < sizeof kinds / sizeof kinds[0]; kind++)
		for (size_t from = (size_t)getpid() % stride;
			live_with_failure(from, kinds[kind].count, kinds[kind].error);
			from += stride)
			;
	print_message("%u disks after failures, %u commits refused, %u bad\n", runs, refused, bad);
	check(bad == 0);
	check(refused > 0);
}

static void
test_failures(void **state)
{
	scene_run(scene_failures);
}

/* ---- Flipped bits ---------------------------------------------------------------------------- */

struct flip {
	const struct disk *disk;
	const struct history *history;
	size_t stride;
	unsigned flips, costly, reported;
};

static void
flip_one(struct flip *flip, const char *path, size_t at)
{
	struct disk *disk = disk_copy(flip->disk);
	char byte = 0;
	struct outcome outcome;
	int fd;

	fd = disk_files(disk)->open(disk_files(disk), path, 2 /* O_RDWR */);
	check(fd != -1 && pread(fd, &byte, 1, (off_t)at) == 1);
	byte = (char)(byte ^ (1 << at % 8));
	check(pwrite(fd, &byte, 1, (off_t)at) == 1);
	close(fd);
	outcome = history_check(flip->history, disk, SIZE_MAX - 1, true);
	flip->flips++;
	flip->costly += outcome.lost;
	flip->reported += outcome.corrupt > 0;
	/* One record: a message, or a note, or a removal, and it is known. The last one of a
	 * segment is its seal. */
	if (outcome.lost + outcome.returned + outcome.notes_wrong > 1 || outcome.broken > 0 ||
		outcome.strange > 0 || outcome.doubled > 0 ||
		(outcome.lost + outcome.returned + outcome.notes_wrong > 0 && outcome.corrupt == 0)) {
		bad++;
		print_error("%s, byte %zu: lost %u returned %u notes wrong %u broken %u strange %u "
			    "doubled %u corrupt %u\n",
			path, at, outcome.lost, outcome.returned, outcome.notes_wrong,
			outcome.broken, outcome.strange, outcome.doubled, (unsigned)outcome.corrupt);
	}
	disk_free(disk);
}

static void
flip_file(void *context, const char *path, int fd, int64_t size)
{
	struct flip *flip = context;

	/* Dense in the headers of segment and first record, sparse in the rest. */
	for (size_t at = 0; at < 56; at++)
		flip_one(flip, path, at);
	for (size_t at = 4096; at < 4096 + 260 && at < (size_t)size; at++)
		flip_one(flip, path, at);
	for (size_t at = 4096 + 260; at < (size_t)size; at += flip->stride)
		flip_one(flip, path, at);
}

/* Segments with messages that live, some with notes, some removed. */
static void
quiet_life(struct history *history)
{
	struct queue_log *writer = history_open(history->disk);
	struct queue_log *owner = history_open(history->disk);
	struct told *told[8];
	ph_error error;

	for (unsigned i = 0; i < 8; i++)
		told[i] = history_put(history, writer, 300 + i * 200);
	history_close(writer);
	check(ops()->own(owner, &error) == 0);
	history_claim(history, owner);
	history_note(history, owner, told[1]);
	history_note(history, owner, told[2]);
	history_remove(history, owner, told[3]);
	history_sync(history, owner);
	history_note(history, owner, told[1]);
	history_remove(history, owner, told[5]);
	history_sync(history, owner);
	history_close(owner);
}

static void
scene_flips(void)
{
	struct history history;
	struct disk *disk = disk_new(false);
	const char *text = getenv("FLIP_STRIDE");
	struct flip flip = {.disk = disk, .history = &history,
		.stride = text == NULL ? 47 : (size_t)atoi(text)};

	bad = 0;
	history_init(&history, disk);
	quiet_life(&history);
	disk_each(disk, ".seg", flip_file, &flip);
	print_message("%u flipped bits: %u cost a message, %u were reported, %u bad\n", flip.flips,
		flip.costly, flip.reported, bad);
	check(bad == 0);
	check(flip.costly > 0 && flip.reported >= flip.costly);
	history_clear(&history);
	disk_free(disk);
}

static void
test_flips(void **state)
{
	scene_run(scene_flips);
}

static void
ignore(const char *component, ph_log_level level, const char *line, void *context)
{
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_failures),
	};

	if (getenv("POWER_LOG") == NULL)
		logger_capture(ignore, NULL);
	return cmocka_run_group_tests_name("queue_log_damage", tests, NULL, NULL);
}
