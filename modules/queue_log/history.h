/*
 * For tests of queue_log on a simulated disk: what was done to it and promised by it, with the
 * positions in the disk's journal, and whether a disk keeps the promises.
 */
#ifndef QUEUE_LOG_HISTORY_H
#define QUEUE_LOG_HISTORY_H

#include "disk.h"
#include "queue_log.h"

#define HISTORY_MAX 400
#define HISTORY_NOTES 6
#define NEVER SIZE_MAX

struct told {
	char id[16];
	size_t size;                       /* of its body */
	uint64_t handle;
	size_t begun, acknowledged, failed; /* positions; NEVER */
	size_t remove_begun, remove_synced;
	size_t note_begun[HISTORY_NOTES], note_synced[HISTORY_NOTES];
	unsigned note_count;
	bool claimed;
};

struct history {
	struct disk *disk;
	struct told *messages; /* HISTORY_MAX */
	unsigned count;
};

void history_init(struct history *history, struct disk *disk);
void history_clear(struct history *history);

/* An instance on a disk, with small segments; in a task. */
struct queue_log *history_open(const struct disk *disk);
void history_close(struct queue_log *log);

/* Commits a message with a body of that size. The message. */
struct told *history_put(struct history *history, struct queue_log *log, size_t size);
/* Hands out what the owner has; the number. */
int history_claim(struct history *history, struct queue_log *owner);
int history_note(struct history *history, struct queue_log *owner, struct told *told);
int history_remove(struct history *history, struct queue_log *owner, struct told *told);
int history_sync(struct history *history, struct queue_log *owner);

/* What recovery of a disk gave. */
struct outcome {
	unsigned present, lost, doubled, returned, broken, strange, notes_wrong;
	uint64_t corrupt;
};
/* Takes the storage on the disk over as a new process would, compares with what was promised before
 * the position, and says what is wrong. */
struct outcome history_check(const struct history *history, const struct disk *disk,
	size_t position, bool verify);
bool outcome_good(const struct outcome *outcome);

#endif
