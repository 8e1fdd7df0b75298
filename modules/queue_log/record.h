/*
 * Records and segment headers as bytes. Pure: no file is touched here.
 *
 * A segment is a header in a block of its own, then records, each at a multiple of eight bytes:
 * a header of 104 bytes, the envelope (a note's bytes, for a note), and the content. Numbers are
 * little-endian. A record's header carries its segment's random identity and its own offset, and
 * its CRC covers both, so that bytes of an earlier life of the same blocks never fit.
 */
#ifndef QUEUE_LOG_RECORD_H
#define QUEUE_LOG_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <posthouse/queue.h>

#define RECORD_HEADER 104
#define SEGMENT_HEADER 4096 /* records begin here; the header is there twice */
#define SEGMENT_MAJOR 1

enum record_type {
	RECORD_MESSAGE = 1,
	RECORD_NOTE,    /* about the message at place */
	RECORD_REMOVE,  /* the message at place is done with */
	RECORD_ABANDON, /* whatever its segment holds from place on was never acknowledged */
	RECORD_SEAL,    /* the last of its segment */
	RECORD_GAP      /* content_size bytes after the header held records that are gone */
};

/* Flags beside those of the content. */
#define RECORD_BIG UINT32_C(0x80000000) /* the content is in a file of its own, at place */

/* A header. Sizes are those of the unpadded parts. */
struct record {
	uint32_t type;
	uint32_t flags;
	uint64_t identity;
	uint64_t offset;
	uint64_t durable;       /* everything of the segment below it was durable when this was written */
	uint64_t envelope_size;
	uint64_t content_size;
	int64_t arrival;
	uint64_t place;
	uint32_t envelope_crc;
	uint32_t content_crc;
	char id[PH_QUEUE_ID_SIZE];
};

/* Handles: a segment's number and an offset within it. */
#define HANDLE(number, offset) ((uint64_t)(number) << 32 | (uint64_t)(offset) >> 3)
#define HANDLE_NUMBER(handle) ((uint32_t)((handle) >> 32))
#define HANDLE_OFFSET(handle) ((uint64_t)(uint32_t)(handle) << 3)

enum record_found {
	RECORD_FITS,
	RECORD_OTHER, /* zeros, another segment's, another offset's: there is no record here */
	RECORD_DAMAGED /* this segment's and offset's, but its CRC is wrong or it makes no sense */
};

void record_encode(const struct record *record, unsigned char bytes[RECORD_HEADER]);
/* identity and offset: of the place where the bytes were found. */
enum record_found record_decode(const unsigned char bytes[RECORD_HEADER], uint64_t identity,
	uint64_t offset, struct record *record);
/* Bytes that it takes in its segment, header and padding included. */
uint64_t record_size(const struct record *record);
/* Its content's bytes that are in the segment. */
uint64_t record_content_inside(const struct record *record);
/* A queue ID that can be put back into a terminated text: no NUL inside, fits. */
bool record_id_set(struct record *record, const char *id);
/* Finds, at or after *from (relative to the bytes, whose first is at offset base), the next header
 * that fits. */
bool record_search(const unsigned char *bytes, size_t size, uint64_t base, uint64_t identity,
	size_t *from);
uint32_t record_crc(uint32_t crc, const void *data, size_t size);

struct segment_header {
	uint32_t major;
	uint32_t number;
	uint64_t identity;
	uint32_t compactions; /* how often it was rewritten */
	int64_t created;      /* wall clock, microseconds */
};

void segment_header_encode(const struct segment_header *header,
	unsigned char bytes[SEGMENT_HEADER]);
/* The first of its copies that is whole. 0; -1: no header, or damaged; -2: of another major. */
int segment_header_decode(const unsigned char bytes[SEGMENT_HEADER], struct segment_header *header);

#endif
