/*
 * Notices: see notice.h.
 */
#include "queue/notice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/dsn.h>
#include <posthouse/intake.h>

/* A header section longer than this is cut. */
#define HEADER_MAX 65536
#define CHUNK 16384

static int
sink_write(void *context, ph_span bytes)
{
	return ph_intake_write(context, bytes);
}

int
content_copy(ph_intake *intake, const struct ph_queue_content *content, bool full)
{
	char *chunk = malloc(CHUNK + 3);
	int64_t at = 0, length = full || content->length < HEADER_MAX ? content->length
		: HEADER_MAX;
	size_t carry = 0;
	bool ended = false;

	while (chunk != NULL && at < length && !ended) {
		size_t want = length - at < CHUNK ? (size_t)(length - at) : CHUNK;
		ssize_t got = pread(content->fd, chunk + carry, want,
			(off_t)(content->offset + at));
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
	struct notice *notice, ph_pool *pool, ph_error *error)
{
	struct report *report = &notice->report;
	struct ph_queue_content *content = manager_content(message, pool, error);
	struct report_sink sink = {.write = sink_write, .context = intake, .pool = pool};
	int result;

	if (content == NULL)
		return -1;
	report->eightbit = (content->flags & PH_CONTENT_8BIT) != 0;
	report->full = notice->whole && content->length <= manager->settings->bounce_size_limit;
	report_begin(&sink, report);
	result = content_copy(intake, content, report->full);
	close(content->fd);
	report_end(&sink, report);
	if (result == -1)
		return ph_error_set(error, "the message cannot be read");
	return sink.result == -1 ? ph_error_set(error, "the report cannot be written") : 0;
}

/* A report asks for no report (RFC 3461, 6.2). */
static ph_intake *
begin_intake(struct message *message, struct notice *notice, ph_pool *pool, ph_error *error)
{
	struct report *report = &notice->report;
	struct ph_intake_origin origin = {.size = sizeof(origin), .origin = PH_ORIGIN_INTERNAL,
		.queue = message->storage->name, .report = PH_REPORT_BOUNCE};
	struct ph_mail_parameters mail = {.size = sizeof(mail), .smtputf8 = report->utf8,
		.body = message->body->envelope.body_8bit};
	struct ph_rcpt_parameters rcpt = {.size = sizeof(rcpt),
		.notify = *notice->sender == '\0' ? PH_NOTIFY_NEVER : 0};
	ph_intake *intake = ph_intake_begin(&origin, error);

	if (intake == NULL)
		return NULL;
	report->boundary = ph_pool_printf(pool, "%s.%s/%s", message->id, ph_intake_queue_id(intake),
		report->myhostname);
	if (report->boundary == NULL || ph_intake_sender(intake, notice->sender, &mail) == -1 ||
		ph_intake_recipient(intake, report->to, &rcpt) == -1) {
		ph_intake_abort(intake);
		ph_error_set(error, "no memory");
		return NULL;
	}
	return intake;
}

int
notice_send(struct manager *manager, struct message *message, struct notice *notice, ph_pool *pool,
	const char **id, ph_error *error)
{
	ph_intake *intake = begin_intake(message, notice, pool, error);
	ph_reply *reply = ph_pool_alloc(pool, sizeof(*reply));

	if (intake == NULL)
		return -1;
	*id = ph_pool_strdup(pool, ph_intake_queue_id(intake));
	if (reply == NULL || *id == NULL) {
		ph_intake_abort(intake);
		return ph_error_set(error, "no memory");
	}
	if (write_report(manager, message, intake, notice, pool, error) == -1) {
		ph_intake_abort(intake);
		return -1;
	}
	if (ph_intake_commit(intake, reply) == PH_INTAKE_REFUSED)
		return ph_error_set(error, "%s", reply->text);
	return 0;
}
