/*
 * The file operations that the log makes, as a small table: a test puts a simulated disk in its
 * place, fails any of them, and cuts the power after any of them. Descriptors are always the
 * kernel's own; close, fstat and locks are called directly.
 */
#ifndef QUEUE_LOG_FILE_H
#define QUEUE_LOG_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Room for any path below the storage's folder, its NUL included. */
#define FILE_PATH_ROOM 320

/* All return as the system calls do, with errno. They may be called on any thread. */
struct files {
	int (*open)(const struct files *files, const char *path, int flags);
	ssize_t (*pread)(const struct files *files, int fd, void *buffer, size_t size,
		int64_t offset);
	/* durable: as RWF_DSYNC; EOPNOTSUPP where that is not supported. */
	ssize_t (*pwritev)(const struct files *files, int fd, const struct iovec *parts, int count,
		int64_t offset, bool durable);
	int (*fsync)(const struct files *files, int fd);
	int (*fdatasync)(const struct files *files, int fd);
	int (*fallocate)(const struct files *files, int fd, int64_t offset, int64_t size);
	int (*truncate)(const struct files *files, int fd, int64_t size);
	int (*rename)(const struct files *files, const char *from, const char *to);
	int (*unlink)(const struct files *files, const char *path);
	int (*mkdir)(const struct files *files, const char *path);
	int (*sync_directory)(const struct files *files, const char *path);
	int (*list)(const struct files *files, const char *path,
		void (*fn)(void *context, const char *name), void *context);
	void *disk; /* the simulation's */
};

/* The real one. */
extern const struct files file_system;

/* Reads until size bytes or the end of the file: the number of bytes, or -1. */
ssize_t file_read_at(const struct files *files, int fd, void *buffer, size_t size, int64_t offset);
/* Writes all of the parts, which it may change; durable: they are synced when it returns. 0 or
 * -1. */
int file_write_at(const struct files *files, int fd, struct iovec *parts, int count, int64_t offset,
	bool durable);
/* The same for one run of bytes. */
int file_put(const struct files *files, int fd, const void *data, size_t size, int64_t offset,
	bool durable);

/* OFD locks of one byte. They belong to the open file, and end when its last descriptor closes. */
enum {
	FILE_LOCK_WRITER = 0, /* exclusive: a writer lives; whoever holds it may change the file */
	FILE_LOCK_READER = 1  /* shared: content is being read; the file's blocks may not be reused */
};
/* 0; -1 when another holds it. */
int file_lock(int fd, int byte, bool exclusive);
/* Waits for it: for locks that are held for microseconds, on a thread. */
int file_lock_wait(int fd, int byte);
/* The size, or -1. */
int64_t file_size(int fd);

#endif
