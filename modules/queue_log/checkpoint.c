/*
 * The index on disk, so that an owner need not read every segment at its start: the file "index".
 *
 * It may be older than the segments in any way: it says how far each segment had been read, and
 * what is read after that is applied to it; records that it knows already change nothing. What it
 * says of a segment that is gone, or was compacted since, does not count.
 */
#include "owner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bytes.h"

#define CHECKPOINT_MAGIC UINT64_C(0x3158444e49514850) /* "PHQINDX1" */
#define LOG_BYTES 56
#define ENTRY_BYTES 64
#define NOTE_BYTES 12
#define YIELD_EVERY 8192 /* entries */

/* ---- Bytes ----------------------------------------------------------------------------------- */

struct output {
	unsigned char *bytes;
	size_t size, room;
	bool failed;
};

/* Room for size bytes at the end; NULL: no memory. */
static unsigned char *
output_add(struct output *output, size_t size)
{
	if (output->size + size > output->room) {
		size_t room = output->room * 2 + size + 65536;
		unsigned char *bytes = output->failed ? NULL : realloc(output->bytes, room);

		if (bytes == NULL) {
			output->failed = true;
			return NULL;
		}
		output->bytes = bytes;
		output->room = room;
	}
	output->size += size;
	memset(output->bytes + output->size - size, 0, size);
	return output->bytes + output->size - size;
}

struct input {
	const unsigned char *bytes;
	size_t size;
};

/* The next size bytes; NULL: there are not that many. */
static const unsigned char *
input_take(struct input *input, size_t size)
{
	const unsigned char *bytes = input->bytes;

	if (size > input->size)
		return NULL;
	input->bytes += size;
	input->size -= size;
	return bytes;
}

/* ---- Saving ---------------------------------------------------------------------------------- */

static void
save_log(struct output *output, const struct log *log)
{
	unsigned char *bytes = output_add(output, LOG_BYTES);

	if (bytes == NULL)
		return;
	put32(bytes, log->number);
	put32(bytes + 4, log->compactions);
	put64(bytes + 8, log->identity);
	put64(bytes + 16, log->scanned);
	put64(bytes + 24, log->abandoned_from);
	put64(bytes + 32, log->size);
	put64(bytes + 40, log->allocated);
	put32(bytes + 48, (log->sealed ? 1 : 0) | (log->pinned ? 2 : 0));
	put32(bytes + 52, (uint32_t)log->tomb_count);
	for (size_t i = 0; i < log->tomb_count; i++) {
		if ((bytes = output_add(output, 8)) == NULL)
			return;
		put32(bytes, log->tombs[i].number);
		put32(bytes + 4, log->tombs[i].count);
	}
}

static void
save_entry(const struct index *index, struct output *output, const struct entry *entry)
{
	unsigned char *bytes = output_add(output, ENTRY_BYTES);

	if (bytes == NULL)
		return;
	put64(bytes, entry->handle);
	put64(bytes + 8, (uint64_t)entry->arrival);
	put64(bytes + 16, entry->content_size);
	put32(bytes + 24, entry->envelope_size);
	put32(bytes + 28, entry->record_flags);
	put32(bytes + 32, entry->state & (ENTRY_PRESENT | ENTRY_REMOVED));
	put32(bytes + 36, entry->note_count);
	memcpy(bytes + 40, entry->id, sizeof entry->id);
	for (uint32_t at = entry->first_note; at != INDEX_NONE;) {
		const struct note *note = index_note(index, at);

		if ((bytes = output_add(output, NOTE_BYTES)) == NULL)
			return;
		put64(bytes, note->handle);
		put32(bytes + 8, note->size);
		at = note->next;
	}
}

/* The segments first: what happens to entries while the task gave way is read again from there. */
static void
save_state(struct owner *owner, struct output *output)
{
	unsigned char *bytes = output_add(output, 16);
	struct entry *entry;
	size_t count = 0;

	if (bytes == NULL)
		return;
	put64(bytes, CHECKPOINT_MAGIC);
	put32(bytes + 8, (uint32_t)owner->logs.count);
	for (size_t i = 0; i < owner->logs.count; i++)
		save_log(output, owner->logs.items[i]);
	for (uint32_t n = 0; (entry = index_next(&owner->index, &n)) != NULL;) {
		save_entry(&owner->index, output, entry);
		if (++count % YIELD_EVERY == 0)
			ph_yield();
	}
	if ((bytes = output_add(output, 4)) != NULL)
		put32(bytes, record_crc(0, output->bytes, output->size - 4));
}

