/*
 * The bytes of an envelope:
 *
 *	u8 version (1), u32 size of the whole, then records {u16 type, u32 size, value}
 *
 * all little-endian. The value of a RECIPIENT record is itself a list of records. A type with its
 * highest bit set must be understood by who reads it. Texts hold no NUL, CR or LF: what ends up in
 * an SMTP command or a header line cannot be split there.
 */
#include "intake/envelope.h"

#include <string.h>

#include "ground/number.h"

const struct envelope envelope_empty = {
	.sender = "",
	.client_name = "",
	.client_address = "",
	.helo = "",
	.protocol = "",
	.sasl_username = "",
	.sasl_method = "",
	.sasl_sender = "",
	.envid = "",
	.filter = "",
};

#define VERSION 1
#define PREFIX 5
#define RECORD 6
#define CRITICAL 0x8000u
#define MAX_ENVELOPE (UINT32_C(1) << 30)

/* Types in the message; never renumbered. */
enum {
	MESSAGE_ID = 1,
	MESSAGE_ARRIVAL = 2,
	MESSAGE_SENDER = 3,
	MESSAGE_ORIGIN = 4,
	MESSAGE_UID = 5,
	MESSAGE_CLIENT_NAME = 6,
	MESSAGE_CLIENT_ADDRESS = 7,
	MESSAGE_HELO = 8,
	MESSAGE_PROTOCOL = 9,
	MESSAGE_SASL_USERNAME = 10,
	MESSAGE_FLAGS = 11,
	MESSAGE_ENVID = 12,
	MESSAGE_RET = 13,
	MESSAGE_HOPS = 14,
	MESSAGE_CONTENT_SIZE = 15,
	MESSAGE_RECIPIENT = 16,
	MESSAGE_FILTER = 17,
	MESSAGE_ALIAS = 18, /* as RECIPIENT; nothing is delivered to it */
	MESSAGE_CLIENT_PORT = 19,
	MESSAGE_SASL_METHOD = 20,
	MESSAGE_SASL_SENDER = 21,
	MESSAGE_WATCH = 22,
	MESSAGE_TYPES = 23,
	/* Whoever does not know that it is a probe would deliver it: critical. */
	MESSAGE_PROBE = CRITICAL | 17
};

enum { FLAG_8BIT = 1, FLAG_SMTPUTF8 = 2 };

/* Types in a recipient. */
enum {
	RECIPIENT_ADDRESS = 1,
	RECIPIENT_ORIGINAL = 2,
	RECIPIENT_ORCPT = 3,
	RECIPIENT_NOTIFY = 4,
	RECIPIENT_FINAL = 5,
	RECIPIENT_TYPES = 6
};

/* ---- Writing --------------------------------------------------------------------------------- */

/* Counts when at is NULL: the same code measures and writes. */
struct output {
	char *at;
	size_t size;
};

static void
put_number(struct output *out, uint64_t value, size_t bytes)
{
	if (out->at != NULL) {
		number_put(out->at, value, bytes);
		out->at += bytes;
	}
	out->size += bytes;
}

static void
put_bytes(struct output *out, const char *data, size_t size)
{
	if (out->at != NULL && size > 0) {
		memcpy(out->at, data, size);
		out->at += size;
	}
	out->size += size;
}

static void
put_text_always(struct output *out, unsigned type, const char *text)
{
	size_t size = text != NULL ? strlen(text) : 0;

	put_number(out, type, 2);
	put_number(out, size, 4);
	put_bytes(out, text, size);
}

/* What reads as the default when it is absent is not written. */
static void
put_text(struct output *out, unsigned type, const char *text)
{
	if (text != NULL && *text != '\0')
		put_text_always(out, type, text);
}

static void
put_integer(struct output *out, unsigned type, uint64_t value, size_t bytes)
{
	if (value == 0)
		return;
	put_number(out, type, 2);
	put_number(out, bytes, 4);
	put_number(out, value, bytes);
}

