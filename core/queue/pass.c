/*
 * The end of a pass: every recipient of a message was tried once, or put off. What failed is
 * reported, what is left is scheduled again, and when nothing is left the message goes.
 */
#include <string.h>

#include <posthouse/dsn.h>
#include <posthouse/log.h>

#include "ground/logger.h"
#include "queue/delivery.h"
#include "queue/logline.h"
#include "queue/manager.h"
#include "queue/probe.h"

/* Lines that one round may leave in the log's ring before it is emptied: a destination that dies
 * puts off thousands at once. */
#define LINES_MAX 256

void
manager_logged(struct manager *manager)
{
	if (++manager->lines % LINES_MAX == 0)
		logger_flush();
}

static void
log_recipient(struct manager *manager, struct message *message, const struct rcpt *rcpt,
	const char *word)
{
	int64_t now = ph_wall_clock();

	delivery_log(&(const struct delivery_line){
		.component = "error",
		.queue_id = message->id,
		.recipient = rcpt->address,
		.original = rcpt->original,
		.relay = "none",
		.status = rcpt->status == NULL ? "4.3.0" : rcpt->status,
		.word = word,
		.text = rcpt->text == NULL ? "" : rcpt->text,
		.times = {.arrival = message->arrival, .active = message->body->active_since,
			.started = now, .ended = now},
	});
	manager_logged(manager);
}

void
pass_fail(struct manager *manager, struct message *message, uint32_t number, const char *status,
	const char *text)
{
	bool soft = manager->settings->soft_bounce && !message->probe;
	struct rcpt *rcpt = &message->body->rcpts[number];

	body_set_reason(message->body, number, status, text, "none");
	body_set_state(message->body, number, soft ? RCPT_DEFERRED : RCPT_FAILED);
	log_recipient(manager, message, rcpt,
		message->probe ? "undeliverable" : soft ? "SOFTBOUNCE" : "bounced");
	if (soft)
		body_set_reason(message->body, number,
			delivery_soft_status(message->body->pool, status), text, "none");
}

void
pass_defer(struct manager *manager, struct message *message, uint32_t number, const char *status,
	const char *text)
{
	body_set_reason(message->body, number, status, text, "none");
	body_set_state(message->body, number, RCPT_DEFERRED);
	log_recipient(manager, message, &message->body->rcpts[number],
		message->probe ? "undeliverable" : "deferred");
}

int64_t
manager_lifetime(const struct manager *manager, const struct message *message)
{
	return *message->body->envelope.sender == '\0' ? manager->settings->bounce_queue_lifetime
		: manager->settings->maximal_queue_lifetime;
}

/* When nothing is left the message goes as a whole. */
static void
note_sent(struct manager *manager, struct message *message, uint32_t number)
{
	const struct note_range range = {number, 1};
	struct note_writer writer;

	if (body_is_finished(message->body))
		return;
	note_writer_begin(&writer, manager->scratch);
	if (message->body->rcpts[number].owed != 0)
		body_note_owed(message->body, number, message->attempts + 1u, &writer);
	note_put(&writer, &(const struct note){.type = NOTE_RESULT,
		.attempt = message->attempts + 1u,
		.outcome = OUTCOME_SENT, .ranges = &range, .range_count = 1});
	manager_note(manager, message, note_bytes(&writer));
	ph_pool_reset(manager->scratch);
}

void
pass_throw_away(struct manager *manager, struct message *message, uint32_t number, const char *text)
{
	body_set_reason(message->body, number, "2.0.0", text, "none");
	if ((message->body->rcpts[number].notify & PH_NOTIFY_SUCCESS) != 0 && !message->probe)
		body_set_owed(message->body, number, DSN_DELIVERED);
	body_set_done(message->body, number, OUTCOME_SENT);
	log_recipient(manager, message, &message->body->rcpts[number],
		message->probe ? "deliverable" : "sent");
	note_sent(manager, message, number);
}

/* Too old: what was put off has failed. */
static void
expire(struct manager *manager, struct message *message)
{
	struct body *body = message->body;
	int64_t age = (ph_wall_clock() - message->arrival) / 1000;

	if (body->in_state[RCPT_DEFERRED] == 0 || body->back ||
		age < manager_lifetime(manager, message))
		return;
	ph_log_as("qmgr", PH_LOG_INFO, "%s: from=<%s>, status=expired, returned to sender",
		message->id, body->envelope.sender);
	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].state == RCPT_DEFERRED) {
			body->rcpts[i].transient = true;
			body_set_state(body, i, RCPT_FAILED);
		}
}

void
pass_over(struct manager *manager, struct message *message)
{
	if (message->asking != NULL) {
		probe_over(manager, message);
		return;
	}
	if (!message->hold)
		expire(manager, message);
	if (bounce_is_due(manager, message))
		bounce_start(manager, message);
	else
		pass_finish(manager, message);
}

/* The reasons of this pass and the time of the next, as notes in the scratch pool. */
static ph_span
closing_notes(struct manager *manager, struct message *message, int64_t delay)
{
	struct note_writer writer;
	struct body *body = message->body;

	note_writer_begin(&writer, manager->scratch);
	note_put(&writer, &(const struct note){.type = NOTE_SCHEDULE, .attempt = message->attempts,
		.time = ph_wall_clock() + delay * 1000});
	for (uint32_t i = 0; i < body->count;) {
		const struct rcpt *first = &body->rcpts[i];
		struct note_range range = {i, 1};

		i++;
		if (first->state != RCPT_DEFERRED || first->status == NULL || first->text == NULL)
			continue;
		for (; i < body->count; i++, range.count++) {
			const struct rcpt *rcpt = &body->rcpts[i];

			if (rcpt->state != RCPT_DEFERRED || rcpt->status == NULL ||
				rcpt->text == NULL ||
				strcmp(rcpt->status, first->status) != 0 ||
				strcmp(rcpt->text, first->text) != 0)
				break;
		}
		note_put(&writer, &(const struct note){.type = NOTE_DEFERRED,
			.attempt = message->attempts, .status = first->status, .text = first->text,
			.ranges = &range, .range_count = 1});
	}
	return writer.failed ? (ph_span){NULL, 0} : note_bytes(&writer);
}

static uint32_t
random_below(void *context, uint32_t bound)
{
	struct manager *manager = context;

	/* xorshift: only to spread attempts over time */
	manager->random ^= manager->random << 13;
	manager->random ^= manager->random >> 17;
	manager->random ^= manager->random << 5;
	return bound == 0 ? 0 : manager->random % bound;
}

static int64_t
next_delay(struct manager *manager, struct message *message)
{
	/* given back untried: someone else tries soon, unless that does not help */
	if (message->body->back && message->retries < 8)
		return (int64_t)200 << message->retries++;
	message->retries = 0;
	if (message->attempts < UINT16_MAX)
		message->attempts++;
	return backoff(&manager->limits, message->attempts, random_below, manager);
}

void
pass_finish(struct manager *manager, struct message *message)
{
	int64_t delay = 0;

	if (body_is_finished(message->body)) {
		manager_remove(manager, message);
		return;
	}
	if (!message->hold)
		delay = next_delay(manager, message);
	if (!message->body->back) {
		manager_note(manager, message, closing_notes(manager, message, delay));
		ph_pool_reset(manager->scratch);
	}
	message->flushed = message->flushed && message->body->back;
	message->body->back = false;
	if (TAILQ_EMPTY(&message->body->jobs))
		message_close(message);
	if (message->hold)
		scheduler_hold(manager->scheduler, message);
	else
		scheduler_wait(manager->scheduler, message, ph_now() + delay);
}
