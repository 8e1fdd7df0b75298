#include "history.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tests/unit/scene.h"

static const struct ph_queue_ops *
ops(void)
{
	return posthouse_module_queue_log.operations;
}

void
history_init(struct history *history, struct disk *disk)
{
	*history = (struct history){.disk = disk};
	history->messages = calloc(HISTORY_MAX, sizeof *history->messages);
}

void
history_clear(struct history *history)
{
	free(history->messages);
}

struct queue_log *
history_open(const struct disk *disk)
{
	struct queue_log *log = calloc(1, sizeof *log);
	ph_error error;

	*log = (struct queue_log){.path = "/sim/log", .corrupt_path = "/sim/corrupt",
		.segment_size = 64 << 10, .big_message_size = 8 << 10, .buffer_limit = 64 << 20,
		.spare_segments = 2, .verify = true};
	check(posthouse_module_queue_log.life->open(log, &error) == 0);
	log->storage->files = disk_files(disk);
	log->storage->grow_step = 16 << 10;
	log->storage->seal_after = 3600 * 1000;
	log->storage->compact_size = 8 << 10;
	log->storage->compact_age = 0;
	log->storage->orphan_age = 0;
	return log;
}

void
history_close(struct queue_log *log)
{
	posthouse_module_queue_log.life->stop(log);
	posthouse_module_queue_log.life->close(log);
	free(log);
}

/* ---- Content: a function of the message ------------------------------------------------------ */

static char *
body_make(unsigned number, size_t size)
{
	char *body = malloc(size + 1);

	for (size_t i = 0; i < size; i++)
		body[i] = (char)((i * 31 + number * 17 + i / 251) & 0xff);
	return body;
}

static void
head_make(const char *id, char head[64])
{
	snprintf(head, 64, "Received: by test id %s\r\n", id);
}

static void
envelope_make(unsigned number, char envelope[512])
{
	snprintf(envelope, 512, "envelope of %u: %0*u", number, (int)(number * 13 % 300) + 1,
		number);
}

static void
note_make(const char *id, unsigned number, char note[64])
{
	snprintf(note, 64, "note %u on %s", number, id);
}

/* ---- Doing ----------------------------------------------------------------------------------- */

struct told *
history_put(struct history *history, struct queue_log *log, size_t size)
{
	unsigned number = history->count++;
	struct told *told = history->messages + number;
	char head[64], *envelope = malloc(512), *body = body_make(number, size);
	ph_queue_writer *writer;
	ph_error error;
	int result;

	check(number < HISTORY_MAX);
	*told = (struct told){.size = size, .acknowledged = NEVER, .failed = NEVER,
		.remove_begun = NEVER, .remove_synced = NEVER};
	for (unsigned i = 0; i < HISTORY_NOTES; i++)
		told->note_begun[i] = told->note_synced[i] = NEVER;
	snprintf(told->id, sizeof told->id, "M%05u", number);
	head_make(told->id, head);
	envelope_make(number, envelope);
	told->begun = disk_mark(history->disk);
	result = ops()->begin(log, 0, &writer, &error);
	if (result == 0) {
		result = ops()->append(writer, (ph_span){body, size}, &error);
		if (result == -1)
			ops()->abort(writer);
		else
			result = ops()->commit(writer, told->id, ph_span_of(envelope),
				ph_span_of(head), 0, &told->handle, &error);
	}
	if (result == 0)
		told->acknowledged = disk_mark(history->disk);
	else
		told->failed = disk_mark(history->disk);
	free(envelope);
	free(body);
	return told;
}

static struct told *
told_find(const struct history *history, const char *id)
{
	for (unsigned i = 0; i < history->count; i++)
		if (strcmp(history->messages[i].id, id) == 0)
			return history->messages + i;
	return NULL;
}

int
history_claim(struct history *history, struct queue_log *owner)
{
	struct ph_queue_item *items = calloc(64, sizeof *items);
	int total = 0, count;
	ph_error error;

	while ((count = ops()->claim(owner, items, 64, 0, &error)) > 0) {
		for (int i = 0; i < count; i++) {
			struct told *told = told_find(history, items[i].id);

			check(told != NULL && told->handle == items[i].handle);
			told->claimed = true;
		}
		total += count;
	}
	free(items);
	return total;
}

int
history_note(struct history *history, struct queue_log *owner, struct told *told)
{
	char note[64];
	ph_error error;

	check(told->note_count < HISTORY_NOTES);
	note_make(told->id, told->note_count, note);
	told->note_begun[told->note_count++] = disk_mark(history->disk);
	return ops()->note(owner, told->handle, 1, ph_span_of(note), &error);
}

int
history_remove(struct history *history, struct queue_log *owner, struct told *told)
{
	ph_error error;

	told->remove_begun = disk_mark(history->disk);
	return ops()->remove(owner, told->handle, 1, &error);
}

