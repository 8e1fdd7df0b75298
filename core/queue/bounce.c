/*
 * Reports to the sender: who gets one, and what is done when it is durable. The recipients of a
 * failed message count as done only then; so do those of whose success the sender wants to hear.
 */
#include <stdlib.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/dsn.h>
#include <posthouse/log.h>

#include "intake/complete.h"
#include "queue/manager.h"
#include "queue/notice.h"

/* Reports that are written at the same time. */
#define REPORTERS 16

/* What a report is about; one for each sender. */
struct subject {
	enum template_kind kind;
	const char *sender;
	uint32_t *numbers;              /* of its recipients */
	struct report_recipient *list;
	size_t count;
};

/* What one report needs. */
struct desk {
	struct manager *manager;
	struct message *message;
	ph_pool *pool;
	ph_error error;
};

/* ---- Who ------------------------------------------------------------------------------------- */

static bool
wants(const struct rcpt *rcpt, uint32_t notify)
{
	return rcpt->notify == 0 ? notify != PH_NOTIFY_SUCCESS : (rcpt->notify & notify) != 0;
}

/* In whose name its mail goes out: a list's, or the message's. */
static const char *
sender_of(const struct body *body, uint32_t number)
{
	return body_has_sender(body, number) ? body->rcpts[number].target->sender
		: body->envelope.sender;
}

/* What a sender of reports asked was of no use: the postmaster may hear of them all. */
static bool
is_meant(const struct body *body, uint32_t number, enum template_kind kind)
{
	const struct rcpt *rcpt = &body->rcpts[number];

	switch (kind) {
	case TEMPLATE_FAILURE:
		return rcpt->state == RCPT_FAILED &&
			(wants(rcpt, PH_NOTIFY_FAILURE) || *sender_of(body, number) == '\0');
	case TEMPLATE_DELAY:
		return rcpt->state == RCPT_DEFERRED && !rcpt->delay_told &&
			wants(rcpt, PH_NOTIFY_DELAY);
	case TEMPLATE_SUCCESS:
		return rcpt->owed != 0 && rcpt->owed != DSN_REPORTED;
	case TEMPLATE_VERIFY:
		return rcpt->notify != PH_NOTIFY_NEVER && (rcpt->state == RCPT_FAILED ||
			rcpt->state == RCPT_DEFERRED || (rcpt->owed != 0 && rcpt->owed != DSN_REPORTED));
	case TEMPLATE_KINDS:
		break;
	}
	return false;
}

/* The kind whose words go with what became of it. */
static enum template_kind
kind_of(const struct rcpt *rcpt, enum template_kind kind)
{
	if (kind != TEMPLATE_VERIFY)
		return kind;
	return rcpt->state == RCPT_FAILED ? TEMPLATE_FAILURE : rcpt->state == RCPT_DEFERRED ? TEMPLATE_DELAY
		: TEMPLATE_SUCCESS;
}

/* One that tells of deliveries, and so of aliases. */
static bool
tells_success(enum template_kind kind)
{
	return kind == TEMPLATE_SUCCESS || kind == TEMPLATE_VERIFY;
}

static const char *
action_of(const struct rcpt *rcpt, enum template_kind kind)
{
	static const char *const actions[] = {[DSN_DELIVERED] = "delivered",
		[DSN_RELAYED] = "relayed", [DSN_EXPANDED] = "expanded"};

	if (kind == TEMPLATE_SUCCESS)
		return actions[rcpt->owed];
	return kind == TEMPLATE_DELAY ? "delayed" : "failed";
}

static const char *
status_of(const struct rcpt *rcpt, enum template_kind kind)
{
	if (rcpt->transient)
		return "4.4.7";
	if (rcpt->status != NULL && *rcpt->status != '\0')
		return rcpt->status;
	return kind == TEMPLATE_SUCCESS ? "2.0.0" : kind == TEMPLATE_DELAY ? "4.0.0" : "5.0.0";
}

static struct report_recipient
describe(const struct rcpt *rcpt, enum template_kind kind)
{
	bool renamed = *rcpt->final != '\0';

	return (struct report_recipient){
		.address = renamed ? rcpt->final : rcpt->address,
		.original = *rcpt->original != '\0' || !renamed ? rcpt->original : rcpt->address,
		.orcpt = rcpt->orcpt,
		.action = action_of(rcpt, kind),
		.status = status_of(rcpt, kind),
		.text = rcpt->text == NULL || *rcpt->text == '\0'
			? kind == TEMPLATE_SUCCESS ? "delivered" : "delivery failed" : rcpt->text,
		.relay = rcpt->relay == NULL ? "" : rcpt->relay,
	};
}

