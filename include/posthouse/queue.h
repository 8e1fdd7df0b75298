/*
 * posthouse/queue.h: queue storage.
 *
 * A storage keeps messages and notes about them; it understands neither. A message is an envelope
 * (bytes that the core encodes) and content (lines in CR LF). A note is a run of bytes that belongs
 * to a message: a result, a new time. The state of a message is its envelope and its notes, in the
 * order in which they were written.
 *
 * Any process writes and reads. One process at a time owns the storage: the queue role.
 */
#ifndef POSTHOUSE_QUEUE_H
#define POSTHOUSE_QUEUE_H

#include <posthouse/base.h>
#include <posthouse/module.h>

PH_BEGIN_DECLS

#define PH_QUEUE_MAJOR 1

/* Room for a queue ID and its NUL. */
#define PH_QUEUE_ID_SIZE 24

typedef struct ph_queue_writer ph_queue_writer; /* the module's own */

/* Flags of a message's content. */
enum {
	PH_CONTENT_DOT_LINES = 1, /* a line begins with a dot: it must be stuffed for SMTP */
	PH_CONTENT_8BIT = 2,
	PH_CONTENT_HOLD = 4       /* not to be delivered until it is released */
};

/* A message as the owner gets it from claim(). The spans hold until the next call of claim(). */
struct ph_queue_item {
	uint32_t size;       /* sizeof(struct ph_queue_item) */
	uint32_t reserved;
	uint64_t handle;     /* names the message within this storage, until it is removed */
	uint64_t token;      /* to be given with note() and remove(); a lease of shared storages */
	char id[PH_QUEUE_ID_SIZE];
	int64_t arrival;     /* wall clock, microseconds */
	int64_t content_size;
	uint32_t flags;      /* PH_CONTENT_… */
	uint32_t note_count;
	ph_span envelope;
	const ph_span *notes; /* in order; NULL for a message that has none */
};

/* A message's content for reading. */
struct ph_queue_content {
	uint32_t size;    /* set by the caller: sizeof */
	uint32_t flags;   /* PH_CONTENT_… */
	int fd;           /* the caller closes it */
	int64_t offset;   /* where in fd the content begins */
	int64_t length;   /* its bytes */
	int64_t arrival;
	char id[PH_QUEUE_ID_SIZE];
	ph_span envelope; /* in the pool given to read() */
};

/* Both structs may have grown on one side and not on the other: a storage fills its own and hands
 * it over with these. Item number index of the array that claim() was given; what read() was
 * given. */
PH_API void ph_queue_item_put(struct ph_queue_item *items, size_t index,
	const struct ph_queue_item *item);
PH_API void ph_queue_content_put(struct ph_queue_content *content,
	const struct ph_queue_content *filled);

/* All functions return 0 or -1 with the error's text, unless said otherwise. All run in a task. */
struct ph_queue_ops {
	uint32_t size;
	uint32_t flags;

	/* -- Writing, in any process.
	 * ------------------------------------------------------------ */
	/* A new message. expected: its size if known, else 0. */
	int (*begin)(void *self, int64_t expected, ph_queue_writer **writer, ph_error *error);
	/* Content; the bytes are copied or written before it returns. May wait. */
	int (*append)(ph_queue_writer *writer, ph_span bytes, ph_error *error);
	/* Makes it durable with its envelope; waits, and cannot be cancelled. The head is content
	 * that goes before all that was appended (headers added last). Frees the writer, also when
	 * it fails; then nothing of the message ever comes back. */
	int (*commit)(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head,
		uint32_t flags, uint64_t *handle, ph_error *error);
	void (*abort)(ph_queue_writer *writer);
	/* Bytes that may still be stored, for queue_minfree. */
	int64_t (*free_space)(void *self);
	/* What the owner should read: a cumulative hint for the owner's hinted(), at most max
	 * bytes. Returns its size; 0: nothing new since the process began. */
	size_t (*hint)(void *self, void *hint, size_t max);

	/* -- Owning: one process.
	 * ---------------------------------------------------------------- */
	/* Takes the storage over and recovers it; waits until the previous owner let go. */
	int (*own)(void *self, ph_error *error);
	/* Gives up to max messages that the owner has not had from claim() yet, each with
	 * ph_queue_item_put(); the number, or -1.
	 * After own(): every message in the storage, oldest first. lease: how long this owner may
	 * keep them, milliseconds, for shared storages. */
	int (*claim)(void *self, struct ph_queue_item *items, size_t max, int64_t lease,
		ph_error *error);
	/* A writer said that there is more. Idempotent, safe to lose. An empty hint: a writer's
	 * process is gone, with what it had not said yet. */
	void (*hinted)(void *self, ph_span hint);
	/* Adds a note. Not durable before sync() returned. */
	int (*note)(void *self, uint64_t handle, uint64_t token, ph_span note, ph_error *error);
	/* The message is done with. Not durable before sync() returned. */
	int (*remove)(void *self, uint64_t handle, uint64_t token, ph_error *error);
	/* Waits until everything noted and removed so far is durable. */
	int (*sync)(void *self, ph_error *error);
	/* Renews a lease; the owner does it when a third has passed. -1: another one has the
	 * message. NULL: leases do not expire. */
	int (*renew)(void *self, uint64_t handle, uint64_t *token, int64_t lease, ph_error *error);
	/* Called every few seconds: look for new segments, recycle dead ones, compact,
	 * checkpoint. */
	void (*tend)(void *self);
	/* Lets go of the ownership; what was written is durable. */
	int (*disown)(void *self, ph_error *error);

	/* -- Reading, in any process.
	 * ------------------------------------------------------------- */
	/* Opens a message; ph_queue_content_put() fills content. PH_NOT_FOUND: it is gone (or was
	 * moved: the owner knows). */
	ph_found (*read)(void *self, uint64_t handle, ph_pool *pool, struct ph_queue_content *content,
		ph_error *error);
};

#define PH_QUEUE(...) \
	.class_number = PH_CLASS_QUEUE, .class_major = PH_QUEUE_MAJOR, \
	.operations = &(const struct ph_queue_ops){.size = sizeof(struct ph_queue_ops), __VA_ARGS__}, \
	.operation_count = 1, .operation_stride = sizeof(struct ph_queue_ops)

PH_END_DECLS

#endif
