/*
 * The owner: the one process that knows every message of the storage. Its state changes by reading
 * records only, its own among them: so recovery and daily work are the same code.
 */
#ifndef QUEUE_LOG_OWNER_H
#define QUEUE_LOG_OWNER_H

#include "index.h"
#include "logs.h"
#include "scan.h"
#include "storage.h"

/* Numbers of entries that wait for claim(). */
struct fifo {
	uint32_t *numbers;
	size_t first, count, room; /* a ring; room is a power of two */
};

struct owner {
	struct storage *storage;
	int lock_fd;
	struct logs logs;
	struct index index;
	struct fifo unclaimed;
	bool recovering;     /* unclaimed is made at the end */
	ph_pool *pool;       /* of the last claim */
	struct name *trash;  /* big messages' files that are to be removed */
	size_t trash_count, trash_room;
	int64_t list_at;     /* when to look at the folder again, */
	int64_t folder_changed; /* and what its time was at the last look */
	int64_t sweep_at;
	int64_t checkpoint_at;
	bool changed;        /* since the last checkpoint */
	bool tending;
};

/* Takes the storage over; waits. */
int owner_own(struct storage *storage, ph_error *error);
int owner_disown(struct storage *storage, ph_error *error);
void owner_free(struct owner *owner);
int owner_claim(struct owner *owner, struct ph_queue_item *items, size_t max, ph_error *error);
void owner_hinted(struct owner *owner, ph_span hint);
int owner_note(struct owner *owner, uint64_t handle, ph_span note, ph_error *error);
int owner_remove(struct owner *owner, uint64_t handle, ph_error *error);
void owner_tend(struct owner *owner);

/* ---- Between its parts ----------------------------------------------------------------------- */

/* apply.c: what a scan found becomes state. Records that were read before change nothing. */
void owner_apply(struct owner *owner, struct log *log, const struct scan *scan);
/* Forgets what stands for messages that cannot appear any more. */
void owner_purge(struct owner *owner);
int fifo_push(struct fifo *fifo, uint32_t number);
bool fifo_pop(struct fifo *fifo, uint32_t *number);
void fifo_unpop(struct fifo *fifo);
void owner_discard(struct owner *owner, struct name name);

/* recover.c: reads segments on the helper, waits. */
int owner_list(struct owner *owner, ph_error *error);
void owner_read_log(struct owner *owner, struct log *log);
/* A damaged record is copied aside and reported. */
void owner_report(struct owner *owner, struct log *log, const struct scan *scan);
/* A segment that the owner has not heard of, if its file is there; else NULL. */
struct log *owner_meet(struct owner *owner, uint32_t number);
/* Opens a segment for reading, if it is not open. 0 or -1. */
int owner_open_log(struct owner *owner, struct log *log);
/* Reads what is known durable of a living segment, now. */
void owner_read_hinted(struct owner *owner, struct log *log);

/* reclaim.c: removes what is dead; waits. */
void owner_reclaim(struct owner *owner);
void owner_sweep(struct owner *owner);
/* compact.c: rewrites one segment that is mostly dead; waits. */
void owner_compact(struct owner *owner);
/* checkpoint.c */
void owner_checkpoint_load(struct owner *owner);
int owner_checkpoint_save(struct owner *owner, ph_error *error);

#endif
