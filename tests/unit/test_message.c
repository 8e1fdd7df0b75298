/* Messages: notes applied, in any order and more than once; bodies that go and come back. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "queue/message.h"

static ph_span envelope_bytes;

static int
setup(void **state)
{
	static struct recipient recipients[] = {
		{.address = "a@example.com", .original = "", .orcpt = ""},
		{.address = "b@example.com", .original = "", .orcpt = "", .notify = 4},
		{.address = "list@example.com", .original = "", .orcpt = "rfc822;list@example.com"},
	};
	struct envelope envelope = {.id = "ABC123", .arrival = 1000000, .sender = "s@example.com",
		.client_name = "", .client_address = "", .helo = "", .protocol = "", .sasl_username = "",
		.envid = "", .recipients = recipients, .recipient_count = 3, .origin = PH_ORIGIN_LOCAL};

	return pool_setup(state) == -1 ? -1 : envelope_encode(&envelope, pool, &envelope_bytes);
}

static struct message *
new_message(const ph_span *notes, size_t count)
{
	struct ph_queue_item item = {.handle = 1, .token = 2, .id = "ABC123", .arrival = 1000000,
		.content_size = 100, .note_count = (uint32_t)count, .envelope = envelope_bytes,
		.notes = notes};
	ph_error error = {""};
	struct message *message = message_new(NULL, &item, &error);

	assert_non_null(message);
	assert_non_null(message->body);
	return message;
}

static ph_span
encoded(const struct note *note)
{
	struct note_writer writer;

	note_writer_begin(&writer, pool);
	note_put(&writer, note);
	return note_bytes(&writer);
}

static const struct note_range r0 = {0, 1}, r1 = {1, 1}, r4 = {4, 1};
static const struct note_address two[] = {
	{.address = "x@example.com", .kind = PH_TARGET_ADDRESS},
	{.address = "y@example.com", .kind = PH_TARGET_USER}};
static const struct note sent_a = {.type = NOTE_RESULT, .outcome = OUTCOME_SENT, .ranges = &r0,
	.range_count = 1};
static const struct note deferred_b = {.type = NOTE_DEFERRED, .status = "4.4.1", .text = "no answer",
	.ranges = &r1, .range_count = 1};
static const struct note expanded = {.type = NOTE_EXPANDED, .parent = 2, .first = 3, .last = true,
	.addresses = two, .address_count = 2};
static const struct note sent_y = {.type = NOTE_RESULT, .outcome = OUTCOME_SENT, .ranges = &r4,
	.range_count = 1};

static void
assert_final_state(const struct message *message)
{
	const struct body *body = message->body;

	assert_int_equal(body->count, 5);
	assert_int_equal(body_open_count(body), 2);
	assert_int_equal(body->rcpts[0].state, RCPT_DONE);
	assert_int_equal(body->rcpts[1].state, RCPT_TODO);
	assert_string_equal(body->rcpts[1].text, "no answer");
	assert_int_equal(body->rcpts[2].outcome, OUTCOME_EXPANDED);
	assert_string_equal(body->rcpts[3].address, "x@example.com");
	assert_string_equal(body->rcpts[3].original, "list@example.com");
	assert_string_equal(body->rcpts[3].orcpt, "rfc822;list@example.com");
	assert_int_equal(body->rcpts[3].state, RCPT_TODO);
	assert_int_equal(body->rcpts[4].kind, PH_TARGET_USER);
	assert_int_equal(body->rcpts[4].outcome, OUTCOME_SENT);
	assert_int_equal(body_depth(body, 4), 1);
}

/* All 24 orders, each note twice. */
static void
test_any_order(void **state)
{
	ph_span notes[4] = {encoded(&sent_a), encoded(&deferred_b), encoded(&expanded), encoded(&sent_y)};

	for (unsigned order = 0; order < 256; order++) {
		unsigned i[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};
		ph_span list[8];
		struct message *message;

		if (i[0] == i[1] || i[0] == i[2] || i[0] == i[3] || i[1] == i[2] || i[1] == i[3] ||
			i[2] == i[3])
			continue;
		for (unsigned k = 0; k < 8; k++)
			list[k] = notes[i[k % 4]];
		message = new_message(list, 8);
		assert_final_state(message);
		message_free(message);
	}
}