int
history_sync(struct history *history, struct queue_log *owner)
{
	size_t asked = disk_mark(history->disk), position;
	ph_error error;

	if (ops()->sync(owner, &error) == -1)
		return -1;
	position = disk_mark(history->disk);
	for (unsigned i = 0; i < history->count; i++) {
		struct told *told = history->messages + i;

		if (told->remove_begun < asked && told->remove_synced == NEVER)
			told->remove_synced = position;
		for (unsigned n = 0; n < told->note_count; n++)
			if (told->note_begun[n] < asked && told->note_synced[n] == NEVER)
				told->note_synced[n] = position;
	}
	return 0;
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* Bytes that are handed out are right; those of a message that was never acknowledged need not be
 * handed out. */
static bool
content_right(struct queue_log *log, uint64_t handle, unsigned number, const struct told *told,
	size_t position)
{
	struct ph_queue_content content = {.size = sizeof content};
	ph_pool *pool = ph_pool_new(0);
	char head[64], *body = body_make(number, told->size), *bytes;
	size_t head_size, size;
	ph_error error;
	bool right = told->acknowledged >= position;

	head_make(told->id, head);
	head_size = strlen(head);
	size = head_size + told->size;
	bytes = malloc(size);
	if (ops()->read(log, handle, pool, &content, &error) == PH_FOUND) {
		right = content.length == (int64_t)size &&
			pread(content.fd, bytes, size, content.offset) == (ssize_t)size &&
			memcmp(bytes, head, head_size) == 0 &&
			memcmp(bytes + head_size, body, told->size) == 0;
		close(content.fd);
	}
	free(bytes);
	free(body);
	ph_pool_free(pool);
	return right;
}

static bool
notes_right(const struct told *told, const struct ph_queue_item *item, size_t position)
{
	char note[64];

	if (item->note_count > told->note_count)
		return false;
	for (unsigned i = 0; i < item->note_count; i++) {
		note_make(told->id, i, note);
		if (!ph_span_equal(item->notes[i], ph_span_of(note)))
			return false;
	}
	/* All that were synced are there. */
	return item->note_count == HISTORY_NOTES ||
		told->note_synced[item->note_count] == NEVER ||
		told->note_synced[item->note_count] >= position;
}

static void
item_check(const struct history *history, struct queue_log *log, const struct ph_queue_item *item,
	size_t position, unsigned char *seen, struct outcome *outcome)
{
	struct told *told = told_find(history, item->id);
	unsigned number;
	char *envelope;

	if (told == NULL || told->begun >= position) {
		outcome->strange++;
		return;
	}
	number = (unsigned)(told - history->messages);
	outcome->present++;
	outcome->doubled += seen[number]++ != 0;
	outcome->returned += told->remove_synced < position || told->failed < position;
	envelope = malloc(512);
	envelope_make(number, envelope);
	outcome->broken += !ph_span_equal(item->envelope, ph_span_of(envelope)) ||
		!content_right(log, item->handle, number, told, position);
	outcome->notes_wrong += !notes_right(told, item, position);
	free(envelope);
}

static void
outcome_of(const struct history *history, struct queue_log *log, size_t position,
	struct outcome *outcome)
{
	unsigned char *seen = calloc(HISTORY_MAX, 1);
	struct ph_queue_item *items = calloc(64, sizeof *items);
	ph_error error;
	int count;

	*outcome = (struct outcome){0};
	while ((count = ops()->claim(log, items, 64, 0, &error)) > 0)
		for (int i = 0; i < count; i++)
			item_check(history, log, items + i, position, seen, outcome);
	for (unsigned i = 0; i < history->count; i++) {
		const struct told *told = history->messages + i;

		if (told->acknowledged < position && told->remove_begun >= position && !seen[i])
			outcome->lost++;
	}
	outcome->corrupt = log->storage->corrupt_count;
	free(items);
	free(seen);
}

static void
more(unsigned *count, unsigned other)
{
	if (other > *count)
		*count = other;
}

struct outcome
history_check(const struct history *history, const struct disk *disk, size_t position, bool verify)
{
	struct queue_log *log = history_open(disk);
	struct outcome first, second;
	ph_error error;

	log->storage->verify = verify;
	check(ops()->own(log, &error) == 0);
	outcome_of(history, log, position, &first);
	/* Cleaning up loses nothing, and what the next owner finds is the same. */
	ops()->tend(log);
	check(ops()->disown(log, &error) == 0);
	history_close(log);
	log = history_open(disk);
	check(ops()->own(log, &error) == 0);
	outcome_of(history, log, position, &second);
	check(ops()->disown(log, &error) == 0);
	history_close(log);
	/* A message that was refused on a disk that never worked again may be there once: what was
	 * read of it from memory need not be on the disk. */
	if (second.present - second.returned != first.present - first.returned)
		first.strange++;
	more(&first.lost, second.lost);
	more(&first.broken, second.broken);
	more(&first.notes_wrong, second.notes_wrong);
	more(&first.doubled, second.doubled);
	more(&first.returned, second.returned);
	return first;
}

bool
outcome_good(const struct outcome *outcome)
{
	return outcome->lost == 0 && outcome->doubled == 0 && outcome->returned == 0 &&
		outcome->broken == 0 && outcome->strange == 0 && outcome->notes_wrong == 0;
}
