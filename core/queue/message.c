/*
 * Messages: see message.h.
 */
#include "queue/message.h"

#include <stdlib.h>
#include <string.h>

#include <posthouse/dsn.h>

/* ---- Applying notes -------------------------------------------------------------------------- */

/* More than this cannot be waiting in a sound storage. */
#define EARLY_MAX ((size_t)1 << 20)

static int
keep_early(struct body *body, const struct note *note)
{
	struct note_writer writer = {.pool = body->pool,
		.data = (char *)(uintptr_t)body->early.data,
		.size = body->early.size, .room = body->early_room};

	if (body->early.size > EARLY_MAX)
		return 0;
	note_put(&writer, note);
	if (writer.failed)
		return -1;
	body->early = note_bytes(&writer);
	body->early_room = writer.room;
	return 0;
}

static void
apply_result(struct body *body, uint32_t number, const struct note *note)
{
	if (body->rcpts[number].state == RCPT_DONE)
		return;
	body_set_done(body, number, note->outcome);
}

static void
apply_deferral(struct body *body, uint32_t number, const struct note *note)
{
	struct rcpt *rcpt = &body->rcpts[number];

	if (rcpt->state != RCPT_DONE)
		body_set_reason(body, number, note->status, note->text, "none");
}

static void
apply_owed(struct body *body, uint32_t number, const struct note *note)
{
	if (body->rcpts[number].owed != 0)
		return;
	body_set_reason(body, number, note->status, note->text, note->relay);
	body_set_final(body, number, note->final);
	body_set_owed(body, number, note->action);
}

static void
apply_reported(struct body *body, uint32_t number, const struct note *note)
{
	if (note->reported == REPORTED_DELAY)
		body->rcpts[number].delay_told = true;
	else
		body_set_reported(body, number);
}

/* Calls fn for the recipients that a note names; those that are not known yet wait. */
static int
each_recipient(struct body *body, const struct note *note,
	void (*fn)(struct body *body, uint32_t number, const struct note *note))
{
	for (size_t i = 0; i < note->range_count; i++) {
		const struct note_range *range = &note->ranges[i];
		uint32_t end = range->first + range->count;

		for (uint32_t number = range->first; number < end && number < body->count; number++)
			fn(body, number, note);
		if (end > body->count) {
			struct note_range rest = {range->first, range->count};
			struct note later = *note;

			if (rest.first < body->count)
				rest = (struct note_range){body->count, end - body->count};
			later.ranges = &rest;
			later.range_count = 1;
			if (keep_early(body, &later) == -1)
				return -1;
		}
	}
	return 0;
}

static const struct note_address *
copy_target(ph_pool *pool, const struct note_address *from, const char *address)
{
	struct note_address *copy = ph_pool_alloc(pool, sizeof(*copy));

	if (copy == NULL)
		return NULL;
	*copy = (struct note_address){address, from->kind, ph_pool_strdup(pool, from->what),
		ph_pool_strdup(pool, from->user), ph_pool_strdup(pool, from->sender)};
	return copy->what != NULL && copy->user != NULL && copy->sender != NULL ? copy : NULL;
}

static int
add_child(struct body *body, const struct note *note, const struct note_address *address)
{
	struct rcpt *child = body_add(body, RCPT_WAITING);
	const struct rcpt *parent = &body->rcpts[note->parent];

	if (child == NULL ||
		(child->address = ph_pool_strdup(body->pool, address->address)) == NULL)
		return -1;
	child->original = *parent->original != '\0' ? parent->original : parent->address;
	child->orcpt = parent->orcpt;
	child->notify = parent->notify;
	child->kind = address->kind;
	if (child->kind >= PH_TARGET_MAILBOX &&
		(child->target = copy_target(body->pool, address, child->address)) == NULL)
		return -1;
	child->parent = note->parent;
	return body_remember(body, body->count - 1);
}

