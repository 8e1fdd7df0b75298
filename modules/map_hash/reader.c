/*
 * The format (D. J. Bernstein's cdb): 256 pairs (position, slots) of hash tables, records
 * (key length, value length, key, value), the hash tables with slots (hash, position). All numbers
 * are 32 bits, little-endian.
 */
#include "reader.h"

#include <cdb.h>
#include <string.h>
#include <zlib.h>

enum { HEADER_SIZE = 2048 };

static size_t
number_at(const struct reader *reader, size_t at)
{
	return cdb_unpack((const unsigned char *)reader->bytes.data + at);
}

static const char *
verify_trailer(struct reader *reader)
{
	const char *trailer;
	uLong crc;

	if (reader->bytes.size < HEADER_SIZE + TRAILER_SIZE)
		return NULL;
	trailer = reader->bytes.data + reader->bytes.size - TRAILER_SIZE;
	if (memcmp(trailer, TRAILER_MAGIC, TRAILER_MAGIC_SIZE) != 0)
		return NULL;
	reader->bytes.size -= TRAILER_SIZE;
	crc = crc32_z(0, (const Bytef *)reader->bytes.data, reader->bytes.size);
	if (crc != cdb_unpack((const unsigned char *)trailer + TRAILER_MAGIC_SIZE))
		return "its checksum is wrong";
	return NULL;
}

const char *
reader_open(struct reader *reader, ph_span bytes)
{
	const char *wrong;
	size_t lowest;

	*reader = (struct reader){.bytes = bytes};
	if (bytes.size < HEADER_SIZE)
		return "too short";
	if ((wrong = verify_trailer(reader)) != NULL)
		return wrong;
	lowest = reader->bytes.size;
	for (size_t i = 0; i < 256; i++) {
		size_t position = number_at(reader, i * 8), slots = number_at(reader, i * 8 + 4);

		if (position < HEADER_SIZE || position > reader->bytes.size ||
			slots > (reader->bytes.size - position) / 8)
			return "a hash table lies outside of the file";
		if (position < lowest)
			lowest = position;
	}
	reader->data_end = lowest;
	return NULL;
}

/* The record at a position, checked. */
static ph_found
record_at(const struct reader *reader, size_t at, ph_span *key, ph_span *value)
{
	size_t key_size, value_size;

	if (at < HEADER_SIZE || at > reader->data_end || reader->data_end - at < 8)
		return PH_FAILED;
	key_size = number_at(reader, at);
	value_size = number_at(reader, at + 4);
	at += 8;
	if (key_size > reader->data_end - at || value_size > reader->data_end - at - key_size)
		return PH_FAILED;
	*key = (ph_span){reader->bytes.data + at, key_size};
	*value = (ph_span){reader->bytes.data + at + key_size, value_size};
	return PH_FOUND;
}

ph_found
reader_find(const struct reader *reader, ph_span key, ph_span *value)
{
	size_t hash, table, slots, slot;

	if (key.size > reader->data_end)
		return PH_NOT_FOUND;
	hash = cdb_hash(key.data, (unsigned)key.size);
	table = number_at(reader, (hash & 255) * 8);
	slots = number_at(reader, (hash & 255) * 8 + 4);
	if (slots == 0)
		return PH_NOT_FOUND;
	slot = (hash >> 8) % slots;
	for (size_t i = 0; i < slots; i++) {
		size_t at = table + slot * 8, position = number_at(reader, at + 4);
		ph_span found;

		if (position == 0)
			return PH_NOT_FOUND;
		if (number_at(reader, at) == hash) {
			if (record_at(reader, position, &found, value) == PH_FAILED)
				return PH_FAILED;
			if (ph_span_equal(found, key))
				return PH_FOUND;
		}
		slot = slot + 1 == slots ? 0 : slot + 1;
	}
	return PH_NOT_FOUND;
}

ph_found
reader_next(const struct reader *reader, size_t *at, ph_span *key, ph_span *value)
{
	if (*at == 0)
		*at = HEADER_SIZE;
	if (*at == reader->data_end)
		return PH_NOT_FOUND;
	if (record_at(reader, *at, key, value) == PH_FAILED)
		return PH_FAILED;
	*at += 8 + key->size + value->size;
	return PH_FOUND;
}
