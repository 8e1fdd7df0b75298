/*
 * Notes: see note.h. A record is a type byte, the length of its body as a varint, and the body;
 * numbers are varints (seven bits a byte, the lowest first), texts have their length before them.
 */
#include "queue/note.h"

#include <string.h>

void
note_writer_begin(struct note_writer *writer, ph_pool *pool)
{
	*writer = (struct note_writer){.pool = pool};
}

ph_span
note_bytes(const struct note_writer *writer)
{
	return (ph_span){writer->data, writer->size};
}

static void
put_bytes(struct note_writer *writer, const void *data, size_t size)
{
	if (writer->failed || size == 0)
		return;
	if (writer->room - writer->size < size) {
		size_t room = writer->room == 0 ? 128 : writer->room * 2;
		char *bigger;

		while (room - writer->size < size)
			room *= 2;
		if ((bigger = ph_pool_alloc(writer->pool, room)) == NULL) {
			writer->failed = true;
			return;
		}
		if (writer->size > 0)
			memcpy(bigger, writer->data, writer->size);
		writer->data = bigger;
		writer->room = room;
	}
	memcpy(writer->data + writer->size, data, size);
	writer->size += size;
}

static void
put_number(struct note_writer *writer, uint64_t value)
{
	unsigned char bytes[10];
	size_t size = 0;

	do {
		bytes[size] = value & 0x7f;
		value >>= 7;
		if (value != 0)
			bytes[size] |= 0x80;
		size++;
	} while (value != 0);
	put_bytes(writer, bytes, size);
}

static void
put_text(struct note_writer *writer, const char *text)
{
	size_t size = text == NULL ? 0 : strlen(text);

	put_number(writer, size);
	put_bytes(writer, text, size);
}

static void
put_ranges(struct note_writer *writer, const struct note *note)
{
	uint32_t end = 0;

	put_number(writer, note->range_count);
	for (size_t i = 0; i < note->range_count; i++) {
		put_number(writer, note->ranges[i].first - end);
		put_number(writer, note->ranges[i].count);
		end = note->ranges[i].first + note->ranges[i].count;
	}
}

static void
put_expansion(struct note_writer *writer, const struct note *note)
{
	put_number(writer, note->parent);
	put_number(writer, note->first);
	put_number(writer, note->part);
	put_number(writer, note->last);
	put_number(writer, note->address_count);
	for (size_t i = 0; i < note->address_count; i++) {
		const struct note_address *address = &note->addresses[i];

		put_number(writer, address->kind);
		put_text(writer, address->address);
		if (address->kind < PH_TARGET_MAILBOX)
			continue;
		put_text(writer, address->what);
		put_text(writer, address->user);
		put_text(writer, address->sender);
	}
}

static void
put_owed(struct note_writer *writer, const struct note *note)
{
	put_number(writer, note->action);
	put_text(writer, note->status);
	put_text(writer, note->text);
	put_text(writer, note->relay);
	put_text(writer, note->final);
	put_ranges(writer, note);
}

static void
put_body(struct note_writer *writer, const struct note *note)
{
	put_number(writer, note->attempt);
	switch (note->type) {
	case NOTE_RESULT:
		put_number(writer, note->outcome);
		put_ranges(writer, note);
		break;
	case NOTE_DEFERRED:
		put_text(writer, note->status);
		put_text(writer, note->text);
		put_ranges(writer, note);
		break;
	case NOTE_EXPANDED:
		put_expansion(writer, note);
		break;
	case NOTE_SCHEDULE:
		put_number(writer, (uint64_t)note->time);
		break;
	case NOTE_HOLD:
	case NOTE_RELEASE:
	case NOTE_DEATH:
		put_number(writer, (uint64_t)note->time);
		put_text(writer, note->text);
		break;
	case NOTE_OWED:
		put_owed(writer, note);
		break;
	case NOTE_REPORTED:
		put_number(writer, note->reported);
		put_ranges(writer, note);
		break;
	}
}

void
note_put(struct note_writer *writer, const struct note *note)
{
	struct note_writer body;

	note_writer_begin(&body, writer->pool);
	put_body(&body, note);
	writer->failed |= body.failed;
	put_number(writer, note->type);
	put_number(writer, body.size);
	put_bytes(writer, body.data, body.size);
}

/* ---- Decoding: hostile until proven otherwise. ----------------------------------------------- */

struct reader {
	ph_span rest;
	ph_pool *pool;
	bool failed;
};

static uint64_t
get_number(struct reader *reader, uint64_t max)
{
	uint64_t value = 0;

	for (unsigned shift = 0; shift < 64 && reader->rest.size > 0; shift += 7) {
		unsigned char byte = (unsigned char)*reader->rest.data;

		reader->rest.data++;
		reader->rest.size--;
		if (shift == 63 && byte > 1)
			break;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) == 0) {
			if (value <= max)
				return value;
			break;
		}
	}
	reader->failed = true;
	reader->rest.size = 0;
	return 0;
}

static const char *
get_text(struct reader *reader)
{
	size_t size = get_number(reader, reader->rest.size);
	const char *text;

	if (size > reader->rest.size || (size > 0 && memchr(reader->rest.data, 0, size) != NULL)) {
		reader->failed = true;
		return "";
	}
	if (size == 0)
		return "";
	text = ph_pool_copy(reader->pool, (ph_span){reader->rest.data, size});
	reader->rest.data += size;
	reader->rest.size -= size;
	reader->failed |= text == NULL;
	return text == NULL ? "" : text;
}

