/*
 * Non-delivery reports: who gets one, and their way through intake. The recipients of the failed
 * message count as done only when its report is durable.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/address.h>
#include <posthouse/intake.h>
#include <posthouse/log.h>

#include "queue/manager.h"
#include "queue/report.h"

/* Reports that are written at the same time. */
#define REPORTERS 16
/* A header section longer than this is cut. */
#define HEADER_MAX 65536
#define CHUNK 16384

enum { NOTIFY_NEVER = 1, NOTIFY_FAILURE = 4 };

/* Failed ones whose sender wants to know. */
static size_t
collect(struct body *body, struct report_recipient *list)
{
	size_t count = 0;

	for (uint32_t i = 0; i < body->count; i++) {
		const struct rcpt *rcpt = &body->rcpts[i];

		if (rcpt->state != RCPT_FAILED || (rcpt->notify & NOTIFY_NEVER) != 0 ||
			(rcpt->notify != 0 && (rcpt->notify & NOTIFY_FAILURE) == 0))
			continue;
		list[count++] = (struct report_recipient){
			.address = rcpt->address,
			.original = rcpt->original,
			.orcpt = rcpt->orcpt,
			.status = rcpt->transient ? "4.4.7" : rcpt->status == NULL ? "5.0.0" : rcpt->status,
			.text = rcpt->text == NULL ? "delivery failed" : rcpt->text,
		};
	}
	return count;
}

/* What is done with the failed recipients, after a report, or without one. */
static void
settle(struct manager *manager, struct message *message)
{
	struct body *body = message->body;
	uint32_t *numbers = malloc(body->count * sizeof(*numbers) + 1);
	struct note note = {.type = NOTE_RESULT, .attempt = message->attempts + 1u,
		.outcome = OUTCOME_BOUNCED};
	struct note_writer writer;
	struct note_range *ranges;
	size_t count = 0;

	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].state == RCPT_FAILED) {
			body_set_done(body, i, OUTCOME_BOUNCED);
			if (numbers != NULL)
				numbers[count++] = i;
		}
	if (body_open_count(body) > 0 && count > 0) {
		note_writer_begin(&writer, manager->scratch);
		note.range_count = note_ranges(manager->scratch, numbers, count, &ranges);
		note.ranges = ranges;
		if (note.range_count > 0)
			note_put(&writer, &note);
		manager_note(manager, message, note_bytes(&writer));
		ph_pool_reset(manager->scratch);
	}
	free(numbers);
}

static void
put_off(struct message *message, const char *reason)
{
	struct body *body = message->body;

	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].state == RCPT_FAILED) {
			body_set_reason(body, i, "4.3.0", reason, "none");
			body_set_state(body, i, RCPT_DEFERRED);
		}
}

static int
sink_write(void *context, ph_span bytes)
{
	return ph_intake_write(context, bytes);
}

int
content_copy(ph_intake *intake, const struct ph_queue_content *content, bool full)
{
	char *chunk = malloc(CHUNK + 3);
	int64_t at = 0, length = full || content->length < HEADER_MAX ? content->length : HEADER_MAX;
	size_t carry = 0;
	bool ended = false;

	while (chunk != NULL && at < length && !ended) {
		size_t want = length - at < CHUNK ? (size_t)(length - at) : CHUNK;
		ssize_t got = pread(content->fd, chunk + carry, want, (off_t)(content->offset + at));
		size_t size, end;

		if (got <= 0 && !(got == -1 && errno == EINTR))
			break;
		if (got <= 0)
			continue;
		at += got;
		size = carry + (size_t)got;
		end = full ? 0 : report_header_size((ph_span){chunk, size}, at == got);
		ended = end != 0;
		/* what was written already stays in front, to see an end that is cut in two */
		if (ph_intake_write(intake, (ph_span){chunk + carry, (ended ? end : size) - carry}) == -1)
			break;
		carry = full || size < 3 ? (full ? 0 : size) : 3;
		if (carry > 0 && !ended)
			memmove(chunk, chunk + size - carry, carry);
	}
	free(chunk);
	return at >= length || ended ? 0 : -1;
}

static int
write_report(struct manager *manager, struct message *message, ph_intake *intake,
	struct report *report, ph_pool *pool, ph_error *error)
{
	struct ph_queue_content *content = ph_pool_alloc(pool, sizeof(*content));
	struct report_sink sink = {.write = sink_write, .context = intake, .pool = pool};
	ph_found found;
	int result;

	if (content == NULL)
		return ph_error_set(error, "no memory");
	content->size = sizeof(*content);
	found = message->storage->ops->read(message->storage->self, message->handle, pool, content,
		error);
	if (found != PH_FOUND)
		return found == PH_NOT_FOUND ? ph_error_set(error, "the message is gone") : -1;
	report->eightbit = (content->flags & PH_CONTENT_8BIT) != 0;
	report->full = message->body->envelope.ret != 2 && (message->body->envelope.ret == 1 ||
		content->length <= manager->settings->bounce_size_limit);
	report_begin(&sink, report);
	result = content_copy(intake, content, report->full);
	close(content->fd);
	report_end(&sink, report);
	if (result == -1)
		return ph_error_set(error, "the message cannot be read");
	return sink.result == -1 ? ph_error_set(error, "the report cannot be written") : 0;
}

