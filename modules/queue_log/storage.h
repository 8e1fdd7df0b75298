/*
 * One storage as a process sees it: what its parts share.
 */
#ifndef QUEUE_LOG_STORAGE_H
#define QUEUE_LOG_STORAGE_H

#include <posthouse/queue.h>

#include "file.h"
#include "helper.h"
#include "name.h"
#include "wake.h"

struct writer;
struct owner;
struct chunk;

/* Memory for content that arrives. */
struct chunks {
	struct chunk *free;
	size_t free_count;
	int64_t used; /* bytes in the hands of messages */
};

struct storage {
	const struct files *files;
	const char *path;
	const char *corrupt_path;
	int64_t segment_size;
	int64_t big_message_size;
	int64_t buffer_limit;
	int64_t grow_step;    /* a segment is filled with zeros that far ahead, at first */
	int64_t seal_after;   /* milliseconds from the first record; an owner's live longer */
	int64_t spare_limit;  /* segments that are kept to be used again */
	int64_t compact_size; /* a segment is compacted when that much of it is gone */
	int64_t compact_age;  /* and milliseconds have passed since it was sealed: most are dead by then */
	int64_t verify;       /* check content on recovery */
	int64_t orphan_age;   /* seconds: what no process holds is removed after that long */
	struct wake *wake;
	struct helper *helper;
	struct writer *writer;
	struct owner *owner;
	struct chunks chunks;
	uint64_t corrupt_count; /* damaged records that were found: for tests */
};

/* Makes the folder and what every use needs. In a task. */
int storage_ready(struct storage *storage, ph_error *error);
/* Ends all threads. In a task. */
void storage_stop(struct storage *storage);
/* "path: what: strerror". */
int storage_error(const struct storage *storage, ph_error *error, const char *what, int number);

#endif
