/* The life of segments: they are sealed when idle, used again, compacted, left alone. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/log.h>

#include "../../tests/unit/scene.h"
#include "ground/logger.h"
#include "history.h"
#include "owner.h"

static struct {
	struct disk *disk;
	struct history history;
	unsigned lines;
	char last[512];
} world;

static const struct ph_queue_ops *
ops(void)
{
	return posthouse_module_queue_log.operations;
}

static struct queue_log *
own(void)
{
	struct queue_log *owner = history_open(world.disk);
	ph_error error;

	check(ops()->own(owner, &error) == 0);
	return owner;
}

static void
disown(struct queue_log *owner)
{
	ph_error error;

	check(ops()->disown(owner, &error) == 0);
	history_close(owner);
}

struct files_seen {
	unsigned count;
	int64_t size;
};

static void
see(void *context, const char *path, int fd, int64_t size)
{
	struct files_seen *seen = context;

	seen->count++;
	seen->size += size;
}

static unsigned
files_named(const char *suffix)
{
	struct files_seen seen = {0};

	disk_each(world.disk, suffix, see, &seen);
	return seen.count;
}

/* A writer that is idle lets go of its segment, and the owner learns of the last messages. */
static void
scene_idle(void)
{
	struct queue_log *writer = history_open(world.disk), *owner;

	writer->storage->seal_after = 5;
	history_put(&world.history, writer, 100);
	owner = own();
	for (int i = 0; i < 1000 && world.history.messages[0].claimed == false; i++) {
		ph_sleep(ph_in(5));
		ops()->tend(owner);
		history_claim(&world.history, owner);
	}
	check(world.history.messages[0].claimed);
	check(owner->storage->owner->logs.count == 1 && owner->storage->owner->logs.items[0]->sealed);
	/* It begins another one when there is something again. */
	history_put(&world.history, writer, 100);
	check(files_named(".seg") == 2);
	history_close(writer);
	disown(owner);
}

/* The blocks of a segment that is being read are not written again. */
static void
scene_reader(void)
{
	struct queue_log *writer = history_open(world.disk), *owner = own();
	struct ph_queue_content content = {.size = sizeof content};
	struct told *told = history_put(&world.history, writer, 3000);
	ph_pool *pool = ph_pool_new(0);
	char before[3000], after[3000];
	ph_error error;

	owner->storage->compact_age = 3600 * 1000;
	history_close(writer);
	ops()->tend(owner);
	check(history_claim(&world.history, owner) == 0); /* not listed yet: no hint came */
	owner->storage->owner->list_at = 0;
	ops()->tend(owner);
	check(history_claim(&world.history, owner) == 1);
	check(ops()->read(owner, told->handle, pool, &content, &error) == PH_FOUND);
	check(pread(content.fd, before, 3000, content.offset) == 3000);
	history_remove(&world.history, owner, told);
	check(history_sync(&world.history, owner) == 0);
	ops()->tend(owner);
	check(files_named(".seg") == 1); /* the owner's own */
	check(files_named("spare-00000001") == 0);
	check(ops()->read(owner, told->handle, pool, &content, &error) == PH_NOT_FOUND);
	writer = history_open(world.disk);
	for (int i = 0; i < 5; i++)
		history_put(&world.history, writer, 3000);
	check(pread(content.fd, after, 3000, content.offset) == 3000);
	check(memcmp(before, after, 3000) == 0);
	close(content.fd);
	history_close(writer);
	/* One that nobody reads becomes a spare, and is taken. */
	owner->storage->owner->list_at = 0;
	ops()->tend(owner);
	check(history_claim(&world.history, owner) == 5);
	for (unsigned i = 1; i < 6; i++)
		history_remove(&world.history, owner, world.history.messages + i);
	check(history_sync(&world.history, owner) == 0);
	ops()->tend(owner);
	check(files_named("spare-00000003") == 1);
	writer = history_open(world.disk);
	history_put(&world.history, writer, 10);
	check(files_named("spare-00000003") == 0);
	history_close(writer);
	disown(owner);
	ph_pool_free(pool);
}

/* Compaction keeps handles, content and notes, and gives the room back. */
static void
scene_compaction(void)
{
	struct queue_log *writer = history_open(world.disk), *owner = own();
	struct log *log;
	struct outcome outcome;
	uint64_t before;

	for (int i = 0; i < 12; i++)
		history_put(&world.history, writer, 4000);
	history_close(writer);
	owner->storage->owner->list_at = 0;
	ops()->tend(owner);
	check(history_claim(&world.history, owner) == 12);
	log = logs_find(&owner->storage->owner->logs,
		HANDLE_NUMBER(world.history.messages[0].handle));
	before = log->allocated;
	for (unsigned i = 0; i < 12; i++) {
		if (i == 5 || i == 11)
			history_note(&world.history, owner, world.history.messages + i);
		else
			history_remove(&world.history, owner, world.history.messages + i);
	}
	check(history_sync(&world.history, owner) == 0);
	ops()->tend(owner);
	check(log->compactions == 1);
	check(log->allocated < before * 2 / 3);
	check(log->tomb_count == 0);
	disown(owner);
	outcome = history_check(&world.history, world.disk, SIZE_MAX - 1, true);
	check(outcome_good(&outcome) && outcome.present == 2 && outcome.corrupt == 0);
	disk_forget(world.disk, "/sim/log/index");
	outcome = history_check(&world.history, world.disk, SIZE_MAX - 1, true);
	check(outcome_good(&outcome) && outcome.present == 2 && outcome.corrupt == 0);
}

