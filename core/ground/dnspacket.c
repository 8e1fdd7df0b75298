#include "ground/dnspacket.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>

enum {
	HEADER = 12,
	LEAST_RECORD = 11, /* root, type, class, TTL, an empty rdata */
	RCODE_NXDOMAIN = 3,
	CLASS_IN = 1
};

struct reader {
	const uint8_t *packet;
	size_t size;
	size_t at;
};

/* The fixed part of a resource record; its data are data … data+length-1. */
struct fixed {
	unsigned type;
	unsigned class_number;
	size_t data;
	size_t length;
};

static bool
read_u16(struct reader *reader, unsigned *value)
{
	if (reader->size - reader->at < 2)
		return false;
	*value = (unsigned)reader->packet[reader->at] << 8 | reader->packet[reader->at + 1];
	reader->at += 2;
	return true;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* A label in lower case; what would be taken for something else in a name is written \DDD. */
static size_t
put_label(char *text, const uint8_t *label, size_t length)
{
	size_t size = 0;

	for (size_t i = 0; i < length; i++) {
		uint8_t c = label[i];

		if (c >= 'A' && c <= 'Z')
			c = (uint8_t)(c + ('a' - 'A'));
		if (c > 0x20 && c < 0x7f && c != '.' && c != '\\')
			text[size++] = (char)c;
		else
			size += (size_t)snprintf(text + size, 5, "\\%03u", (unsigned)c);
	}
	return size;
}

/*
 * The name at the reader, which moves behind it. Pointers lead only backward, before the part of
 * the name that they end, so they come to an end; its length is bounded as on the wire (RFC 1035,
 * 4.1.4). text may be NULL.
 */
static bool
read_name(struct reader *reader, char *text)
{
	size_t at = reader->at;
	size_t lowest = at;
	size_t wire = 1, size = 0;
	bool jumped = false;

	for (;;) {
		uint8_t length;

		if (at >= reader->size)
			return false;
		length = reader->packet[at++];
		if ((length & 0xc0) == 0xc0) {
			if (at >= reader->size)
				return false;
			if (!jumped)
				reader->at = at + 1;
			jumped = true;
			at = (size_t)(length & 0x3f) << 8 | reader->packet[at];
			if (at >= lowest)
				return false;
			lowest = at;
			continue;
		}
		if (length > 63 || length > reader->size - at)
			return false;
		if (length == 0)
			break;
		wire += (size_t)length + 1;
		if (wire > DNS_NAME_WIRE)
			return false;
		if (text != NULL) {
			if (size > 0)
				text[size++] = '.';
			size += put_label(text + size, reader->packet + at, length);
		}
		at += length;
	}
	if (!jumped)
		reader->at = at;
	if (text != NULL)
		text[size] = '\0';
	return true;
}

bool
dns_is_name(ph_span name)
{
	size_t label = 0;

	if (name.size > 0 && name.data[name.size - 1] == '.')
		name.size--;
	if (name.size == 0 || name.size > 253)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		unsigned char c = (unsigned char)name.data[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			continue;
		}
		if (c <= 0x20 || c >= 0x7f || c == '\\' || ++label > 63)
			return false;
	}
	return label > 0;
}

/* ---- Records --------------------------------------------------------------------------------- */

static bool
read_fixed(struct reader *reader, struct fixed *fixed)
{
	unsigned ttl, length;

	if (!read_name(reader, NULL) || !read_u16(reader, &fixed->type) ||
		!read_u16(reader, &fixed->class_number) || !read_u16(reader, &ttl) ||
		!read_u16(reader, &ttl) || !read_u16(reader, &length))
		return false;
	if (length > reader->size - reader->at)
		return false;
	fixed->data = reader->at;
	fixed->length = length;
	reader->at += length;
	return true;
}

/* A name that ends where the record does. */
static bool
read_target(ph_pool *pool, const struct reader *whole, size_t at, size_t end,
	struct dns_record *record)
{
	struct reader reader = {.packet = whole->packet, .size = end, .at = at};
	char text[DNS_NAME_TEXT];

	if (!read_name(&reader, text) || reader.at != end)
		return false;
	record->name = ph_pool_strdup(pool, text);
	return record->name != NULL;
}

static bool
read_address(const uint8_t *data, size_t length, size_t expected, uint16_t family,
	struct dns_record *record)
{
	if (length != expected)
		return false;
	record->address.family = family;
	memcpy(record->address.bytes, data, length);
	return true;
}

