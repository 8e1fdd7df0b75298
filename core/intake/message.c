/*
 * The message itself: its recipients and its list of headers.
 */
#include "intake/message.h"

#include <string.h>

#include <posthouse/checks.h>
#include <posthouse/dsn.h>

/* A longer list for count more elements of that size; the old one stays in the pool. */
static void *
grow(ph_pool *pool, const void *list, size_t count, size_t *room, size_t size)
{
	size_t larger = *room < 8 ? 8 : *room * 2;
	void *grown = ph_pool_array(pool, larger, size);

	if (grown == NULL)
		return NULL;
	if (count > 0)
		memcpy(grown, list, count * size);
	*room = larger;
	return grown;
}

bool
message_has_word(const ph_strings *list, const char *word)
{
	for (size_t i = 0; list != NULL && i < list->count; i++)
		if (ph_strcasecmp(list->items[i], word) == 0)
			return true;
	return false;
}

/* "" costs no memory. */
const char *
message_copy_text(ph_pool *pool, const char *text)
{
	return text == NULL || *text == '\0' ? "" : ph_pool_strdup(pool, text);
}

int
message_add_recipient(struct ph_filter_message *message, const char *address,
	const char *original, const struct ph_rcpt_parameters *parameters)
{
	struct envelope *envelope = &message->envelope;

	if (envelope->recipient_count == message->recipient_room) {
		struct recipient *grown = grow(message->pool, envelope->recipients,
			envelope->recipient_count, &message->recipient_room, sizeof(*grown));

		if (grown == NULL)
			return -1;
		envelope->recipients = grown;
	}
	struct recipient recipient = {.address = message_copy_text(message->pool, address),
		.original = message_copy_text(message->pool, strcmp(address, original) != 0 ? original : ""),
		.orcpt = message_copy_text(message->pool, parameters != NULL ? parameters->orcpt : NULL),
		.notify = parameters != NULL ? parameters->notify : 0};

	if (recipient.address == NULL || recipient.original == NULL || recipient.orcpt == NULL)
		return -1;
	envelope->recipients[envelope->recipient_count++] = recipient;
	return 0;
}

int
message_add_alias(struct ph_filter_message *message, const struct recipient *alias)
{
	struct envelope *envelope = &message->envelope;

	if (envelope->alias_count == message->alias_room) {
		struct recipient *grown = grow(message->pool, envelope->aliases,
			envelope->alias_count, &message->alias_room, sizeof(*grown));

		if (grown == NULL)
			return -1;
		envelope->aliases = grown;
	}
	envelope->aliases[envelope->alias_count++] = *alias;
	return 0;
}

/* FNV-1a. */
static uint32_t
hash_text(const char *text, uint32_t hash)
{
	for (; *text != '\0'; text++)
		hash = (hash ^ (unsigned char)*text) * 16777619u;
	return hash;
}

static bool
same_recipient(const struct recipient *a, const struct recipient *b)
{
	return strcmp(a->address, b->address) == 0 && strcmp(a->original, b->original) == 0;
}

/* What is asked about one of them is asked about both, but for "never". */
static uint32_t
notify_of_both(uint32_t a, uint32_t b)
{
	const uint32_t usual = PH_NOTIFY_FAILURE | PH_NOTIFY_DELAY;

	if (a == b || b == PH_NOTIFY_NEVER)
		return a;
	if (a == PH_NOTIFY_NEVER)
		return b;
	return (a == 0 ? usual : a) | (b == 0 ? usual : b);
}

static void
merge_recipient(struct recipient *into, const struct recipient *from)
{
	into->notify = notify_of_both(into->notify, from->notify);
	if (*into->orcpt == '\0')
		into->orcpt = from->orcpt;
}

int
message_drop_duplicates(struct ph_filter_message *message)
{
	struct envelope *envelope = &message->envelope;
	size_t count = envelope->recipient_count, kept = 0, size = 4;
	struct recipient *list = envelope->recipients;
	uint32_t *slots; /* index + 1 */

	if (count < 2)
		return 0;
	while (size < 2 * count)
		size *= 2;
	if ((slots = ph_pool_array(message->pool, size, sizeof(*slots))) == NULL)
		return -1;
	for (size_t i = 0; i < count; i++) {
		size_t at = hash_text(list[i].original,
			hash_text(list[i].address, 2166136261u)) & (size - 1);

		while (slots[at] != 0 && !same_recipient(&list[slots[at] - 1], &list[i]))
			at = (at + 1) & (size - 1);
		if (slots[at] != 0) {
			merge_recipient(&list[slots[at] - 1], &list[i]);
			continue;
		}
		list[kept++] = list[i];
		slots[at] = (uint32_t)kept;
	}
	envelope->recipient_count = kept;
	return 0;
}

/* Some room is left for headers that filters add. */
int
message_take_headers(struct ph_filter_message *message, ph_span section)
{
	message->header_count = header_count_fields(section);
	message->header_room = message->header_count + 8;
	message->headers = ph_pool_array(message->pool, message->header_room,
		sizeof(struct header));
	if (message->headers == NULL)
		return -1;
	header_split(section, message->headers);
	return 0;
}

