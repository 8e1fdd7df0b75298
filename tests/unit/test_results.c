/*
 * What workers say of their jobs, at bad times: before a handover and after it, twice, late, in pieces,
 * while a storage fails, while a message is read, held or reported. Nothing is lost, nothing that is
 * not durable is acknowledged, and nothing that was delivered is handed out again.
 */
#include "queue_world.h"

#include <stdlib.h>
#include <string.h>

static const char *const one[] = {"u@there.example", NULL};
static const char *const three[] = {"a@there.example", "b@there.example", "c@else.example", NULL};

static struct message *
find(const char *id)
{
	return scheduler_find(manager->scheduler, NULL, id);
}

/* One message with one job in hand, and its queue role gone; the next has not begun. */
static struct got_job
orphaned_job(const char *id, const char *const *to)
{
	struct got_job job;

	put_message(0, id, "s@here.example", 0, to);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == (to == one ? 1 : 2));
	job = worker.jobs[0];
	finish();
	return job;
}

/* ---- The storage fails ----------------------------------------------------------------------- */

static void
note_refused(void)
{
	put_message(0, "MSG1", "s@here.example", 0, three);
	put_message(1, "MSG2", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 3);
	store.refuse = true;
	for (size_t i = 0; i < 3; i++)
		say(&worker, &worker.jobs[i], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(scheduler_count(manager->scheduler) == 0);
	assert_int_equal(manager_sync(manager), -1);
	/* no more work is given out while it cannot be noted */
	put_message(2, "MSG3", "s@here.example", 0, one);
	manager->storages[0].more = true;
	rounds(10);
	assert_int_equal(worker.job_count, 3);
	assert_int_equal(worker.ack_count, 0);
	assert_null(strstr(logged, "removed"));
	store.refuse = false;
	assert_int_equal(manager_sync(manager), 0);
	assert_true(store.messages[0].removed && store.messages[1].removed);
	assert_non_null(strstr(logged, "qmgr: MSG1: removed\n"));
	UNTIL(worker.ack_count == 3 && worker.job_count == 4);
	finish();
}

static void
sync_refused(void)
{
	put_message(0, "MSG1", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	store.refuse = true;
	assert_int_equal(manager_sync(manager), -1);
	assert_int_equal(manager_sync(manager), -1);
	rounds(5);
	assert_int_equal(worker.ack_count, 0);
	assert_null(strstr(logged, "MSG1: removed"));
	store.refuse = false;
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 1);
	assert_non_null(strstr(logged, "MSG1: removed"));
	finish();
}

static int second_result;

static void
sync_again(void *argument)
{
	second_result = manager_sync(manager);
}

/* Two syncs at once: the first must not acknowledge what only the second makes durable, nor the second
 * return before the first has. */
static void
two_syncs(void)
{
	ph_task second;

	put_message(0, "MSG1", "s@here.example", 0, one);
	put_message(1, "MSG2", "s@here.example", 0, three + 2);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	assert_int_equal(manager_sync(manager), 0);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(scheduler_count(manager->scheduler) == 1);
	store.slow_sync = true;
	second_result = 1;
	second = ph_task_spawn("first", sync_again, NULL);
	UNTIL(store.syncing == 1);
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(scheduler_count(manager->scheduler) == 0);
	ph_task_join(second, ph_in(0));
	second = ph_task_spawn("second", sync_again, NULL);
	rounds(20);
	assert_int_equal(store.syncing, 1);
	assert_int_equal(second_result, 1);
	assert_int_equal(worker.ack_count, 0);
	store.slow_sync = false;
	ph_task_join(second, ph_in(5000));
	UNTIL(worker.ack_count == 2);
	assert_int_equal(store.durable, 2);
	finish();
}

/* ---- Late, twice, to another owner ----------------------------------------------------------- */

/* A delivery is known of a message that was put on hold meanwhile. */
static void
late_for_held(void)
{
	struct got_job job = orphaned_job("MSG1", three);

	begin();
	assert_int_equal(manager_hold(manager, find("MSG1"), "test"), 1);
	worker_connect(&worker, manager, NULL);
	say(&worker, &job, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].note_count == 2);
	assert_int_equal(find("MSG1")->state, MESSAGE_HELD);
	assert_null(find("MSG1")->body);
	manager_release(manager, find("MSG1"));
	UNTIL(worker.job_count == 1);
	/* only what the other job had */
	assert_string_equal(worker.jobs[0].addresses[0], job.count == 2 ? "c@else.example"
		: "a@there.example");
	assert_int_equal(worker.jobs[0].count, 3 - job.count);
	finish();
}

