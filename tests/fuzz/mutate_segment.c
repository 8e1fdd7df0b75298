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

/* A record's header as its writer would have written it; the size of the whole. */
static uint64_t
repair_record(uint8_t *data, size_t size, size_t at, uint64_t identity, unsigned seed)
{
	struct record record = read_header(data + at);
	uint64_t room = size - at - RECORD_HEADER;

	record.identity = identity;
	record.offset = at;
	record.id[sizeof record.id - 1] = '\0';
	if (record.durable > at)
		record.durable = at;
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

static void
repair(uint8_t *data, size_t size, unsigned seed)
{
	struct segment_header header;
	size_t at = SEGMENT_HEADER;
	uint64_t identity = 0x0807060504030201;

	if (size >= SEGMENT_HEADER && segment_header_decode(data, &header) == 0)
		identity = header.identity;
	else
		at = 0;
	while (at + RECORD_HEADER <= size) {
		/* The magic, or most of the identity: something that was a record. */
		bool record = memcmp(data + at, "PHr1", 4) == 0 || get64(data + at + 8) == identity;

		at += record ? repair_record(data, size, at, identity, seed) : 8;
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
