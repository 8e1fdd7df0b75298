/*
 * Reports of messages that never got into the queue, to senders who were told that all is well.
 */
#include <string.h>

#include <posthouse/dsn.h>
#include <posthouse/log.h>

#include "intake/complete.h"
#include "intake/message.h"
#include "queue/report.h"

/* A header section longer than this is cut. */
#define HEADER_MAX 65536

static int
sink_write(void *context, ph_span bytes)
{
	return ph_intake_write(context, bytes);
}

static bool
is_ascii(const char *text)
{
	while (*text > 0)
		text++;
	return *text == '\0';
}

static bool
has_8bit(ph_span bytes)
{
	for (size_t i = 0; i < bytes.size; i++)
		if ((unsigned char)bytes.data[i] >= 0x80)
			return true;
	return false;
}

/* All of them have the same reason. Where nobody was named there is one all the same, to hold it.
 */
static int
fill_recipients(const struct ph_refused *refused, const ph_reply *reply, ph_pool *pool,
	struct report *report)
{
	static const char *const nobody = "undisclosed-recipients:;";
	size_t count = refused->recipients.count;
	const char *const *names = count > 0 ? refused->recipients.items : &nobody;
	struct report_recipient *list = ph_pool_array(pool, count > 0 ? count : 1, sizeof(*list));
	char *status = ph_pool_strdup(pool, reply->status);

	if (list == NULL || status == NULL)
		return -1;
	status[0] = '5'; /* it is final, whatever it was: "too many recipients" */
	report->recipient_count = count > 0 ? count : 1;
	report->recipients = list;
	for (size_t i = 0; i < report->recipient_count; i++) {
		list[i] = (struct report_recipient){.address = names[i],
			.original = "",
			.orcpt = "",
			.action = "failed",
			.status = status,
			.text = reply->text,
			.relay = ""};
		report->utf8 |= !is_ascii(names[i]);
	}
	return 0;
}

static int
fill_report(const struct ph_refused *refused, const ph_reply *reply, ph_pool *pool,
	struct report *report)
{
	const struct settings *settings = intake_base()->settings;
	const char *sender = address_complete(pool, settings, refused->sender);

	if (sender == NULL)
		return -1;
	*report = (struct report){.kind = TEMPLATE_FAILURE,
		.template = &settings->bounce_templates->items[TEMPLATE_FAILURE],
		.myhostname = settings->myhostname,
		.myorigin = settings->myorigin,
		.mail_name = settings->mail_name,
		.queue_id = refused->name,
		.sender = sender,
		.to = sender,
		.envid = refused->envid != NULL ? refused->envid : "",
		.arrival = refused->arrival,
		.utf8 = !is_ascii(sender),
		.eightbit = has_8bit(refused->content),
		.full = refused->whole && refused->ret != PH_RET_HDRS &&
			(int64_t)refused->content.size <= settings->bounce_size_limit};
	return fill_recipients(refused, reply, pool, report);
}

/* What of it comes back. */
static ph_span
original_of(const struct ph_refused *refused, const struct report *report)
{
	size_t size = refused->content.size;

	if (!report->full && (size = report_header_size(refused->content, true)) == 0)
		size = refused->content.size;
	return (ph_span){
		refused->content.data, report->full || size < HEADER_MAX ? size : HEADER_MAX};
}

static int
write_report(
	ph_intake *intake, const struct ph_refused *refused, ph_pool *pool, struct report *report)
{
	struct report_sink sink = {.write = sink_write, .context = intake, .pool = pool};
	struct ph_mail_parameters mail = {
		.size = sizeof(mail), .smtputf8 = report->utf8, .body = report->eightbit};
	struct ph_rcpt_parameters rcpt = {.size = sizeof(rcpt), .notify = PH_NOTIFY_NEVER};

	report->boundary =
		ph_pool_printf(pool, "%s/%s", ph_intake_queue_id(intake), report->myhostname);
	if (report->boundary == NULL || ph_intake_sender(intake, "", &mail) == -1 ||
		ph_intake_recipient(intake, report->to, &rcpt) == -1)
		return -1;
	report_begin(&sink, report);
	ph_intake_write(intake, original_of(refused, report));
	report_end(&sink, report);
	return sink.result;
}

static int
send(const struct ph_refused *refused, const ph_reply *reply, ph_pool *pool, ph_error *error)
{
	struct ph_intake_origin origin = {
		.size = sizeof(origin), .origin = PH_ORIGIN_INTERNAL, .report = PH_REPORT_BOUNCE};
	struct report report;
	ph_intake *intake;
	ph_reply *answer = ph_pool_alloc(pool, sizeof(*answer));
	const char *id;

	if (answer == NULL || fill_report(refused, reply, pool, &report) == -1)
		return ph_error_set(error, "out of memory");
	if ((intake = ph_intake_begin(&origin, error)) == NULL)
		return -1;
	id = ph_pool_strdup(pool, ph_intake_queue_id(intake));
	if (id == NULL || write_report(intake, refused, pool, &report) == -1) {
		ph_intake_abort(intake);
		return ph_error_set(error, "the report cannot be written");
	}
	if (ph_intake_commit(intake, answer) == PH_INTAKE_REFUSED)
		return ph_error_set(error, "%s", answer->text);
	ph_log_as("bounce", PH_LOG_INFO, "%s: sender non-delivery notification: %s", refused->name,
		id);
	return 0;
}

int
ph_report_refused(const struct ph_refused *refused, const ph_reply *reply, ph_error *error)
{
	struct ph_refused copy = {.size = sizeof(copy)};
	ph_pool *pool = ph_pool_new(0);
	int result;

	memcpy(&copy, refused, refused->size < sizeof(copy) ? refused->size : sizeof(copy));
	result = pool != NULL ? send(&copy, reply, pool, error)
			      : ph_error_set(error, "out of memory");
	ph_pool_free(pool);
	return result;
}
