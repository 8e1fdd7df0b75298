/*
 * Probes in the queue role: one for each address however many ask, none of them in a storage, none that
 * comes back for ever, and an answer to whoever is still there.
 */
#include "queue_world.h"

#include <string.h>

#include "queue/probe.h"
#include "queue/protocol.h"
#include "queue/verify_record.h"

static void
begin_probing(void)
{
	begin();
	manager->probes = probes_open(manager);
	assert_non_null(manager->probes);
	worker_connect(&worker, manager, NULL);
}

static void
ask(uint64_t number, const char *address)
{
	struct wire_writer writer;

	wire_begin(&writer, worker.pool);
	wire_put_u64(&writer, number);
	wire_put_string(&writer, address);
	assert_int_equal(channel_send(worker.channel, FRAME_VERIFY, wire_span(&writer)), 0);
}

static void
assert_answer(size_t at, uint64_t number, enum verify_status status, const char *text)
{
	UNTIL(worker.answer_count > at);
	assert_int_equal(worker.answers[at].number, number);
	assert_int_equal(worker.answers[at].status, status);
	assert_string_equal(worker.answers[at].text, text);
}

static void
nothing_stored(void)
{
	assert_int_equal(scheduler_count(manager->scheduler), 0);
	assert_int_equal(store.durable, 0);
}

static void
asked_and_answered(void)
{
	static const struct {
		enum outcome outcome;
		enum verify_status status;
		const char *text;
	} cases[] = {
		{OUTCOME_SENT, VERIFY_DELIVERABLE, "250 Ok"},
		{OUTCOME_BOUNCED, VERIFY_UNDELIVERABLE, "550 no"},
		{OUTCOME_DEFERRED, VERIFY_DEFERRED, "450 later"},
	};
	char address[32];

	begin_probing();
	for (size_t i = 0; i < 3; i++) {
		snprintf(address, sizeof(address), "u%zu@There.Example", i);
		ask(i, address);
		assert_answer(2 * i, i, VERIFY_IN_PROGRESS, "Address verification in progress");
		UNTIL(worker.job_count == i + 1);
		snprintf(address, sizeof(address), "u%zu@there.example", i);
		assert_true(worker.jobs[i].probe);
		assert_string_equal(worker.jobs[i].addresses[0], address);
		assert_string_equal(worker.jobs[i].sender, "double-bounce@mail.here.example");
		assert_string_equal(worker.jobs[i].nexthop, "probes.example");
		assert_string_equal(worker.jobs[i].storage, "");
		nothing_stored();
		say(&worker, &worker.jobs[i], JOB_ANSWERED, cases[i].outcome, "2.0.0", cases[i].text);
		assert_answer(2 * i + 1, i, cases[i].status, cases[i].text);
		assert_non_null(strstr(logged, "removed"));
		logged[0] = '\0';
	}
	/* known now */
	ask(9, "u1@THERE.example");
	assert_answer(6, 9, VERIFY_UNDELIVERABLE, "550 no");
	rounds(5);
	assert_int_equal(worker.job_count, 3);
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 3);
	nothing_stored();
	finish();
}
TEST(asked_and_answered)

static void
many_ask(void)
{
	begin_probing();
	for (uint64_t i = 0; i < 8; i++)
		ask(i, "u@there.example");
	UNTIL(worker.job_count == 1);
	rounds(5);
	assert_int_equal(worker.job_count, 1);
	assert_int_equal(worker.answer_count, 8);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "yes");
	UNTIL(worker.answer_count == 16);
	for (size_t i = 8; i < 16; i++)
		assert_answer(i, i - 8, VERIFY_DELIVERABLE, "yes");
	finish();
}
TEST(many_ask)

/* Nobody waits any more; what was found out is kept all the same. */
static void
asker_gone(void)
{
	struct fake_worker first;

	begin_probing();
	ask(1, "u@there.example");
	UNTIL(worker.job_count == 1);
	first = worker;
	channel_close(worker.channel);
	worker.channel = NULL;
	rounds(3);
	worker_connect(&worker, manager, NULL);
	say(&worker, &first.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "yes");
	rounds(5);
	ask(2, "u@there.example");
	assert_answer(0, 2, VERIFY_DELIVERABLE, "yes");
	finish();
}
TEST(asker_gone)

