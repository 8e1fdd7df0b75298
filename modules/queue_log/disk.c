#include "disk_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- State ----------------------------------------------------------------------------------- */

static struct disk *
disk_of(const struct files *files)
{
	return files->disk;
}

struct entry *
disk_entry(const struct disk *disk, const char *path)
{
	for (size_t i = 0; i < disk->entry_count; i++)
		if (strcmp(disk->entries[i].path, path) == 0)
			return disk->entries + i;
	return NULL;
}

void
disk_entry_remove(struct disk *disk, struct entry *entry)
{
	free(entry->path);
	*entry = disk->entries[--disk->entry_count];
}

void
disk_entry_set(struct disk *disk, const char *path, int inode)
{
	struct entry *entry = disk_entry(disk, path);

	if (entry != NULL) {
		entry->inode = inode;
		return;
	}
	disk->entries = realloc(disk->entries, (disk->entry_count + 1) * sizeof *disk->entries);
	disk->entries[disk->entry_count++] = (struct entry){strdup(path), inode};
}

int
disk_inode_new(struct disk *disk)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	if (fd == -1)
		abort();
	disk->inodes = realloc(disk->inodes, (disk->inode_count + 1) * sizeof *disk->inodes);
	disk->inodes[disk->inode_count] = fd;
	return (int)disk->inode_count++;
}

static int
inode_of(const struct disk *disk, int fd)
{
	struct stat wanted, status;

	fstat(fd, &wanted);
	for (size_t i = disk->inode_count; i-- > 0;)
		if (fstat(disk->inodes[i], &status) == 0 && status.st_ino == wanted.st_ino)
			return (int)i;
	abort();
}

static struct operation *
journal_add(struct disk *disk, enum operation_kind kind)
{
	if (disk->count == disk->room) {
		disk->room = disk->room * 2 + 256;
		disk->operations = realloc(disk->operations,
			disk->room * sizeof *disk->operations);
	}
	disk->operations[disk->count] = (struct operation){.kind = kind, .inode = -1};
	return disk->operations + disk->count++;
}