/* What became of a virtual alias when the message came in. */
static struct report_recipient
describe_alias(const struct recipient *alias)
{
	return (struct report_recipient){.address = alias->address, .original = alias->original,
		.orcpt = alias->orcpt, .action = "expanded", .status = "2.0.0",
		.text = "alias expanded",
		.relay = ""};
}

static int
collect(struct desk *desk, struct subject *subject)
{
	const struct body *body = desk->message->body;
	const struct envelope *envelope = &body->envelope;
	size_t aliases = tells_success(subject->kind) && !body->aliases_told ? envelope->alias_count : 0;
	size_t at = 0;

	subject->numbers = ph_pool_array(desk->pool, body->count + 1u, sizeof(*subject->numbers));
	subject->list = ph_pool_array(desk->pool, body->count + aliases + 1u,
		sizeof(*subject->list));
	if (subject->numbers == NULL || subject->list == NULL)
		return ph_error_set(&desk->error, "no memory");
	for (uint32_t i = 0; i < body->count; i++)
		if (is_meant(body, i, subject->kind) &&
			strcmp(sender_of(body, i), subject->sender) == 0) {
			subject->numbers[at] = i;
			subject->list[at++] = describe(&body->rcpts[i], kind_of(&body->rcpts[i], subject->kind));
		}
	subject->count = at;
	for (size_t i = 0; i < aliases; i++)
		subject->list[at++] = describe_alias(&envelope->aliases[i]);
	subject->list[at].address = NULL;
	return 0;
}

static bool
is_double_bounce(const struct manager *manager, const char *sender)
{
	const char *double_bounce = manager->settings->double_bounce_sender;
	ph_span local = ph_address_local_part(sender);

	return ph_span_equal_nocase(local, ph_span_of(double_bounce)) ||
		ph_strcasecmp(sender, double_bounce) == 0;
}

/* Reports go to who can be told: not for reports, not to the sender of double bounces. */
static bool
has_reader(const struct manager *manager, const char *sender)
{
	return *sender != '\0' && !is_double_bounce(manager, sender);
}

/* ---- One report ------------------------------------------------------------------------------ */

static bool
has_class(const struct manager *manager, const char *class)
{
	const ph_strings *classes = &manager->settings->notify_classes;

	for (size_t i = 0; i < classes->count; i++)
		if (ph_strcasecmp(classes->items[i], class) == 0)
			return true;
	return false;
}

static void
fill_report(const struct desk *desk, const struct subject *subject, struct report *report)
{
	const struct settings *settings = desk->manager->settings;
	const struct body *body = desk->message->body;
	bool own = strcmp(subject->sender, body->envelope.sender) == 0;
	size_t count = subject->count;

	while (subject->list[count].address != NULL)
		count++;
	*report = (struct report){
		.kind = subject->kind,
		.template = &settings->bounce_templates->items[subject->kind],
		.myhostname = settings->myhostname,
		.myorigin = settings->myorigin,
		.mail_name = settings->mail_name,
		.queue_id = desk->message->id,
		.sender = subject->sender,
		.to = subject->sender,
		.envid = own ? body->envelope.envid : "",
		.arrival = desk->message->arrival,
		.utf8 = body->envelope.smtputf8,
		.recipients = subject->list,
		.recipient_count = count,
	};
	if (subject->kind == TEMPLATE_DELAY)
		report->retry_until = report->arrival +
			manager_lifetime(desk->manager, desk->message) * 1000;
}

static int
send(struct desk *desk, struct notice *notice, const char *what)
{
	const char *id;

	if (notice_send(desk->manager, desk->message, notice, desk->pool, &id, &desk->error) == -1)
		return -1;
	ph_log_as("bounce", PH_LOG_INFO, "%s: %s: %s", desk->message->id, what, id);
	return 0;
}

/* Only a report of failure has what is lost otherwise (RFC 3461, 4.3). */
static int
send_to_sender(struct desk *desk, const struct subject *subject)
{
	static const char *const what[TEMPLATE_KINDS] = {
		[TEMPLATE_FAILURE] = "sender non-delivery notification",
		[TEMPLATE_DELAY] = "sender delay notification",
		[TEMPLATE_SUCCESS] = "sender delivery status notification",
		[TEMPLATE_VERIFY] = "sender delivery status notification"};
	const struct envelope *envelope = &desk->message->body->envelope;
	bool headers = envelope->ret == PH_RET_HDRS &&
		strcmp(subject->sender, envelope->sender) == 0;
	struct notice notice = {.sender = "", .whole = subject->kind == TEMPLATE_FAILURE &&
		!headers};

	fill_report(desk, subject, &notice.report);
	return send(desk, &notice, what[subject->kind]);
}

