/*
 * Forwarding: recipients that get a new message of their own (PH_TARGET_FORWARD), as an alias or a
 * user's .forward has it. All of one expansion that have the same sender go into one message. They
 * count as done when that is durable: a crash in between makes a second copy, never a loss.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/intake.h>
#include <posthouse/log.h>

#include "queue/logline.h"
#include "queue/manager.h"

/* Messages that are forwarded at the same time. */
#define FORWARDERS 16

/* Recipients that go together. */
struct group {
	uint32_t *numbers;
	uint32_t count;
	char id[PH_QUEUE_ID_SIZE];  /* of the new message */
	ph_reply *reply;            /* when it was not taken */
	bool queued;
};

/* ---- Which ----------------------------------------------------------------------------------- */

static bool
is_waiting(const struct body *body, uint32_t number)
{
	return body->rcpts[number].kind == PH_TARGET_FORWARD &&
		(body->rcpts[number].state == RCPT_BUSY || body->rcpts[number].state == RCPT_TODO);
}

static bool
goes_with(const struct body *body, uint32_t first, uint32_t number)
{
	const struct rcpt *a = &body->rcpts[first], *b = &body->rcpts[number];

	return is_waiting(body, number) && a->parent == b->parent &&
		strcmp(a->target->what, b->target->what) == 0 &&
		strcmp(a->target->sender, b->target->sender) == 0;
}

/* The next group, in hand. False: there is none. */
static bool
take_group(struct body *body, struct group *group)
{
	uint32_t first = 0;

	group->count = 0;
	while (first < body->count &&
		!(is_waiting(body, first) && body->rcpts[first].state == RCPT_BUSY))
		first++;
	if (first == body->count ||
		(group->numbers = malloc(body->count * sizeof(*group->numbers))) == NULL)
		return false;
	for (uint32_t i = first; i < body->count; i++)
		if (goes_with(body, first, i)) {
			body_set_state(body, i, RCPT_BUSY);
			group->numbers[group->count++] = i;
		}
	return true;
}

/* ---- The new message ------------------------------------------------------------------------- */

/* A list's messages are the list's: who sent them hears of them from nobody but the list. */
static int
put_envelope(ph_intake *intake, const struct body *body, const struct group *group)
{
	const char *sender = body->rcpts[group->numbers[0]].target->sender;
	bool list = body_has_sender(body, group->numbers[0]);
	struct ph_mail_parameters mail = {.size = sizeof(mail), .smtputf8 = body->envelope.smtputf8,
		.body = body->envelope.body_8bit};

	if (!list) {
		sender = body->envelope.sender;
		mail.envid = body->envelope.envid;
		mail.ret = body->envelope.ret;
	}
	if (ph_intake_sender(intake, sender, &mail) == -1)
		return -1;
	for (uint32_t i = 0; i < group->count; i++) {
		const struct rcpt *rcpt = &body->rcpts[group->numbers[i]];
		struct ph_rcpt_parameters parameters = {.size = sizeof(parameters),
			.notify = list ? 0 : rcpt->notify, .orcpt = list ? "" : rcpt->orcpt,
			.original = rcpt->original};

		if (ph_intake_recipient(intake, rcpt->address, &parameters) == -1)
			return -1;
	}
	return 0;
}

static int
put_content(struct message *message, const struct group *group, ph_intake *intake, ph_pool *pool,
	ph_error *error)
{
	const char *delivered = message->body->rcpts[group->numbers[0]].target->what;
	const char *header = ph_pool_printf(pool, "Delivered-To: %s\r\n", delivered);
	struct ph_queue_content *content;
	int result;

	if (header == NULL)
		return ph_error_set(error, "no memory");
	if ((content = manager_content(message, pool, error)) == NULL)
		return -1;
	if (*delivered != '\0')
		ph_intake_write(intake, ph_span_of(header));
	result = content_copy(intake, content, true);
	close(content->fd);
	return result == -1 ? ph_error_set(error, "the message cannot be read") : 0;
}

/* 0; -1: it was not even tried. */
static int
send_group(struct message *message, struct group *group, ph_pool *pool, ph_error *error)
{
	struct ph_intake_origin origin = {.size = sizeof(origin), .origin = PH_ORIGIN_INTERNAL,
		.queue = message->storage->name, .again = true};
	ph_intake *intake;

	if ((group->reply = ph_pool_alloc(pool, sizeof(*group->reply))) == NULL)
		return ph_error_set(error, "no memory");
	if ((intake = ph_intake_begin(&origin, error)) == NULL)
		return -1;
	snprintf(group->id, sizeof(group->id), "%s", ph_intake_queue_id(intake));
	if (put_envelope(intake, message->body, group) == -1) {
		ph_intake_abort(intake);
		return ph_error_set(error, "no memory");
	}
	if (put_content(message, group, intake, pool, error) == -1) {
		ph_intake_abort(intake);
		return -1;
	}
	group->queued = ph_intake_commit(intake, group->reply) != PH_INTAKE_REFUSED;
	return 0;
}

/* ---- What became of it ----------------------------------------------------------------------- */