/* Does this operation fail? Sets errno. */
static bool
disk_fails(struct disk *disk)
{
	size_t number = disk->failable++;

	if (disk->fail_count == 0 || number < disk->fail_from ||
		number - disk->fail_from >= disk->fail_count)
		return false;
	errno = disk->fail_error;
	return true;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static int
sim_open_locked(struct disk *disk, const char *path, int flags)
{
	struct entry *entry = disk_entry(disk, path);
	char name[64];
	int inode;

	if (entry != NULL && (flags & O_EXCL) != 0) {
		errno = EEXIST;
		return -1;
	}
	if (entry == NULL && (flags & O_CREAT) == 0) {
		errno = ENOENT;
		return -1;
	}
	if (entry == NULL) {
		if (disk_fails(disk))
			return -1;
		inode = disk_inode_new(disk);
		disk_entry_set(disk, path, inode);
		if (disk->journal) {
			struct operation *operation = journal_add(disk, OP_CREATE);

			operation->inode = inode;
			operation->path = strdup(path);
		}
	} else {
		inode = entry->inode;
	}
	snprintf(name, sizeof name, "/proc/self/fd/%d", disk->inodes[inode]);
	return open(name, (flags & O_ACCMODE) | O_CLOEXEC);
}

static int
sim_open(const struct files *files, const char *path, int flags)
{
	struct disk *disk = disk_of(files);
	int fd;

	pthread_mutex_lock(&disk->mutex);
	fd = sim_open_locked(disk, path, flags);
	pthread_mutex_unlock(&disk->mutex);
	return fd;
}

static ssize_t
sim_pread(const struct files *files, int fd, void *buffer, size_t size, int64_t offset)
{
	return pread(fd, buffer, size, offset);
}

static bool
all_zero(const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (data[i] != 0)
			return false;
	return true;
}

static void
journal_write(struct disk *disk, int fd, const struct iovec *parts, int count, int64_t offset,
	bool durable, bool failed)
{
	struct operation *operation = journal_add(disk, OP_WRITE);
	size_t size = 0, at = 0;

	for (int i = 0; i < count; i++)
		size += parts[i].iov_len;
	operation->inode = inode_of(disk, fd);
	operation->offset = offset;
	operation->size = size;
	operation->durable = durable;
	operation->failed = failed;
	operation->data = malloc(size + 1);
	for (int i = 0; i < count; at += parts[i++].iov_len)
		memcpy(operation->data + at, parts[i].iov_base, parts[i].iov_len);
	if (all_zero(operation->data, size)) {
		free(operation->data);
		operation->data = NULL;
	}
}

static ssize_t
sim_pwritev(const struct files *files, int fd, const struct iovec *parts, int count, int64_t offset,
	bool durable)
{
	struct disk *disk = disk_of(files);
	bool failed;
	int error;
	ssize_t n;

	if (durable && disk->no_dsync) {
		errno = EOPNOTSUPP;
		return -1;
	}
	pthread_mutex_lock(&disk->mutex);
	/* Short writes happen: parts come one after the other now and then. */
	if (count > 2 && disk->failable % 7 == 3)
		count = 2;
	failed = disk_fails(disk);
	error = errno;
	n = pwritev(fd, parts, count, offset);
	if (disk->journal)
		journal_write(disk, fd, parts, count, offset, durable && !failed, failed);
	pthread_mutex_unlock(&disk->mutex);
	errno = error;
	return failed ? -1 : n;
}

static int
sim_sync(const struct files *files, int fd)
{
	struct disk *disk = disk_of(files);
	bool failed;

	pthread_mutex_lock(&disk->mutex);
	failed = disk_fails(disk);
	if (disk->journal) {
		int error = errno;
		struct operation *operation = journal_add(disk, OP_SYNC);

		operation->inode = inode_of(disk, fd);
		operation->failed = failed;
		errno = error;
	}
	pthread_mutex_unlock(&disk->mutex);
	return failed ? -1 : 0;
}

static int
sim_resize(struct disk *disk, int fd, int64_t size, enum operation_kind kind)
{
	int result = -1;

	pthread_mutex_lock(&disk->mutex);
	if (!disk_fails(disk)) {
		result = kind == OP_TRUNCATE || size > file_size(fd) ? ftruncate(fd, size) : 0;
		if (disk->journal) {
			struct operation *operation = journal_add(disk, kind);

			operation->inode = inode_of(disk, fd);
			operation->offset = size;
		}
	}
	pthread_mutex_unlock(&disk->mutex);
	return result;
}

static int
sim_fallocate(const struct files *files, int fd, int64_t offset, int64_t size)
{
	return sim_resize(disk_of(files), fd, offset + size, OP_ALLOCATE);
}

static int
sim_truncate(const struct files *files, int fd, int64_t size)
{
	return sim_resize(disk_of(files), fd, size, OP_TRUNCATE);
}

static int
sim_rename(const struct files *files, const char *from, const char *to)
{
	struct disk *disk = disk_of(files);
	struct entry *entry;
	int result = -1;

	pthread_mutex_lock(&disk->mutex);
	entry = disk_entry(disk, from);
	if (entry == NULL) {
		errno = ENOENT;
	} else if (!disk_fails(disk)) {
		int inode = entry->inode;

		disk_entry_remove(disk, entry);
		disk_entry_set(disk, to, inode);
		result = 0;
		if (disk->journal) {
			struct operation *operation = journal_add(disk, OP_RENAME);

			operation->path = strdup(from);
			operation->to = strdup(to);
		}
	}
	pthread_mutex_unlock(&disk->mutex);
	return result;
}

static int
sim_unlink(const struct files *files, const char *path)
{
	struct disk *disk = disk_of(files);
	struct entry *entry;
	int result = -1;

	pthread_mutex_lock(&disk->mutex);
	entry = disk_entry(disk, path);
	if (entry == NULL) {
		errno = ENOENT;
	} else if (!disk_fails(disk)) {
		disk_entry_remove(disk, entry);
		result = 0;
		if (disk->journal)
			journal_add(disk, OP_UNLINK)->path = strdup(path);
	}
	pthread_mutex_unlock(&disk->mutex);
	return result;
}

static int
sim_mkdir(const struct files *files, const char *path)
{
	return 0;
}

static int
sim_sync_directory(const struct files *files, const char *path)
{
	struct disk *disk = disk_of(files);
	bool failed;

	pthread_mutex_lock(&disk->mutex);
	failed = disk_fails(disk);
	if (disk->journal) {
		int error = errno;

		journal_add(disk, OP_SYNC_FOLDER)->failed = failed;
		errno = error;
	}
	pthread_mutex_unlock(&disk->mutex);
	return failed ? -1 : 0;
}

static int
sim_list(const struct files *files, const char *path,
	void (*fn)(void *context, const char *name), void *context)
{
	struct disk *disk = disk_of(files);
	size_t size = strlen(path), count = 0;
	char **names;

	/* fn may open files: the names are taken first. */
	pthread_mutex_lock(&disk->mutex);
	names = calloc(disk->entry_count + 1, sizeof *names);
	for (size_t i = 0; i < disk->entry_count; i++)
		if (strncmp(disk->entries[i].path, path, size) == 0 &&
			disk->entries[i].path[size] == '/')
			names[count++] = strdup(disk->entries[i].path + size + 1);
	pthread_mutex_unlock(&disk->mutex);
	for (size_t i = 0; i < count; i++) {
		fn(context, names[i]);
		free(names[i]);
	}
	free(names);
	return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct disk *
disk_new(bool journal)
{
	struct disk *disk = calloc(1, sizeof *disk);

	disk->journal = journal;
	pthread_mutex_init(&disk->mutex, NULL);
	disk->files = (struct files){
		.open = sim_open,
		.pread = sim_pread,
		.pwritev = sim_pwritev,
		.fsync = sim_sync,
		.fdatasync = sim_sync,
		.fallocate = sim_fallocate,
		.truncate = sim_truncate,
		.rename = sim_rename,
		.unlink = sim_unlink,
		.mkdir = sim_mkdir,
		.sync_directory = sim_sync_directory,
		.list = sim_list,
		.disk = disk,
	};
	return disk;
}

void
disk_free(struct disk *disk)
{
	for (size_t i = 0; i < disk->inode_count; i++)
		close(disk->inodes[i]);
	for (size_t i = 0; i < disk->entry_count; i++)
		free(disk->entries[i].path);
	for (size_t i = 0; i < disk->count; i++) {
		free(disk->operations[i].data);
		free(disk->operations[i].path);
		free(disk->operations[i].to);
	}
	free(disk->inodes);
	free(disk->entries);
	free(disk->operations);
	pthread_mutex_destroy(&disk->mutex);
	free(disk);
}

const struct files *
disk_files(const struct disk *disk)
{
	return &disk->files;
}

size_t
disk_mark(struct disk *disk)
{
	size_t position;

	pthread_mutex_lock(&disk->mutex);
	position = disk->count;
	journal_add(disk, OP_MARK);
	pthread_mutex_unlock(&disk->mutex);
	return position;
}

size_t
disk_operations(const struct disk *disk)
{
	return disk->count;
}

size_t
disk_failable(const struct disk *disk)
{
	return disk->failable;
}

void
disk_fail(struct disk *disk, size_t from, size_t count, int error)
{
	pthread_mutex_lock(&disk->mutex);
	disk->fail_from = from;
	disk->fail_count = count;
	disk->fail_error = error;
	pthread_mutex_unlock(&disk->mutex);
}

void
disk_without_dsync(struct disk *disk)
{
	disk->no_dsync = true;
}

void
disk_each(const struct disk *disk, const char *suffix,
	void (*fn)(void *context, const char *path, int fd, int64_t size), void *context)
{
	for (size_t i = 0; i < disk->entry_count; i++) {
		const char *path = disk->entries[i].path;
		size_t size = strlen(path), end = strlen(suffix);

		if (size >= end && strcmp(path + size - end, suffix) == 0)
			fn(context, path, disk->inodes[disk->entries[i].inode],
				file_size(disk->inodes[disk->entries[i].inode]));
	}
}

static void
inode_copy(int from, int to)
{
	int64_t size = file_size(from);
	char *bytes = malloc((size_t)size + 1);

	if (pread(from, bytes, (size_t)size, 0) != size ||
		pwrite(to, bytes, (size_t)size, 0) != size)
		abort();
	free(bytes);
}

struct disk *
disk_copy(const struct disk *disk)
{
	struct disk *copy = disk_new(false);

	for (size_t i = 0; i < disk->inode_count; i++) {
		int inode = disk_inode_new(copy);

		inode_copy(disk->inodes[i], copy->inodes[inode]);
	}
	for (size_t i = 0; i < disk->entry_count; i++)
		disk_entry_set(copy, disk->entries[i].path, disk->entries[i].inode);
	return copy;
}

void
disk_forget(struct disk *disk, const char *path)
{
	struct entry *entry = disk_entry(disk, path);

	if (entry != NULL)
		disk_entry_remove(disk, entry);
}

size_t
disk_renamed(const struct disk *disk, const char *part)
{
	size_t count = 0;

	for (size_t i = 0; i < disk->count; i++)
		if (disk->operations[i].kind == OP_RENAME &&
			strstr(disk->operations[i].path, part) != NULL)
			count++;
	return count;
}