static bool
read_record(ph_pool *pool, const struct reader *reader, const struct fixed *fixed,
	struct dns_record *record)
{
	const uint8_t *data = reader->packet + fixed->data;
	size_t end = fixed->data + fixed->length;

	*record = (struct dns_record){.name = ""};
	record->data.data = ph_pool_copy(pool, (ph_span){(const char *)data, fixed->length});
	record->data.size = fixed->length;
	if (record->data.data == NULL)
		return false;
	switch (fixed->type) {
	case PH_DNS_A:
		return read_address(data, fixed->length, 4, AF_INET, record);
	case PH_DNS_AAAA:
		return read_address(data, fixed->length, 16, AF_INET6, record);
	case PH_DNS_MX:
		if (fixed->length < 3)
			return false;
		record->preference = (uint16_t)(data[0] << 8 | data[1]);
		return read_target(pool, reader, fixed->data + 2, end, record);
	case PH_DNS_NS:
	case PH_DNS_CNAME:
	case PH_DNS_PTR:
		return read_target(pool, reader, fixed->data, end, record);
	}
	return true;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static int
by_preference(const void *a, const void *b)
{
	const struct dns_record *left = a, *right = b;

	if (left->preference != right->preference)
		return left->preference < right->preference ? -1 : 1;
	return left->order < right->order ? -1 : left->order > right->order;
}

/* Equal preferences share the load: their order is drawn anew for each answer (RFC 5321, 5.1). */
static void
sort_records(struct ph_dns_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		if (getrandom(&answer->records[i].order, sizeof(answer->records[i].order), 0) == -1)
			answer->records[i].order = (uint32_t)i;
	qsort(answer->records, answer->count, sizeof(answer->records[0]), by_preference);
}

static int
read_answers(ph_pool *pool, ph_dns_type type, struct reader *reader, unsigned total,
	struct ph_dns_answer *answer)
{
	if (total > (reader->size - reader->at) / LEAST_RECORD)
		return -1;
	answer->records = ph_pool_array(pool, total + 1, sizeof(answer->records[0]));
	if (answer->records == NULL)
		return -1;
	for (unsigned i = 0; i < total; i++) {
		struct fixed fixed;

		if (!read_fixed(reader, &fixed))
			return -1;
		if (fixed.type != (unsigned)type || fixed.class_number != CLASS_IN)
			continue; /* the CNAME that led here, signatures */
		if (!read_record(pool, reader, &fixed, &answer->records[answer->count]))
			return -1;
		answer->count++;
	}
	return 0;
}

int
dns_parse(ph_pool *pool, ph_dns_type type, const uint8_t *packet, size_t size,
	struct ph_dns_answer *answer, unsigned *rcode)
{
	struct reader reader = {.packet = packet, .size = size, .at = 4};
	unsigned questions, answers;

	*answer = (struct ph_dns_answer){.result = PH_DNS_TEMPFAIL, .reason = ""};
	*rcode = 0;
	if (size < HEADER)
		return -1;
	*rcode = packet[3] & 0x0f;
	if (*rcode == RCODE_NXDOMAIN) {
		answer->result = PH_DNS_NXDOMAIN;
		return 0;
	}
	if (*rcode != 0 || !read_u16(&reader, &questions) || !read_u16(&reader, &answers))
		return -1;
	reader.at = HEADER;
	for (unsigned i = 0; i < questions; i++) {
		unsigned ignored;

		if (!read_name(&reader, NULL) || !read_u16(&reader, &ignored) ||
			!read_u16(&reader, &ignored))
			return -1;
	}
	if (read_answers(pool, type, &reader, answers, answer) == -1)
		return -1;
	if (type == PH_DNS_MX)
		sort_records(answer);
	answer->result = answer->count > 0 ? PH_DNS_FOUND : PH_DNS_NODATA;
	return 0;
}

const char *
dns_type_name(ph_dns_type type)
{
	switch (type) {
	case PH_DNS_A:
		return "A";
	case PH_DNS_NS:
		return "NS";
	case PH_DNS_CNAME:
		return "CNAME";
	case PH_DNS_PTR:
		return "PTR";
	case PH_DNS_MX:
		return "MX";
	case PH_DNS_TXT:
		return "TXT";
	case PH_DNS_AAAA:
		return "AAAA";
	case PH_DNS_TLSA:
		return "TLSA";
	}
	return "?";
}