static int
send_to_postmaster(struct desk *desk, const struct subject *subject, const char *recipient,
	const char *what, bool whole)
{
	const struct settings *settings = desk->manager->settings;
	struct notice notice = {.sender = settings->double_bounce_sender, .whole = whole};

	fill_report(desk, subject, &notice.report);
	notice.report.postmaster = true;
	notice.report.to = address_complete(desk->pool, settings, recipient);
	if (notice.report.to == NULL)
		return ph_error_set(&desk->error, "no memory");
	return send(desk, &notice, what);
}

/* A copy that cannot be written is no reason to write the report again. */
static void
copy_to_postmaster(struct desk *desk, const struct subject *subject, const char *class,
	const char *recipient, const char *what)
{
	if (has_class(desk->manager, class) && ph_strcasecmp(subject->sender, recipient) != 0 &&
		desk->message->state == MESSAGE_REPORTING &&
		send_to_postmaster(desk, subject, recipient, what, false) == -1)
		ph_log_as("bounce", PH_LOG_WARNING, "%s: cannot send a notice to %s: %s",
			desk->message->id, recipient, desk->error.text);
}

/* A report that failed: its sender is nobody. */
static int
report_double_bounce(struct desk *desk, const struct subject *subject)
{
	if (is_double_bounce(desk->manager, subject->sender)) {
		ph_log_as("bounce", PH_LOG_WARNING,
			"%s: undeliverable postmaster notification discarded", desk->message->id);
		return 0;
	}
	if (has_class(desk->manager, "2bounce"))
		return send_to_postmaster(desk, subject,
			desk->manager->settings->bounce2_notice_recipient,
			"postmaster non-delivery notification", true);
	ph_log_as("bounce", PH_LOG_INFO,
		"%s: undeliverable report discarded: notify_classes has no 2bounce",
		desk->message->id);
	return 0;
}

static int
report_subject(struct desk *desk, const struct subject *subject)
{
	const struct settings *settings = desk->manager->settings;

	if (desk->message->probe || (subject->count == 0 && subject->list[0].address == NULL))
		return 0;
	if (!has_reader(desk->manager, subject->sender))
		return subject->kind == TEMPLATE_FAILURE ? report_double_bounce(desk, subject) : 0;
	if (send_to_sender(desk, subject) == -1)
		return -1;
	if (subject->kind == TEMPLATE_FAILURE)
		copy_to_postmaster(desk, subject, "bounce", settings->bounce_notice_recipient,
			"postmaster non-delivery notification");
	if (subject->kind == TEMPLATE_DELAY)
		copy_to_postmaster(desk, subject, "delay", settings->delay_notice_recipient,
			"postmaster delay notification");
	return 0;
}

/* ---- Afterwards ------------------------------------------------------------------------------ */

static void
put_note(struct manager *manager, struct message *message, struct note *note,
	const uint32_t *numbers, size_t count)
{
	struct note_writer writer;
	struct note_range *ranges;

	/* when nothing is left the message goes as a whole */
	if (body_is_finished(message->body))
		return;
	note->attempt = message->attempts + 1u;
	note_writer_begin(&writer, manager->scratch);
	note->range_count = note_ranges(manager->scratch, numbers, count, &ranges);
	note->ranges = ranges;
	if (ranges != NULL)
		note_put(&writer, note);
	if (!writer.failed)
		manager_note(manager, message, note_bytes(&writer));
	ph_pool_reset(manager->scratch);
}

/* What failed is done, after its report, or without one. */
static void
settle_failures(struct manager *manager, struct message *message)
{
	struct body *body = message->body;
	uint32_t *numbers = malloc(body->count * sizeof(*numbers) + 1);
	struct note note = {.type = NOTE_RESULT, .outcome = OUTCOME_BOUNCED};
	size_t count = 0;

	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].state == RCPT_FAILED) {
			body_set_done(body, i, OUTCOME_BOUNCED);
			if (numbers != NULL)
				numbers[count++] = i;
		}
	if (count > 0)
		put_note(manager, message, &note, numbers, count);
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

/* The sender knows of these. */
static void
settle_told(struct manager *manager, struct message *message, struct subject *subject)
{
	struct body *body = message->body;
	bool delay = subject->kind == TEMPLATE_DELAY;
	struct note note = {.type = NOTE_REPORTED,
		.reported = delay ? REPORTED_DELAY : REPORTED_SUCCESS};

	size_t count = 0;

	for (size_t i = 0; i < subject->count; i++) {
		uint32_t number = subject->numbers[i];

		/* What waits or has failed is reported as ever, too. */
		if (subject->kind == TEMPLATE_VERIFY && !is_meant(body, number, TEMPLATE_SUCCESS))
			continue;
		if (delay)
			body->rcpts[number].delay_told = true;
		else
			body_set_reported(body, number);
		subject->numbers[count++] = number;
	}
	body->aliases_told |= !delay;
	body->watch_told |= subject->kind == TEMPLATE_VERIFY;
	put_note(manager, message, &note, subject->numbers, count);
}

