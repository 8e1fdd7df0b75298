/* Messages to the spawner: all recipients, as many at a time as one batch takes. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "queue/delivery.h"

enum { MANY = 2 * PH_SPAWN_MAX + 3, LONG = 70 };

/* ---- The spawner -------------------------------------------------------------------------------- */

static struct {
	size_t batches, count; /* recipients so far */
	int64_t first_time;
	const char *broken;    /* NULL: it works */
} spawner;

int __wrap_ph_spawn_delivery(void *self, const struct ph_user_delivery *requests, const int *fds,
	size_t count, struct ph_user_result *results, ph_deadline deadline, ph_error *error);

/* Each third is sent, deferred, bounced; each second command wrote something. */
int
__wrap_ph_spawn_delivery(void *self, const struct ph_user_delivery *requests, const int *fds,
	size_t count, struct ph_user_result *results, ph_deadline deadline, ph_error *error)
{
	static const char *const codes[] = {"2.0.0", "4.2.0", "5.2.2"};

	if (spawner.batches++ == 0)
		spawner.first_time = deadline - ph_now();
	if (spawner.broken != NULL)
		return ph_error_set(error, "%s", spawner.broken);
	for (size_t i = 0; i < count; i++) {
		size_t number = spawner.count < LONG ? spawner.count : spawner.count + 1;
		char recipient[32];

		spawner.count++;
		snprintf(recipient, sizeof(recipient), "u%zu@x.example", number);
		assert_string_equal(requests[i].recipient, recipient);
		assert_string_equal(requests[i].original, "all@x.example");
		assert_string_equal(requests[i].sender, "s@y.example");
		assert_string_equal(requests[i].queue_id, "ID");
		assert_string_equal(requests[i].nexthop, "hop");
		assert_string_equal(requests[i].client_helo, "helo");
		assert_string_equal(requests[i].envid, "env");
		assert_int_equal(requests[i].kind, PH_USER_INSTANCE);
		assert_int_equal(requests[i].arrival, 77);
		assert_int_equal(requests[i].offset, 5);
		assert_int_equal(requests[i].length, 6);
		assert_int_equal(fds[i], 42);
		results[i] = (struct ph_user_result){.size = sizeof(results[i]),
			.outcome = (int32_t)(number % 3)};
		snprintf(results[i].status, sizeof(results[i].status), "%s", codes[number % 3]);
		snprintf(results[i].text, sizeof(results[i].text), "text %zu", number);
		if (number % 2 == 1)
			snprintf(results[i].output, sizeof(results[i].output), "word");
	}
	return 0;
}

/* ---- A delivery --------------------------------------------------------------------------------- */

static ph_found
read_content(void *self, uint64_t handle, ph_pool *pool, struct ph_queue_content *content,
	ph_error *error)
{
	if (handle == 0) {
		ph_error_set(error, "a disk is out of order");
		return PH_FAILED;
	}
	content->fd = 42;
	content->offset = 5;
	content->length = 6;
	return PH_FOUND;
}

static const struct ph_queue_ops queue_ops = {.size = sizeof(queue_ops), .read = read_content};
static const struct instance storage = {.name = "log", .ops = &queue_ops};

/* The recipient with the number LONG has an address that no request can hold. */
static struct ph_delivery
delivery_of(uint64_t handle, uint32_t count)
{
	ph_pool *pool = ph_pool_new(0);
	struct delivery_recipient *recipients = ph_pool_array(pool, count, sizeof(*recipients));

	for (uint32_t i = 0; i < count; i++)
		recipients[i] = (struct delivery_recipient){.number = i, .original = "all@x.example",
			.address = ph_pool_printf(pool, i == LONG ? "u%0400u@x.example" : "u%u@x.example",
				i)};
	return (struct ph_delivery){.pool = pool, .storage = &storage, .storage_name = "log",
		.handle = handle, .transport_name = "t", .id = "ID", .nexthop = "hop",
		.sender = "s@y.example", .envid = "env", .client_address = "192.0.2.1",
		.client_hostname = "c.example", .client_helo = "helo", .client_protocol = "ESMTP",
		.sasl_username = "", .arrival = 77, .recipients = recipients, .count = count};
}

static struct ph_delivery
spawn(uint64_t handle, uint32_t count, uint32_t size, const char *broken)
{
	struct ph_user_delivery request = {.size = size, .kind = PH_USER_INSTANCE};
	struct ph_delivery delivery = delivery_of(handle, count);

	memset(&spawner, 0, sizeof(spawner));
	spawner.broken = broken;
	ph_spawn_message(&spawner, &delivery, &request, 1000, 10);
	return delivery;
}

static void
expect(const struct delivery_recipient *recipient, enum outcome outcome, const char *status,
	const char *text)
{
	if (recipient->outcome != outcome || strcmp(recipient->status, status) != 0 ||
		strcmp(recipient->text, text) != 0)
		fail_msg("%s: %d %s %s", recipient->address, recipient->outcome, recipient->status,
			recipient->text);
}

/* ---- All ---------------------------------------------------------------------------------------- */

static void
delivers_to_all(void **state)
{
	static const enum outcome outcomes[] = {OUTCOME_SENT, OUTCOME_DEFERRED, OUTCOME_BOUNCED};
	static const char *const codes[] = {"2.0.0", "4.2.0", "5.2.2"};
	struct ph_delivery delivery = spawn(1, MANY, sizeof(struct ph_user_delivery), NULL);

	assert_int_equal(spawner.batches, 3);
	assert_int_equal(spawner.count, MANY - 1);
	assert_in_range(spawner.first_time, 1000, 1000 + 10 * PH_SPAWN_MAX);
	for (uint32_t i = 0; i < MANY; i++) {
		char text[64];

		if (i == LONG) {
			expect(&delivery.recipients[i], OUTCOME_BOUNCED, "5.1.3",
				"an address is too long");
			continue;
		}
		snprintf(text, sizeof(text), "text %u%s", i,
			i % 2 == 0 ? "" : i % 3 == 0 ? " (word)" : ". Command output: word");
		expect(&delivery.recipients[i], outcomes[i % 3], codes[i % 3], text);
	}
	ph_pool_free(delivery.pool);
}

static void
defers_what_it_cannot_send(void **state)
{
	uint32_t size = sizeof(struct ph_user_delivery);
	struct ph_delivery delivery = spawn(1, 2, size, "the spawner is gone");

	for (uint32_t i = 0; i < 2; i++)
		expect(&delivery.recipients[i], OUTCOME_DEFERRED, "4.3.0", "the spawner is gone");
	ph_pool_free(delivery.pool);
	delivery = spawn(0, 2, size, NULL);
	for (uint32_t i = 0; i < 2; i++)
		expect(&delivery.recipients[i], OUTCOME_DEFERRED, "4.3.0",
			"cannot read the message: a disk is out of order");
	assert_int_equal(spawner.batches, 0);
	ph_pool_free(delivery.pool);
}

/* A transport of a younger Posthouse has requests that this one does not know. */
static void
knows_its_requests(void **state)
{
	struct ph_delivery delivery = spawn(1, 1, sizeof(struct ph_user_delivery) + 8, NULL);

	assert_int_equal(spawner.batches, 0);
	assert_int_equal(delivery.recipients[0].outcome, OUTCOME_DEFERRED);
	assert_non_null(strstr(delivery.recipients[0].text, "bytes are not known"));
	ph_pool_free(delivery.pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivers_to_all),
		cmocka_unit_test(defers_what_it_cannot_send),
		cmocka_unit_test(knows_its_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
