/*
 * Notes as a storage gives them back, and what they make of a message: a message that is closed and
 * opened again has the same state, and its state as notes is the same again.
 */
#include "fuzz.h"

#include "queue/message.h"
#include "queue/note.h"

#include <string.h>

static ph_span
envelope(ph_pool *pool)
{
	struct recipient recipients[] = {
		{.address = "a@example.com", .original = "", .orcpt = ""},
		{.address = "b@example.com", .original = "", .orcpt = "", .notify = 4},
		{.address = "list@example.com", .original = "", .orcpt = "rfc822;list@example.com"},
	};
	struct envelope mail = {.id = "ABC123", .arrival = 1, .sender = "s@example.com",
		.client_name = "", .client_address = "", .helo = "", .protocol = "", .sasl_username = "",
		.envid = "", .recipients = recipients, .recipient_count = 3};
	ph_span bytes = {NULL, 0};

	CHECK(envelope_encode(&mail, pool, &bytes) == 0);
	return bytes;
}

/* What decodes encodes again, and decodes to the same bytes. */
static void
round_trip(ph_pool *pool, ph_span notes)
{
	struct note_writer once, twice;
	struct note note;
	ph_span rest = notes;
	ph_error error = {""};

	note_writer_begin(&once, pool);
	note_writer_begin(&twice, pool);
	while (note_next(&rest, pool, &note, &error) == 1) {
		CHECK(note.status != NULL && note.text != NULL);
		note_put(&once, &note);
	}
	rest = note_bytes(&once);
	while (note_next(&rest, pool, &note, &error) == 1)
		note_put(&twice, &note);
	CHECK(rest.size == 0 && ph_span_equal(note_bytes(&once), note_bytes(&twice)));
}

static void
check_body(const struct body *body)
{
	uint32_t states[RCPT_STATES] = {0};

	for (uint32_t i = 0; i < body->count; i++) {
		const struct rcpt *rcpt = &body->rcpts[i];

		CHECK(rcpt->state < RCPT_STATES);
		states[rcpt->state]++;
		CHECK(rcpt->parent == RCPT_NO_PARENT || rcpt->parent < i);
		CHECK(rcpt->address[0] != '\0');
		body_depth(body, i);
	}
	CHECK(memcmp(states, body->in_state, sizeof states) == 0);
}

/* Closed and opened, a message has the same recipients and the same work left. Its notes say so in one
 * order; from then on they stay the same. */
static void
reopen(ph_pool *pool, struct message *message, ph_span bytes)
{
	ph_span before = {NULL, 0}, after;
	ph_error error = {""};
	uint32_t count = message->body->count, open = body_open_count(message->body);
	uint32_t todo = message->body->in_state[RCPT_TODO];

	for (int i = 0; i < 3; i++) {
		CHECK(message_encode(message, pool, &after) == 0);
		CHECK(i < 2 || ph_span_equal(before, after));
		before = after;
		CHECK(message_close(message) == 0 && message_open(message, bytes, &error) == 0);
		check_body(message->body);
		CHECK(message->body->count == count && body_open_count(message->body) == open);
		CHECK(message->body->in_state[RCPT_TODO] == todo);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span notes = {(const char *)data, size}, bytes = envelope(pool);
	struct ph_queue_item item = {.handle = 1, .token = 2, .id = "ABC123", .arrival = 1,
		.content_size = 100, .note_count = 1, .envelope = bytes, .notes = &notes};
	ph_error error = {""};
	struct message *message = message_new(NULL, &item, &error);

	round_trip(pool, notes);
	check_body(message->body);
	reopen(pool, message, bytes);
	message_free(message);
	ph_pool_free(pool);
	return 0;
}
