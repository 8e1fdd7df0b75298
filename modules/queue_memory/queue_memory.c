/*
 * queue_memory: a queue storage in a memory file system. It syncs nothing: a reboot, a crash of the
 * machine, a power cut LOSE ALL MAIL that is in it. Processes may die as they like.
 *
 * A message is a file, HANDLE.msg: a hole, the head that came last, the content, the envelope, and
 * a trailer that says where they are. Its notes are in HANDLE.notes. While it is written its name
 * is HANDLE.tmp. Handles grow with time.
 */
#include "queue_memory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <posthouse/log.h>
#include <posthouse/queue.h>
#include <posthouse/task.h>

#include "known.h"

#define CONTENT_AT (16 << 20) /* the head goes before it; a hole takes no room */
#define HINTS 30              /* handles that a hint tells of */
#define WRITERS 64            /* whose hints the owner keeps count of */
#define OWN_RETRY 50          /* milliseconds */
#define NOTES_MAX (64 << 20)

struct memory {
	char path[256];
	int folder;               /* a descriptor; -1 */
	int lock;                 /* of the owner; -1 */
	uint64_t last_handle;
	uint64_t identity;        /* of this writer, random */
	uint64_t recent[HINTS];   /* a ring of what this process committed */
	uint64_t recent_count;
	struct known known;
	struct {
		uint64_t identity, count;
	} writers[WRITERS];       /* what the owner heard of each, the newest last */
	bool gap;                 /* more was committed than the hints told of: look for it */
	ph_pool *pool;            /* of the last claim */
};

/* At the end of a message's file. */
struct trailer {
	uint64_t magic;
	uint64_t envelope_size;
	uint64_t content_size;
	uint64_t content_at;
	int64_t arrival;
	uint32_t flags;
	uint32_t reserved;
	char id[PH_QUEUE_ID_SIZE];
};
#define TRAILER_MAGIC UINT64_C(0x3159524f4d454d51)

struct ph_queue_writer {
	struct memory *memory;
	int fd;
	uint64_t handle;
	uint64_t size;
	bool failed;
};

static struct memory *
memory_of(void *self)
{
	return ((struct queue_memory *)self)->memory;
}

static int
memory_error(const struct memory *memory, ph_error *error, const char *what)
{
	return ph_error_set(error, "%s: %s: %s", memory->path, what, strerror(errno));
}

