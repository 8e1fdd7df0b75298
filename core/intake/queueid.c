/*
 * Queue IDs: 16 upper-case hexadecimal digits that sort by time of birth.
 *
 * 46 bits count steps of 16 microseconds since 2024, which lasts until 2059; 18 bits tell the
 * process (its number, mixed with the host's name for storages that several hosts share). Two live
 * processes of a host would have to be 262,144 process numbers apart and hit the same step to
 * collide. Within a process the count only grows: a clock that stands still or goes back yields
 * the next number.
 */
#include "intake/envelope.h"

#include <unistd.h>

#define EPOCH INT64_C(1704067200000000) /* 2024-01-01, microseconds */
#define STEP 16
#define TIME_BITS 46
#define NODE_BITS 18

/* One sequence for each process; a fork is noticed by the process number. */
static struct {
	pid_t pid;
	uint32_t node;
	int64_t last;
} sequence;

/* FNV-1a. */
static uint32_t
hash_of_hostname(void)
{
	char name[256] = "";
	uint32_t hash = 2166136261u;

	if (gethostname(name, sizeof(name) - 1) == -1)
		return hash;
	for (const char *p = name; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return hash;
}

void
queue_id_make(char id[PH_QUEUE_ID_SIZE])
{
	pid_t pid = getpid();
	int64_t now = (ph_wall_clock() - EPOCH) / STEP;

	if (pid != sequence.pid) {
		sequence.pid = pid;
		sequence.node = ((uint32_t)pid ^ hash_of_hostname()) & ((1u << NODE_BITS) - 1);
	}
	if (now <= sequence.last)
		now = sequence.last + 1;
	sequence.last = now;
	uint64_t value = ((uint64_t)now & ((UINT64_C(1) << TIME_BITS) - 1)) << NODE_BITS | sequence.node;

	for (int i = 15; i >= 0; i--, value >>= 4)
		id[i] = "0123456789ABCDEF"[value & 15];
	id[16] = '\0';
}
