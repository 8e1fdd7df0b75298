/* The scheduler with a clock and workers that are not real. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/address.h>

#include "queue/schedule.h"

#define SENT_MAX 200000

/* The world around a scheduler. */
struct world {
	struct scheduler *scheduler;
	struct schedule_limits limits;
	struct route *route;
	struct worker *worker;
	struct job **sent;       /* jobs in hand, in the order in which they came */
	size_t sent_count;
	size_t suspended, over;
	int64_t now;
	uint32_t random;
};

static int
load(void *context, struct message *message)
{
	return message->body == NULL ? -1 : 0;
}

static void
active(void *context, struct message *message)
{
}

static struct destination *
resolve(void *context, struct message *message, uint32_t number)
{
	struct world *world = context;

	return scheduler_destination(world->scheduler, world->route,
		ph_address_domain(message->body->rcpts[number].address), "");
}

static void
send_job(void *context, struct job *job)
{
	struct world *world = context;

	assert_true(world->sent_count < SENT_MAX);
	world->sent[world->sent_count++] = job;
}

static void
suspended(void *context, struct message *message, uint32_t number)
{
	((struct world *)context)->suspended++;
}

static void
pass_over(void *context, struct message *message)
{
	struct world *world = context;

	world->over++;
	if (body_open_count(message->body) == 0)
		scheduler_remove(world->scheduler, message);
	else
		scheduler_wait(world->scheduler, message, world->now + 1000000);
}

static uint32_t
random_below(void *context, uint32_t bound)
{
	struct world *world = context;

	world->random = world->random * 1664525u + 1013904223u;
	return bound == 0 ? 0 : (world->random >> 8) % bound;
}

static const struct schedule_ops ops = {.load = load, .active = active, .resolve = resolve,
	.send = send_job, .suspended = suspended, .pass_over = pass_over};

static int
setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	world->limits = (struct schedule_limits){.active_messages = 1000, .initial_concurrency = 5,
		.concurrency = 20, .local_concurrency = 2, .job_recipients = 50, .window = 2000,
		.spread = 8, .destinations = 100, .minimal_backoff = 300000, .maximal_backoff = 4000000};
	world->sent = calloc(SENT_MAX, sizeof(struct job *));
	world->now = 1000;
	world->scheduler = scheduler_new(&world->limits, &ops, world);
	world->route = scheduler_route(world->scheduler, NULL, "smtp", false);
	world->worker = worker_new(world->scheduler, NULL, 400);
	worker_serves(world->worker, world->route);
	*state = world;
	return 0;
}

static int
teardown(void **state)
{
	struct world *world = *state;

	scheduler_free(world->scheduler);
	free(world->sent);
	free(world);
	return 0;
}

/* A message to count recipients of a domain ("%u" in it: each in a domain of its own). */
static struct message *
add_message(struct world *world, const char *id, size_t count, const char *domain)
{
	struct message *message = calloc(1, sizeof(*message));
	struct body *body = calloc(1, sizeof(*body));
	bool many = strcmp(domain, "*") == 0;

	snprintf(message->id, sizeof(message->id), "%s", id);
	message->heap_index = UINT32_MAX;
	message->body = body;
	body->message = message;
	body->pool = ph_pool_new(0);
	body->envelope.sender = "";
	TAILQ_INIT(&body->entries);
	TAILQ_INIT(&body->jobs);
	body->rcpts = calloc(count, sizeof(*body->rcpts));
	body->count = body->room = (uint32_t)count;
	body->in_state[RCPT_TODO] = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		body->rcpts[i] = (struct rcpt){.original = "", .orcpt = "", .parent = RCPT_NO_PARENT};
		body->rcpts[i].address = many ? ph_pool_printf(body->pool, "u@d%zu.example", i)
			: ph_pool_printf(body->pool, "u%zu@%s", i, domain);
	}
	assert_int_equal(scheduler_add(world->scheduler, message, world->now), 0);
	return message;
}

