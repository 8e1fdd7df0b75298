/*
 * A queue manager with a storage in memory, an intake that keeps the last report, and a worker at the
 * other end of a socket pair.
 */
#ifndef TESTS_QUEUE_WORLD_H
#define TESTS_QUEUE_WORLD_H

#include "test.h"

#include <posthouse/queue.h>

#include "process/channel.h"
#include "queue/manager.h"

#define NOTES_MAX 64

struct stored {
	bool used, claimed, removed;
	char id[PH_QUEUE_ID_SIZE];
	int64_t arrival;
	ph_span envelope;
	ph_span notes[NOTES_MAX];
	uint32_t note_count;
};

extern struct store {
	ph_pool *pool;
	struct stored messages[8];
	int syncs, owned;
	uint32_t durable;      /* notes and removals that a sync has covered */
	int syncing, reading;  /* calls in progress */
	bool refuse;           /* notes, removals and syncs fail */
	bool slow_sync, slow_read;
	bool unreadable;
} store;

extern struct report_letter {
	char from[64], to[256]; /* to: "address<original", with commas between them */
	char text[16384];
	size_t size;
	int committed;
	bool fail, again;
	int code;              /* of the reply when it fails */
	int notes_at_commit, removed_at_commit;
} report_letter;

extern char logged[65536];
/* Looking an address up waits. */
extern bool slow_table;

#define JOBS_MAX 32

struct got_job {
	uint64_t number;
	char id[PH_QUEUE_ID_SIZE];
	uint32_t attempt, count;
	uint32_t numbers[8];
	char addresses[8][64];
	char originals[8][64];
	uint8_t kinds[8];
	char whats[8][64];
	bool probe;
	unsigned flags;        /* JOB_… */
	char storage[16], nexthop[64], sender[64];
};

struct got_answer {
	uint64_t number;
	unsigned status;
	char text[512];
};

struct fake_worker {
	struct channel *channel;
	struct got_job jobs[JOBS_MAX];
	size_t job_count;
	uint64_t acks[JOBS_MAX];
	size_t ack_count;
	struct got_answer answers[JOBS_MAX];
	size_t answer_count;
	ph_pool *pool;
};

extern struct manager *manager;
extern struct fake_worker worker;

/* Lets the others run, and the manager after them, until the condition holds. */
#define UNTIL(condition) \
	do { \
		ph_deadline patience_ = ph_in(5000); \
		while (!(condition)) { \
			assert_true(ph_now() < patience_); \
			manager_round(manager); \
			ph_sleep(ph_in(1)); \
		} \
	} while (0)

void put_message(size_t at, const char *id, const char *sender, int64_t age_ms, const char *const *to);
/* held: a job that it says to have in hand; NULL: none. */
void worker_connect(struct fake_worker *w, struct manager *to, const struct got_job *held);
/* What begins each frame about a job. */
void put_head(struct wire_writer *writer, struct fake_worker *w, const struct got_job *job);
/* A result, the same for all recipients of the job. */
void say(struct fake_worker *w, const struct got_job *job, enum job_end end, enum outcome outcome,
	const char *status, const char *text);
void say_expansion(struct fake_worker *w, const struct got_job *job, const char *const *addresses);
void say_part(struct fake_worker *w, const struct got_job *job, const char *const *addresses,
	uint32_t part, bool last);
void rounds(int count);
/* A queue role begins, and ends. */
void begin(void);
void finish(void);
/* Runs a test in a task of a loop, with an empty storage. */
void in_loop(void (*fn)(void));

#define TEST(name) \
	static void test_##name(void **state) \
	{ \
		in_loop(name); \
	}

#endif