/* A worker that dies of it does not take all others with it. */
static void
deaths(void)
{
	int given = 0;

	begin_probing();
	ask(1, "u@there.example");
	assert_answer(0, 1, VERIFY_IN_PROGRESS, "Address verification in progress");
	for (int i = 0; i < 10; i++) {
		for (int round = 0; round < 20 && worker.job_count == 0; round++)
			rounds(1);
		given += worker.job_count > 0;
		channel_close(worker.channel);
		worker.channel = NULL;
		rounds(3);
		jobs_expire(manager->scheduler, INT64_MAX, ph_now());
		worker_connect(&worker, manager, NULL);
		rounds(3);
	}
	assert_int_equal(given, 3);
	ask(2, "u@there.example");
	assert_answer(0, 2, VERIFY_DEFERRED, "mail transport unavailable");
	nothing_stored();
	finish();
}
TEST(deaths)

static void
given_back(void)
{
	begin_probing();
	ask(1, "u@there.example");
	for (size_t i = 0; i < 3; i++) {
		UNTIL(worker.job_count == i + 1);
		say(&worker, &worker.jobs[i], JOB_BACK, OUTCOME_BACK, "", "");
	}
	UNTIL(worker.answer_count == 2);
	assert_int_equal(worker.answers[1].status, VERIFY_DEFERRED);
	rounds(5);
	assert_int_equal(worker.job_count, 3);
	finish();
}
TEST(given_back)

static void
needs_utf8(void)
{
	begin_probing();
	ask(1, "m\303\274ller@there.example");
	UNTIL(worker.job_count == 1);
	assert_int_equal(worker.jobs[0].flags, JOB_UTF8);
	ask(2, "muller@there.example");
	UNTIL(worker.job_count == 2);
	assert_int_equal(worker.jobs[1].flags, 0);
	finish();
}
TEST(needs_utf8)

/* It is no message: an expansion of it is none. */
static void
no_expansion(void)
{
	static const char *const addresses[] = {"x@there.example", NULL};

	begin_probing();
	ask(1, "u@there.example");
	UNTIL(worker.job_count == 1);
	say_expansion(&worker, &worker.jobs[0], addresses);
	rounds(5);
	nothing_stored();
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_EXPANDED, "2.0.0", "");
	rounds(5);
	nothing_stored();
	finish();
}
TEST(no_expansion)

static void
no_way(void)
{
	begin_probing();
	ask(1, "u@-bad-.example");
	assert_answer(1, 1, VERIFY_UNDELIVERABLE, "bad destination system address syntax");
	assert_non_null(strstr(logged, "status=undeliverable (bad destination"));
	nothing_stored();
	finish();
}
TEST(no_way)

static void
malformed(void)
{
	static const char *const payloads[] = {"", "\1\0\0\0", "\1\0\0\0\0\0\0\0\0\0\0\0",
		"\1\0\0\0\0\0\0\0\xff\xff\xff\xff", "\1\0\0\0\0\0\0\0\2\0\0\0a\0"};
	static const size_t sizes[] = {0, 4, 12, 12, 14};
	char huge[2000];

	begin_probing();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		logged[0] = '\0';
		channel_send(worker.channel, FRAME_VERIFY, (ph_span){payloads[i], sizes[i]});
		UNTIL(strstr(logged, "a malformed question about an address") != NULL);
	}
	memset(huge, 'a', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	logged[0] = '\0';
	ask(1, huge);
	UNTIL(strstr(logged, "a malformed question about an address") != NULL);
	assert_int_equal(worker.answer_count, 0);
	ask(2, "u@there.example");
	UNTIL(worker.answer_count == 1);
	finish();
}
TEST(malformed)

/* There is an end to how many are in progress; the others hear that their address is not known yet. */
static void
too_many(void)
{
	char address[32];

	begin_probing();
	for (int i = 0; i < 1100; i++) {
		snprintf(address, sizeof(address), "u%d@there.example", i);
		ask((uint64_t)i, address);
	}
	UNTIL(worker.answer_count == 1100 && scheduler_active_count(manager->scheduler) == 1000);
	rounds(5);
	assert_int_equal(scheduler_active_count(manager->scheduler), 1000);
	UNTIL(worker.job_count > 0);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "yes");
	UNTIL(scheduler_active_count(manager->scheduler) == 999);
	ask(2000, "late@there.example");
	UNTIL(scheduler_active_count(manager->scheduler) == 1000);
	finish();
}
TEST(too_many)

/* At the end nothing waits for what is in hand. */
static void
stopped(void)
{
	begin_probing();
	slow_table = true;
	ask(1, "u@there.example");
	ask(2, "v@there.example");
	UNTIL(worker.answer_count == 2);
	slow_table = false;
	finish();
}
TEST(stopped)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asked_and_answered),
		cmocka_unit_test(test_many_ask),
		cmocka_unit_test(test_asker_gone),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_given_back),
		cmocka_unit_test(test_needs_utf8),
		cmocka_unit_test(test_no_expansion),
		cmocka_unit_test(test_no_way),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