/* The oldest job in hand ends well. */
static void
finish_job(struct world *world, size_t at, enum job_end end)
{
	struct job *job = world->sent[at];

	for (uint32_t i = 0; i < job->count; i++)
		if (end == JOB_ANSWERED)
			body_set_done(job->message->body, job->numbers[i], OUTCOME_SENT);
		else if (end == JOB_DEAD)
			body_set_state(job->message->body, job->numbers[i], RCPT_DEFERRED);
	memmove(&world->sent[at], &world->sent[at + 1],
		(world->sent_count - at - 1) * sizeof(struct job *));
	world->sent_count--;
	job_done(world->scheduler, job, end, "4.4.1", "Connection refused", world->now);
}

static void
run(struct world *world)
{
	while (scheduler_run(world->scheduler, world->now) <= world->now)
		continue;
}

/* One letter behind a mailing of 100,000 to the same destination waits for few jobs only. */
static void
test_fairness_same_destination(void **state)
{
	struct world *world = *state;
	size_t jobs = 0;

	add_message(world, "BULK", 100000, "there.example");
	run(world);
	add_message(world, "LETTER", 1, "there.example");
	for (;; jobs++) {
		run(world);
		assert_true(jobs < 10);
		if (strcmp(world->sent[world->sent_count - 1]->message->id, "LETTER") == 0)
			break;
		finish_job(world, 0, JOB_ANSWERED);
	}
	while (world->sent_count > 0) {
		finish_job(world, 0, JOB_ANSWERED);
		run(world);
	}
	assert_int_equal(scheduler_count(world->scheduler), 0);
	assert_int_equal(world->over, 2);
}

/* The same with a mailing to 20,000 destinations, and all workers busy with it. */
static void
test_fairness_many_destinations(void **state)
{
	struct world *world = *state;
	size_t done = 0;

	add_message(world, "BULK", 20000, "*");
	run(world);
	assert_int_equal(world->sent_count, 400);
	add_message(world, "LETTER", 1, "quiet.example");
	for (;; done++) {
		run(world);
		assert_true(done < 4000);
		if (strcmp(world->sent[world->sent_count - 1]->message->id, "LETTER") == 0)
			break;
		finish_job(world, 0, JOB_ANSWERED);
	}
	/* no more than the window of the mailing was before it */
	assert_true(done <= world->limits.window + 400);
}

static void
test_concurrency_adapts(void **state)
{
	struct world *world = *state;

	for (int i = 0; i < 300; i++) {
		char id[16];

		snprintf(id, sizeof(id), "M%d", i);
		add_message(world, id, 1, "there.example");
	}
	run(world);
	assert_int_equal(world->sent_count, 5);
	finish_job(world, 0, JOB_ANSWERED);
	run(world);
	assert_int_equal(world->sent_count, 6);
	for (int i = 0; i < 30; i++) {
		finish_job(world, 0, JOB_ANSWERED);
		run(world);
	}
	assert_int_equal(world->sent_count, 20);
	/* a failure halves it: nothing goes out until half of them have ended */
	finish_job(world, 0, JOB_DEAD);
	run(world);
	assert_int_equal(world->sent_count, 19);
	assert_int_equal(world->suspended, 0);
	for (int i = 0; i < 9; i++) {
		finish_job(world, 0, JOB_DEAD);
		run(world);
		if (world->suspended > 0)
			break;
	}
	/* and then it is dead: everything queued was put off without being tried */
	assert_true(world->suspended > 200);
}

static void
test_dead_at_once_when_never_alive(void **state)
{
	struct world *world = *state;
	struct message *late;

	add_message(world, "A", 200, "there.example");
	run(world);
	assert_int_equal(world->sent_count, 4);
	finish_job(world, 0, JOB_DEAD);
	assert_int_equal(world->sent_count, 3);
	late = add_message(world, "B", 1, "there.example");
	run(world);
	assert_int_equal(world->suspended, 1);
	assert_int_equal(late->state, MESSAGE_WAITING);
	assert_string_equal(late->body->rcpts[0].text, "Connection refused");
	/* after a while it is tried again */
	while (world->sent_count > 0)
		finish_job(world, 0, JOB_DEAD);
	world->now += world->limits.minimal_backoff + 1;
	scheduler_flush(world->scheduler, late, world->now);
	run(world);
	assert_int_equal(world->sent_count, 1);
}

