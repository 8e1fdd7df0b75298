/*
 * The owner's table of segments ("logs"): what is alive in each.
 */
#ifndef QUEUE_LOG_LOGS_H
#define QUEUE_LOG_LOGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "file.h"

/* That many records of a segment are removals (or abandonments) for the one that has this. */
struct tomb {
	uint32_t number;
	uint32_t count;
};

struct log {
	uint32_t number;
	uint32_t compactions;
	uint64_t identity;
	uint64_t scanned;         /* read so far */
	uint64_t limit;           /* known durable */
	uint64_t abandoned_from;  /* nothing counts from here on; UINT64_MAX */
	uint64_t size;            /* when it is sealed: the end of its last record */
	uint64_t allocated;       /* blocks of the disk, in bytes */
	int64_t sealed_at;        /* when the owner saw that, monotonic milliseconds */
	bool sealed;              /* its writer is gone, and all of it was read */
	bool loaded;              /* the index on disk had it, as it is now */
	bool pinned;              /* it holds something that could not be saved: never delete it */
	unsigned users;           /* jobs at work on it: it stays, and its descriptor too */
	int fd;                   /* for reading; -1: not open */
	/*
	 * What keeps it: messages, notes of living messages, and removals of messages whose records
	 * still exist somewhere.
	 */
	uint32_t live;
	uint64_t live_bytes;
	/* The removals that it needs, by the segment that holds them. They go when it goes. */
	struct tomb *tombs;
	size_t tomb_count, tomb_room;
};

/* By number, sorted. */
struct logs {
	struct log **items;
	size_t count, room;
};

struct log *logs_find(const struct logs *logs, uint32_t number);
/* A new one; NULL: no memory. */
struct log *logs_add(struct logs *logs, uint32_t number, uint64_t identity, uint32_t compactions);
void logs_remove(struct logs *logs, struct log *log);
void logs_clear(struct logs *logs);
void log_close(struct log *log);
/* Back to what it was when it was added. */
void log_forget(struct log *log);
/* Counts a record of size bytes alive, or no longer. */
void log_count(struct log *log, uint64_t size, bool alive);
/* log needs a removal that lies in holder. 0, or -1 (no memory). */
int log_add_tombs(struct log *log, uint32_t holder, uint32_t count);
bool log_needs(const struct log *log, uint32_t holder);
/* The records of removals in the list are needed no more: their holders have fewer alive. */
void logs_release_tombs(struct logs *logs, struct tomb *tombs, size_t count);

#endif