static void
put_recipient_fields(struct output *out, const struct recipient *recipient)
{
	put_text_always(out, RECIPIENT_ADDRESS, recipient->address);
	put_text(out, RECIPIENT_ORIGINAL, recipient->original);
	put_text(out, RECIPIENT_ORCPT, recipient->orcpt);
	put_integer(out, RECIPIENT_NOTIFY, recipient->notify, 4);
	put_integer(out, RECIPIENT_FINAL, recipient->final, 1);
	put_bytes(out, recipient->unknown.data, recipient->unknown.size);
}

static void
put_recipient(struct output *out, unsigned type, const struct recipient *recipient)
{
	struct output measure = {.at = NULL};

	put_recipient_fields(&measure, recipient);
	put_number(out, type, 2);
	put_number(out, measure.size, 4);
	put_recipient_fields(out, recipient);
}

static void
put_envelope(struct output *out, const struct envelope *envelope, size_t total)
{
	uint32_t flags = (envelope->body_8bit ? FLAG_8BIT : 0) | (envelope->smtputf8 ? FLAG_SMTPUTF8
		: 0);

	put_number(out, VERSION, 1);
	put_number(out, total, 4);
	put_text_always(out, MESSAGE_ID, envelope->id);
	put_integer(out, MESSAGE_ARRIVAL, (uint64_t)envelope->arrival, 8);
	put_text_always(out, MESSAGE_SENDER, envelope->sender);
	put_integer(out, MESSAGE_ORIGIN, envelope->origin, 4);
	put_integer(out, MESSAGE_UID, envelope->uid, 4);
	put_text(out, MESSAGE_CLIENT_NAME, envelope->client_name);
	put_text(out, MESSAGE_CLIENT_ADDRESS, envelope->client_address);
	put_integer(out, MESSAGE_CLIENT_PORT, envelope->client_port, 4);
	put_text(out, MESSAGE_HELO, envelope->helo);
	put_text(out, MESSAGE_PROTOCOL, envelope->protocol);
	put_text(out, MESSAGE_SASL_USERNAME, envelope->sasl_username);
	put_text(out, MESSAGE_SASL_METHOD, envelope->sasl_method);
	put_text(out, MESSAGE_SASL_SENDER, envelope->sasl_sender);
	put_integer(out, MESSAGE_FLAGS, flags, 4);
	put_text(out, MESSAGE_ENVID, envelope->envid);
	put_integer(out, MESSAGE_RET, envelope->ret, 4);
	put_integer(out, MESSAGE_WATCH, envelope->watch, 1);
	put_integer(out, MESSAGE_HOPS, envelope->hops, 4);
	put_integer(out, MESSAGE_CONTENT_SIZE, (uint64_t)envelope->content_size, 8);
	put_text(out, MESSAGE_FILTER, envelope->filter);
	put_integer(out, MESSAGE_PROBE, envelope->probe, 1);
	put_bytes(out, envelope->unknown.data, envelope->unknown.size);
	for (size_t i = 0; i < envelope->recipient_count; i++)
		put_recipient(out, MESSAGE_RECIPIENT, &envelope->recipients[i]);
	for (size_t i = 0; i < envelope->alias_count; i++)
		put_recipient(out, MESSAGE_ALIAS, &envelope->aliases[i]);
}

int
envelope_encode(const struct envelope *envelope, ph_pool *pool, ph_span *bytes)
{
	struct output out = {.at = NULL};

	put_envelope(&out, envelope, 0);
	if (out.size > MAX_ENVELOPE)
		return -1;
	char *data = ph_pool_alloc(pool, out.size);

	if (data == NULL)
		return -1;
	*bytes = (ph_span){data, out.size};
	out.at = data;
	put_envelope(&out, envelope, bytes->size);
	return 0;
}

/* ---- Reading --------------------------------------------------------------------------------- */

struct record {
	unsigned type;
	ph_span value;
	ph_span whole;
};

