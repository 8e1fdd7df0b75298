#include "process/channel.h"

#include <string.h>

#include "ground/number.h"

void
wire_begin(struct wire_writer *writer, ph_pool *pool)
{
	*writer = (struct wire_writer){.pool = pool};
}

/* Room for size more bytes; NULL once memory ran out. */
static char *
wire_room(struct wire_writer *writer, size_t size)
{
	if (writer->failed)
		return NULL;
	if (size > writer->room - writer->size) {
		size_t room = writer->room ? writer->room : 256;

		while (room - writer->size < size) {
			if (room > SIZE_MAX / 2) {
				writer->failed = true;
				return NULL;
			}
			room *= 2;
		}
		char *data = ph_pool_alloc(writer->pool, room);
		if (!data) {
			writer->failed = true;
			return NULL;
		}
		if (writer->size)
			memcpy(data, writer->data, writer->size);
		writer->data = data;
		writer->room = room;
	}
	char *place = writer->data + writer->size;
	writer->size += size;
	return place;
}

static void
wire_put_number(struct wire_writer *writer, uint64_t value, size_t size)
{
	char *place = wire_room(writer, size);

	if (place)
		number_put(place, value, size);
}

void
wire_put_u8(struct wire_writer *writer, unsigned value)
{
	wire_put_number(writer, value, 1);
}

void
wire_put_u32(struct wire_writer *writer, uint32_t value)
{
	wire_put_number(writer, value, 4);
}

void
wire_put_u64(struct wire_writer *writer, uint64_t value)
{
	wire_put_number(writer, value, 8);
}

void
wire_put_bytes(struct wire_writer *writer, ph_span bytes)
{
	if (bytes.size > UINT32_MAX) {
		writer->failed = true;
		return;
	}
	wire_put_u32(writer, (uint32_t)bytes.size);
	char *place = wire_room(writer, bytes.size);
	if (place && bytes.size)
		memcpy(place, bytes.data, bytes.size);
}

void
wire_put_string(struct wire_writer *writer, const char *string)
{
	wire_put_bytes(writer, (ph_span){string, string ? strlen(string) : 0});
}

ph_span
wire_span(const struct wire_writer *writer)
{
	return writer->failed ? (ph_span){0} : (ph_span){writer->data, writer->size};
}

struct wire_reader
wire_reader_of(ph_span payload)
{
	return (struct wire_reader){.rest = payload};
}

/* Takes size bytes; an empty span and the mark of failure when there are fewer. */
static ph_span
wire_take(struct wire_reader *reader, size_t size)
{
	if (reader->failed || size > reader->rest.size) {
		reader->failed = true;
		return (ph_span){0};
	}
	ph_span taken = {reader->rest.data, size};
	if (size) {
		reader->rest.data += size;
		reader->rest.size -= size;
	}
	return taken;
}

static uint64_t
wire_get_number(struct wire_reader *reader, size_t size)
{
	ph_span bytes = wire_take(reader, size);

	return number_get(bytes.data, bytes.size);
}

unsigned
wire_get_u8(struct wire_reader *reader)
{
	return (unsigned)wire_get_number(reader, 1);
}

uint32_t
wire_get_u32(struct wire_reader *reader)
{
	return (uint32_t)wire_get_number(reader, 4);
}

uint64_t
wire_get_u64(struct wire_reader *reader)
{
	return wire_get_number(reader, 8);
}

ph_span
wire_get_bytes(struct wire_reader *reader)
{
	uint32_t size = wire_get_u32(reader);

	return wire_take(reader, size);
}

const char *
wire_get_string(struct wire_reader *reader, ph_pool *pool)
{
	ph_span bytes = wire_get_bytes(reader);

	if (!bytes.size)
		return "";
	if (memchr(bytes.data, '\0', bytes.size)) {
		reader->failed = true;
		return "";
	}
	const char *string = ph_pool_copy(pool, bytes);
	if (!string)
		reader->failed = true;
	return string ? string : "";
}