static void
test_flush_forgets_the_dead(void **state)
{
	struct world *world = *state;

	add_message(world, "A", 1, "there.example");
	run(world);
	finish_job(world, 0, JOB_DEAD);
	run(world);
	assert_int_equal(world->sent_count, 0);
	scheduler_flush_all(world->scheduler, world->now);
	run(world);
	assert_int_equal(world->sent_count, 1);
}

static void
test_lost_worker(void **state)
{
	struct world *world = *state;
	struct message *message = add_message(world, "A", 1, "there.example");
	struct worker *other;
	uint64_t number;
	uint32_t numbers[] = {0};

	run(world);
	number = world->sent[0]->number;
	worker_lost(world->scheduler, world->worker, world->now);
	other = worker_new(world->scheduler, NULL, 10);
	worker_serves(other, world->route);
	run(world);
	assert_int_equal(world->sent_count, 1);
	/* it is back and still has it */
	assert_non_null(job_adopt(world->scheduler, other, message, number, 1, numbers, 1));
	jobs_expire(world->scheduler, world->now, world->now);
	run(world);
	assert_int_equal(world->sent_count, 1);
	/* it is lost and does not come back */
	worker_lost(world->scheduler, other, world->now);
	world->worker = worker_new(world->scheduler, NULL, 10);
	worker_serves(world->worker, world->route);
	world->sent_count = 0;
	jobs_expire(world->scheduler, world->now, world->now);
	run(world);
	assert_int_equal(world->sent_count, 1);
	assert_true(world->sent[0]->number != number);
}

static void
test_remove_in_any_state(void **state)
{
	struct world *world = *state;
	struct message *busy = add_message(world, "A", 500, "there.example");
	struct message *waiting = add_message(world, "B", 1, "there.example");

	run(world);
	scheduler_wait(world->scheduler, add_message(world, "C", 1, "x.example"), world->now + 5000);
	assert_int_equal(scheduler_count(world->scheduler), 3);
	scheduler_remove(world->scheduler, busy);
	assert_int_equal(scheduler_count(world->scheduler), 3);
	assert_null(scheduler_find(world->scheduler, NULL, "A"));
	run(world);
	while (world->sent_count > 0)
		finish_job(world, 0, JOB_BACK);
	assert_null(scheduler_find(world->scheduler, NULL, "A"));
	assert_int_equal(scheduler_count(world->scheduler), 2);
	assert_ptr_equal(scheduler_find(world->scheduler, NULL, "B"), waiting);
}

static void
test_waiting_order(void **state)
{
	struct world *world = *state;
	struct message *messages[50];

	for (int i = 0; i < 50; i++) {
		char id[16];

		snprintf(id, sizeof(id), "M%d", i);
		messages[i] = add_message(world, id, 1, "there.example");
		scheduler_wait(world->scheduler, messages[i], world->now + 100 + i * 37 % 50);
	}
	assert_int_equal(scheduler_run(world->scheduler, world->now), world->now + 100);
	for (int i = 0; i < 50; i += 2)
		scheduler_remove(world->scheduler, messages[i]);
	assert_true(scheduler_run(world->scheduler, world->now) > world->now + 99);
	scheduler_not_before(world->scheduler, world->now + 120);
	assert_int_equal(scheduler_run(world->scheduler, world->now), world->now + 120);
}

static void
test_backoff(void **state)
{
	struct world *world = *state;
	int64_t least = INT64_MAX, most = 0;

	for (unsigned attempts = 1; attempts < 40; attempts++)
		for (int i = 0; i < 200; i++) {
			int64_t delay = backoff(&world->limits, attempts, random_below, world);

			assert_true(delay >= world->limits.minimal_backoff);
			assert_true(delay <= world->limits.maximal_backoff);
			if (attempts == 3) {
				least = delay < least ? delay : least;
				most = delay > most ? delay : most;
			}
		}
	/* the third: four times the minimum, a quarter more or less */
	assert_in_range(least, 900000, 1000000);
	assert_in_range(most, 1400000, 1500000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fairness_same_destination, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fairness_many_destinations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_concurrency_adapts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dead_at_once_when_never_alive, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flush_forgets_the_dead, setup, teardown),
		cmocka_unit_test_setup_teardown(test_lost_worker, setup, teardown),
		cmocka_unit_test_setup_teardown(test_remove_in_any_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_waiting_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backoff, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
