/*
 * Mutations of segments: most times the checksums are made right again, so that what stands behind
 * them is tried too.
 */
#include "fuzz.h"

#include "../../modules/queue_log/bytes.h"
#include "../../modules/queue_log/record.h"

#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static struct record
read_header(const uint8_t *bytes)
{
	struct record record = {
		.type = get32(bytes + 72) % (RECORD_GAP + 2),
		.flags = get32(bytes + 76),
		.durable = get64(bytes + 24),
		.envelope_size = get64(bytes + 32),
		.content_size = get64(bytes + 40),
		.arrival = (int64_t)get64(bytes + 48),
		.place = get64(bytes + 56),
	};

	memcpy(record.id, bytes + 80, sizeof record.id);
	return record;
}

/* Where records are: in a segment that begins at base. */
struct segment {
	uint8_t *data;
	size_t base, size;
	uint64_t identity;
};

/* A record's header as its writer would have written it; the size of the whole. */
static uint64_t
repair_record(const struct segment *segment, size_t at, unsigned seed)
{
	uint8_t *data = segment->data;
	struct record record = read_header(data + at);
	uint64_t room = segment->size - at - RECORD_HEADER;

	record.identity = segment->identity;
	record.offset = at - segment->base;
	record.id[sizeof record.id - 1] = '\0';
	if (record.durable > record.offset)
		record.durable = record.offset;
	if (seed % 8 != 0) {
		record.envelope_size %= room + 1;
		record.content_size %= room - record.envelope_size + 1;
	}
	if (record.envelope_size <= room && seed % 16 != 1)
		record.envelope_crc = record_crc(0, data + at + RECORD_HEADER, record.envelope_size);
	if (record.envelope_size <= room && record.content_size <= room - record.envelope_size &&
		seed % 16 != 2)
		record.content_crc = record_crc(0, data + at + RECORD_HEADER + record.envelope_size,
			record.content_size);
	record_encode(&record, data + at);
	return record.envelope_size <= room && record_content_inside(&record) <= room ?
		record_size(&record) : 8;
}

/* A header of a segment at that place: what follows is its. */
static bool
enter_segment(struct segment *segment, size_t at)
{
	struct segment_header header;

	if (segment->size - at < SEGMENT_HEADER || segment_header_decode(segment->data + at, &header) != 0)
		return false;
	segment->base = at;
	segment->identity = header.identity;
	return true;
}

static void
repair(uint8_t *data, size_t size, unsigned seed)
{
	struct segment segment = {data, 0, size, 0x0807060504030201};
	size_t at = 0;

	while (at + RECORD_HEADER <= size) {
		/* The magic, or most of the identity: something that was a record. */
		bool record = memcmp(data + at, "PHr1", 4) == 0 || get64(data + at + 8) == segment.identity;

		if (memcmp(data + at, "PHOUQLOG", 8) == 0 && enter_segment(&segment, at))
			at += SEGMENT_HEADER;
		else
			at += record ? repair_record(&segment, at, seed) : 8;
		seed = seed * 1103515245 + 12345;
		seed ^= seed >> 16;
	}
}

size_t
LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 4 != 0)
		repair(data, size, seed >> 2);
	return size;
}