struct checkpoint_job {
	const struct storage *storage;
	struct output output;
	int error;
};

static const char *
checkpoint_path(const struct storage *storage, const char *name, char path[FILE_PATH_ROOM])
{
	snprintf(path, FILE_PATH_ROOM, "%s/%s", storage->path, name);
	return path;
}

static void
checkpoint_write(void *argument)
{
	struct checkpoint_job *job = argument;
	const struct files *files = job->storage->files;
	char path[FILE_PATH_ROOM], final[FILE_PATH_ROOM];
	int fd;

	checkpoint_path(job->storage, "index.new", path);
	checkpoint_path(job->storage, "index", final);
	fd = files->open(files, path, O_WRONLY | O_CREAT);
	if (fd == -1) {
		job->error = errno;
		return;
	}
	if (files->truncate(files, fd, 0) == -1 ||
		file_put(files, fd, job->output.bytes, job->output.size, 0, false) == -1 ||
		files->fsync(files, fd) == -1 || files->rename(files, path, final) == -1 ||
		files->sync_directory(files, job->storage->path) == -1)
		job->error = errno;
	close(fd);
}

int
owner_checkpoint_save(struct owner *owner, ph_error *error)
{
	struct checkpoint_job job = {.storage = owner->storage};
	int result;

	owner->changed = false;
	save_state(owner, &job.output);
	if (job.output.failed)
		result = ph_error_set(error, "out of memory");
	else
		result = helper_call(owner->storage->helper, checkpoint_write, &job, error);
	if (result == 0 && job.error != 0)
		result = storage_error(owner->storage, error, "cannot write the index", job.error);
	if (result == -1)
		owner->changed = true;
	free(job.output.bytes);
	return result;
}

/* ---- Loading --------------------------------------------------------------------------------- */

struct load_job {
	const struct storage *storage;
	unsigned char *bytes;
	size_t size;
};

/* The whole file, if it is as it was written. */
static void
checkpoint_read(void *argument)
{
	struct load_job *job = argument;
	const struct files *files = job->storage->files;
	char path[FILE_PATH_ROOM];
	int fd = files->open(files, checkpoint_path(job->storage, "index", path), O_RDONLY);
	int64_t size;

	if (fd == -1)
		return;
	size = file_size(fd);
	if (size >= 20 && (job->bytes = malloc((size_t)size)) != NULL &&
		file_read_at(files, fd, job->bytes, (size_t)size, 0) == size &&
		get64(job->bytes) == CHECKPOINT_MAGIC &&
		get32(job->bytes + size - 4) == record_crc(0, job->bytes, (size_t)size - 4))
		job->size = (size_t)size - 4;
	close(fd);
}

/* A segment that is still what it was then. */
static struct log *
load_same(const struct owner *owner, uint32_t number, uint64_t identity, uint32_t compactions)
{
	struct log *log = logs_find(&owner->logs, number);

	return log != NULL && log->identity == identity && log->compactions == compactions ? log
											    : NULL;
}

static int
load_log(struct owner *owner, struct input *input)
{
	const unsigned char *bytes = input_take(input, LOG_BYTES), *tombs;
	struct log *log;
	uint32_t count;

	if (bytes == NULL)
		return -1;
	count = get32(bytes + 52);
	tombs = input_take(input, (size_t)count * 8);
	if (tombs == NULL)
		return -1;
	log = load_same(owner, get32(bytes), get64(bytes + 8), get32(bytes + 4));
	if (log == NULL)
		return 0;
	log->scanned = log->limit = get64(bytes + 16);
	log->abandoned_from = get64(bytes + 24);
	log->size = get64(bytes + 32);
	log->allocated = get64(bytes + 40);
	log->sealed = (get32(bytes + 48) & 1) != 0;
	log->pinned = (get32(bytes + 48) & 2) != 0;
	log->loaded = true;
	for (uint32_t i = 0; i < count; i++)
		if (log_add_tombs(log, get32(tombs + 8 * i), get32(tombs + 8 * i + 4)) == -1)
			return -1;
	return 0;
}