static const char *
file_name(uint64_t handle, const char *suffix, char name[32])
{
	snprintf(name, 32, "%016llx.%s", (unsigned long long)handle, suffix);
	return name;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static const struct ph_param params[] = {
	{"queue_memory_path", PH_PATH, PH_PER_SECTION, offsetof(struct queue_memory, path), "", 0, 0,
		NULL,
		"A folder in a memory file system; empty: one in /dev/shm for this queue_directory."},
};

static int
memory_open(void *self, ph_error *error)
{
	struct queue_memory *queue = self;
	const char *directory = ph_global("queue_directory");
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	struct memory *memory = calloc(1, sizeof *memory);

	if (memory == NULL)
		return ph_error_set(error, "out of memory");
	memory->folder = memory->lock = -1;
	if (getrandom(&memory->identity, sizeof memory->identity, 0) != sizeof memory->identity) {
		free(memory);
		return ph_error_set(error, "no random number");
	}
	for (; *directory != '\0'; directory++)
		hash = (hash ^ (unsigned char)*directory) * UINT64_C(0x100000001b3);
	if (queue->path[0] == '\0')
		snprintf(memory->path, sizeof memory->path, "/dev/shm/posthouse-%016llx",
			(unsigned long long)hash);
	else if (snprintf(memory->path, sizeof memory->path, "%s", queue->path) >=
		(int)sizeof memory->path) {
		free(memory);
		return ph_error_set(error, "queue_memory_path is too long");
	}
	queue->memory = memory;
	return 0;
}

/* The folder, which must be ours alone: /dev/shm is everybody's. */
static int
memory_ready(struct memory *memory, ph_error *error)
{
	struct stat status;

	if (memory->folder != -1)
		return 0;
	if (mkdir(memory->path, 0700) == -1 && errno != EEXIST)
		return memory_error(memory, error, "cannot make the folder");
	memory->folder = open(memory->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (memory->folder == -1)
		return memory_error(memory, error, "cannot open the folder");
	if (fstat(memory->folder, &status) == 0 && status.st_uid == geteuid() &&
		(status.st_mode & 077) == 0)
		return 0;
	close(memory->folder);
	memory->folder = -1;
	return ph_error_set(error, "%s: belongs to another user or others may enter it",
		memory->path);
}

static void
memory_stop(void *self)
{
	struct memory *memory = memory_of(self);

	if (memory->folder != -1)
		close(memory->folder);
	if (memory->lock != -1)
		close(memory->lock);
	memory->folder = memory->lock = -1;
	known_clear(&memory->known);
	ph_pool_free(memory->pool);
	memory->pool = NULL;
}

static void
memory_close(void *self)
{
	struct queue_memory *queue = self;

	free(queue->memory);
	queue->memory = NULL;
}

/* An OFD lock on the first byte. 0 or -1. */
static int
file_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

	return fcntl(fd, F_OFD_SETLK, &lock);
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int
queue_begin(void *self, int64_t expected, ph_queue_writer **writer, ph_error *error)
{
	struct memory *memory = memory_of(self);
	ph_queue_writer *fresh;
	char name[32];

	if (memory_ready(memory, error) == -1)
		return -1;
	if ((fresh = calloc(1, sizeof *fresh)) == NULL)
		return ph_error_set(error, "out of memory");
	fresh->memory = memory;
	fresh->handle = (uint64_t)ph_wall_clock() << 8;
	if (fresh->handle <= memory->last_handle)
		fresh->handle = memory->last_handle + 1;
	do
		fresh->fd = openat(memory->folder, file_name(fresh->handle++, "tmp", name),
			O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	while (fresh->fd == -1 && errno == EEXIST);
	memory->last_handle = --fresh->handle;
	if (fresh->fd == -1 || file_lock(fresh->fd) == -1) {
		if (fresh->fd != -1)
			close(fresh->fd);
		free(fresh);
		return memory_error(memory, error, "cannot make a file");
	}
	*writer = fresh;
	return 0;
}

static int
write_all(int fd, ph_span bytes, int64_t at)
{
	while (bytes.size > 0) {
		ssize_t n = pwrite(fd, bytes.data, bytes.size, at);

		if (n == -1 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes.data += n;
		bytes.size -= (size_t)n;
		at += n;
	}
	return 0;
}

static int
queue_append(ph_queue_writer *writer, ph_span bytes, ph_error *error)
{
	if (!writer->failed &&
		write_all(writer->fd, bytes, CONTENT_AT + (int64_t)writer->size) == 0) {
		writer->size += bytes.size;
		return 0;
	}
	writer->failed = true;
	return memory_error(writer->memory, error, "cannot write");
}

static void
queue_abort(ph_queue_writer *writer)
{
	char name[32];

	if (writer == NULL)
		return;
	unlinkat(writer->memory->folder, file_name(writer->handle, "tmp", name), 0);
	close(writer->fd);
	free(writer);
}

static int
message_finish(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head,
	uint32_t flags)
{
	struct trailer trailer = {.magic = TRAILER_MAGIC, .envelope_size = envelope.size,
		.content_size = head.size + writer->size, .content_at = CONTENT_AT - head.size,
		.arrival = ph_wall_clock(), .flags = flags};
	int64_t end = CONTENT_AT + (int64_t)writer->size;
	int folder = writer->memory->folder, result;
	char from[32], to[32];

	if (head.size > CONTENT_AT || strlen(id) >= sizeof trailer.id) {
		errno = EMSGSIZE;
		return -1;
	}
	memcpy(trailer.id, id, strlen(id));
	if (write_all(writer->fd, head, (int64_t)trailer.content_at) == -1 ||
		write_all(writer->fd, envelope, end) == -1 ||
		write_all(writer->fd, (ph_span){(const char *)&trailer, sizeof trailer},
			end + (int64_t)envelope.size) == -1)
		return -1;
	/* Another process may have had the same moment: a link replaces nothing. */
	file_name(writer->handle, "tmp", from);
	do
		result = linkat(folder, from, folder, file_name(writer->handle++, "msg", to), 0);
	while (result == -1 && errno == EEXIST);
	writer->handle--;
	unlinkat(folder, from, 0);
	return result;
}

static int
queue_commit(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head,
	uint32_t flags, uint64_t *handle, ph_error *error)
{
	struct memory *memory = writer->memory;

	if (writer->failed || message_finish(writer, id, envelope, head, flags) == -1) {
		memory_error(memory, error, "cannot write");
		queue_abort(writer);
		return -1;
	}
	memory->recent[memory->recent_count++ % HINTS] = writer->handle;
	if (handle != NULL)
		*handle = writer->handle;
	close(writer->fd);
	free(writer);
	return 0;
}

static int64_t
queue_free_space(void *self)
{
	struct memory *memory = memory_of(self);
	struct statvfs status;
	ph_error error;

	if (memory_ready(memory, &error) == -1 || fstatvfs(memory->folder, &status) == -1)
		return 0;
	return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

static size_t
queue_hint(void *self, void *hint, size_t max)
{
	const struct memory *memory = memory_of(self);
	size_t count = memory->recent_count < HINTS ? (size_t)memory->recent_count : HINTS;
	uint64_t words[2 + HINTS] = {memory->identity, memory->recent_count};

	if (count == 0 || max < 3 * sizeof words[0])
		return 0;
	if (count > max / sizeof words[0] - 2)
		count = max / sizeof words[0] - 2;
	for (size_t i = 0; i < count; i++)
		words[2 + i] = memory->recent[(memory->recent_count - count + i) % HINTS];
	memcpy(hint, words, (2 + count) * sizeof words[0]);
	return (2 + count) * sizeof words[0];
}

/* ---- Owning ---------------------------------------------------------------------------------- */

static bool
message_exists(const struct memory *memory, uint64_t handle)
{
	char name[32];

	return faccessat(memory->folder, file_name(handle, "msg", name), F_OK, 0) == 0;
}

/* How many messages of a writer the owner heard of before; remembers how many now. */
static uint64_t
writer_heard(struct memory *memory, uint64_t identity, uint64_t count)
{
	size_t i = 0;
	uint64_t before;

	while (i < WRITERS && memory->writers[i].identity != identity)
		i++;
	before = i < WRITERS ? memory->writers[i].count : 0;
	i = i < WRITERS ? i : 0;
	for (; i < WRITERS - 1; i++)
		memory->writers[i] = memory->writers[i + 1];
	memory->writers[WRITERS - 1].identity = identity;
	memory->writers[WRITERS - 1].count = count;
	return before;
}

static void
queue_hinted(void *self, ph_span hint)
{
	struct memory *memory = memory_of(self);
	uint64_t words[2 + HINTS];
	size_t count = hint.size / sizeof words[0];

	if (memory->lock == -1 || count < 3 || count > 2 + HINTS)
		return;
	memcpy(words, hint.data, count * sizeof words[0]);
	for (size_t i = 2; i < count; i++)
		if (words[i] != 0 && message_exists(memory, words[i]))
			known_add(&memory->known, words[i]);
	if (words[1] - writer_heard(memory, words[0], words[1]) > count - 2)
		memory->gap = true;
}

/* What a writer left that died. */
static void
remnant_remove(const struct memory *memory, const char *name)
{
	int fd = openat(memory->folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return;
	if (file_lock(fd) == 0)
		unlinkat(memory->folder, name, 0);
	close(fd);
}

/* Finds what no hint told of. */
static int
memory_list(struct memory *memory, bool remnants, ph_error *error)
{
	int fd = openat(memory->folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd == -1 ? NULL : fdopendir(fd);
	struct dirent *entry;
	int result = 0;

	if (directory == NULL) {
		if (fd != -1)
			close(fd);
		return memory_error(memory, error, "cannot list");
	}
	while ((entry = readdir(directory)) != NULL) {
		char *end;
		uint64_t handle = strtoull(entry->d_name, &end, 16);

		if (end != entry->d_name + 16 || handle == 0)
			continue;
		if (strcmp(end, ".msg") == 0 && known_add(&memory->known, handle) == -1)
			result = ph_error_set(error, "out of memory");
		if (strcmp(end, ".tmp") == 0 && remnants)
			remnant_remove(memory, entry->d_name);
	}
	closedir(directory);
	memory->gap = false;
	known_sort(&memory->known);
	return result;
}

static int
queue_own(void *self, ph_error *error)
{
	struct memory *memory = memory_of(self);

	if (memory_ready(memory, error) == -1)
		return -1;
	if (memory->lock != -1)
		return ph_error_set(error, "%s: owned already", memory->path);
	memory->lock = openat(memory->folder, "owner.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (memory->lock == -1)
		return memory_error(memory, error, "cannot open owner.lock");
	while (file_lock(memory->lock) == -1) {
		if (ph_sleep(ph_in(OWN_RETRY)) != PH_WAIT_CANCELLED)
			continue;
		close(memory->lock);
		memory->lock = -1;
		return ph_error_set(error, "cancelled");
	}
	if (memory->pool == NULL && (memory->pool = ph_pool_new(0)) == NULL)
		return ph_error_set(error, "out of memory");
	return memory_list(memory, true, error);
}

static int
queue_disown(void *self, ph_error *error)
{
	struct memory *memory = memory_of(self);

	if (memory->lock != -1)
		close(memory->lock);
	memory->lock = -1;
	known_clear(&memory->known);
	return 0;
}

/* Opens a message and reads its trailer. A descriptor; -1 with errno. */
static int
message_open(const struct memory *memory, uint64_t handle, struct trailer *trailer)
{
	char name[32];
	struct stat status;
	int fd = openat(memory->folder, file_name(handle, "msg", name),
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return -1;
	if (fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof *trailer &&
		pread(fd, trailer, sizeof *trailer, status.st_size - (off_t)sizeof *trailer) ==
			sizeof *trailer &&
		trailer->magic == TRAILER_MAGIC &&
		trailer->content_at + trailer->content_size + trailer->envelope_size +
				sizeof *trailer ==
			(uint64_t)status.st_size)
		return fd;
	close(fd);
	errno = EBADMSG;
	return -1;
}

static int
message_envelope(int fd, const struct trailer *trailer, ph_pool *pool, ph_span *envelope)
{
	size_t size = (size_t)trailer->envelope_size;
	char *bytes = ph_pool_alloc(pool, size + 1);

	if (bytes == NULL ||
		pread(fd, bytes, size, (off_t)(trailer->content_at + trailer->content_size)) !=
			(ssize_t)size)
		return -1;
	*envelope = (ph_span){bytes, size};
	return 0;
}

/* The notes of a message: each has its size before it. */
static int
message_notes(struct memory *memory, uint64_t handle, struct ph_queue_item *item)
{
	char name[32], *bytes;
	struct stat status;
	ph_span *notes;
	uint32_t size;
	size_t at = 0, all, count = 0;
	int fd = openat(memory->folder, file_name(handle, "notes", name),
		O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd == -1)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &status) == -1 || status.st_size > NOTES_MAX) {
		close(fd);
		return -1;
	}
	all = (size_t)status.st_size;
	bytes = ph_pool_alloc(memory->pool, all + 1);
	notes = ph_pool_array(memory->pool, all / sizeof size + 1, sizeof *notes);
	if (bytes == NULL || notes == NULL || pread(fd, bytes, all, 0) != (ssize_t)all) {
		close(fd);
		return -1;
	}
	close(fd);
	while (at + sizeof size <= all) {
		memcpy(&size, bytes + at, sizeof size);
		at += sizeof size;
		if (size > all - at)
			break; /* the process died in the middle of it */
		notes[count++] = (ph_span){bytes + at, size};
		at += size;
	}
	item->notes = count == 0 ? NULL : notes;
	item->note_count = (uint32_t)count;
	return 0;
}

static int
claim_one(struct memory *memory, uint64_t handle, struct ph_queue_item *item)
{
	struct trailer trailer;
	int fd = message_open(memory, handle, &trailer), result;

	if (fd == -1)
		return -1;
	*item = (struct ph_queue_item){.handle = handle, .token = 1, .arrival = trailer.arrival,
		.content_size = (int64_t)trailer.content_size, .flags = trailer.flags};
	memcpy(item->id, trailer.id, sizeof item->id);
	item->id[sizeof item->id - 1] = '\0';
	result = message_envelope(fd, &trailer, memory->pool, &item->envelope);
	close(fd);
	return result == 0 ? message_notes(memory, handle, item) : -1;
}

static int
queue_claim(void *self, struct ph_queue_item *items, size_t max, int64_t lease, ph_error *error)
{
	struct memory *memory = memory_of(self);
	size_t count = 0;
	uint64_t handle;
	char hint[(2 + HINTS) * sizeof handle];

	if (memory->lock == -1)
		return ph_error_set(error, "%s: not owned by this process", memory->path);
	ph_pool_reset(memory->pool);
	queue_hinted(self, (ph_span){hint, queue_hint(self, hint, sizeof hint)});
	if (memory->gap && memory_list(memory, false, error) == -1)
		return -1;
	while (count < max && known_next(&memory->known, &handle)) {
		if (claim_one(memory, handle, items + count) == 0)
			count++;
		else
			ph_log(PH_LOG_ERROR, "%s/%016llx.msg: cannot be read: %s", memory->path,
				(unsigned long long)handle, strerror(errno));
	}
	return (int)count;
}

static int
queue_note(void *self, uint64_t handle, uint64_t token, ph_span note, ph_error *error)
{
	struct memory *memory = memory_of(self);
	uint32_t size = (uint32_t)note.size;
	struct iovec parts[2] = {{&size, sizeof size}, {(void *)(uintptr_t)note.data, note.size}};
	char name[32];
	int fd = openat(memory->folder, file_name(handle, "notes", name),
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat status;

	if (fd == -1 || fstat(fd, &status) == -1 || note.size > NOTES_MAX) {
		if (fd != -1)
			close(fd);
		return memory_error(memory, error, "cannot note");
	}
	if (writev(fd, parts, note.size == 0 ? 1 : 2) != (ssize_t)(sizeof size + note.size)) {
		memory_error(memory, error, "cannot note");
		/* Nothing of half a note. */
		if (ftruncate(fd, status.st_size) == -1)
			ph_log(PH_LOG_ERROR, "%s: half a note stays", memory->path);
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int
queue_remove(void *self, uint64_t handle, uint64_t token, ph_error *error)
{
	struct memory *memory = memory_of(self);
	char name[32];

	if (unlinkat(memory->folder, file_name(handle, "msg", name), 0) == -1 && errno != ENOENT)
		return memory_error(memory, error, "cannot remove");
	unlinkat(memory->folder, file_name(handle, "notes", name), 0);
	known_remove(&memory->known, handle);
	return 0;
}

static int
queue_sync(void *self, ph_error *error)
{
	return 0;
}

static int
queue_renew(void *self, uint64_t handle, uint64_t *token, int64_t lease, ph_error *error)
{
	return 0;
}

static void
queue_tend(void *self)
{
	struct memory *memory = memory_of(self);
	ph_error error;

	if (memory->lock != -1 && memory_list(memory, false, &error) == -1)
		ph_log(PH_LOG_WARNING, "%s", error.text);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static ph_found
queue_read(void *self, uint64_t handle, ph_pool *pool, struct ph_queue_content *content,
	ph_error *error)
{
	struct memory *memory = memory_of(self);
	struct trailer trailer;
	uint32_t size = content->size;
	ph_span envelope;
	int fd;

	if (memory_ready(memory, error) == -1)
		return PH_FAILED;
	fd = message_open(memory, handle, &trailer);
	if (fd == -1 && errno == ENOENT)
		return PH_NOT_FOUND;
	if (fd == -1 || message_envelope(fd, &trailer, pool, &envelope) == -1) {
		memory_error(memory, error, "cannot read a message");
		if (fd != -1)
			close(fd);
		return PH_FAILED;
	}
	*content = (struct ph_queue_content){.size = size, .flags = trailer.flags, .fd = fd,
		.offset = (int64_t)trailer.content_at, .length = (int64_t)trailer.content_size,
		.arrival = trailer.arrival, .envelope = envelope};
	memcpy(content->id, trailer.id, sizeof content->id);
	content->id[sizeof content->id - 1] = '\0';
	return PH_FOUND;
}

PH_MODULE(queue_memory, "1.0", "a queue in memory: a reboot loses all mail in it",
	PH_QUEUE(.begin = queue_begin, .append = queue_append, .commit = queue_commit,
		.abort = queue_abort, .free_space = queue_free_space, .hint = queue_hint,
		.own = queue_own, .claim = queue_claim, .hinted = queue_hinted, .note = queue_note,
		.remove = queue_remove, .sync = queue_sync, .renew = queue_renew,
		.tend = queue_tend, .disown = queue_disown, .read = queue_read),
	PH_INSTANCE(struct queue_memory, params),
	PH_LIFE(.open = memory_open, .stop = memory_stop, .close = memory_close));