static void
test_close_and_open(void **state)
{
	ph_span notes[4] = {encoded(&sent_a), encoded(&deferred_b), encoded(&expanded), encoded(&sent_y)};
	struct message *message = new_message(notes, 4);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(message_close(message), 0);
		assert_null(message->body);
		assert_true(memo_bytes(message->memo).size < 200);
		assert_int_equal(message_open(message, envelope_bytes, NULL), 0);
		assert_final_state(message);
	}
	message_free(message);
}

/* An expansion whose second part never came is done again, and nobody gets it twice. */
static void
test_broken_expansion(void **state)
{
	struct note half = expanded, whole = expanded;
	ph_span notes[2];
	struct message *message;

	half.last = false;
	whole.first = 5;
	notes[0] = encoded(&half);
	notes[1] = encoded(&whole);
	message = new_message(notes, 1);
	assert_int_equal(message->body->rcpts[2].state, RCPT_TODO);
	assert_int_equal(message->body->in_state[RCPT_WAITING], 2);
	message_free(message);
	message = new_message(notes, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(message->body->count, 7);
		assert_int_equal(message->body->rcpts[3].outcome, OUTCOME_DISCARDED);
		assert_int_equal(message->body->rcpts[5].state, RCPT_TODO);
		assert_int_equal(message->body->rcpts[2].state, RCPT_DONE);
		assert_int_equal(message_close(message), 0);
		assert_int_equal(message_open(message, envelope_bytes, NULL), 0);
	}
	message_free(message);
}

/* A list that fails when some of its members came already: nobody gets the message. */
static void
test_failed_expansion(void **state)
{
	static const struct note_range list = {2, 1};
	struct note half = expanded;
	struct note bounced = {.type = NOTE_RESULT, .outcome = OUTCOME_BOUNCED, .ranges = &list,
		.range_count = 1};
	ph_span notes[2];
	struct message *message;

	half.last = false;
	notes[0] = encoded(&half);
	notes[1] = encoded(&bounced);
	message = new_message(notes, 2);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(message->body->count, 5);
		assert_int_equal(message->body->rcpts[2].outcome, OUTCOME_BOUNCED);
		assert_int_equal(message->body->rcpts[3].outcome, OUTCOME_DISCARDED);
		assert_int_equal(message->body->rcpts[4].outcome, OUTCOME_DISCARDED);
		assert_int_equal(body_open_count(message->body), 2);
		assert_int_equal(message_close(message), 0);
		assert_int_equal(message_open(message, envelope_bytes, NULL), 0);
	}
	message_free(message);
}

/* Parts of two lists that come in turns. */
static void
test_mingled_expansions(void **state)
{
	static const struct note_address address = {.address = "x@example.com",
		.kind = PH_TARGET_USER};
	ph_span notes[4];
	struct message *message;

	for (uint32_t i = 0; i < 4; i++) {
		struct note part = {.type = NOTE_EXPANDED, .parent = 1 + i % 2, .first = 3 + i,
			.part = i / 2, .last = i > 1, .addresses = &address, .address_count = 1};

		notes[i] = encoded(&part);
	}
	message = new_message(notes, 4);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(message->body->count, 7);
		assert_int_equal(message->body->in_state[RCPT_DONE], 2);
		assert_int_equal(message->body->in_state[RCPT_TODO], 5);
		for (uint32_t k = 3; k < 7; k++)
			assert_int_equal(message->body->rcpts[k].parent, 1 + (k - 3) % 2);
		assert_int_equal(message_close(message), 0);
		assert_int_equal(message_open(message, envelope_bytes, NULL), 0);
	}
	message_free(message);
}

static void
test_hold_death_schedule(void **state)
{
	struct note hold = {.type = NOTE_HOLD}, release = {.type = NOTE_RELEASE};
	struct note death = {.type = NOTE_DEATH, .attempt = 2, .text = "smtp"};
	struct note plan = {.type = NOTE_SCHEDULE, .attempt = 3, .time = 77};
	ph_span notes[] = {encoded(&plan), encoded(&death), encoded(&death), encoded(&hold),
		encoded(&release)};
	struct message *message = new_message(notes, 4);

	assert_true(message->hold);
	assert_int_equal(message->deaths, 2);
	assert_int_equal(message->attempts, 3);
	assert_int_equal(message->due, 77);
	message_free(message);
	message = new_message(notes, 5);
	assert_false(message->hold);
	assert_int_equal(message->deaths, 0);
	message_free(message);
}

