/*
 * The simulated disk from the inside: what its operations (disk.c) and its power cuts (cut.c)
 * share.
 */
#ifndef QUEUE_LOG_DISK_INSIDE_H
#define QUEUE_LOG_DISK_INSIDE_H

#include <pthread.h>

#include "disk.h"

enum operation_kind {
	OP_MARK,
	OP_CREATE,
	OP_WRITE,
	OP_SYNC,
	OP_TRUNCATE,
	OP_ALLOCATE,
	OP_RENAME,
	OP_UNLINK,
	OP_SYNC_FOLDER
};

struct operation {
	enum operation_kind kind;
	int inode;
	int64_t offset;    /* of a write; the new size */
	size_t size;
	char *data;        /* of a write; NULL: zeros */
	bool durable;
	bool failed;
	char *path, *to;
};

struct entry {
	char *path;
	int inode;
};

struct disk {
	struct files files;
	pthread_mutex_t mutex;
	bool journal;
	struct operation *operations;
	size_t count, room;
	int *inodes;       /* memfds */
	size_t inode_count;
	struct entry *entries;
	size_t entry_count;
	size_t failable, fail_from, fail_count;
	int fail_error;
	bool no_dsync;
};

/* NULL: no such file. */
struct entry *disk_entry(const struct disk *disk, const char *path);
void disk_entry_set(struct disk *disk, const char *path, int inode);
void disk_entry_remove(struct disk *disk, struct entry *entry);
/* The number of a new one. */
int disk_inode_new(struct disk *disk);

#endif
