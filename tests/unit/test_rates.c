/* The table of rates: windows, who gives way, processes that share it and die. */
#include "test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "session/rates.h"

enum {
	BUCKETS = 4096, /* a client lies in that of its hash modulo this */
	BUCKET = 16,
	UNIT = 60,
	MILLION = 1000 * 1000
};

static struct rates *rates;

static int
setup(void **state)
{
	rates = mmap(NULL, rates_size(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return rates == MAP_FAILED ? -1 : 0;
}

static int
teardown(void **state)
{
	return munmap(rates, rates_size());
}

/* As good as a keyed hash, and the same every time. */
static uint64_t
hash(uint64_t value)
{
	value = (value + UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);
	value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
	return value ^ value >> 31;
}

/* One of bucket 5. */
static uint64_t
neighbour(unsigned i)
{
	return hash(i) / BUCKETS * BUCKETS + 5;
}

static uint32_t
count(uint64_t client, enum rate_event event, uint32_t limit, uint32_t now)
{
	const struct rate_request request = {.client = client, .event = event, .limit = limit, .unit = UNIT,
		.now = now};

	return rates_count(rates, &request);
}

static void
repeat(uint64_t client, unsigned times, uint32_t limit, uint32_t now)
{
	for (unsigned i = 1; i <= times; i++)
		assert_int_equal(count(client, RATE_MESSAGE, limit, now), i);
}

/* ---- One client ------------------------------------------------------------------------------- */

static void
test_window(void **state)
{
	uint64_t a = hash(1), b = hash(2);

	assert_int_equal(count(a, RATE_CONNECTION, 10, 100), 1);
	assert_int_equal(count(a, RATE_CONNECTION, 10, 120), 2);
	assert_int_equal(count(b, RATE_CONNECTION, 10, 120), 1);
	assert_int_equal(count(a, RATE_CONNECTION, 10, 160), 3); /* the window is from the first one on */
	assert_int_equal(count(a, RATE_CONNECTION, 10, 161), 1);
	assert_int_equal(count(a, RATE_CONNECTION, 10, 221), 2);
	assert_int_equal(count(b, RATE_CONNECTION, 10, 1000), 1);
	/* What is over the limit counts on. */
	for (uint32_t i = 2; i < 50; i++)
		assert_int_equal(count(b, RATE_CONNECTION, 10, 1000), i);
}

static void
test_events_are_apart(void **state)
{
	uint64_t client = hash(1);

	for (enum rate_event event = 0; event < RATE_EVENTS; event++)
		for (unsigned i = 0; i <= event; i++)
			assert_int_equal(count(client, event, 3, 100 + event), i + 1);
	for (enum rate_event event = 0; event < RATE_EVENTS; event++)
		assert_int_equal(count(client, event, 3, 150), event + 2);
}

/* A process whose clock was read a little earlier counts in the same window, and ends nobody's. */
static void
test_clocks_differ(void **state)
{
	for (unsigned i = 0; i < BUCKET; i++)
		repeat(neighbour(i), 2, 3, 100);
	assert_int_equal(count(neighbour(0), RATE_MESSAGE, 3, 99), 3);
	assert_int_equal(count(neighbour(99), RATE_MESSAGE, 3, 99), 1);
	assert_int_equal(count(neighbour(0), RATE_MESSAGE, 3, 98), 4);
}

/* A clock of 32 bits, and the 26 that are kept of it, begin anew one day. */
static void
test_clock(void **state)
{
	uint64_t client = hash(1);

	assert_int_equal(count(client, RATE_AUTH, 3, UINT32_MAX - 5), 1);
	assert_int_equal(count(client, RATE_AUTH, 3, 5), 2);
	assert_int_equal(count(client, RATE_AUTH, 3, UNIT), 1);
	assert_int_equal(count(client, RATE_AUTH, 3, (1u << 26) - 1000), 1);
	assert_int_equal(count(client, RATE_AUTH, 3, (1u << 26) - 10), 1);
	assert_int_equal(count(client, RATE_AUTH, 3, (1u << 26) + 10), 2);
}

static void
test_most(void **state)
{
	uint64_t client = hash(1);

	for (unsigned i = 0; i < 1u << 22; i++)
		count(client, RATE_MESSAGE, RATE_LIMIT_MOST, 7);
	assert_in_range(count(client, RATE_MESSAGE, RATE_LIMIT_MOST, 7), RATE_LIMIT_MOST, (1u << 22) - 1);
}

/* ---- Who gives way ---------------------------------------------------------------------------- */

static void
test_over_first(void **state)
{
	repeat(neighbour(0), 5, 5, 100);
	for (unsigned i = 1; i < BUCKET; i++)
		repeat(neighbour(i), 1, 5, 130);
	/* The window of the first is over: it gives way, limited or not, and nobody else does. */
	assert_int_equal(count(neighbour(99), RATE_MESSAGE, 5, 161), 1);
	for (unsigned i = 1; i < BUCKET; i++)
		assert_int_equal(count(neighbour(i), RATE_MESSAGE, 5, 161), 2);
}

/* The least use first, then the oldest. */
static void
test_least_first(void **state)
{
	for (unsigned i = 0; i < BUCKET; i++)
		repeat(neighbour(i), i == 3 || i == 7 ? 2 : 3, 100, i == 7 ? 99 : 100);
	assert_int_equal(count(neighbour(50), RATE_MESSAGE, 100, 100), 1); /* 7 goes */
	assert_int_equal(count(neighbour(50), RATE_MESSAGE, 100, 100), 2);
	assert_int_equal(count(neighbour(50), RATE_MESSAGE, 100, 100), 3);
	assert_int_equal(count(neighbour(51), RATE_MESSAGE, 100, 100), 1); /* 3 goes */
	assert_int_equal(count(neighbour(52), RATE_MESSAGE, 100, 100), 1); /* 51 goes */
	assert_int_equal(count(neighbour(7), RATE_MESSAGE, 100, 100), 1);  /* 52 goes */
	for (unsigned i = 0; i < BUCKET; i++)
		if (i != 3 && i != 7)
			assert_int_equal(count(neighbour(i), RATE_MESSAGE, 100, 100), 4);
	assert_int_equal(count(neighbour(50), RATE_MESSAGE, 100, 100), 4);
	assert_int_equal(count(neighbour(7), RATE_MESSAGE, 100, 100), 2);
}

static bool
connected(uint64_t client)
{
	return client == neighbour(0) || client == neighbour(1);
}

static uint32_t
count_connected(uint64_t client)
{
	const struct rate_request request = {.client = client, .event = RATE_MESSAGE, .limit = 100,
		.unit = UNIT, .now = 100, .is_connected = connected};

	return rates_count(rates, &request);
}

/* One with a connection, and one that has used up half, stay while there are others. */
static void
test_connected_and_half(void **state)
{
	assert_int_equal(count_connected(neighbour(0)), 1);
	assert_int_equal(count_connected(neighbour(1)), 1);
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(count_connected(neighbour(2)), i + 1);
	for (unsigned i = 3; i < 1000; i++) {
		assert_int_equal(count_connected(neighbour(i)), 1);
		assert_int_equal(count_connected(neighbour(i)), 2);
	}
	assert_int_equal(count_connected(neighbour(0)), 2);
	assert_int_equal(count_connected(neighbour(1)), 2);
	assert_int_equal(count_connected(neighbour(2)), 51);
}

/* Where there are no others one of them goes: the one that used least. */
static void
test_only_busy(void **state)
{
	for (unsigned i = 0; i < BUCKET; i++)
		repeat(neighbour(i), i == 4 ? 6 : 8, 10, 100);
	assert_int_equal(count(neighbour(99), RATE_MESSAGE, 10, 100), 1);
	assert_int_equal(count(neighbour(4), RATE_MESSAGE, 10, 100), 1); /* 99 goes again */
	for (unsigned i = 0; i < BUCKET; i++)
		if (i != 4)
			assert_int_equal(count(neighbour(i), RATE_MESSAGE, 10, 100), 9);
}

/* Whoever is at a limit stays; a newcomer that finds only such is not counted until one window ends. */
static void
test_full(void **state)
{
	for (unsigned i = 0; i < BUCKET; i++)
		repeat(neighbour(i), 3, 3, 100 + i);
	for (unsigned i = BUCKET; i < 100; i++)
		assert_int_equal(count(neighbour(i), RATE_MESSAGE, 3, 120), 0);
	for (unsigned i = 0; i < BUCKET; i++)
		assert_int_equal(count(neighbour(i), RATE_MESSAGE, 3, 120), 4);
	assert_int_equal(count(neighbour(BUCKET), RATE_MESSAGE, 3, 161), 1);
	assert_int_equal(count(neighbour(BUCKET), RATE_MESSAGE, 3, 161), 2);
}

/* A million addresses: the limited one among them stays limited, one that came near stays too, and the
 * table is as large as it was. */
static void
test_flood(void **state)
{
	uint64_t limited = hash(MILLION + 1), near = hash(MILLION + 2), often = hash(MILLION + 3);
	uint32_t limited_count = 10, near_count = 6;

	assert_int_equal(rates_size(), 4 * 1024 * 1024);
	repeat(limited, 10, 10, 100);
	repeat(near, 6, 10, 100);
	repeat(often, 2, 10, 100);
	for (unsigned i = 0; i < MILLION; i++) {
		assert_int_equal(count(hash(i), RATE_MESSAGE, 10, 100 + i / (MILLION / 50)), 1);
		if (i % 1000 == 0)
			assert_int_equal(count(limited, RATE_MESSAGE, 10, 100 + i / (MILLION / 50)),
				++limited_count);
	}
	assert_int_equal(count(limited, RATE_MESSAGE, 10, 150), limited_count + 1);
	assert_int_equal(count(near, RATE_MESSAGE, 10, 150), near_count + 1);
	assert_int_equal(count(often, RATE_MESSAGE, 10, 150), 3);
}

/* ---- Processes -------------------------------------------------------------------------------- */

static pid_t
start(void (*work)(unsigned number), unsigned number)
{
	pid_t pid = fork();

	assert_true(pid != -1);
	if (pid == 0) {
		work(number);
		_exit(0);
	}
	return pid;
}

static void
count_together(unsigned number)
{
	for (unsigned i = 0; i < 50000; i++) {
		(void)count(hash(1), RATE_MESSAGE, 1000, 100);
		(void)count(hash(2 + i % 100), RATE_RECIPIENT, 100000, 100);
	}
}

/* Nothing that is counted at the same time is lost, but for the moment in which a client is new. */
static void
test_together(void **state)
{
	enum { PROCESSES = 4 };
	int status;

	(void)count(hash(1), RATE_MESSAGE, 1000, 100);
	for (unsigned i = 0; i < PROCESSES; i++)
		(void)start(count_together, i);
	for (unsigned i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count(hash(1), RATE_MESSAGE, 1000, 100), 4 * 50000 + 2);
	for (unsigned i = 0; i < 100; i++)
		assert_in_range(count(hash(2 + i), RATE_RECIPIENT, 100000, 100), 4 * 500 - PROCESSES + 2,
			4 * 500 + 1);
}

static void
flood_one_bucket(unsigned number)
{
	for (unsigned i = 0;; i++)
		(void)count(neighbour(1000 + (i * 31 + number) % 64), RATE_MESSAGE, 100, 100);
}

/* One that is killed anywhere in it leaves nothing that stays. */
static void
test_killed(void **state)
{
	const struct timespec moment = {.tv_nsec = 500 * 1000};

	for (unsigned i = 0; i < 200; i++) {
		pid_t one = start(flood_one_bucket, i), two = start(flood_one_bucket, i + 1);

		nanosleep(&moment, NULL);
		kill(one, SIGKILL);
		kill(two, SIGKILL);
		assert_int_equal(waitpid(one, NULL, 0), one);
		assert_int_equal(waitpid(two, NULL, 0), two);
	}
	/* All of the bucket can be had, once what is in it is over. */
	for (unsigned i = 0; i < BUCKET; i++)
		repeat(neighbour(i), 3, 3, 100 + UNIT + 1);
	assert_int_equal(count(neighbour(BUCKET), RATE_MESSAGE, 3, 100 + UNIT + 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_window, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events_are_apart, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clocks_differ, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock, setup, teardown),
		cmocka_unit_test_setup_teardown(test_most, setup, teardown),
		cmocka_unit_test_setup_teardown(test_over_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_least_first, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connected_and_half, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
		cmocka_unit_test_setup_teardown(test_together, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