/* 1: a record was taken off the list; 0: the list is at its end; -1: it is cut. */
static int
next_record(ph_span *list, struct record *record)
{
	if (list->size == 0)
		return 0;
	if (list->size < RECORD)
		return -1;
	size_t size = (size_t)number_get(list->data + 2, 4);

	if (size > list->size - RECORD)
		return -1;
	record->type = (unsigned)number_get(list->data, 2);
	record->value = (ph_span){list->data + RECORD, size};
	record->whole = (ph_span){list->data, RECORD + size};
	list->data += RECORD + size;
	list->size -= RECORD + size;
	return 1;
}

/* What is being read, with the first thing that was wrong. */
struct input {
	ph_pool *pool;
	ph_error *error;
	uint32_t seen; /* bits of the types that were there */
};

/* Types that there may be once only. */
static int
once(struct input *in, unsigned type, unsigned types, const char *what)
{
	if (type == 0 || type >= types)
		return 0;
	if (in->seen & 1u << type)
		return ph_error_set(in->error, "envelope: type %u of a %s is there twice", type,
			what);
	in->seen |= 1u << type;
	return 0;
}

static int
get_text(struct input *in, ph_span value, const char **text)
{
	for (size_t i = 0; i < value.size; i++)
		if (value.data[i] == '\0' || value.data[i] == '\r' || value.data[i] == '\n')
			return ph_error_set(in->error, "envelope: a control character in a text");
	*text = ph_pool_copy(in->pool, value);
	return *text != NULL ? 0 : ph_error_set(in->error, "out of memory");
}

static int
get_integer(struct input *in, ph_span value, size_t bytes, uint64_t max, uint64_t *number)
{
	if (value.size != bytes)
		return ph_error_set(in->error, "envelope: a number of %zu bytes instead of %zu",
			value.size, bytes);
	uint64_t found = number_get(value.data, bytes);

	if (found > max)
		return ph_error_set(in->error, "envelope: a number is out of range");
	*number = found;
	return 0;
}

static int
get_u32(struct input *in, ph_span value, uint32_t max, uint32_t *field)
{
	uint64_t number = 0;

	if (get_integer(in, value, 4, max, &number) == -1)
		return -1;
	*field = (uint32_t)number;
	return 0;
}

static int
get_i64(struct input *in, ph_span value, int64_t *field)
{
	uint64_t number = 0;

	if (get_integer(in, value, 8, INT64_MAX, &number) == -1)
		return -1;
	*field = (int64_t)number;
	return 0;
}

static int
get_id(struct input *in, ph_span value, char id[PH_QUEUE_ID_SIZE])
{
	if (value.size == 0 || value.size >= PH_QUEUE_ID_SIZE)
		return ph_error_set(in->error, "envelope: a queue ID of %zu characters",
			value.size);
	for (size_t i = 0; i < value.size; i++) {
		unsigned char c = (unsigned char)value.data[i];

		if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')))
			return ph_error_set(in->error,
				"envelope: a queue ID with a character 0x%02x", c);
	}
	memcpy(id, value.data, value.size);
	id[value.size] = '\0';
	return 0;
}

/* Unknown records lie side by side in one block, in their order. */
static void
keep_unknown(struct envelope *envelope, ph_span *unknown, char *room, const struct record *record)
{
	if (unknown->data == NULL)
		unknown->data = room;
	memcpy(room + unknown->size, record->whole.data, record->whole.size);
	unknown->size += record->whole.size;
	if (record->type & CRITICAL)
		envelope->unknown_critical = true;
}

static bool
is_message_type(unsigned type)
{
	return (type > 0 && type < MESSAGE_TYPES) || type == MESSAGE_PROBE;
}

static bool
is_recipient_type(unsigned type)
{
	return type > 0 && type < RECIPIENT_TYPES;
}

/* How much room a list needs. */
struct census {
	size_t unknown; /* bytes of the records whose type is not known */
	size_t recipients, aliases;
};