/* All that is left of a held message was delivered: it goes. */
static void
last_of_held(void)
{
	struct got_job job = orphaned_job("MSG1", one);

	begin();
	manager_hold(manager, find("MSG1"), "test");
	worker_connect(&worker, manager, NULL);
	say(&worker, &job, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	finish();
}

/* It cannot be read when its result comes: nothing is acknowledged, and it may come again. */
static void
late_for_unreadable(void)
{
	struct got_job job = orphaned_job("MSG1", one);

	begin();
	worker_connect(&worker, manager, NULL);
	store.unreadable = true;
	say(&worker, &job, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	rounds(20);
	assert_int_equal(manager_sync(manager), 0);
	rounds(5);
	assert_int_equal(worker.ack_count, 0);
	store.unreadable = false;
	say(&worker, &job, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(worker.job_count, 0);
	finish();
}

/* A deferral that was noted and not acknowledged comes again: it counts once, and wakes nobody. */
static void
deferral_twice(void)
{
	struct got_job job;
	uint32_t notes;

	put_message(0, "MSG1", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	job = worker.jobs[0];
	say(&worker, &job, JOB_ANSWERED, OUTCOME_DEFERRED, "4.2.2", "full");
	UNTIL(find("MSG1")->state == MESSAGE_WAITING);
	finish();
	notes = store.messages[0].note_count;
	begin();
	worker_connect(&worker, manager, NULL);
	say(&worker, &job, JOB_ANSWERED, OUTCOME_DEFERRED, "4.2.2", "full");
	rounds(20);
	assert_int_equal(find("MSG1")->attempts, 1);
	assert_int_equal(find("MSG1")->state, MESSAGE_WAITING);
	assert_null(find("MSG1")->body);
	assert_in_range(find("MSG1")->due - ph_now(), 200000, 400000);
	assert_int_equal(store.messages[0].note_count, notes);
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 1);
	finish();
}

/* A delivery comes to be known while the report of the other recipients is written. */
static void
late_while_reporting(void)
{
	struct got_job first;
	struct message *message;

	put_message(0, "MSG1", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	first = worker.jobs[0];
	message = find("MSG1");
	say(&worker, &first, JOB_ANSWERED, OUTCOME_DEFERRED, "4.2.2", "full");
	store.slow_read = true;
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1", "unknown");
	UNTIL(message->state == MESSAGE_REPORTING && store.reading == 1);
	say(&worker, &first, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	rounds(5);
	assert_int_equal(message->body->in_state[RCPT_DONE], first.count);
	store.slow_read = false;
	UNTIL(store.messages[0].removed);
	assert_int_equal(report_letter.committed, 1);
	assert_int_equal(worker.job_count, 2);
	finish();
}

/* Two workers announce jobs of one message while it is being read: both are believed. */
static void
announced_while_reading(void)
{
	static struct fake_worker other;
	struct got_job jobs[2];

	put_message(0, "MSG1", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	memcpy(jobs, worker.jobs, sizeof(jobs));
	finish();
	begin();
	manager_announce(manager);
	store.slow_read = true;
	worker_connect(&worker, manager, &jobs[0]);
	worker_connect(&other, manager, &jobs[1]);
	UNTIL(store.reading == 1);
	rounds(10);
	store.slow_read = false;
	rounds(10);
	assert_non_null(job_find(manager->scheduler, jobs[0].number));
	assert_non_null(job_find(manager->scheduler, jobs[1].number));
	assert_int_equal(worker.job_count + other.job_count, 0);
	say(&worker, &jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	say(&other, &jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	channel_close(other.channel);
	ph_pool_free(other.pool);
	other = (struct fake_worker){.pool = NULL};
	finish();
}

/* ---- Expansions in pieces -------------------------------------------------------------------- */

/* The owner goes after the first part is noted; the worker says it all again to the next one. */
static void
expansion_again(void)
{
	static const char *const begun[] = {"x@here.example", "y@here.example", NULL};
	static const char *const rest[] = {"z@here.example", NULL};
	struct got_job job;

	put_message(0, "MSG1", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	job = worker.jobs[0];
	say_part(&worker, &job, begun, 0, false);
	UNTIL(store.messages[0].note_count == 1);
	finish();
	begin();
	worker_connect(&worker, manager, NULL);
	say_part(&worker, &job, begun, 0, false);
	say_part(&worker, &job, rest, 1, true);
	say(&worker, &job, JOB_ANSWERED, OUTCOME_EXPANDED, "", "");
	UNTIL(worker.job_count == 1);
	assert_int_equal(worker.jobs[0].count, 3);
	assert_string_equal(worker.jobs[0].addresses[0], "x@here.example");
	assert_string_equal(worker.jobs[0].addresses[2], "z@here.example");
	finish();
	/* and a third owner reads the same from the notes */
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	assert_int_equal(worker.jobs[0].count, 3);
	finish();
}

/* ---- Operators ------------------------------------------------------------------------------- */

static void
held_while_read(void)
{
	struct message *message;

	put_message(0, "MSG1", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_DEFERRED, "4.2.2", "full");
	message = find("MSG1");
	UNTIL(message->state == MESSAGE_WAITING && message->body == NULL);
	scheduler_flush_all(manager->scheduler, ph_now());
	assert_int_equal(manager_start(manager, NULL), 0);
	store.slow_read = true;
	while (store.reading == 0)
		ph_sleep(ph_in(1));
	assert_int_equal(manager_hold(manager, message, "test"), 1);
	store.slow_read = false;
	while (message->state != MESSAGE_HELD)
		ph_sleep(ph_in(1));
	assert_int_equal(worker.job_count, 1);
	finish();
}

/* Its body goes while a table is asked where it is to go. */
static void
held_while_resolved(void)
{
	struct message *message;

	slow_table = true;
	put_message(0, "MSG1", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	assert_int_equal(manager_start(manager, NULL), 0);
	while ((message = find("MSG1")) == NULL || message->state != MESSAGE_ACTIVE)
		ph_sleep(ph_in(1));
	ph_sleep(ph_in(5));
	manager_hold(manager, message, "test");
	assert_int_equal(message->state, MESSAGE_HELD);
	assert_null(message->body);
	manager_release(manager, message);
	slow_table = false;
	while (worker.job_count < 2)
		ph_sleep(ph_in(1));
	assert_int_equal(worker.jobs[0].count + worker.jobs[1].count, 3);
	finish();
}

/* Removed while in hand: what the worker says then changes nothing, and is acknowledged. */
static void
removed_while_delivered(void)
{
	put_message(0, "MSG1", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	manager_remove(manager, find("MSG1"));
	assert_null(find("MSG1"));
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1", "unknown");
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(scheduler_count(manager->scheduler) == 0);
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 2);
	assert_int_equal(report_letter.committed, 0);
	finish();
}

/* A flush does not hand out what a worker may still announce. */
static void
flush_before_announcing(void)
{
	struct got_job job = orphaned_job("MSG1", one);

	begin();
	manager_announce(manager);
	scheduler_flush_all(manager->scheduler, manager_earliest(manager));
	worker_connect(&worker, manager, NULL);
	rounds(10);
	assert_int_equal(worker.job_count, 0);
	say(&worker, &job, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	finish();
}

/* The stop comes while a report is wished for: its wish is forgotten, the message is not. */
static void
stopped_before_report(void)
{
	put_message(0, "MSG1", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	manager->reporters = 100;
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1", "unknown");
	UNTIL(find("MSG1")->state == MESSAGE_REPORTING);
	manager->reporters = 0;
	finish();
	assert_false(store.messages[0].removed);
	assert_int_equal(store.messages[0].note_count, 0);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	finish();
}

TEST(note_refused)
TEST(sync_refused)
TEST(two_syncs)
TEST(late_for_held)
TEST(last_of_held)
TEST(late_for_unreadable)
TEST(deferral_twice)
TEST(late_while_reporting)
TEST(announced_while_reading)
TEST(expansion_again)
TEST(held_while_read)
TEST(held_while_resolved)
TEST(removed_while_delivered)
TEST(flush_before_announcing)
TEST(stopped_before_report)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_note_refused),
		cmocka_unit_test(test_sync_refused),
		cmocka_unit_test(test_two_syncs),
		cmocka_unit_test(test_late_for_held),
		cmocka_unit_test(test_last_of_held),
		cmocka_unit_test(test_late_for_unreadable),
		cmocka_unit_test(test_deferral_twice),
		cmocka_unit_test(test_late_while_reporting),
		cmocka_unit_test(test_announced_while_reading),
		cmocka_unit_test(test_expansion_again),
		cmocka_unit_test(test_held_while_read),
		cmocka_unit_test(test_held_while_resolved),
		cmocka_unit_test(test_removed_while_delivered),
		cmocka_unit_test(test_flush_before_announcing),
		cmocka_unit_test(test_stopped_before_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
