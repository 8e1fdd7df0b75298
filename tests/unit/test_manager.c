/*
 * The queue manager: what is handed out, noted, reported and removed, and in which order.
 */
#include "queue_world.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/transport.h>

#include "queue/protocol.h"

static const char *const one[] = {"u@there.example", NULL};
static const char *const three[] = {"a@there.example", "b@there.example", "c@else.example", NULL};

static void
deliver_and_remove(void)
{
	put_message(0, "MSG1", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	assert_string_equal(worker.jobs[0].addresses[0], "u@there.example");
	assert_int_equal(worker.jobs[0].attempt, 1);
	assert_non_null(strstr(logged, "qmgr: MSG1: from=<s@here.example>, size=20, nrcpt=1 (queue active)\n"));
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	/* one record for the whole message, and no acknowledgement before it is durable */
	assert_int_equal(store.messages[0].note_count, 0);
	assert_int_equal(worker.ack_count, 0);
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 1);
	assert_int_equal(worker.acks[0], worker.jobs[0].number);
	assert_non_null(strstr(logged, "qmgr: MSG1: removed\n"));
	/* it is said again: nothing happens but another acknowledgement */
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	rounds(5);
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 2);
	finish();
}

static void
bounce_and_remove(void)
{
	put_message(0, "MSG2", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1",
		"host mx.there.example[192.0.2.1] said: 550 5.1.1 unknown");
	rounds(5);
	/* one report at the end of the pass */
	assert_int_equal(report_letter.committed, 0);
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report_letter.committed, 1);
	assert_false(report_letter.removed_at_commit);
	assert_string_equal(report_letter.to, "s@here.example");
	assert_non_null(strstr(report_letter.text, "Final-Recipient: rfc822; a@there.example\r\n"));
	assert_non_null(strstr(report_letter.text, "Final-Recipient: rfc822; b@there.example\r\n"));
	assert_null(strstr(report_letter.text, "c@else.example"));
	assert_non_null(strstr(report_letter.text, "\r\n\r\nSubject: test\r\n\r\nHi\r\n"));
	assert_non_null(strstr(logged, "bounce: MSG2: sender non-delivery notification: REPORT1\n"));
	finish();
}

static void
no_report_of_a_report(void)
{
	put_message(0, "MSG3", "", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1", "unknown");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report_letter.committed, 0);
	assert_non_null(strstr(logged, "MSG3: undeliverable report discarded: notify_classes has no 2bounce\n"));
	finish();
}

static void
defer_then_restart(void)
{
	struct message *message;

	put_message(0, "MSG4", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_DEFERRED, "4.2.2", "mailbox full");
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	message = scheduler_find(manager->scheduler, NULL, "MSG4");
	UNTIL(message->state == MESSAGE_WAITING);
	assert_null(message->body);
	assert_int_equal(message->attempts, 1);
	assert_in_range(message->due - ph_now(), 290000, 400000);
	assert_int_equal(worker.job_count, 2);
	finish();
	/* another owner knows it all from the notes */
	begin();
	message = scheduler_find(manager->scheduler, NULL, "MSG4");
	assert_non_null(message);
	assert_int_equal(message->attempts, 1);
	assert_in_range(message->due - ph_now(), 280000, 400000);
	worker_connect(&worker, manager, NULL);
	scheduler_flush_all(manager->scheduler, ph_now());
	UNTIL(worker.job_count == 1);
	assert_int_equal(worker.jobs[0].count, 2);
	assert_int_equal(worker.jobs[0].attempt, 2);
	assert_string_equal(worker.jobs[0].addresses[1], "b@there.example");
	finish();
}

static void
expired(void)
{
	put_message(0, "MSG5", "s@here.example", 432000001, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_DEAD, OUTCOME_DEFERRED, "4.4.1", "connect: refused");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report_letter.committed, 1);
	assert_non_null(strstr(report_letter.text, "Status: 4.4.7\r\n"));
	assert_non_null(strstr(logged,
		"qmgr: MSG5: from=<s@here.example>, status=expired, returned to sender\n"));
	finish();
}

static void
report_cannot_be_written(void)
{
	struct message *message;

	report_letter.fail = true;
	put_message(0, "MSG6", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1", "unknown");
	message = scheduler_find(manager->scheduler, NULL, "MSG6");
	UNTIL(message->state == MESSAGE_WAITING);
	assert_false(store.messages[0].removed);
	assert_non_null(strstr(logged, "disk full"));
	finish();
}

static void
expansion(void)
{
	static const char *const addresses[] = {"x@here.example", "y@there.example", NULL};
	static const char *const loop[] = {"x@here.example", "u@there.example", NULL};

	put_message(0, "MSG7", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	/* it comes twice, as after a reconnect */
	say_expansion(&worker, &worker.jobs[0], addresses);
	say_expansion(&worker, &worker.jobs[0], addresses);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_EXPANDED, "", "");
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_EXPANDED, "", "");
	UNTIL(worker.job_count == 3);
	assert_int_equal(store.messages[0].note_count, 1);
	assert_string_equal(worker.jobs[1].addresses[0], "x@here.example");
	assert_string_equal(worker.jobs[1].originals[0], "u@there.example");
	assert_int_equal(worker.jobs[1].numbers[0], 1);
	/* the second expands to one that was there and to its own ancestor: nothing is left, it fails */
	say_expansion(&worker, &worker.jobs[2], loop);
	say(&worker, &worker.jobs[2], JOB_ANSWERED, OUTCOME_EXPANDED, "", "");
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report_letter.committed, 1);
	assert_non_null(strstr(report_letter.text, "Final-Recipient: rfc822; y@there.example\r\n"));
	assert_non_null(strstr(report_letter.text, "Status: 5.4.6\r\n"));
	finish();
}

