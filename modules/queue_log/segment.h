/*
 * A segment as its writer has it. All functions run on the writer's thread.
 */
#ifndef QUEUE_LOG_SEGMENT_H
#define QUEUE_LOG_SEGMENT_H

#include "record.h"
#include "storage.h"

struct segment {
	int fd;            /* holds the writer's lock; -1: none */
	uint32_t number;
	uint64_t identity;
	uint64_t tail;     /* where the next record goes */
	uint64_t durable;  /* everything below is synced */
	uint64_t zeroed;   /* blocks below are allocated and written */
	int64_t opened;    /* monotonic milliseconds; 0 before the first record */
};

/* Makes a segment, of a spare one if there is any, under a number never used before; its file and
 * its name are durable. 0; -1 with errno and what failed. */
int segment_create(const struct storage *storage, struct segment *segment, const char **what);
/* Fills it with zeros some way ahead of its tail, if it has not been. 0; -1 with errno. */
int segment_grow(const struct storage *storage, struct segment *segment, bool idle);
/* The last record; lets go of it. */
void segment_seal(const struct storage *storage, struct segment *segment);
/* Lets go of one that has no record: it becomes a spare. */
void segment_return(const struct storage *storage, struct segment *segment);

#endif
