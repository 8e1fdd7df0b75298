/*
 * Reading a segment from an offset: its records, and what is damaged. One piece of code for hints
 * while the writer lives, and for recovery. Runs on any thread; touches nothing but its own state.
 */
#ifndef QUEUE_LOG_SCAN_H
#define QUEUE_LOG_SCAN_H

#include "file.h"
#include "record.h"

/* A place where a record should be, and is not whole. */
struct damage {
	uint64_t offset;
	uint64_t size;  /* up to the next record; 0: nothing follows */
	bool corrupt;   /* it had been durable: the disk changed it; else the write was torn */
	bool message;   /* it may have been a message: its ID is that of the header, if it fits */
	char id[PH_QUEUE_ID_SIZE];
};

struct scan {
	/* set by the caller */
	const struct files *files;
	int fd;
	uint64_t identity;
	uint64_t from;
	uint64_t limit;  /* known durable; records beyond it only as later headers allow */
	bool whole;      /* the writer is gone: read to the end */
	bool verify;     /* check content that had been durable, too */
	/* results */
	struct record *records;
	size_t count, room;
	struct damage *damages;
	size_t damage_count, damage_room;
	uint64_t end;     /* where the next scan begins */
	uint64_t durable; /* the highest offset that is known to be durable */
	bool sealed;      /* the last record was found */
	bool unreadable;  /* some of it could not be read, and counts as zeros */
	int error;        /* errno, when it could not read or had no memory */
	/* its own */
	unsigned char *buffer;
	uint64_t buffer_at;
	size_t buffer_size;
	int64_t file_size;
};

/* 0, or -1 with error set; what was found before is there in both cases. */
int scan_run(struct scan *scan);
void scan_clear(struct scan *scan);

#endif
