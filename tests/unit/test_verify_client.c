/* Questions about addresses: what is no answer, what comes late, and who gives up. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/task.h>

#include "ground/loop.h"
#include "process/channel.h"
#include "queue/client.h"
#include "queue/protocol.h"
#include "queue/verify_client.h"

/* ---- The queue role ---------------------------------------------------------------------------- */

static struct {
	unsigned asked;
	uint64_t number;
	char address[64];
} queue;

int
queue_client_send(unsigned type, ph_span payload)
{
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);

	assert_int_equal(type, FRAME_VERIFY);
	queue.asked++;
	queue.number = wire_get_u64(&reader);
	snprintf(queue.address, sizeof(queue.address), "%s", wire_get_string(&reader, pool));
	assert_true(!reader.failed && reader.rest.size == 0);
	ph_pool_free(pool);
	return 0;
}

static void
answer(uint64_t number, unsigned status, const char *text, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;

	wire_begin(&writer, pool);
	wire_put_u64(&writer, number);
	wire_put_u8(&writer, status);
	wire_put_bytes(&writer, (ph_span){text, size});
	verify_client_take(wire_span(&writer));
	ph_pool_free(pool);
}

/* ---- Who asks ---------------------------------------------------------------------------------- */

static struct {
	int64_t patience;
	bool done;
	ph_found found;
	enum verify_status status;
	char text[VERIFY_TEXT_MAX + 1];
	ph_task task;
} asker;

static void
ask(void *argument)
{
	ph_pool *pool = ph_pool_new(0);

	asker.found = verify_client_ask(pool, "u@there.example", asker.patience, &asker.status, asker.text);
	asker.done = true;
	ph_pool_free(pool);
}

static void
begin(int64_t patience)
{
	memset(&asker, 0, sizeof(asker));
	queue.asked = 0;
	asker.patience = patience;
	asker.task = ph_task_spawn("asker", ask, NULL);
	assert_int_equal(ph_yield(), PH_WAIT_OK);
	assert_int_equal(queue.asked, 1);
	assert_string_equal(queue.address, "u@there.example");
}

static void
goes_on(void)
{
	for (int i = 0; i < 3; i++)
		ph_yield();
	assert_false(asker.done);
}

static void
ends(ph_found found, enum verify_status status, const char *text)
{
	ph_task_join(asker.task, ph_in(5000));
	assert_true(asker.done);
	assert_int_equal(asker.found, found);
	assert_int_equal(asker.status, status);
	assert_string_equal(asker.text, text);
}

#define PATIENT 60000

static void
known(void)
{
	begin(PATIENT);
	answer(queue.number, VERIFY_UNDELIVERABLE, "no", 2);
	ends(PH_FOUND, VERIFY_UNDELIVERABLE, "no");
	/* it comes again, to nobody */
	answer(queue.number, VERIFY_DELIVERABLE, "yes", 3);
}

static void
found_out(void)
{
	begin(PATIENT);
	answer(queue.number, VERIFY_IN_PROGRESS, "wait", 4);
	goes_on();
	answer(queue.number, VERIFY_DELIVERABLE, "yes", 3);
	ends(PH_FOUND, VERIFY_DELIVERABLE, "yes");
}

static void
impatient(void)
{
	begin(0);
	answer(queue.number, VERIFY_IN_PROGRESS, "wait", 4);
	ends(PH_FOUND, VERIFY_IN_PROGRESS, "wait");
	begin(1);
	answer(queue.number, VERIFY_IN_PROGRESS, "wait", 4);
	ends(PH_FOUND, VERIFY_IN_PROGRESS, "wait");
}

static void
no_answers(void)
{
	char big[VERIFY_TEXT_MAX + 1];

	memset(big, 'x', sizeof(big));
	begin(PATIENT);
	answer(queue.number + 1, VERIFY_DELIVERABLE, "yes", 3);
	answer(queue.number - 1, VERIFY_DELIVERABLE, "yes", 3);
	answer(queue.number, 0, "yes", 3);
	answer(queue.number, VERIFY_IN_PROGRESS + 1, "yes", 3);
	answer(queue.number, VERIFY_DELIVERABLE, big, sizeof(big));
	verify_client_take((ph_span){"", 0});
	verify_client_take((ph_span){(const char *)&queue.number, 8});
	goes_on();
	answer(queue.number, VERIFY_DELIVERABLE, big, VERIFY_TEXT_MAX);
	big[VERIFY_TEXT_MAX] = '\0';
	ends(PH_FOUND, VERIFY_DELIVERABLE, big);
	begin(PATIENT);
	answer(queue.number, VERIFY_DELIVERABLE, "a\0b", 3);
	ends(PH_FOUND, VERIFY_DELIVERABLE, "a");
}

/* The queue role is another one: it is asked again, under the same number. */
static void
asked_again(void)
{
	uint64_t number;

	begin(PATIENT);
	number = queue.number;
	answer(number, VERIFY_IN_PROGRESS, "wait", 4);
	verify_client_repeat();
	assert_int_equal(queue.asked, 2);
	assert_int_equal(queue.number, number);
	answer(number, VERIFY_DELIVERABLE, "yes", 3);
	ends(PH_FOUND, VERIFY_DELIVERABLE, "yes");
	verify_client_repeat();
	assert_int_equal(queue.asked, 2);
}

static void
cancelled(void)
{
	begin(PATIENT);
	ph_task_cancel(asker.task);
	ends(PH_FAILED, VERIFY_IN_PROGRESS, "");
	answer(queue.number, VERIFY_DELIVERABLE, "yes", 3);
	begin(PATIENT);
	answer(queue.number, VERIFY_IN_PROGRESS, "wait", 4);
	goes_on();
	ph_task_cancel(asker.task);
	ends(PH_FOUND, VERIFY_IN_PROGRESS, "wait");
}

/* ---- Running ----------------------------------------------------------------------------------- */

static void
run_task(void *argument)
{
	void (**fn)(void) = argument;

	(*fn)();
	loop_stop();
}

#define TEST(name) \
	static void test_##name(void **state) \
	{ \
		void (*fn)(void) = name; \
		ph_error error; \
		assert_int_equal(loop_open(&error), 0); \
		assert_true(ph_task_alive(ph_task_spawn("test", run_task, &fn))); \
		loop_run(); \
		loop_close(); \
	}

TEST(known)
TEST(found_out)
TEST(impatient)
TEST(no_answers)
TEST(asked_again)
TEST(cancelled)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_found_out),
		cmocka_unit_test(test_impatient),
		cmocka_unit_test(test_no_answers),
		cmocka_unit_test(test_asked_again),
		cmocka_unit_test(test_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
