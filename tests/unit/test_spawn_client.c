/* The local role's side of the spawner, with a spawner of the test's own that answers when it likes. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/loop.h"
#include "process/channel.h"
#include "process/protocol.h"
#include "process/spawn.h"

enum { MANY = 2 * SPAWN_UNDER_WAY + 50 };

static struct instance transport = {.name = "local", .number = 0};

struct instance *
instance_of(const void *self)
{
	return self == &transport ? &transport : NULL;
}

struct role *
role_current(void)
{
	return NULL;
}

size_t
result_stride(size_t request_size)
{
	return sizeof(struct ph_user_result);
}

/* ---- A spawner ---------------------------------------------------------------------------------- */

static struct {
	struct channel *channel;
	uint32_t numbers[MANY]; /* of those without an answer */
	size_t count, seen, peak;
} spawner;

static void
on_request(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct wire_reader reader = wire_reader_of(payload);

	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	if (type != SPAWN_REQUEST)
		return;
	assert_true(spawner.seen < MANY);
	spawner.numbers[spawner.count++] = wire_get_u32(&reader);
	spawner.seen++;
	if (spawner.count > spawner.peak)
		spawner.peak = spawner.count;
}

static void
on_closed(struct channel *channel, void *context)
{
	if (channel == spawner.channel)
		spawner.channel = NULL;
}

static const struct channel_ops spawner_ops = {.frame = on_request, .closed = on_closed};

static void
start_spawner(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	spawner.channel = channel_open("fake", pair[0], &spawner_ops, NULL);
	assert_non_null(spawner.channel);
	spawner.count = spawner.seen = spawner.peak = 0;
	spawn_client_connect(pair[1]);
}

static void
answer(uint32_t number)
{
	const struct ph_user_result result = {.size = sizeof(result), .status = "2.0.0"};
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;

	wire_begin(&writer, pool);
	wire_put_u32(&writer, number);
	wire_put_string(&writer, "");
	wire_put_u32(&writer, 1);
	wire_put_bytes(&writer, (ph_span){(const char *)&result, sizeof(result)});
	wire_put_bytes(&writer, (ph_span){0});
	assert_int_equal(channel_send(spawner.channel, SPAWN_RESULT, wire_span(&writer)), 0);
	ph_pool_free(pool);
}

/* Until as many are there as are to come; time for one more, which would be too many. */
static void
await_requests(size_t count)
{
	while (spawner.count < count)
		ph_sleep(ph_in(1));
	ph_sleep(ph_in(20));
	assert_int_equal(spawner.count, count);
}

static void
answer_all(void)
{
	for (size_t i = 0; i < spawner.count; i++)
		answer(spawner.numbers[i]);
	spawner.count = 0;
}

/* ---- Deliveries --------------------------------------------------------------------------------- */

static struct {
	size_t begun, sent, failed, last; /* last: who was sent last */
	int64_t time;
	char error[sizeof(((ph_error *)0)->text)];
} deliveries;

static void
deliver(void *argument)
{
	struct ph_user_delivery request = {.size = sizeof(request), .kind = PH_USER_READ, .user = "nobody"};
	struct ph_user_result result;
	size_t number = ++deliveries.begun;
	ph_error error = {""};

	if (ph_spawn_delivery(&transport, &request, NULL, 1, &result, ph_in(deliveries.time), &error) == 0) {
		assert_string_equal(result.status, "2.0.0");
		assert_true(number > deliveries.last);
		deliveries.last = number;
		deliveries.sent++;
	} else {
		deliveries.failed++;
		snprintf(deliveries.error, sizeof(deliveries.error), "%s", error.text);
	}
}

static void
start_deliveries(size_t count, int64_t time)
{
	memset(&deliveries, 0, sizeof(deliveries));
	deliveries.time = time;
	for (size_t i = 0; i < count; i++)
		assert_true(ph_task_alive(ph_task_spawn("deliver", deliver, NULL)));
}

static void
await_ends(size_t sent, size_t failed)
{
	while (deliveries.sent + deliveries.failed < sent + failed)
		ph_sleep(ph_in(1));
	assert_int_equal(deliveries.sent, sent);
	assert_int_equal(deliveries.failed, failed);
}

/* ---- Tests -------------------------------------------------------------------------------------- */

/* Those that are too many wait for their turn. */
static void
run_many(void *argument)
{
	start_spawner();
	start_deliveries(MANY, 30000);
	for (size_t left = MANY; left > 0;) {
		size_t some = left < SPAWN_UNDER_WAY ? left : SPAWN_UNDER_WAY;

		await_requests(some);
		answer_all();
		left -= some;
	}
	await_ends(MANY, 0);
	assert_int_equal(spawner.peak, SPAWN_UNDER_WAY);
	loop_stop();
}

/* Those whose time is up are told so, and leave the queue. */
static void
run_late(void *argument)
{
	start_spawner();
	start_deliveries(SPAWN_UNDER_WAY, 30000);
	await_requests(SPAWN_UNDER_WAY);
	start_deliveries(3, 20);
	await_ends(0, 3);
	assert_string_equal(deliveries.error, "too many deliveries at once");
	answer_all();
	await_ends(SPAWN_UNDER_WAY, 3);
	loop_stop();
}

/* What was not sent yet when the spawner died goes to the next one. */
static void
run_restart(void *argument)
{
	start_spawner();
	start_deliveries(MANY, 30000);
	await_requests(SPAWN_UNDER_WAY);
	channel_close(spawner.channel);
	await_ends(0, SPAWN_UNDER_WAY);
	assert_string_equal(deliveries.error, "the spawner is gone");
	start_spawner();
	for (size_t left = MANY - SPAWN_UNDER_WAY; left > 0;) {
		size_t some = left < SPAWN_UNDER_WAY ? left : SPAWN_UNDER_WAY;

		await_requests(some);
		answer_all();
		left -= some;
	}
	await_ends(MANY - SPAWN_UNDER_WAY, SPAWN_UNDER_WAY);
	loop_stop();
}

static void
run_none(void *argument)
{
	start_spawner();
	channel_close(spawner.channel);
	start_deliveries(1, 30000);
	await_ends(0, 1);
	start_deliveries(1, 20);
	await_ends(0, 1);
	assert_string_equal(deliveries.error, "there is no spawner");
	loop_stop();
}

static void
on_loop(void (*test)(void *))
{
	ph_error error;

	assert_int_equal(loop_open(&error), 0);
	assert_true(ph_task_alive(ph_task_spawn("test", test, NULL)));
	assert_int_equal(loop_run(), 0);
	loop_close();
}

static void
test_many(void **state)
{
	on_loop(run_many);
}

static void
test_late(void **state)
{
	on_loop(run_late);
}

static void
test_restart(void **state)
{
	on_loop(run_restart);
}

static void
test_none(void **state)
{
	on_loop(run_none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_late),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
