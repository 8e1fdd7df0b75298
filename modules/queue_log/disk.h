/*
 * A simulated disk, for tests: files in memory, a journal of every operation, and from any point of
 * it the disks that a power cut may leave.
 */
#ifndef QUEUE_LOG_DISK_H
#define QUEUE_LOG_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "file.h"

struct disk;

/* A journal is kept only when asked for. */
struct disk *disk_new(bool journal);
void disk_free(struct disk *disk);
const struct files *disk_files(const struct disk *disk);
/* The test's own entry in the journal. Its position. */
size_t disk_mark(struct disk *disk);
/* Operations so far, marks included. */
size_t disk_operations(const struct disk *disk);

/* The next operations that change the disk, or sync it, fail from the one with that number on, for
 * count of them; what a failed write wrote may be there, and no later sync helps it. */
void disk_fail(struct disk *disk, size_t from, size_t count, int error);
/* No RWF_DSYNC. */
void disk_without_dsync(struct disk *disk);
/* Operations that may fail, so far. */
size_t disk_failable(const struct disk *disk);

/* What was not synced when the power went. */
enum disk_cut {
	DISK_LOST,    /* is gone */
	DISK_PRESENT, /* is there */
	DISK_TORN     /* is there in parts */
};
/* The disk as it is after the power went while the operation at a position was under way. */
struct disk *disk_cut(const struct disk *disk, size_t position, enum disk_cut cut, unsigned seed);
/* Takes a name away, outside of the journal. */
void disk_forget(struct disk *disk, const char *path);
/* Renames in the journal of a path that has this in it. */
size_t disk_renamed(const struct disk *disk, const char *part);
/* A copy of what is there now. */
struct disk *disk_copy(const struct disk *disk);

/* The files whose name ends so: calls fn with each. */
void disk_each(const struct disk *disk, const char *suffix,
	void (*fn)(void *context, const char *path, int fd, int64_t size), void *context);

#endif