static int
survey(ph_span list, bool (*is_known)(unsigned type), struct census *census, ph_error *error)
{
	struct record record;
	int more;

	*census = (struct census){0};
	while ((more = next_record(&list, &record)) == 1) {
		if (!is_known(record.type))
			census->unknown += record.whole.size;
		else if (record.type == MESSAGE_RECIPIENT)
			census->recipients++;
		else if (record.type == MESSAGE_ALIAS)
			census->aliases++;
	}
	return more == 0 ? 0 : ph_error_set(error, "envelope: a record is cut");
}

static int
get_recipient_field(struct input *in, const struct record *record, struct recipient *recipient)
{
	uint64_t number = 0;
	int result = 0;

	switch (record->type) {
	case RECIPIENT_ADDRESS:
		return get_text(in, record->value, &recipient->address);
	case RECIPIENT_ORIGINAL:
		return get_text(in, record->value, &recipient->original);
	case RECIPIENT_ORCPT:
		return get_text(in, record->value, &recipient->orcpt);
	case RECIPIENT_NOTIFY:
		return get_u32(in, record->value, 15, &recipient->notify);
	case RECIPIENT_FINAL:
		result = get_integer(in, record->value, 1, 1, &number);
		recipient->final = number == 1;
		return result;
	}
	return 0;
}

static int
get_recipient(struct input *outer, ph_span list, struct envelope *envelope,
	struct recipient *recipient)
{
	struct input in = {.pool = outer->pool, .error = outer->error};
	struct record record;
	struct census census;
	char *room = NULL;

	*recipient = (struct recipient){.address = "", .original = "", .orcpt = ""};
	if (survey(list, is_recipient_type, &census, in.error) == -1)
		return -1;
	if (census.unknown > 0 && (room = ph_pool_alloc(in.pool, census.unknown)) == NULL)
		return ph_error_set(in.error, "out of memory");
	while (next_record(&list, &record) == 1) {
		if (!is_recipient_type(record.type))
			keep_unknown(envelope, &recipient->unknown, room, &record);
		else if (once(&in, record.type, RECIPIENT_TYPES, "recipient") == -1 ||
			 get_recipient_field(&in, &record, recipient) == -1)
			return -1;
	}
	if (recipient->address[0] == '\0')
		return ph_error_set(in.error, "envelope: a recipient without an address");
	return 0;
}

static int
get_flags(struct input *in, ph_span value, struct envelope *envelope)
{
	uint32_t flags = 0;

	if (get_u32(in, value, FLAG_8BIT | FLAG_SMTPUTF8, &flags) == -1)
		return -1;
	envelope->body_8bit = (flags & FLAG_8BIT) != 0;
	envelope->smtputf8 = (flags & FLAG_SMTPUTF8) != 0;
	return 0;
}

static int
get_bool(struct input *in, ph_span value, bool *result)
{
	uint64_t number = 0;

	if (get_integer(in, value, 1, 1, &number) == -1)
		return -1;
	*result |= number == 1;
	return 0;
}