int
message_head(struct ph_filter_message *message, bool blank_line, ph_span *head)
{
	size_t size = blank_line ? 2 : 0;

	for (size_t i = 0; i < message->header_count; i++)
		size += message->headers[i].raw.size;
	char *data = ph_pool_alloc(message->pool, size + 1);

	if (data == NULL)
		return -1;
	*head = (ph_span){data, size};
	for (size_t i = 0; i < message->header_count; i++) {
		memcpy(data, message->headers[i].raw.data, message->headers[i].raw.size);
		data += message->headers[i].raw.size;
	}
	if (blank_line)
		memcpy(data, "\r\n", 2);
	return 0;
}

/* ---- Headers, for filters -------------------------------------------------------------------- */

static const ph_span nothing = {"", 0};

size_t
ph_header_count(const ph_filter_message *message)
{
	return message->header_count;
}

ph_span
ph_header_name(const ph_filter_message *message, size_t index)
{
	return index < message->header_count ? header_name(&message->headers[index]) : nothing;
}

ph_span
ph_header_value(const ph_filter_message *message, size_t index)
{
	return index < message->header_count ? header_value(&message->headers[index]) : nothing;
}

size_t
ph_header_find(const ph_filter_message *message, const char *name, size_t from)
{
	ph_span wanted = ph_span_of(name);

	for (size_t i = from; i < message->header_count; i++)
		if (ph_span_equal_nocase(header_name(&message->headers[i]), wanted))
			return i;
	return SIZE_MAX;
}

/* Could the value break out of its field? Every line end in it is followed by a blank. */
static bool
value_is_safe(const char *value)
{
	for (const char *p = value; *p != '\0'; p++) {
		if (*p == '\r' && p[1] != '\n')
			return false;
		if (*p == '\n' && (p == value || p[-1] != '\r' || (p[1] != ' ' && p[1] != '\t')))
			return false;
	}
	return true;
}

static int
make_header(struct ph_filter_message *message, ph_span name, const char *value,
	struct header *header)
{
	bool blank = *value == ' ' || *value == '\t';

	if (name.size == 0 || !value_is_safe(value))
		return -1;
	for (size_t i = 0; i < name.size; i++)
		if ((unsigned char)name.data[i] <= ' ' || (unsigned char)name.data[i] >= 127 ||
			name.data[i] == ':')
			return -1;
	size_t value_size = strlen(value), size = name.size + 1 + !blank + value_size + 2;
	char *raw = ph_pool_alloc(message->pool, size), *at = raw;

	if (raw == NULL)
		return -1;
	memcpy(at, name.data, name.size);
	at += name.size;
	*at++ = ':';
	if (!blank)
		*at++ = ' ';
	memcpy(at, value, value_size);
	memcpy(at + value_size, "\r\n", 2);
	*header = (struct header){.raw = {raw, size}, .name_size = name.size};
	return 0;
}

int
message_make_field(struct ph_filter_message *message, const char *field, struct header *header)
{
	size_t name = 0, blank;

	while ((unsigned char)field[name] > ' ' && (unsigned char)field[name] < 127 &&
		field[name] != ':')
		name++;
	blank = strspn(field + name, " \t");
	if (name == 0 || field[name + blank] != ':')
		return -1;
	*header = (struct header){.raw = ph_check_field(message->pool, field), .name_size = name + blank};
	return header->raw.size > 0 ? 0 : -1;
}

int
message_insert(struct ph_filter_message *message, size_t index, struct header header)
{
	if (message->header_count == message->header_room) {
		struct header *grown = grow(message->pool, message->headers, message->header_count,
			&message->header_room, sizeof(*grown));

		if (grown == NULL)
			return -1;
		message->headers = grown;
	}
	if (index > message->header_count)
		index = message->header_count;
	memmove(message->headers + index + 1, message->headers + index,
		(message->header_count - index) * sizeof(header));
	message->headers[index] = header;
	message->header_count++;
	return 0;
}

int
ph_header_insert(ph_filter_message *message, size_t index, const char *name, const char *value)
{
	struct header header;

	if (make_header(message, ph_span_of(name), value, &header) == -1)
		return -1;
	return message_insert(message, index, header);
}

int
ph_header_insert_field(ph_filter_message *message, size_t index, const char *field)
{
	struct header header;

	if (message_make_field(message, field, &header) == -1)
		return -1;
	return message_insert(message, index, header);
}

bool
ph_headers_are_cut(const ph_filter_message *message)
{
	return message->headers_cut;
}

int
ph_header_replace(ph_filter_message *message, size_t index, const char *value)
{
	struct header header;

	if (index >= message->header_count ||
		make_header(message, header_name(&message->headers[index]), value, &header) == -1)
		return -1;
	message->headers[index] = header;
	return 0;
}

int
ph_header_remove(ph_filter_message *message, size_t index)
{
	if (index >= message->header_count)
		return -1;
	message->header_count--;
	memmove(message->headers + index, message->headers + index + 1,
		(message->header_count - index) * sizeof(struct header));
	return 0;
}