static ph_intake *
begin_intake(struct message *message, struct report *report, ph_pool *pool, ph_error *error)
{
	struct ph_intake_origin origin = {.size = sizeof(origin), .origin = PH_ORIGIN_INTERNAL,
		.report = PH_REPORT_BOUNCE,
		.queue = message->storage->name};
	struct ph_mail_parameters parameters = {.size = sizeof(parameters), .smtputf8 = report->utf8,
		.body = message->body->envelope.body_8bit};
	ph_intake *intake = ph_intake_begin(&origin, error);

	if (intake == NULL)
		return NULL;
	report->boundary = ph_pool_printf(pool, "%s.%s/%s", message->id, ph_intake_queue_id(intake),
		report->myhostname);
	if (report->boundary == NULL || ph_intake_sender(intake, "", &parameters) == -1 ||
		ph_intake_recipient(intake, report->sender, NULL) == -1) {
		ph_intake_abort(intake);
		ph_error_set(error, "no memory");
		return NULL;
	}
	return intake;
}

/* 0: the report is durable. */
static int
send_report(struct manager *manager, struct message *message, struct report *report, ph_pool *pool,
	ph_error *error)
{
	ph_intake *intake = begin_intake(message, report, pool, error);
	ph_reply *reply = ph_pool_alloc(pool, sizeof(*reply));
	const char *id;

	if (intake == NULL)
		return -1;
	id = ph_pool_strdup(pool, ph_intake_queue_id(intake));
	if (reply == NULL || id == NULL ||
		write_report(manager, message, intake, report, pool, error) == -1) {
		ph_intake_abort(intake);
		return -1;
	}
	if (ph_intake_commit(intake, reply) == PH_INTAKE_REFUSED)
		return ph_error_set(error, "%s", reply->text);
	ph_log_as("bounce", PH_LOG_INFO, "%s: sender non-delivery notification: %s", message->id, id);
	return 0;
}

/* Reports go to who can be told: not for reports, not to the sender of double bounces. */
static bool
has_reader(const struct manager *manager, const char *sender)
{
	const char *double_bounce = manager->settings->double_bounce_sender;
	ph_span local = ph_address_local_part(sender);

	return *sender != '\0' && !ph_span_equal_nocase(local, ph_span_of(double_bounce)) &&
		ph_strcasecmp(sender, double_bounce) != 0;
}

static int
report_failures(struct manager *manager, struct message *message, ph_pool *pool, ph_error *error)
{
	struct body *body = message->body;
	const struct settings *settings = manager->settings;
	struct report_recipient *list = ph_pool_array(pool, body->count, sizeof(*list));
	struct report report = {
		.myhostname = settings->myhostname,
		.mail_name = settings->mail_name,
		.queue_id = message->id,
		.sender = body->envelope.sender,
		.envid = body->envelope.envid,
		.arrival = message->arrival,
		.utf8 = body->envelope.smtputf8,
		.recipients = list,
	};

	if (list == NULL)
		return ph_error_set(error, "no memory");
	if ((report.recipient_count = collect(body, list)) == 0)
		return 0;
	if (!has_reader(manager, body->envelope.sender)) {
		ph_log_as("bounce", PH_LOG_WARNING, "%s: undeliverable postmaster notification discarded",
			message->id);
		return 0;
	}
	return send_report(manager, message, &report, pool, error);
}

static void
report_one(struct manager *manager, struct message *message)
{
	ph_pool *pool = ph_pool_new(0);
	ph_error error = {"no memory"};
	int result = pool == NULL ? -1 : report_failures(manager, message, pool, &error);

	ph_pool_free(pool);
	if (message->state == MESSAGE_REPORTING) {
		if (result == 0) {
			settle(manager, message);
		} else {
			ph_log_as("bounce", PH_LOG_WARNING, "%s: cannot send a report: %s", message->id,
				error.text);
			put_off(message, error.text);
		}
		pass_finish(manager, message);
	}
	scheduler_unpin(manager->scheduler, message);
}

static void
reporter(void *argument)
{
	struct manager *manager = argument;
	struct report_wish *wish;

	while (!manager->stopping && (wish = TAILQ_FIRST(&manager->reports)) != NULL) {
		TAILQ_REMOVE(&manager->reports, wish, link);
		report_one(manager, wish->message);
		free(wish);
		manager_wake(manager);
	}
	manager->reporters--;
}

void
bounces_forget(struct manager *manager)
{
	struct report_wish *wish;

	while ((wish = TAILQ_FIRST(&manager->reports)) != NULL) {
		TAILQ_REMOVE(&manager->reports, wish, link);
		free(wish);
	}
}

void
bounce_start(struct manager *manager, struct message *message)
{
	struct report_wish *wish = calloc(1, sizeof(*wish));

	message->state = MESSAGE_REPORTING;
	if (wish == NULL) {
		put_off(message, "no memory for a report");
		pass_finish(manager, message);
		return;
	}
	message->pins++;
	wish->message = message;
	TAILQ_INSERT_TAIL(&manager->reports, wish, link);
	if (manager->reporters < REPORTERS) {
		manager->reporters++;
		if (ph_task_spawn("bounce", reporter, manager).generation == 0 &&
			--manager->reporters == 0) {
			TAILQ_REMOVE(&manager->reports, wish, link);
			free(wish);
			put_off(message, "no task for a report");
			pass_finish(manager, message);
			scheduler_unpin(manager->scheduler, message);
		}
	}
}