/* The queue role is another one; the worker still has the job in hand, and says so. */
static void
handover(void)
{
	struct got_job held;

	put_message(0, "MSG8", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	held = worker.jobs[0];
	finish();
	begin();
	manager_announce(manager);
	worker_connect(&worker, manager, &held);
	rounds(5);
	/* the time of announcing is over: it is not given out again */
	scheduler_flush_all(manager->scheduler, ph_now());
	rounds(5);
	assert_int_equal(worker.job_count, 0);
	say(&worker, &held, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	finish();
}

/* A result of an earlier life, for a job that nobody announced. */
static void
late_result(void)
{
	struct got_job held;

	put_message(0, "MSG9", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	held = worker.jobs[0];
	finish();
	begin();
	manager_announce(manager);
	worker_connect(&worker, manager, NULL);
	say(&worker, &held, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(worker.job_count, 0);
	finish();
}

static void
deaths(void)
{
	struct message *message;

	put_message(0, "MSGA", "s@here.example", 0, one);
	begin();
	for (int i = 0; i < 2; i++)
		manager_blame(manager, "MSGA", "smtp", "delivery");
	finish();
	begin();
	message = scheduler_find(manager->scheduler, NULL, "MSGA");
	assert_int_equal(message->deaths, 2);
	assert_false(message->hold);
	manager_blame(manager, "MSGA", "smtp", "delivery");
	assert_int_equal(message->state, MESSAGE_HELD);
	assert_non_null(strstr(logged, "MSGA: held:"));
	finish();
	begin();
	message = scheduler_find(manager->scheduler, NULL, "MSGA");
	assert_int_equal(message->state, MESSAGE_HELD);
	manager_release(manager, message);
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	/* on hold while in hand: it ends its pass and stays */
	manager_hold(manager, message, "by an operator");
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_DEFERRED, "4.0.0", "later");
	UNTIL(message->state == MESSAGE_HELD);
	finish();
}

static void
unresolvable(void)
{
	static const char *const to[] = {"u@", "v@there.example", NULL};

	put_message(0, "MSGB", "s@here.example", 0, to);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report_letter.committed, 1);
	assert_non_null(strstr(logged, "error: MSGB: to=<u@>, relay=none, delay="));
	assert_non_null(strstr(logged, "dsn=5.1.3, status=bounced (bad address syntax)\n"));
	finish();
}

/* A worker that dies with a job in hand: after a while somebody else gets it. */
static void
worker_dies(void)
{
	put_message(0, "MSGC", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	channel_close(worker.channel);
	rounds(5);
	worker_connect(&worker, manager, NULL);
	rounds(5);
	assert_int_equal(worker.job_count, 0);
	jobs_expire(manager->scheduler, ph_now(), ph_now());
	UNTIL(worker.job_count == 1);
	finish();
}

/* Random frames. */
static void
hostile(void)
{
	uint32_t random = 12345;

	put_message(0, "MSGD", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	for (int i = 0; i < 3000; i++) {
		char bytes[80];
		struct wire_writer writer;
		size_t size;

		put_head(&writer, &worker, &worker.jobs[0]);
		size = wire_span(&writer).size;
		assert_true(size < sizeof(bytes));
		memcpy(bytes, wire_span(&writer).data, size);
		for (size_t k = i % 2 == 0 ? 0 : size; k < sizeof(bytes); k++) {
			random = random * 1664525u + 1013904223u;
			bytes[k] = (char)(random >> 24 & (i % 3 == 0 ? 0xff : 0x03));
		}
		channel_send(worker.channel, 1 + random % 9, (ph_span){bytes, (random >> 8) % 81});
		ph_pool_reset(worker.pool);
		worker.job_count = worker.job_count > 8 ? 1 : worker.job_count;
		worker.ack_count = 0;
		if (i % 50 == 0)
			rounds(1);
	}
	rounds(5);
	finish();
}

/* ---- cmocka ---------------------------------------------------------------------------------- */

TEST(deliver_and_remove)
TEST(bounce_and_remove)
TEST(no_report_of_a_report)
TEST(defer_then_restart)
TEST(expired)
TEST(report_cannot_be_written)
TEST(expansion)
TEST(handover)
TEST(late_result)
TEST(deaths)
TEST(unresolvable)
TEST(worker_dies)
TEST(hostile)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deliver_and_remove),
		cmocka_unit_test(test_bounce_and_remove),
		cmocka_unit_test(test_no_report_of_a_report),
		cmocka_unit_test(test_defer_then_restart),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_report_cannot_be_written),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_handover),
		cmocka_unit_test(test_late_result),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_unresolvable),
		cmocka_unit_test(test_worker_dies),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
