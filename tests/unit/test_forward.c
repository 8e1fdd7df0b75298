/*
 * Recipients that become more than addresses: commands and files that are tried by themselves, and
 * new messages, which are durable before anything counts as done.
 */
#include "queue_world.h"

#include <string.h>

#include "queue/protocol.h"

static const char *const one[] = {"list@here.example", NULL};

static const struct note_address command = {"list@here.example", PH_TARGET_COMMAND, "prog -x", "joe", ""};
static const struct note_address file = {"list@here.example", PH_TARGET_FILE, "/var/archive", "", ""};
static const struct note_address away = {"a@there.example", PH_TARGET_FORWARD, "list@here.example", "", ""};
static const struct note_address away_too = {"b@else.example", PH_TARGET_FORWARD, "list@here.example", "", ""};
static const struct note_address owned = {"c@there.example", PH_TARGET_FORWARD, "list@here.example", "",
	"owner-list@here.example"};

/* One part of an expansion, the last one. */
static void
say_targets(const struct got_job *job, const struct note_address *const *targets)
{
	struct wire_writer writer;
	uint32_t count = 0;

	while (targets[count] != NULL)
		count++;
	put_head(&writer, &worker, job);
	wire_put_u32(&writer, job->numbers[0]);
	wire_put_u32(&writer, 0);
	wire_put_u8(&writer, true);
	wire_put_u32(&writer, count);
	for (uint32_t i = 0; i < count; i++) {
		wire_put_string(&writer, targets[i]->address);
		wire_put_u8(&writer, targets[i]->kind);
		wire_put_string(&writer, targets[i]->what);
		wire_put_string(&writer, targets[i]->user);
		wire_put_string(&writer, targets[i]->sender);
	}
	assert_int_equal(channel_send(worker.channel, FRAME_EXPANSION, wire_span(&writer)), 0);
	say(&worker, job, JOB_ANSWERED, OUTCOME_EXPANDED, "2.0.0", "");
}

static void
expand_one(const struct note_address *const *targets)
{
	put_message(0, "MSG1", "s@far.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say_targets(&worker.jobs[0], targets);
}

/* ---- Commands and files ----------------------------------------------------------------------- */

/* The command is put off, all others are delivered. */
static void
say_each(const struct got_job *job)
{
	struct wire_writer writer;

	put_head(&writer, &worker, job);
	wire_put_u8(&writer, JOB_ANSWERED);
	wire_put_string(&writer, "");
	wire_put_string(&writer, "");
	wire_put_u32(&writer, job->count);
	for (uint32_t i = 0; i < job->count; i++) {
		bool is_command = job->kinds[i] == PH_TARGET_COMMAND;

		assert_string_equal(job->addresses[i], "list@here.example");
		assert_string_equal(job->whats[i], is_command ? "prog -x" : "/var/archive");
		wire_put_u32(&writer, job->numbers[i]);
		wire_put_u8(&writer, is_command ? OUTCOME_DEFERRED : OUTCOME_SENT);
		wire_put_string(&writer, is_command ? "4.3.0" : "");
		wire_put_string(&writer, is_command ? "exit code 75" : "");
		wire_put_string(&writer, "local");
	}
	assert_int_equal(channel_send(worker.channel, FRAME_RESULT, wire_span(&writer)), 0);
}

/* A new queue role, in whose eyes everything is due. */
static void
begin_again(void)
{
	finish();
	store.messages[0].claimed = false;
	begin();
	worker_connect(&worker, manager, NULL);
	scheduler_flush_all(manager->scheduler, ph_now());
}

/* One fails and is tried again, after a restart too; the other one was delivered, once. */
static void
each_by_itself(void)
{
	const struct note_address *const both[] = {&command, &file, &command, NULL};

	expand_one(both);
	UNTIL(worker.job_count == 2);
	assert_int_equal(worker.jobs[1].count, 2);
	say_each(&worker.jobs[1]);
	UNTIL(scheduler_find(manager->scheduler, NULL, "MSG1")->state == MESSAGE_WAITING);
	begin_again();
	UNTIL(worker.job_count == 1);
	assert_int_equal(worker.jobs[0].count, 1);
	assert_int_equal(worker.jobs[0].kinds[0], PH_TARGET_COMMAND);
	say_each(&worker.jobs[0]);
	UNTIL(scheduler_find(manager->scheduler, NULL, "MSG1")->state == MESSAGE_WAITING);
	finish();
}

/* ---- Messages of their own ------------------------------------------------------------------- */

static void
forwarded_together(void)
{
	const struct note_address *const both[] = {&away, &away_too, &away, NULL};

	report_letter.committed = 0;
	expand_one(both);
	UNTIL(scheduler_count(manager->scheduler) == 0);
	assert_int_equal(report_letter.committed, 1);
	assert_true(report_letter.again);
	assert_false(report_letter.removed_at_commit);
	assert_string_equal(report_letter.from, "s@far.example");
	assert_string_equal(report_letter.to,
		"a@there.example<list@here.example,b@else.example<list@here.example");
	assert_memory_equal(report_letter.text, "Delivered-To: list@here.example\r\n", 33);
	assert_non_null(strstr(logged, "local: MSG1: to=<list@here.example>, relay=local"));
	assert_non_null(strstr(logged, "status=sent (forwarded as REPORT1)"));
	assert_int_equal(worker.job_count, 1);
	finish();
}

static void
forwarded_for_a_list(void)
{
	const struct note_address *const all[] = {&owned, &file, NULL};

	report_letter.committed = 0;
	expand_one(all);
	UNTIL(worker.job_count == 2 && report_letter.committed == 1);
	assert_string_equal(report_letter.from, "owner-list@here.example");
	/* what is left is the file; the forwarded one is noted as done */
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(scheduler_count(manager->scheduler) == 0);
	assert_int_equal(report_letter.committed, 1);
	finish();
}

/* The intake takes nothing: it is tried again. It refuses for good: that is reported. */
static void
forward_refused(void)
{
	const struct note_address *const all[] = {&away, NULL};

	report_letter.committed = 0;
	report_letter.fail = true;
	report_letter.code = 451;
	expand_one(all);
	UNTIL(strstr(logged, "status=deferred (disk full)") != NULL);
	assert_int_equal(scheduler_count(manager->scheduler), 1);
	assert_int_equal(report_letter.committed, 0);
	report_letter.fail = false;
	/* the next queue role knows of the expansion */
	begin_again();
	UNTIL(report_letter.committed == 1 && scheduler_count(manager->scheduler) == 0);
	finish();
}

TEST(each_by_itself)
TEST(forwarded_together)
TEST(forwarded_for_a_list)
TEST(forward_refused)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_by_itself),
		cmocka_unit_test(test_forwarded_together),
		cmocka_unit_test(test_forwarded_for_a_list),
		cmocka_unit_test(test_forward_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
