/*
 * The writer: one thread in each process that puts records down in batches, each with one
 * synchronous write, into segments that this process alone writes.
 */
#ifndef QUEUE_LOG_WRITER_H
#define QUEUE_LOG_WRITER_H

#include "big.h"
#include "record.h"
#include "storage.h"

enum request_kind {
	REQUEST_MESSAGE, /* a task waits; when it fails, nothing of it may come back */
	REQUEST_KEEP,    /* nobody waits; it is tried again until it is durable, then freed */
	REQUEST_BARRIER, /* a task waits until everything before it is durable */
	REQUEST_SEAL     /* a task waits until the open segment is sealed */
};

/* Something for the thread, in heap memory; all but REQUEST_KEEP are freed by who waited. */
struct request {
	struct request *next;
	enum request_kind kind;
	struct record record;  /* filled but for identity, offset, durable and CRCs */
	struct big *big;       /* its content when it is big, else NULL */
	struct waiter waiter;
	uint64_t handle;       /* out */
	int error;             /* out: 0 or errno */
	const char *what;      /* out: what failed */
	unsigned attempts;
	unsigned char header[RECORD_HEADER];
	int part_count;        /* parts[0] is the envelope; the rest content */
	struct iovec parts[];
};

/* Where a process has durable records. */
struct place {
	uint32_t number;
	uint64_t durable;
};
#define PLACES_MAX 8

struct writer *writer_new(struct storage *storage, ph_error *error);
/* Writes what was submitted, seals, ends the thread. */
void writer_free(struct writer *writer);
/* extra: bytes behind the parts, for what the request itself keeps (request_extra()). */
struct request *request_new(enum request_kind kind, int parts, size_t extra);
void *request_extra(struct request *request);
/* Hands it over; the thread starts with the first one. 0; -1: no thread, or too much is waiting
 * already: it is still the caller's. */
int writer_submit(struct writer *writer, struct request *request);
/* Submits, waits, and frees a barrier or seal. */
int writer_barrier(struct writer *writer, enum request_kind kind, ph_error *error);
/* The last segments of this process with durable records, the newest last. Their number. */
unsigned writer_places(struct writer *writer, struct place places[PLACES_MAX]);
void writer_seal_after(struct writer *writer, int64_t milliseconds);

#endif
