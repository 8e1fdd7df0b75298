/*
 * The writer from within: what its thread shares with the loop, and what is the thread's own.
 */
#ifndef QUEUE_LOG_WRITING_H
#define QUEUE_LOG_WRITING_H

#include <pthread.h>

#include "segment.h"
#include "writer.h"

#define RETRY_AFTER 1000 /* milliseconds, for records that are kept */

/* Records that were written but never acknowledged: a fresh segment says so. */
struct abandoned {
	struct abandoned *next;
	uint64_t place;
	int fd; /* of the segment that could not be cut off; -1: it was. Its lock keeps the owner out */
};

struct writer {
	struct storage *storage;
	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;
	pthread_cond_t more;
	/* under the mutex */
	struct request *list, **list_end;
	size_t kept_bytes;
	bool stopping;
	int64_t seal_after;
	struct place places[PLACES_MAX];
	unsigned place_count;
	/* the thread's own */
	struct segment segment, next;
	struct request *batch, **batch_end;
	struct iovec *parts;
	size_t part_count, part_room;
	uint64_t batch_tail; /* the segment's tail once the batch is written */
	bool batch_placed;   /* a name was made for a big message: sync the folder first */
	struct request *deferred, **deferred_end;
	int64_t retry_at;
	int error;           /* of the last failure, for barriers */
	const char *what;
	bool full;           /* the open segment could not grow ahead */
	struct abandoned *abandoned;
};

/* Monotonic milliseconds. */
int64_t writing_clock(void);
size_t request_bytes(const struct request *request);

/* current.c: the open segment. Makes sure of one: 0, or -1 with error and what set. */
int writing_open(struct writer *writer);
void writing_seal(struct writer *writer);
/* Tells what is durable now, for hints. */
void writing_publish(struct writer *writer);
/* After an error: gives it up. */
void writing_drop(struct writer *writer);
/* Tries to write what is to be disowned, where no commit asks for a segment. */
void writing_disown(struct writer *writer);
/* Remembers and logs an error. -1. */
int writing_failed(struct writer *writer, int error, const char *what);

/* batch.c: writes a list of requests, and finishes them. */
void writing_run(struct writer *writer, struct request *list);

#endif