static void
reduce_wishes(struct rcpt *rcpt, bool listed)
{
	if (listed) {
		rcpt->notify = 0;
		rcpt->orcpt = "";
	} else {
		rcpt->notify = (uint8_t)ph_dsn_notify_expanded(rcpt->notify);
	}
}

/*
 * RFC 3461, 5.2.7. One address in place of another takes over what was asked. Of several the sender
 * hears that there are several, and of each of them no success. A list with a sender of its own is
 * where the message was sent to: what becomes of it there is the list's.
 */
static void
share_out_wishes(struct body *body, uint32_t parent)
{
	struct rcpt *from = &body->rcpts[parent];
	uint32_t count = 0, listed = 0;

	for (uint32_t i = parent + 1; i < body->count; i++)
		if (body->rcpts[i].parent == parent && body->rcpts[i].state == RCPT_TODO) {
			count++;
			listed += body_has_sender(body, i);
		}
	if (count == 1 && listed == 0)
		return;
	for (uint32_t i = parent + 1; i < body->count; i++)
		if (body->rcpts[i].parent == parent && body->rcpts[i].state == RCPT_TODO)
			reduce_wishes(&body->rcpts[i], body_has_sender(body, i));
	if ((from->notify & PH_NOTIFY_SUCCESS) == 0)
		return;
	if (from->owed == 0)
		body_set_reason(body, parent, "2.0.0", listed > 0 && listed == count
			? "delivered to mailing list" : "alias expanded", "local");
	body_set_owed(body, parent, listed > 0 && listed == count ? DSN_DELIVERED : DSN_EXPANDED);
}

static int
apply_expansion(struct body *body, const struct note *note)
{
	if (note->parent >= body->count || note->first > body->count)
		return keep_early(body, note);
	if (note->first < body->count || body->rcpts[note->parent].state == RCPT_DONE)
		return 0; /* we had it */
	if (note->part == 0)
		body_drop_expansion(body, note->parent); /* it is being done again */
	for (size_t i = 0; i < note->address_count; i++)
		if (add_child(body, note, &note->addresses[i]) == -1)
			return -1;
	body->rcpts[note->parent].expanding = !note->last;
	if (note->last) {
		for (uint32_t i = note->parent + 1; i < body->count; i++)
			if (body->rcpts[i].parent == note->parent &&
				body->rcpts[i].state == RCPT_WAITING)
				body_set_state(body, i, RCPT_TODO);
		share_out_wishes(body, note->parent);
		body_set_done(body, note->parent, OUTCOME_EXPANDED);
	}
	return 0;
}

static void
apply_to_message(struct message *message, const struct note *note)
{
	switch (note->type) {
	case NOTE_SCHEDULE:
		if (note->attempt >= message->attempts) {
			message->attempts = note->attempt > UINT16_MAX ? UINT16_MAX
				: (uint16_t)note->attempt;
			message->due = note->time;
		}
		break;
	case NOTE_HOLD:
		message->hold = true;
		break;
	case NOTE_RELEASE:
		message->hold = false;
		message->deaths = 0;
		break;
	case NOTE_DEATH:
		/* the attempt numbers the deaths: the same one is not counted twice */
		if (note->attempt > message->deaths && note->attempt <= UINT8_MAX)
			message->deaths = (uint8_t)note->attempt;
		break;
	case NOTE_RESULT:
	case NOTE_DEFERRED:
	case NOTE_EXPANDED:
	case NOTE_OWED:
	case NOTE_REPORTED:
		break;
	}
}

static int
apply_to_body(struct body *body, const struct note *note)
{
	switch (note->type) {
	case NOTE_RESULT:
		return each_recipient(body, note, apply_result);
	case NOTE_DEFERRED:
		return each_recipient(body, note, apply_deferral);
	case NOTE_EXPANDED:
		return apply_expansion(body, note);
	case NOTE_OWED:
		return each_recipient(body, note, apply_owed);
	case NOTE_REPORTED:
		body->aliases_told |= note->reported == REPORTED_SUCCESS;
		return each_recipient(body, note, apply_reported);
	case NOTE_SCHEDULE:
	case NOTE_HOLD:
	case NOTE_RELEASE:
	case NOTE_DEATH:
		break;
	}
	return 0;
}