static void
get_ranges(struct reader *reader, struct note *note)
{
	/* each takes two bytes at least: the count cannot make us allocate much more than came */
	size_t count = get_number(reader, reader->rest.size / 2);
	struct note_range *ranges;
	uint64_t end = 0;

	if (count == 0)
		return;
	if ((ranges = ph_pool_array(reader->pool, count, sizeof(*ranges))) == NULL) {
		reader->failed = true;
		return;
	}
	for (size_t i = 0; i < count && !reader->failed; i++) {
		uint64_t first = end + get_number(reader, UINT32_MAX);
		uint64_t size = get_number(reader, UINT32_MAX);

		if (size == 0 || first + size > UINT32_MAX)
			reader->failed = true;
		ranges[i] = (struct note_range){(uint32_t)first, (uint32_t)size};
		end = first + size;
	}
	note->ranges = ranges;
	note->range_count = count;
}

static void
get_expansion(struct reader *reader, struct note *note)
{
	struct note_address *addresses;
	size_t count;

	note->parent = (uint32_t)get_number(reader, UINT32_MAX);
	note->first = (uint32_t)get_number(reader, UINT32_MAX);
	note->part = (uint32_t)get_number(reader, UINT32_MAX);
	note->last = get_number(reader, 1) != 0;
	count = get_number(reader, reader->rest.size / 2);
	if (count == 0)
		return;
	if ((addresses = ph_pool_array(reader->pool, count, sizeof(*addresses))) == NULL) {
		reader->failed = true;
		return;
	}
	for (size_t i = 0; i < count && !reader->failed; i++) {
		addresses[i] = (struct note_address){.what = "", .user = "", .sender = ""};
		addresses[i].kind = (uint8_t)get_number(reader, PH_TARGET_KINDS - 1);
		addresses[i].address = get_text(reader);
		reader->failed |= *addresses[i].address == '\0';
		if (addresses[i].kind < PH_TARGET_MAILBOX)
			continue;
		addresses[i].what = get_text(reader);
		addresses[i].user = get_text(reader);
		addresses[i].sender = get_text(reader);
	}
	note->addresses = addresses;
	note->address_count = count;
}

static void
get_owed(struct reader *reader, struct note *note)
{
	note->action = (enum dsn_action)get_number(reader, DSN_EXPANDED);
	reader->failed |= note->action < DSN_DELIVERED;
	note->status = get_text(reader);
	note->text = get_text(reader);
	note->relay = get_text(reader);
	note->final = get_text(reader);
	get_ranges(reader, note);
}

/* False: a type that this version does not know. */
static bool
get_body(struct reader *reader, uint64_t type, struct note *note)
{
	*note = (struct note){.type = (enum note_type)type, .status = "", .text = "", .relay = "",
		.final = ""};
	if (type < NOTE_RESULT || type > NOTE_REPORTED)
		return false;
	note->attempt = (uint32_t)get_number(reader, UINT32_MAX);
	switch (note->type) {
	case NOTE_RESULT:
		note->outcome = (enum outcome)get_number(reader, OUTCOME_EXPANDED);
		reader->failed |= note->outcome == OUTCOME_NONE; /* done, and nobody would know how */
		get_ranges(reader, note);
		break;
	case NOTE_DEFERRED:
		note->status = get_text(reader);
		note->text = get_text(reader);
		get_ranges(reader, note);
		break;
	case NOTE_EXPANDED:
		get_expansion(reader, note);
		break;
	case NOTE_SCHEDULE:
		note->time = (int64_t)get_number(reader, INT64_MAX);
		break;
	case NOTE_HOLD:
	case NOTE_RELEASE:
	case NOTE_DEATH:
		note->time = (int64_t)get_number(reader, INT64_MAX);
		note->text = get_text(reader);
		break;
	case NOTE_OWED:
		get_owed(reader, note);
		break;
	case NOTE_REPORTED:
		note->reported = (enum reported)get_number(reader, REPORTED_DELAY);
		reader->failed |= note->reported < REPORTED_SUCCESS;
		get_ranges(reader, note);
		break;
	}
	return true;
}

int
note_next(ph_span *rest, ph_pool *pool, struct note *note, ph_error *error)
{
	while (rest->size > 0) {
		struct reader frame = {.rest = *rest, .pool = pool}, body;
		uint64_t type = get_number(&frame, UINT32_MAX);
		uint64_t size = get_number(&frame, frame.rest.size);
		bool known;

		if (frame.failed || size > frame.rest.size)
			return ph_error_set(error, "a note is cut off");
		body = (struct reader){.rest = {frame.rest.data, size}, .pool = pool};
		rest->data = frame.rest.data + size;
		rest->size = frame.rest.size - size;
		known = get_body(&body, type, note);
		if (body.failed)
			return ph_error_set(error, "a note of type %u is malformed",
				(unsigned)type);
		if (known)
			return 1;
	}
	return 0;
}

size_t
note_ranges(ph_pool *pool, const uint32_t *numbers, size_t count, struct note_range **ranges)
{
	size_t used = 0;

	if ((*ranges = ph_pool_array(pool, count == 0 ? 1 : count, sizeof(**ranges))) == NULL)
		return 0;
	for (size_t i = 0; i < count; i++) {
		struct note_range *last = used == 0 ? NULL : &(*ranges)[used - 1];

		if (last != NULL && last->first + last->count == numbers[i])
			last->count++;
		else
			(*ranges)[used++] = (struct note_range){numbers[i], 1};
	}
	return used;
}
