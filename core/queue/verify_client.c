/*
 * Questions about addresses: see verify_client.h. A question that has no answer yet is asked again
 * when the connection was made anew: the queue role may be another one.
 */
#include "queue/verify_client.h"

#include <stdio.h>
#include <sys/queue.h>

#include <posthouse/task.h>

#include "process/channel.h"
#include "queue/client.h"
#include "queue/protocol.h"

/* How long the queue role may take to say what it knows now, milliseconds: a reload changes it. */
#define ANSWER_TIME 10000

/* In the pool of who asks. */
struct question {
	uint64_t number;
	const char *address;
	char *text;
	enum verify_status status;
	bool answered;
	ph_task task;
	TAILQ_ENTRY(question) link;
};

/* Those of this process. */
static TAILQ_HEAD(, question) questions = TAILQ_HEAD_INITIALIZER(questions);
static uint64_t last_number;

static void
send_question(const struct question *question, ph_pool *pool)
{
	struct wire_writer writer;

	wire_begin(&writer, pool);
	wire_put_u64(&writer, question->number);
	wire_put_string(&writer, question->address);
	if (!writer.failed)
		queue_client_send(FRAME_VERIFY, wire_span(&writer));
}

void
verify_client_repeat(void)
{
	ph_pool *pool = ph_pool_new(0);
	const struct question *question;

	TAILQ_FOREACH(question, &questions, link)
		if (pool != NULL) {
			send_question(question, pool);
			ph_pool_reset(pool);
		}
	ph_pool_free(pool);
}

static struct question *
find(uint64_t number)
{
	struct question *question;

	TAILQ_FOREACH(question, &questions, link)
		if (question->number == number)
			return question;
	return NULL;
}

void
verify_client_take(ph_span payload)
{
	struct wire_reader reader = wire_reader_of(payload);
	struct question *question = find(wire_get_u64(&reader));
	unsigned status = wire_get_u8(&reader);
	ph_span text = wire_get_bytes(&reader);

	/* it may have come too late, and to nobody */
	if (reader.failed || question == NULL || status < VERIFY_DELIVERABLE ||
		status > VERIFY_IN_PROGRESS || text.size > VERIFY_TEXT_MAX)
		return;
	question->status = (enum verify_status)status;
	question->answered = true;
	snprintf(question->text, VERIFY_TEXT_MAX + 1, "%.*s", (int)text.size, text.data);
	ph_unpark(question->task);
}

/* First for what is known, and then for what a probe finds out. */
static void
wait_for(const struct question *question, int64_t patience)
{
	ph_deadline answer = ph_in(ANSWER_TIME), end = ph_in(patience);
	ph_wait wait = PH_WAIT_OK;

	while (wait == PH_WAIT_OK && !question->answered)
		wait = ph_park(answer);
	while (wait == PH_WAIT_OK && question->status == VERIFY_IN_PROGRESS && patience > 0)
		wait = ph_park(end);
}

ph_found
verify_client_ask(ph_pool *pool, const char *address, int64_t patience, enum verify_status *status,
	char *text)
{
	struct question *question = ph_pool_alloc(pool, sizeof(*question));

	if (question == NULL)
		return PH_FAILED;
	*question = (struct question){.number = ++last_number, .address = address, .text = text,
		.status = VERIFY_IN_PROGRESS, .task = ph_task_self()};
	TAILQ_INSERT_TAIL(&questions, question, link);
	send_question(question, pool);
	wait_for(question, patience);
	TAILQ_REMOVE(&questions, question, link);
	*status = question->status;
	return question->answered ? PH_FOUND : PH_FAILED;
}
