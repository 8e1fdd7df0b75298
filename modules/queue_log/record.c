#include "record.h"

#include <string.h>

#include <zlib.h>

#include "bytes.h"

#define RECORD_MAGIC UINT32_C(0x31724850)            /* "PHr1" */
#define SEGMENT_MAGIC UINT64_C(0x474f4c51554f4850)   /* "PHOUQLOG" */
#define SEGMENT_HEADER_USED 48
#define SEGMENT_HEADER_COPY 2048 /* where the second copy is */
#define SIZE_LIMIT (UINT64_C(1) << 48) /* above it a size is nonsense, and sums could overflow */

/* Where each field lies. */
enum {
	AT_MAGIC = 0,
	AT_CRC = 4,
	AT_IDENTITY = 8,
	AT_OFFSET = 16,
	AT_DURABLE = 24,
	AT_ENVELOPE_SIZE = 32,
	AT_CONTENT_SIZE = 40,
	AT_ARRIVAL = 48,
	AT_PLACE = 56,
	AT_ENVELOPE_CRC = 64,
	AT_CONTENT_CRC = 68,
	AT_TYPE = 72,
	AT_FLAGS = 76,
	AT_ID = 80
};

uint32_t
record_crc(uint32_t crc, const void *data, size_t size)
{
	return (uint32_t)crc32_z(crc, size == 0 ? (const unsigned char *)"" : data, size);
}

void
record_encode(const struct record *record, unsigned char bytes[RECORD_HEADER])
{
	put32(bytes + AT_MAGIC, RECORD_MAGIC);
	put64(bytes + AT_IDENTITY, record->identity);
	put64(bytes + AT_OFFSET, record->offset);
	put64(bytes + AT_DURABLE, record->durable);
	put64(bytes + AT_ENVELOPE_SIZE, record->envelope_size);
	put64(bytes + AT_CONTENT_SIZE, record->content_size);
	put64(bytes + AT_ARRIVAL, (uint64_t)record->arrival);
	put64(bytes + AT_PLACE, record->place);
	put32(bytes + AT_ENVELOPE_CRC, record->envelope_crc);
	put32(bytes + AT_CONTENT_CRC, record->content_crc);
	put32(bytes + AT_TYPE, record->type);
	put32(bytes + AT_FLAGS, record->flags);
	memcpy(bytes + AT_ID, record->id, PH_QUEUE_ID_SIZE);
	put32(bytes + AT_CRC, record_crc(0, bytes + AT_IDENTITY, RECORD_HEADER - AT_IDENTITY));
}

enum record_found
record_decode(const unsigned char bytes[RECORD_HEADER], uint64_t identity, uint64_t offset,
	struct record *record)
{
	*record = (struct record){
		.type = get32(bytes + AT_TYPE),
		.flags = get32(bytes + AT_FLAGS),
		.identity = get64(bytes + AT_IDENTITY),
		.offset = get64(bytes + AT_OFFSET),
		.durable = get64(bytes + AT_DURABLE),
		.envelope_size = get64(bytes + AT_ENVELOPE_SIZE),
		.content_size = get64(bytes + AT_CONTENT_SIZE),
		.arrival = (int64_t)get64(bytes + AT_ARRIVAL),
		.place = get64(bytes + AT_PLACE),
		.envelope_crc = get32(bytes + AT_ENVELOPE_CRC),
		.content_crc = get32(bytes + AT_CONTENT_CRC),
	};
	memcpy(record->id, bytes + AT_ID, PH_QUEUE_ID_SIZE);
	if (record->identity != identity || record->offset != offset)
		return RECORD_OTHER;
	if (get32(bytes + AT_MAGIC) != RECORD_MAGIC ||
		get32(bytes + AT_CRC) !=
			record_crc(0, bytes + AT_IDENTITY, RECORD_HEADER - AT_IDENTITY) ||
		record->envelope_size > SIZE_LIMIT || record->content_size > SIZE_LIMIT ||
		record->durable > offset || record->id[PH_QUEUE_ID_SIZE - 1] != '\0')
		return RECORD_DAMAGED;
	return RECORD_FITS;
}

uint64_t
record_content_inside(const struct record *record)
{
	return (record->flags & RECORD_BIG) != 0 ? 0 : record->content_size;
}

uint64_t
record_size(const struct record *record)
{
	uint64_t size = RECORD_HEADER + record->envelope_size + record_content_inside(record);

	return (size + 7) & ~UINT64_C(7);
}

bool
record_id_set(struct record *record, const char *id)
{
	size_t size = strlen(id);

	if (size >= sizeof record->id)
		return false;
	memset(record->id, 0, sizeof record->id);
	memcpy(record->id, id, size);
	return true;
}

bool
record_search(const unsigned char *bytes, size_t size, uint64_t base, uint64_t identity,
	size_t *from)
{
	struct record record;
	unsigned char wanted[8];
	size_t at = *from + (size_t)((8 - (base + *from) % 8) % 8);

	put64(wanted, identity);
	for (; at + RECORD_HEADER <= size; at += 8) {
		if (memcmp(bytes + at + AT_IDENTITY, wanted, 8) != 0)
			continue;
		if (record_decode(bytes + at, identity, base + at, &record) == RECORD_FITS) {
			*from = at;
			return true;
		}
	}
	*from = at;
	return false;
}

void
segment_header_encode(const struct segment_header *header, unsigned char bytes[SEGMENT_HEADER])
{
	memset(bytes, 0, SEGMENT_HEADER);
	put64(bytes, SEGMENT_MAGIC);
	put32(bytes + 8, header->major);
	put32(bytes + 12, header->number);
	put64(bytes + 16, header->identity);
	put64(bytes + 24, (uint64_t)header->created);
	put32(bytes + 32, header->compactions);
	put32(bytes + SEGMENT_HEADER_USED - 4, record_crc(0, bytes, SEGMENT_HEADER_USED - 4));
	memcpy(bytes + SEGMENT_HEADER_COPY, bytes, SEGMENT_HEADER_USED);
}

static int
header_decode(const unsigned char *bytes, struct segment_header *header)
{
	if (get64(bytes) != SEGMENT_MAGIC ||
		get32(bytes + SEGMENT_HEADER_USED - 4) !=
			record_crc(0, bytes, SEGMENT_HEADER_USED - 4))
		return -1;
	*header = (struct segment_header){
		.major = get32(bytes + 8),
		.number = get32(bytes + 12),
		.identity = get64(bytes + 16),
		.created = (int64_t)get64(bytes + 24),
		.compactions = get32(bytes + 32),
	};
	return header->major == SEGMENT_MAJOR ? 0 : -2;
}

int
segment_header_decode(const unsigned char bytes[SEGMENT_HEADER], struct segment_header *header)
{
	int result = header_decode(bytes, header);

	return result == 0 || header_decode(bytes + SEGMENT_HEADER_COPY, header) != 0 ? result : 0;
}