static void
test_bad_envelope_is_held(void **state)
{
	struct ph_queue_item item = {.id = "BAD", .envelope = {"\xff\xff\xff\xff", 4}};
	ph_error error = {""};
	struct message *message = message_new(NULL, &item, &error);

	assert_non_null(message);
	assert_true(message->hold);
	assert_null(message->body);
	assert_string_not_equal(error.text, "");
	message_free(message);
}

/* A hundred thousand recipients, most of them done, cost little while the message waits. */
static void
test_large_list_is_small(void **state)
{
	struct note_address *addresses = ph_pool_array(pool, 100000, sizeof(*addresses));
	struct note note = expanded;
	struct note_range done = {3, 99990};
	struct note result = sent_a;
	struct message *message = new_message(NULL, 0);
	struct note_address seen = {"U17@example.com", PH_TARGET_USER, "", "", ""};

	for (uint32_t i = 0; i < 100000; i++)
		addresses[i] = (struct note_address){
			.address = ph_pool_printf(pool, "u%u@example.com", i), .kind = PH_TARGET_USER,
			.what = "", .user = "", .sender = ""};
	note.addresses = addresses;
	note.address_count = 100000;
	assert_int_equal(message_apply(message, &note), 0);
	result.ranges = &done;
	assert_int_equal(message_apply(message, &result), 0);
	assert_int_equal(body_open_count(message->body), 12);
	assert_true(body_has_expanded(message->body, &seen));
	seen.kind = PH_TARGET_ADDRESS;
	assert_false(body_has_expanded(message->body, &seen));
	assert_int_equal(message_close(message), 0);
	assert_int_equal(message_open(message, envelope_bytes, NULL), 0);
	assert_int_equal(body_open_count(message->body), 12);
	message_free(message);
}

/* What the sender is to hear of is known as long as they have not heard it, and no longer. */
static void
test_owed(void **state)
{
	static const struct note owed = {.type = NOTE_OWED, .action = DSN_RELAYED, .status = "2.1.5",
		.text = "250 ok", .relay = "mx[192.0.2.1]:25", .final = "", .ranges = &r0, .range_count = 1};
	static const struct note told = {.type = NOTE_REPORTED, .reported = REPORTED_SUCCESS, .ranges = &r0,
		.range_count = 1};
	static const struct note late = {.type = NOTE_REPORTED, .reported = REPORTED_DELAY, .ranges = &r1,
		.range_count = 1};
	ph_span notes[] = {encoded(&owed), encoded(&sent_a), encoded(&late), encoded(&owed)};
	struct message *message = new_message(notes, 4);

	for (int i = 0; i < 2; i++) {
		const struct rcpt *rcpt = message->body->rcpts;

		assert_true(body_owes(message->body));
		assert_int_equal(rcpt[0].owed, DSN_RELAYED);
		assert_int_equal(rcpt[0].state, RCPT_DONE);
		assert_string_equal(rcpt[0].text, "250 ok");
		assert_string_equal(rcpt[0].relay, "mx[192.0.2.1]:25");
		assert_true(rcpt[1].delay_told);
		assert_false(rcpt[0].delay_told);
		assert_int_equal(message_close(message), 0);
		assert_int_equal(message_open(message, envelope_bytes, NULL), 0);
	}
	message_apply(message, &told);
	message_apply(message, &owed);
	assert_false(body_owes(message->body));
	assert_int_equal(message_close(message), 0);
	assert_int_equal(message_open(message, envelope_bytes, NULL), 0);
	message_apply(message, &owed);
	assert_false(body_owes(message->body));
	message_free(message);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_close_and_open),
		cmocka_unit_test(test_broken_expansion),
		cmocka_unit_test(test_failed_expansion),
		cmocka_unit_test(test_mingled_expansions),
		cmocka_unit_test(test_hold_death_schedule),
		cmocka_unit_test(test_bad_envelope_is_held),
		cmocka_unit_test(test_large_list_is_small),
		cmocka_unit_test(test_owed),
	};

	return cmocka_run_group_tests(tests, setup, pool_teardown);
}