static int
get_message_field(struct input *in, const struct record *record, struct envelope *envelope)
{
	ph_span value = record->value;

	if (record->type != MESSAGE_RECIPIENT && record->type != MESSAGE_ALIAS &&
		once(in, record->type, MESSAGE_TYPES, "message") == -1)
		return -1;
	switch (record->type) {
	case MESSAGE_ID:
		return get_id(in, value, envelope->id);
	case MESSAGE_ARRIVAL:
		return get_i64(in, value, &envelope->arrival);
	case MESSAGE_SENDER:
		return get_text(in, value, &envelope->sender);
	case MESSAGE_ORIGIN:
		return get_u32(in, value, PH_ORIGIN_INTERNAL, &envelope->origin);
	case MESSAGE_UID:
		return get_u32(in, value, UINT32_MAX, &envelope->uid);
	case MESSAGE_CLIENT_NAME:
		return get_text(in, value, &envelope->client_name);
	case MESSAGE_CLIENT_ADDRESS:
		return get_text(in, value, &envelope->client_address);
	case MESSAGE_CLIENT_PORT:
		return get_u32(in, value, UINT16_MAX, &envelope->client_port);
	case MESSAGE_HELO:
		return get_text(in, value, &envelope->helo);
	case MESSAGE_PROTOCOL:
		return get_text(in, value, &envelope->protocol);
	case MESSAGE_SASL_USERNAME:
		return get_text(in, value, &envelope->sasl_username);
	case MESSAGE_SASL_METHOD:
		return get_text(in, value, &envelope->sasl_method);
	case MESSAGE_SASL_SENDER:
		return get_text(in, value, &envelope->sasl_sender);
	case MESSAGE_FLAGS:
		return get_flags(in, value, envelope);
	case MESSAGE_ENVID:
		return get_text(in, value, &envelope->envid);
	case MESSAGE_RET:
		return get_u32(in, value, 2, &envelope->ret);
	case MESSAGE_HOPS:
		return get_u32(in, value, UINT32_MAX, &envelope->hops);
	case MESSAGE_CONTENT_SIZE:
		return get_i64(in, value, &envelope->content_size);
	case MESSAGE_FILTER:
		return get_text(in, value, &envelope->filter);
	case MESSAGE_PROBE:
		return get_bool(in, value, &envelope->probe);
	case MESSAGE_WATCH:
		return get_bool(in, value, &envelope->watch);
	case MESSAGE_RECIPIENT:
		return get_recipient(in, value, envelope,
			&envelope->recipients[envelope->recipient_count++]);
	case MESSAGE_ALIAS:
		return get_recipient(in, value, envelope,
			&envelope->aliases[envelope->alias_count++]);
	}
	return 0;
}

static int
get_message(struct input *in, ph_span list, struct envelope *envelope)
{
	struct record record;
	struct census census;
	char *room = NULL;

	if (survey(list, is_message_type, &census, in->error) == -1)
		return -1;
	envelope->recipients = ph_pool_array(in->pool, census.recipients + 1,
		sizeof(struct recipient));
	envelope->aliases = census.aliases == 0 ? NULL
		: ph_pool_array(in->pool, census.aliases, sizeof(struct recipient));
	if (envelope->recipients == NULL || (census.aliases > 0 && envelope->aliases == NULL) ||
		(census.unknown > 0 && (room = ph_pool_alloc(in->pool, census.unknown)) == NULL))
		return ph_error_set(in->error, "out of memory");
	while (next_record(&list, &record) == 1) {
		if (!is_message_type(record.type))
			keep_unknown(envelope, &envelope->unknown, room, &record);
		else if (get_message_field(in, &record, envelope) == -1)
			return -1;
	}
	return 0;
}

int
envelope_decode(ph_span bytes, ph_pool *pool, struct envelope *envelope, ph_error *error)
{
	struct input in = {.pool = pool, .error = error};

	*envelope = envelope_empty;
	if (bytes.size < PREFIX)
		return ph_error_set(error, "envelope: %zu bytes are too few", bytes.size);
	if (bytes.data[0] != VERSION)
		return ph_error_set(error, "envelope: version %u is unknown",
			(unsigned char)bytes.data[0]);
	if (number_get(bytes.data + 1, 4) != bytes.size)
		return ph_error_set(error, "envelope: its size is %zu and should be %u", bytes.size,
			(unsigned)number_get(bytes.data + 1, 4));
	if (get_message(&in, (ph_span){bytes.data + PREFIX, bytes.size - PREFIX}, envelope) == -1)
		return -1;
	if (!(in.seen & 1u << MESSAGE_ID) || !(in.seen & 1u << MESSAGE_SENDER))
		return ph_error_set(error, "envelope: there is no queue ID or no sender");
	return 0;
}
