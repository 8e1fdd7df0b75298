/*
 * The content of a big message, in a file of its own: written while it arrives, synced before the
 * record that refers to it. While it has no record its name is that of a part, and it is locked.
 */
#ifndef QUEUE_LOG_BIG_H
#define QUEUE_LOG_BIG_H

#include "record.h"
#include "storage.h"

/* Content begins here in its file; the head, which comes last, goes before it. The hole that is
 * left takes no room. */
#define BIG_CONTENT (16u << 20)

struct big {
	int fd;
	uint64_t name;   /* of the part */
	uint64_t size;   /* of the content, without the head */
	uint32_t crc;    /* of the content */
	int error;       /* errno of what failed */
	const char *what;
};

/* On a thread. 0, or -1 with error and what set. */
int big_open(const struct storage *storage, struct big *big);
int big_write(const struct storage *storage, struct big *big, struct iovec *parts, int count);
/* The head; syncs. place and crc are what the record needs. */
int big_finish(const struct storage *storage, struct big *big, ph_span head, uint64_t *place,
	uint32_t *crc);
/* Gives it the name that belongs to its record; the caller syncs the folder. */
int big_place(const struct storage *storage, struct big *big, uint32_t number, uint64_t identity,
	uint64_t offset);
/* Takes the name away again: the record was not acknowledged. */
void big_unplace(const struct storage *storage, uint32_t number, uint64_t identity,
	uint64_t offset);
/* Closes it; without a record it is removed. */
void big_close(const struct storage *storage, struct big *big, bool remove);

#endif
