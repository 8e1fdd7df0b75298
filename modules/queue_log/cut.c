/* Power cuts: the disks that one may leave behind, at every point of the journal. */
#include "disk_inside.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned
rng(unsigned *seed)
{
	*seed = *seed * 1103515245u + 12345u;
	return *seed >> 16;
}

static void
apply_write(struct disk *disk, const struct operation *operation, size_t from, size_t to)
{
	char *bytes = calloc(1, to - from + 1);

	if (operation->data != NULL)
		memcpy(bytes, operation->data + from, to - from);
	if (pwrite(disk->inodes[operation->inode], bytes, to - from,
		    operation->offset + (int64_t)from) != (ssize_t)(to - from))
		abort();
	free(bytes);
}

/* Parts of a write, by sectors and in one case by bytes. */
static void
apply_torn(struct disk *disk, const struct operation *operation, unsigned *seed)
{
	unsigned how = rng(seed) % 4;
	size_t cut = operation->size == 0 ? 0 : rng(seed) % operation->size;

	if (how == 0)
		return;
	if (how == 1) {
		apply_write(disk, operation, 0, cut);
	} else if (how == 2) {
		apply_write(disk, operation, cut, operation->size);
	} else {
		for (size_t at = 0; at < operation->size; at += 512) {
			size_t end = at + 512 < operation->size ? at + 512 : operation->size;

			if (rng(seed) % 2 == 0)
				apply_write(disk, operation, at, end);
		}
	}
}

static void
apply_data(struct disk *disk, const struct operation *operation, enum disk_cut how, unsigned *seed)
{
	int fd = disk->inodes[operation->inode];

	switch (operation->kind) {
	case OP_WRITE:
		if (how == DISK_TORN)
			apply_torn(disk, operation, seed);
		else
			apply_write(disk, operation, 0, operation->size);
		return;
	case OP_TRUNCATE:
		if ((how != DISK_TORN || rng(seed) % 2 == 0) &&
			ftruncate(fd, operation->offset) != 0)
			abort();
		return;
	case OP_ALLOCATE:
		if ((how != DISK_TORN || rng(seed) % 2 == 0) && file_size(fd) < operation->offset &&
			ftruncate(fd, operation->offset) != 0)
			abort();
		return;
	default:
		return;
	}
}

static void
apply_name(struct disk *disk, const struct operation *operation)
{
	struct entry *entry = operation->path == NULL ? NULL : disk_entry(disk, operation->path);

	if (operation->kind == OP_CREATE) {
		disk_entry_set(disk, operation->path, operation->inode);
	} else if (operation->kind == OP_UNLINK && entry != NULL) {
		disk_entry_remove(disk, entry);
	} else if (operation->kind == OP_RENAME && entry != NULL) {
		int inode = entry->inode;

		disk_entry_remove(disk, entry);
		disk_entry_set(disk, operation->to, inode);
	}
}

static bool
is_data(const struct operation *operation)
{
	return operation->kind == OP_WRITE || operation->kind == OP_TRUNCATE ||
		operation->kind == OP_ALLOCATE;
}

static bool
is_name(const struct operation *operation)
{
	return operation->kind == OP_CREATE || operation->kind == OP_RENAME ||
		operation->kind == OP_UNLINK;
}

/* Which operations were durable when the one at position was under way. */
static bool *
durable_make(const struct disk *disk, size_t position)
{
	bool *durable = calloc(disk->count + 1, sizeof *durable);
	bool *synced = calloc(disk->inode_count + 1, sizeof *synced), names = false;

	for (size_t i = position < disk->count ? position : disk->count; i-- > 0;) {
		const struct operation *operation = disk->operations + i;

		if (operation->failed)
			continue;
		if (operation->kind == OP_SYNC)
			synced[operation->inode] = true;
		if (operation->kind == OP_SYNC_FOLDER)
			names = true;
		durable[i] = (is_data(operation) && synced[operation->inode]) ||
			(is_name(operation) && names) ||
			(operation->kind == OP_WRITE && operation->durable);
	}
	free(synced);
	return durable;
}

struct disk *
disk_cut(const struct disk *disk, size_t position, enum disk_cut cut, unsigned seed)
{
	struct disk *after = disk_new(false);
	bool *done = durable_make(disk, position);

	for (size_t i = 0; i < disk->inode_count; i++)
		disk_inode_new(after);
	for (size_t i = 0; i <= position && i < disk->count; i++) {
		const struct operation *operation = disk->operations + i;

		if (!done[i] && cut == DISK_LOST)
			continue;
		if (is_data(operation))
			apply_data(after, operation, done[i] ? DISK_PRESENT : cut, &seed);
		else if (is_name(operation) &&
			(done[i] || cut == DISK_PRESENT || rng(&seed) % 2 == 0))
			apply_name(after, operation);
	}
	free(done);
	return after;
}