static int
content_read(struct queue_log *log, const struct told *told)
{
	struct ph_queue_content content = {.size = sizeof content};
	ph_pool *pool = ph_pool_new(0);
	ph_error error;
	int result = ops()->read(log, told->handle, pool, &content, &error);

	if (result == PH_FOUND)
		close(content.fd);
	ph_pool_free(pool);
	return result;
}

/* Flips a bit of the segment that holds a message, from its record on. */
static void
spoil(const struct disk *disk, const struct told *told, uint64_t at)
{
	const struct files *files = disk_files(disk);
	char path[FILE_PATH_ROOM], byte = 0;
	int fd = files->open(files,
		name_path_of("/sim/log", NAME_SEGMENT, HANDLE_NUMBER(told->handle), path), O_RDWR);
	off_t place = (off_t)(HANDLE_OFFSET(told->handle) + at);

	check(fd != -1 && pread(fd, &byte, 1, place) == 1);
	byte ^= 1;
	check(pwrite(fd, &byte, 1, place) == 1);
	close(fd);
}

/* Twelve messages, of which two live, in a segment whose writer died without a seal; then the disk
 * changes it, and it is time for compaction. */
static void
compact_spoiled(unsigned which, uint64_t at, bool goes_on)
{
	struct disk *before = disk_new(true), *disk;
	struct history history;
	struct queue_log *writer, *owner;
	struct log *log;
	struct outcome outcome;

	history_init(&history, before);
	writer = history_open(before);
	for (int i = 0; i < 12; i++)
		history_put(&history, writer, 4000);
	disk = history.disk = disk_cut(before, disk_operations(before), DISK_LOST, 0);
	history_close(writer);
	owner = history_open(disk);
	check(ops()->own(owner, &(ph_error){0}) == 0);
	check(history_claim(&history, owner) == 12);
	for (unsigned i = 0; i < 12; i++)
		if (i != 5 && i != 11)
			history_remove(&history, owner, history.messages + i);
	check(history_sync(&history, owner) == 0);
	spoil(disk, history.messages + which, at);
	world.lines = 0;
	ops()->tend(owner);
	log = logs_find(&owner->storage->owner->logs, HANDLE_NUMBER(history.messages[0].handle));
	check(log->compactions == (goes_on ? 1 : 0));
	check(world.lines == (goes_on ? 0 : 1));
	if (!goes_on)
		check(strstr(world.last, ".seg: cannot compact: it is damaged") != NULL);
	check(content_read(owner, history.messages + which) == PH_FAILED);
	check(content_read(owner, history.messages + (which == 5 ? 11 : 5)) == PH_FOUND);
	/* Whoever reads all of it later tells of the damage; but a last header is as if never
	 * written. */
	history_close(owner);
	disk_forget(disk, "/sim/log/index");
	outcome = history_check(&history, disk, SIZE_MAX - 1, true);
	check(outcome.corrupt == (which == 11 && !goes_on ? 0 : 1));
	check(outcome.lost == 1 && outcome.returned == 0);
	check(outcome.present == 1 && outcome.broken == 0);
	history_clear(&history);
	disk_free(disk);
	disk_free(before);
}

/* Compaction gives nothing up that lives: not what it finds spoiled either. */
static void
scene_compaction_damage(void)
{
	compact_spoiled(11, 2000, true); /* the content of the last record, of which no later one tells */
	compact_spoiled(5, 2000, true);
	compact_spoiled(11, 60, false); /* a header */
	compact_spoiled(5, 60, false);
	compact_spoiled(5, RECORD_HEADER + 4, false); /* an envelope */
}

/* A start with the index does not read what was read before. */
static void
scene_checkpoint(void)
{
	struct queue_log *writer = history_open(world.disk), *owner = own();
	struct outcome outcome;

	for (int i = 0; i < 30; i++)
		history_put(&world.history, writer, 3000);
	history_close(writer);
	owner->storage->owner->list_at = 0;
	ops()->tend(owner);
	check(history_claim(&world.history, owner) == 30);
	disown(owner);
	owner = own();
	for (size_t i = 0; i < owner->storage->owner->logs.count; i++)
		check(owner->storage->owner->logs.items[i]->loaded);
	check(history_claim(&world.history, owner) == 30);
	disown(owner);
	outcome = history_check(&world.history, world.disk, SIZE_MAX - 1, true);
	check(outcome_good(&outcome) && outcome.present == 30);
}