/* One line for all: they are one delivery of the recipient who became them. */
static void
log_group(const struct message *message, const struct group *group)
{
	const struct body *body = message->body;
	const struct rcpt *rcpt = &body->rcpts[group->numbers[0]];
	const struct rcpt *parent = rcpt->parent < body->count ? &body->rcpts[rcpt->parent] : rcpt;
	char text[PH_QUEUE_ID_SIZE + 16] = "forwarded as ";
	int64_t now = ph_wall_clock();

	strcat(text, group->id);
	delivery_log(&(const struct delivery_line){.component = "local", .queue_id = message->id,
		.recipient = parent->address, .original = parent->original, .relay = "local",
		.status = "2.0.0", .word = "sent", .text = text,
		.times = {.arrival = message->arrival, .active = body->active_since, .started = now,
			.ended = now}});
}

static void
note_group(struct manager *manager, struct message *message, const struct group *group)
{
	struct note note = {.type = NOTE_RESULT, .attempt = message->attempts + 1u,
		.outcome = OUTCOME_SENT};
	struct note_writer writer;
	struct note_range *ranges;

	/* when nothing is left the message goes as a whole */
	if (body_is_finished(message->body))
		return;
	note_writer_begin(&writer, manager->scratch);
	note.range_count = note_ranges(manager->scratch, group->numbers, group->count, &ranges);
	note.ranges = ranges;
	if (note.range_count > 0)
		note_put(&writer, &note);
	manager_note(manager, message, note_bytes(&writer));
	ph_pool_reset(manager->scratch);
}

static void
settle_group(struct manager *manager, struct message *message, const struct group *group,
	const char *failure)
{
	struct body *body = message->body;

	if (group->queued)
		log_group(message, group);
	for (uint32_t i = 0; i < group->count; i++) {
		uint32_t number = group->numbers[i];

		if (body->rcpts[number].state != RCPT_BUSY)
			continue;
		if (group->queued)
			body_set_done(body, number, OUTCOME_SENT);
		else if (failure == NULL && group->reply->code >= 500)
			pass_fail(manager, message, number, group->reply->status,
				group->reply->text);
		else
			pass_defer(manager, message, number,
				failure == NULL ? group->reply->status : "4.3.0",
				failure == NULL ? group->reply->text : failure);
	}
	if (group->queued)
		note_group(manager, message, group);
}

/* ---- Tasks ----------------------------------------------------------------------------------- */

static bool
is_here(const struct message *message)
{
	return message->state == MESSAGE_ACTIVE && message->body != NULL;
}

static void
forward_all(struct manager *manager, struct message *message)
{
	struct group group = {.numbers = NULL};

	while (is_here(message) && take_group(message->body, &group)) {
		ph_pool *pool = ph_pool_new(0);
		ph_error error = {"no memory"};
		int result;

		group.queued = false;
		result = pool == NULL ? -1 : send_group(message, &group, pool, &error);
		if (is_here(message))
			settle_group(manager, message, &group, result == -1 ? error.text : NULL);
		ph_pool_free(pool);
		free(group.numbers);
	}
}

/* Those that are in hand still, without memory, are put off. */
static void
put_back(struct message *message)
{
	struct body *body = message->body;

	for (uint32_t i = 0; is_here(message) && i < body->count; i++)
		if (body->rcpts[i].kind == PH_TARGET_FORWARD && body->rcpts[i].state == RCPT_BUSY) {
			body_set_reason(body, i, "4.3.0", "no memory to forward it", "none");
			body_set_state(body, i, RCPT_DEFERRED);
		}
}

static void
forward_one(struct manager *manager, struct message *message)
{
	forward_all(manager, message);
	put_back(message);
	if (is_here(message) && body_is_idle(message->body))
		pass_over(manager, message);
	else
		scheduler_feed(manager->scheduler, message);
	scheduler_unpin(manager->scheduler, message);
}

static void
forwarder(void *argument)
{
	struct manager *manager = argument;
	struct report_wish *wish;

	while (!manager->stopping && (wish = TAILQ_FIRST(&manager->forwards)) != NULL) {
		TAILQ_REMOVE(&manager->forwards, wish, link);
		forward_one(manager, wish->message);
		free(wish);
		manager_wake(manager);
	}
	manager->forwarders--;
}

void
forwards_forget(struct manager *manager)
{
	struct report_wish *wish;

	while ((wish = TAILQ_FIRST(&manager->forwards)) != NULL) {
		TAILQ_REMOVE(&manager->forwards, wish, link);
		free(wish);
	}
}

void
forward_start(struct manager *manager, struct message *message, uint32_t number)
{
	struct report_wish *wish;

	body_set_state(message->body, number, RCPT_BUSY);
	TAILQ_FOREACH(wish, &manager->forwards, link)
		if (wish->message == message)
			return;
	if ((wish = calloc(1, sizeof(*wish))) == NULL) {
		put_back(message);
		return;
	}
	message->pins++;
	wish->message = message;
	TAILQ_INSERT_TAIL(&manager->forwards, wish, link);
	if (manager->forwarders >= FORWARDERS)
		return;
	manager->forwarders++;
	if (ph_task_spawn("forward", forwarder, manager).generation == 0 &&
		--manager->forwarders == 0) {
		TAILQ_REMOVE(&manager->forwards, wish, link);
		free(wish);
		put_back(message);
		scheduler_unpin(manager->scheduler, message);
	}
}