/* ---- What is due ----------------------------------------------------------------------------- */

static bool
delay_is_due(const struct manager *manager, const struct message *message)
{
	const struct body *body = message->body;
	int64_t limit = manager->settings->delay_warning_time;

	if (limit <= 0 || message->hold || message->probe || body->back ||
		body->in_state[RCPT_DEFERRED] == 0 || !has_reader(manager, body->envelope.sender) ||
		(ph_wall_clock() - message->arrival) / 1000 < limit)
		return false;
	for (uint32_t i = 0; i < body->count; i++)
		if (is_meant(body, i, TEMPLATE_DELAY) && !body_has_sender(body, i))
			return true;
	return false;
}

/* "sendmail -v": what came of the first attempt, whatever it was. */
static bool
watch_is_due(const struct manager *manager, const struct message *message)
{
	const struct body *body = message->body;

	if (!body->envelope.watch || body->watch_told || message->attempts > 0 || message->hold ||
		message->probe || body->back || !has_reader(manager, body->envelope.sender))
		return false;
	for (uint32_t i = 0; i < body->count; i++)
		if (is_meant(body, i, TEMPLATE_VERIFY) && !body_has_sender(body, i))
			return true;
	return false;
}

bool
bounce_is_due(const struct manager *manager, const struct message *message)
{
	return message->body->in_state[RCPT_FAILED] > 0 || body_owes(message->body) ||
		watch_is_due(manager, message) || delay_is_due(manager, message);
}

static bool
is_here(const struct desk *desk)
{
	return desk->message->state == MESSAGE_REPORTING;
}

static int
report_about(struct desk *desk, struct subject *subject)
{
	int result = collect(desk, subject);

	return result == -1 ? -1 : report_subject(desk, subject);
}

/* A failed member of a list, the first with that sender. */
static bool
is_first_of_list(const struct body *body, uint32_t number)
{
	if (body->rcpts[number].state != RCPT_FAILED || !body_has_sender(body, number))
		return false;
	for (uint32_t i = 0; i < number; i++)
		if (body->rcpts[i].state == RCPT_FAILED && body_has_sender(body, i) &&
			strcmp(sender_of(body, i), sender_of(body, number)) == 0)
			return false;
	return true;
}

/* One for the sender, and one for the owner of each list. */
static int
report_failures(struct desk *desk)
{
	const struct body *body = desk->message->body;
	struct subject subject = {.kind = TEMPLATE_FAILURE, .sender = body->envelope.sender};

	if (report_about(desk, &subject) == -1)
		return -1;
	for (uint32_t i = 0; is_here(desk) && i < body->count; i++) {
		if (!is_first_of_list(body, i))
			continue;
		subject.sender = sender_of(body, i);
		if (report_about(desk, &subject) == -1)
			return -1;
	}
	return 0;
}

static void
complain(const struct desk *desk)
{
	ph_log_as("bounce", PH_LOG_WARNING, "%s: cannot send a report: %s", desk->message->id,
		desk->error.text);
}

static void
do_failures(struct desk *desk)
{
	int result = report_failures(desk);

	if (!is_here(desk))
		return;
	if (result == 0) {
		settle_failures(desk->manager, desk->message);
	} else {
		complain(desk);
		put_off(desk->message, desk->error.text);
	}
}

/* What cannot be written now is due again after the next pass. */
static void
do_others(struct desk *desk, enum template_kind kind)
{
	struct subject subject = {.kind = kind, .sender = desk->message->body->envelope.sender};
	int result = report_about(desk, &subject);

	if (is_here(desk) && result == 0)
		settle_told(desk->manager, desk->message, &subject);
	else if (result == -1)
		complain(desk);
}

static void
report_one(struct manager *manager, struct message *message)
{
	struct desk desk = {.manager = manager, .message = message, .pool = ph_pool_new(0),
		.error = {"no memory"}};

	if (is_here(&desk) && watch_is_due(manager, message))
		do_others(&desk, TEMPLATE_VERIFY);
	if (is_here(&desk) && message->body->in_state[RCPT_FAILED] > 0)
		do_failures(&desk);
	if (is_here(&desk) && body_owes(message->body))
		do_others(&desk, TEMPLATE_SUCCESS);
	if (is_here(&desk) && delay_is_due(manager, message))
		do_others(&desk, TEMPLATE_DELAY);
	ph_pool_free(desk.pool);
	if (is_here(&desk))
		pass_finish(manager, message);
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