/* Removals in a segment that is read again count when they are read. Those that a segment needs
 * which is read again itself are needed whatever it holds. */
static void
load_tombs(struct owner *owner, struct log *log)
{
	size_t kept = 0;

	for (size_t i = 0; i < log->tomb_count; i++) {
		struct log *holder = logs_find(&owner->logs, log->tombs[i].number);

		if (holder == NULL || !holder->loaded)
			continue;
		for (uint32_t n = 0; n < log->tombs[i].count; n++)
			log_count(holder, RECORD_HEADER, true);
		log->tombs[kept++] = log->tombs[i];
	}
	log->tomb_count = kept;
}

static int
load_notes(struct owner *owner, struct entry *entry, const unsigned char *bytes, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++, bytes += NOTE_BYTES) {
		uint64_t handle = get64(bytes);
		struct log *log = logs_find(&owner->logs, HANDLE_NUMBER(handle));
		struct record record = {.envelope_size = get32(bytes + 8)};

		if (log == NULL || !log->loaded)
			continue;
		if (index_add_note(&owner->index, entry, handle, get32(bytes + 8)) == -1)
			return -1;
		log_count(log, record_size(&record), true);
	}
	return 0;
}

static int
load_entry(struct owner *owner, struct input *input)
{
	const unsigned char *bytes = input_take(input, ENTRY_BYTES), *notes;
	struct entry *entry;
	struct log *log;
	struct record record;

	if (bytes == NULL)
		return -1;
	notes = input_take(input, (size_t)get32(bytes + 36) * NOTE_BYTES);
	if (notes == NULL)
		return -1;
	log = logs_find(&owner->logs, HANDLE_NUMBER(get64(bytes)));
	if (log == NULL)
		return 0;
	entry = index_get(&owner->index, get64(bytes));
	if (entry == NULL)
		return -1;
	entry->state = get32(bytes + 32);
	if (!log->loaded)
		entry->state &= ~(uint32_t)ENTRY_PRESENT;
	if ((entry->state & ENTRY_PRESENT) != 0) {
		entry->arrival = (int64_t)get64(bytes + 8);
		entry->content_size = get64(bytes + 16);
		entry->envelope_size = get32(bytes + 24);
		entry->record_flags = get32(bytes + 28);
		entry->state |= ENTRY_COLD;
		memcpy(entry->id, bytes + 40, sizeof entry->id);
		record = (struct record){.flags = entry->record_flags,
			.content_size = entry->content_size,
			.envelope_size = entry->envelope_size};
		log_count(log, record_size(&record), true);
	}
	return load_notes(owner, entry, notes, get32(bytes + 36));
}

static int
load_state(struct owner *owner, struct input *input)
{
	const unsigned char *bytes = input_take(input, 16);
	uint32_t count = bytes == NULL ? 0 : get32(bytes + 8);

	for (uint32_t i = 0; i < count; i++)
		if (load_log(owner, input) == -1)
			return -1;
	for (size_t i = 0; i < owner->logs.count; i++)
		load_tombs(owner, owner->logs.items[i]);
	while (input->size > 0)
		if (load_entry(owner, input) == -1)
			return -1;
	return 0;
}

/* Without it, or with one that is no good, every segment is read. */
void
owner_checkpoint_load(struct owner *owner)
{
	struct load_job job = {.storage = owner->storage};
	struct input input;
	ph_error error;

	if (helper_call(owner->storage->helper, checkpoint_read, &job, &error) == 0 &&
		job.size > 0) {
		input = (struct input){job.bytes, job.size};
		if (load_state(owner, &input) == -1) {
			ph_log(PH_LOG_WARNING, "%s/index: cannot be used", owner->storage->path);
			index_clear(&owner->index);
			index_init(&owner->index);
			for (size_t i = 0; i < owner->logs.count; i++)
				log_forget(owner->logs.items[i]);
		}
	}
	free(job.bytes);
}