/* Tries the early notes again for as long as recipients come in. */
static int
replay_early(struct body *body)
{
	uint32_t before;

	do {
		ph_span rest = body->early;
		struct note note;

		before = body->count;
		body->early = (ph_span){NULL, 0};
		body->early_room = 0;
		while (note_next(&rest, body->pool, &note, NULL) == 1)
			if (apply_to_body(body, &note) == -1)
				return -1;
	} while (body->count > before);
	return 0;
}

int
message_apply(struct message *message, const struct note *note)
{
	struct body *body = message->body;
	uint32_t before = body == NULL ? 0 : body->count;

	apply_to_message(message, note);
	if (body == NULL)
		return 0;
	if (apply_to_body(body, note) == -1)
		return -1;
	return body->count > before && body->early.size > 0 ? replay_early(body) : 0;
}

/* Applies a run of notes; malformed ones end it. */
static int
message_apply_all(struct message *message, ph_span notes, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	struct note note;
	int result;

	if (pool == NULL)
		return ph_error_set(error, "no memory");
	while ((result = note_next(&notes, pool, &note, error)) == 1)
		if (message_apply(message, &note) == -1) {
			result = ph_error_set(error, "no memory");
			break;
		}
	ph_pool_free(pool);
	return result;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void
message_free(struct message *message)
{
	if (message == NULL)
		return;
	body_free(message->body);
	memo_drop(message->memo);
	free(message);
}

static int
fill_body(struct body *body, ph_span envelope, ph_error *error)
{
	if (envelope_decode(envelope, body->pool, &body->envelope, error) == -1)
		return -1;
	if (body->envelope.recipient_count > UINT32_MAX / 4)
		return ph_error_set(error, "too many recipients");
	body->room = (uint32_t)body->envelope.recipient_count;
	body->rcpts = calloc(body->room == 0 ? 1 : body->room, sizeof(*body->rcpts));
	if (body->rcpts == NULL)
		return ph_error_set(error, "no memory");
	for (size_t i = 0; i < body->envelope.recipient_count; i++) {
		const struct recipient *from = &body->envelope.recipients[i];
		struct rcpt *rcpt = body_add(body, RCPT_TODO);

		rcpt->address = from->address;
		rcpt->original = from->original;
		rcpt->orcpt = from->orcpt;
		rcpt->notify = (uint8_t)from->notify;
		rcpt->kind = from->final ? PH_TARGET_USER : PH_TARGET_ADDRESS;
	}
	return 0;
}

int
message_open(struct message *message, ph_span envelope, ph_error *error)
{
	struct body *body = calloc(1, sizeof(*body));
	int64_t due = message->due;

	if (body == NULL || (body->pool = ph_pool_new(0)) == NULL) {
		free(body);
		return ph_error_set(error, "no memory");
	}
	body->message = message;
	TAILQ_INIT(&body->entries);
	TAILQ_INIT(&body->jobs);
	if (fill_body(body, envelope, error) == -1) {
		body_free(body);
		return -1;
	}
	message->body = body;
	if (message_apply_all(message, memo_bytes(message->memo), error) == -1) {
		body_free(body);
		message->body = NULL;
		return -1;
	}
	memo_drop(message->memo);
	message->memo = NULL;
	message->due = due;
	return 0;
}

struct message *
message_new(struct storage *storage, const struct ph_queue_item *item, ph_error *error)
{
	struct message *message = calloc(1, sizeof(*message));

	if (message == NULL) {
		ph_error_set(error, "no memory");
		return NULL;
	}
	message->storage = storage;
	message->handle = item->handle;
	message->token = item->token;
	message->arrival = item->arrival;
	message->size = item->content_size;
	message->heap_index = UINT32_MAX;
	message->hold = (item->flags & PH_CONTENT_HOLD) != 0;
	memcpy(message->id, item->id, sizeof(message->id));
	message->id[sizeof(message->id) - 1] = '\0';
	if (message_open(message, item->envelope, error) == -1) {
		message->hold = true;
		return message;
	}
	message->hold |= message->body->envelope.unknown_critical;
	message->probe = message->body->envelope.probe;
	for (uint32_t i = 0; i < item->note_count; i++)
		if (message_apply_all(message, item->notes[i], error) == -1) {
			/* what it does not tell us could be delivered twice */
			message->hold = true;
			break;
		}
	return message;
}

/* ---- Encoding -------------------------------------------------------------------------------- */

typedef bool belongs_fn(const struct rcpt *rcpt, const struct note *note);

/* The note with all recipients that belong to it; none when there are none. */
static int
encode_all(const struct body *body, struct note_writer *writer, struct note *note,
	belongs_fn *belongs, bool even_empty)
{
	uint32_t *numbers = malloc(body->count * sizeof(*numbers) + 1);
	struct note_range *ranges;
	size_t count = 0;

	if (numbers == NULL)
		return -1;
	for (uint32_t i = 0; i < body->count; i++)
		if (belongs(&body->rcpts[i], note))
			numbers[count++] = i;
	if (count > 0 || even_empty) {
		note->range_count = note_ranges(writer->pool, numbers, count, &ranges);
		note->ranges = ranges;
		writer->failed |= ranges == NULL;
		if (!writer->failed)
			note_put(writer, note);
	}
	free(numbers);
	return writer->failed ? -1 : 0;
}

static bool
is_done_so(const struct rcpt *rcpt, const struct note *note)
{
	return rcpt->state == RCPT_DONE && rcpt->outcome == note->outcome;
}

static int
encode_done(const struct body *body, struct note_writer *writer, enum outcome outcome)
{
	struct note note = {.type = NOTE_RESULT, .outcome = outcome};

	return encode_all(body, writer, &note, is_done_so, false);
}

/* Neighbours with the same reason share a note. */
static int
encode_deferred(const struct body *body, struct note_writer *writer)
{
	for (uint32_t i = 0; i < body->count && !writer->failed;) {
		const struct rcpt *first = &body->rcpts[i];
		struct note_range range = {i, 1};
		struct note note = {.type = NOTE_DEFERRED, .ranges = &range, .range_count = 1};

		if (first->state == RCPT_DONE || first->status == NULL || first->text == NULL) {
			i++;
			continue;
		}
		for (i++; i < body->count; i++, range.count++) {
			const struct rcpt *rcpt = &body->rcpts[i];

			if (rcpt->state == RCPT_DONE || rcpt->status == NULL ||
				rcpt->text == NULL || strcmp(rcpt->status, first->status) != 0 ||
				strcmp(rcpt->text, first->text) != 0)
				break;
		}
		note.status = first->status;
		note.text = first->text;
		note_put(writer, &note);
	}
	return writer->failed ? -1 : 0;
}

/* One each: there are few of them, and not for long. */
static int
encode_owed(const struct body *body, struct note_writer *writer)
{
	for (uint32_t i = 0; i < body->count && !writer->failed; i++) {
		const struct rcpt *rcpt = &body->rcpts[i];

		/* an expansion says by itself that it is owed */
		if (rcpt->owed != 0 && rcpt->owed != DSN_REPORTED &&
			rcpt->outcome != OUTCOME_EXPANDED)
			body_note_owed(body, i, 0, writer);
	}
	return writer->failed ? -1 : 0;
}

static bool
is_reported(const struct rcpt *rcpt, const struct note *note)
{
	return note->reported == REPORTED_DELAY ? rcpt->delay_told : rcpt->owed == DSN_REPORTED;
}

static int
encode_reported(const struct body *body, struct note_writer *writer, enum reported reported)
{
	struct note note = {.type = NOTE_REPORTED, .reported = reported};

	return encode_all(body, writer, &note, is_reported,
		reported == REPORTED_SUCCESS && body->aliases_told);
}

/* The children of a recipient, while they are being written. */
struct family {
	uint32_t end; /* behind the last one */
	bool begun;
};

static struct family *
families_of(const struct body *body)
{
	struct family *families = calloc((size_t)body->count + 1, sizeof(*families));

	for (uint32_t i = 0; families != NULL && i < body->count; i++)
		if (body->rcpts[i].parent != RCPT_NO_PARENT)
			families[body->rcpts[i].parent].end = i + 1;
	return families;
}

/* Neighbours with one parent, from *i on. The parent's end is told by its last part, or by none if
 * it was not expanded in the end. */
static int
encode_family(const struct body *body, struct note_writer *writer, struct family *families,
	uint32_t *i)
{
	uint32_t first = *i, parent = body->rcpts[first].parent;
	struct note note = {.type = NOTE_EXPANDED, .parent = parent, .first = first,
		.part = families[parent].begun};
	struct note_address *addresses;

	while (*i < body->count && body->rcpts[*i].parent == parent &&
		*i - first < NOTE_PART_ADDRESSES)
		++*i;
	if ((addresses = ph_pool_array(writer->pool, *i - first, sizeof(*addresses))) == NULL)
		return -1;
	for (uint32_t k = first; k < *i; k++)
		addresses[k - first] = body_target(body, k);
	note.addresses = addresses;
	note.address_count = *i - first;
	note.last = *i == families[parent].end && body->rcpts[parent].state == RCPT_DONE &&
		body->rcpts[parent].outcome == OUTCOME_EXPANDED;
	families[parent].begun = true;
	note_put(writer, &note);
	return writer->failed ? -1 : 0;
}

/* The expansions in the order in which they were made. */
static int
encode_expansions(const struct body *body, struct note_writer *writer)
{
	struct family *families = families_of(body);
	uint32_t i = (uint32_t)body->envelope.recipient_count;
	int result = families == NULL ? -1 : 0;

	while (i < body->count && result == 0)
		result = encode_family(body, writer, families, &i);
	free(families);
	return result;
}

int
message_encode(const struct message *message, ph_pool *pool, ph_span *notes)
{
	const struct body *body = message->body;
	struct note_writer writer;

	note_writer_begin(&writer, pool);
	if (encode_expansions(body, &writer) == -1 ||
		encode_done(body, &writer, OUTCOME_SENT) == -1 ||
		encode_done(body, &writer, OUTCOME_BOUNCED) == -1 ||
		encode_done(body, &writer, OUTCOME_DISCARDED) == -1 ||
		encode_done(body, &writer, OUTCOME_EXPANDED) == -1 ||
		encode_deferred(body, &writer) == -1 || encode_owed(body, &writer) == -1 ||
		encode_reported(body, &writer, REPORTED_SUCCESS) == -1 ||
		encode_reported(body, &writer, REPORTED_DELAY) == -1)
		return -1;
	*notes = note_bytes(&writer);
	return 0;
}

int
message_close(struct message *message)
{
	ph_pool *pool = ph_pool_new(0);
	const struct memo *memo = NULL;
	ph_span notes = {NULL, 0};

	if (pool == NULL || message_encode(message, pool, &notes) == -1 ||
		(notes.size > 0 && (memo = memo_keep(notes)) == NULL)) {
		ph_pool_free(pool);
		return -1;
	}
	ph_pool_free(pool);
	message->memo = memo;
	body_free(message->body);
	message->body = NULL;
	return 0;
}