/* Memory for messages that arrive is bounded, and comes back. */
static void
scene_buffers(void)
{
	struct queue_log *writer = history_open(world.disk);
	ph_queue_writer *writers[8];
	char *bytes = calloc(1, 7000);
	unsigned begun = 0, refused = 0;
	ph_error error;

	writer->storage->buffer_limit = 4 * 16384;
	for (; begun < 8; begun++) {
		check(ops()->begin(writer, 0, writers + begun, &error) == 0);
		refused += ops()->append(writers[begun], (ph_span){bytes, 7000}, &error) == -1;
	}
	check(refused == 4);
	while (begun-- > 0)
		ops()->abort(writers[begun]);
	check(writer->storage->chunks.used == 0);
	check(history_put(&world.history, writer, 7000)->acknowledged != NEVER);
	history_close(writer);
	free(bytes);
}

/* What dead processes left is cleaned up; what is of a newer format, or damaged, is left alone. */
static void
scene_remnants(void)
{
	const struct files *files = disk_files(world.disk);
	static const char *const names[] = {"/sim/log/00000100.new",
		"/sim/log/0000000000000001.part", "/sim/log/00000007.copy",
		"/sim/log/00000100-00000000000000ff-00000200.big"};
	struct queue_log *writer = history_open(world.disk), *owner;
	struct segment_header header = {.major = SEGMENT_MAJOR + 1, .number = 0x200};
	unsigned char *bytes = malloc(SEGMENT_HEADER);
	int fd;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		close(files->open(files, names[i], O_RDWR | O_CREAT));
	segment_header_encode(&header, bytes);
	fd = files->open(files, "/sim/log/00000200.seg", O_RDWR | O_CREAT);
	check(file_put(files, fd, bytes, SEGMENT_HEADER, 0, false) == 0);
	close(fd);
	close(files->open(files, "/sim/log/00000201.seg", O_RDWR | O_CREAT));
	history_put(&world.history, writer, 20000);
	history_close(writer);
	world.lines = 0;
	owner = own();
	check(world.lines == 2 + 1);
	check(history_claim(&world.history, owner) == 1);
	ops()->tend(owner);
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		check(files->open(files, names[i], O_RDONLY) == -1);
	check(files_named("00000200.seg") == 1 && files_named("00000201.seg") == 1);
	check(files_named(".big") == 1);
	history_remove(&world.history, owner, world.history.messages);
	check(history_sync(&world.history, owner) == 0);
	ops()->tend(owner);
	check(files_named(".big") == 0);
	disown(owner);
	free(bytes);
}

/* A message whose content the disk changed is not given out. */
static void
scene_changed(void)
{
	struct queue_log *writer = history_open(world.disk);
	struct told *small = history_put(&world.history, writer, 500);
	struct told *big = history_put(&world.history, writer, 30000);
	struct ph_queue_content content = {.size = sizeof content};
	ph_pool *pool = ph_pool_new(0);
	struct told *both[] = {small, big};
	ph_error error;

	for (int i = 0; i < 2; i++) {
		char name[32];
		int fd;

		check(ops()->read(writer, both[i]->handle, pool, &content, &error) == PH_FOUND);
		snprintf(name, sizeof name, "/proc/self/fd/%d", content.fd);
		fd = open(name, O_RDWR | O_CLOEXEC);
		check(pwrite(fd, "#", 1, content.offset + 100) == 1);
		close(fd);
		close(content.fd);
		check(ops()->read(writer, both[i]->handle, pool, &content, &error) == PH_FAILED);
		check(strstr(error.text, "damaged") != NULL);
	}
	history_close(writer);
	ph_pool_free(pool);
}

/* ---- All ------------------------------------------------------------------------------------- */

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	world.lines++;
	snprintf(world.last, sizeof world.last, "%s", line);
}

static int
setup(void **state)
{
	world.disk = disk_new(false);
	history_init(&world.history, world.disk);
	return 0;
}

static int
teardown(void **state)
{
	history_clear(&world.history);
	disk_free(world.disk);
	return 0;
}

#define SCENE(name) \
	static void test_##name(void **state) \
	{ \
		scene_run(scene_##name); \
	}

SCENE(idle)
SCENE(reader)
SCENE(compaction)
SCENE(compaction_damage)
SCENE(checkpoint)
SCENE(buffers)
SCENE(remnants)
SCENE(changed)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_idle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reader, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_compaction_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_checkpoint, setup, teardown),
		cmocka_unit_test_setup_teardown(test_buffers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remnants, setup, teardown),
		cmocka_unit_test_setup_teardown(test_changed, setup, teardown),
	};

	logger_capture(capture, NULL);
	return cmocka_run_group_tests_name("queue_log_life", tests, NULL, NULL);
}
