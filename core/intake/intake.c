/*
 * The one way in. Content is collected until its header section is complete; then the filters see
 * it, and the body goes to the storage as it streams. The header section is written last, as the
 * head of the message, because filters may change it until the end.
 */
#include <posthouse/intake.h>

#include <string.h>

#include <posthouse/log.h>

#include "ground/loop.h"
#include "intake/complete.h"
#include "intake/rewrite.h"
#include "intake/scan.h"

struct ph_intake {
	struct ph_filter_message message;
	const struct intake_base *base;
	const struct instance *queue;
	ph_queue_writer *writer;
	struct task_context *context; /* where our queue ID is shown */
	/* The header section on its way in. */
	struct header_scan header_scan;
	char *collected;
	size_t collected_size, collected_room;
	bool in_body;
	bool blank_line;        /* the head ends with one */
	bool has_body;
	char last[2];           /* of the body as it came in */
	/* The body. */
	struct content_scan content;
	int64_t received;       /* bytes that were written to us */
	int64_t stored;         /* bytes that were appended */
	bool failed;            /* message.reply tells why */
	bool discarded;
};

static ph_filter_result store_body(void *context, ph_span bytes);

/* ---- Beginning ------------------------------------------------------------------------------- */

static void
show_queue_id(ph_intake *intake)
{
	intake->context = task_context();
	if (intake->context != NULL)
		intake->context->queue_id = intake->message.envelope.id;
}

ph_intake *
ph_intake_begin(const struct ph_intake_origin *origin, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	ph_intake *intake = pool != NULL ? ph_pool_alloc(pool, sizeof(*intake)) : NULL;

	if (intake == NULL)
		goto fail;
	struct ph_filter_message *message = &intake->message;

	intake->base = intake_base();
	message->pool = pool;
	message->step = SIZE_MAX;
	message->body_sink = store_body;
	message->body_context = intake;
	message->has_transport = intake->base->has_transport;
	message->settings = intake->base->settings;
	message->envelope = envelope_empty;
	message->envelope.arrival = ph_wall_clock();
	queue_id_make(message->envelope.id);
	if (message_take_origin(message, intake->base, origin) == -1)
		goto fail;
	intake->header_scan.from_line = origin->origin == PH_ORIGIN_SMTP;
	intake->queue = intake->base->queue(message->origin.queue);
	if (intake->queue == NULL) {
		ph_error_set(error, "there is no queue storage named \"%s\"",
			message->origin.queue);
		ph_pool_free(pool);
		return NULL;
	}
	show_queue_id(intake);
	return intake;
fail:
	ph_pool_free(pool);
	ph_error_set(error, "out of memory");
	return NULL;
}

const char *
ph_intake_queue_id(const ph_intake *intake)
{
	return intake->message.envelope.id;
}

static void
intake_free(ph_intake *intake)
{
	filter_run_done(&intake->message);
	if (intake->writer != NULL) {
		const struct ph_queue_ops *ops = intake->queue->ops;

		ops->abort(intake->writer);
	}
	if (intake->context != NULL && intake->context == task_context() &&
		intake->context->queue_id == intake->message.envelope.id)
		intake->context->queue_id = NULL;
	ph_pool_free(intake->message.pool);
}

void
ph_intake_abort(ph_intake *intake)
{
	if (intake != NULL)
		intake_free(intake);
}

/* ---- Failures -------------------------------------------------------------------------------- */

/* The first failure is the reply; what was stored so far is given up. */
static int
fail_with(ph_intake *intake, int code, const char *status, const char *text)
{
	if (intake->failed)
		return -1;
	intake->failed = true;
	ph_filter_reply(&intake->message, code, status, "%s", text);
	if (intake->writer != NULL) {
		const struct ph_queue_ops *ops = intake->queue->ops;

		ops->abort(intake->writer);
		intake->writer = NULL;
	}
	return -1;
}

static int
fail_storage(ph_intake *intake, const ph_error *error)
{
	ph_log_as("cleanup", PH_LOG_ERROR, "%s: queue %s: %s", intake->message.envelope.id,
		intake->queue->name, error->text);
	return fail_with(intake, 451, "4.3.0", "Error: queue file write error");
}

static int
fail_memory(ph_intake *intake)
{
	ph_log_as("cleanup", PH_LOG_ERROR, "%s: out of memory", intake->message.envelope.id);
	return fail_with(intake, 451, "4.3.0", "Error: queue file write error");
}

/* What a filter said; its reply is filled already. */
static int
take_verdict(ph_intake *intake, ph_filter_result result)
{
	switch (result) {
	case PH_FILTER_CONTINUE:
	case PH_FILTER_HOLD:
		return 0;
	case PH_FILTER_DISCARD:
		intake->discarded = true;
		return 0;
	case PH_FILTER_REFUSE: {
		ph_reply reply = intake->message.reply;

		return fail_with(intake, reply.code, reply.status, reply.text);
	}
	}
	return 0;
}

/* ---- Envelope -------------------------------------------------------------------------------- */

/* A parameters struct of an older module: what it lacks reads as 0. */
#define TAKE(copy, from) \
	memcpy(&(copy), (from), (from)->size < sizeof(copy) ? (from)->size : sizeof(copy))

int
ph_intake_sender(ph_intake *intake, const char *address,
	const struct ph_mail_parameters *parameters)
{
	struct ph_filter_message *message = &intake->message;
	struct envelope *envelope = &message->envelope;
	struct ph_mail_parameters given = {.size = sizeof(given)};

	if (parameters != NULL)
		TAKE(given, parameters);
	if (message->origin.origin == PH_ORIGIN_LOCAL)
		ph_log_as("pickup", PH_LOG_INFO, "%s: uid=%u from=<%s>", envelope->id,
			message->origin.uid, address);
	envelope->sender = message_copy_text(message->pool, address);
	if (envelope->sender != NULL)
		envelope->sender = address_complete(message->pool, message->settings,
			envelope->sender);
	envelope->envid = message_copy_text(message->pool, given.envid);
	envelope->ret = given.ret;
	envelope->watch = given.watch;
	envelope->body_8bit = given.body == 1;
	envelope->smtputf8 = given.smtputf8;
	if (envelope->sender != NULL && envelope->envid != NULL)
		return 0;
	return fail_memory(intake);
}

int
ph_intake_recipient(ph_intake *intake, const char *address,
	const struct ph_rcpt_parameters *parameters)
{
	struct ph_filter_message *message = &intake->message;
	struct ph_rcpt_parameters given = {.size = sizeof(given)};
	const char *complete = recipient_complete(message->pool, message->settings, address);

	if (parameters != NULL)
		TAKE(given, parameters);
	if (given.original != NULL && *given.original != '\0')
		address = given.original;
	if (complete == NULL || message_add_recipient(message, complete, address, &given) == -1)
		return fail_memory(intake);
	return 0;
}

size_t
ph_intake_recipient_count(const ph_intake *intake)
{
	return intake->message.envelope.recipient_count;
}

void
ph_intake_hold(ph_intake *intake, const char *reason)
{
	if (!(intake->message.content_flags & PH_CONTENT_HOLD))
		ph_log_as("cleanup", PH_LOG_INFO, "%s: hold: %s", intake->message.envelope.id,
			reason);
	intake->message.content_flags |= PH_CONTENT_HOLD;
}

void
ph_intake_discard(ph_intake *intake, const char *reason)
{
	if (!intake->discarded)
		ph_log_as("cleanup", PH_LOG_INFO, "%s: discard: %s", intake->message.envelope.id,
			reason);
	intake->discarded = true;
}

int
ph_intake_filter(ph_intake *intake, const char *route)
{
	const char *copy = ph_pool_strdup(intake->message.pool, route);

	if (copy == NULL)
		return fail_memory(intake);
	intake->message.envelope.filter = copy;
	return 0;
}

int
ph_intake_redirect(ph_intake *intake, const char *address)
{
	intake->message.redirect = ph_pool_strdup(intake->message.pool, address);
	return intake->message.redirect != NULL ? 0 : fail_memory(intake);
}

int
ph_intake_bcc(ph_intake *intake, const char *address)
{
	if (message_append_text(&intake->message, &intake->message.bcc, address) == -1)
		return fail_memory(intake);
	return 0;
}

int
ph_intake_prepend(ph_intake *intake, const char *header)
{
	if (message_append_text(&intake->message, &intake->message.prepend, header) == -1)
		return fail_memory(intake);
	return 0;
}

/* ---- Body ------------------------------------------------------------------------------------ */

/* Is there more free space than queue_minfree? A storage that cannot tell has enough. */
static bool
has_room(const ph_intake *intake)
{
	const struct ph_queue_ops *ops = intake->queue->ops;
	int64_t space = ops->free_space != NULL ? ops->free_space(intake->queue->self) : -1;

	return space < 0 || space >= intake->message.settings->queue_minfree;
}

static int
begin_storage(ph_intake *intake)
{
	const struct ph_queue_ops *ops = intake->queue->ops;
	ph_error error = {""};

	if (intake->writer != NULL)
		return 0;
	if (!has_room(intake)) {
		ph_log_as("cleanup", PH_LOG_WARNING,
			"%s: queue %s: not enough free space for more mail",
			intake->message.envelope.id, intake->queue->name);
		return fail_with(intake, 452, "4.3.1", "Insufficient system storage");
	}
	if (ops->begin(intake->queue->self, 0, &intake->writer, &error) == -1) {
		intake->writer = NULL;
		return fail_storage(intake, &error);
	}
	return 0;
}

/* What is left of the body behind the filters. */
static ph_filter_result
store_body(void *context, ph_span bytes)
{
	ph_intake *intake = context;
	const struct ph_queue_ops *ops = intake->queue->ops;
	ph_error error = {""};

	if (bytes.size == 0)
		return PH_FILTER_CONTINUE;
	content_scan(&intake->content, bytes);
	if (begin_storage(intake) == -1)
		return PH_FILTER_REFUSE;
	intake->stored += (int64_t)bytes.size;
	if (ops->append(intake->writer, bytes, &error) == -1) {
		fail_storage(intake, &error);
		return PH_FILTER_REFUSE;
	}
	return PH_FILTER_CONTINUE;
}

static int
take_body(ph_intake *intake, ph_span bytes)
{
	if (bytes.size == 0 || intake->failed || intake->discarded)
		return intake->failed ? -1 : 0;
	intake->has_body = true;
	intake->last[0] = bytes.size > 1 ? bytes.data[bytes.size - 2] : intake->last[1];
	intake->last[1] = bytes.data[bytes.size - 1];
	return take_verdict(intake, filter_run_body(&intake->message, 0, bytes));
}

/* ---- Header section -------------------------------------------------------------------------- */

static uint32_t
count_hops(const struct ph_filter_message *message)
{
	uint32_t hops = 0;

	for (size_t i = 0; i < message->header_count; i++)
		hops += header_is(&message->headers[i], "Received");
	return hops;
}

/* Clients that read from a mailbox send its line before the headers: it becomes one of them. */
static int
keep_from_line(ph_intake *intake, ph_span *section)
{
	static const char name[] = "X-Mailbox-Line: ";
	size_t size = sizeof(name) - 1;
	char *copy;

	if (!header_is_from_line(*section))
		return 0;
	if ((copy = ph_pool_alloc(intake->message.pool, size + section->size + 1)) == NULL)
		return -1;
	memcpy(copy, name, size);
	memcpy(copy + size, section->data, section->size);
	*section = (ph_span){copy, size + section->size};
	return 0;
}

/* The section is complete: its bytes lie in the pool. */
static int
headers_complete(ph_intake *intake, ph_span section, enum header_end end)
{
	struct ph_filter_message *message = &intake->message;

	intake->in_body = true;
	intake->blank_line = end != HEADER_TOO_LARGE;
	message->headers_cut = end == HEADER_TOO_LARGE;
	if (keep_from_line(intake, &section) == -1 ||
		message_take_headers(message, section) == -1 ||
		filter_chain(message, intake->base) == -1)
		return fail_memory(intake);
	message->envelope.hops = count_hops(message);
	if (message->settings->hopcount_limit > 0 &&
		(int64_t)message->envelope.hops >= message->settings->hopcount_limit) {
		ph_log_as("cleanup", PH_LOG_WARNING, "%s: too many hops: %u Received headers",
			message->envelope.id, message->envelope.hops);
		return fail_with(intake, 554, "5.4.6", "Error: too many hops");
	}
	if (intake->discarded)
		return 0;
	return take_verdict(intake, filter_run_header(message));
}

/* Adds to what was collected so far; takes no more than the scan can need. */
static int
collect(ph_intake *intake, ph_span *bytes)
{
	size_t take = HEADER_SCAN_LIMIT - intake->collected_size;

	if (take > bytes->size)
		take = bytes->size;
	if (intake->collected_size + take > intake->collected_room) {
		size_t room = intake->collected_room * 2;

		if (room < intake->collected_size + take)
			room = intake->collected_size + take;
		char *grown = ph_pool_alloc(intake->message.pool, room);

		if (grown == NULL)
			return fail_memory(intake);
		if (intake->collected_size > 0)
			memcpy(grown, intake->collected, intake->collected_size);
		intake->collected = grown;
		intake->collected_room = room;
	}
	memcpy(intake->collected + intake->collected_size, bytes->data, take);
	intake->collected_size += take;
	bytes->data += take;
	bytes->size -= take;
	return 0;
}

/* The usual case: the first piece has the whole section. Its body is not copied. */
static int
take_first_piece(ph_intake *intake, ph_span *bytes, bool *complete)
{
	struct header_scan scan = {.from_line = intake->header_scan.from_line};
	enum header_end end = header_scan(&scan, *bytes);
	char *copy;

	*complete = end != HEADER_MORE;
	if (end == HEADER_MORE)
		return 0;
	if ((copy = ph_pool_alloc(intake->message.pool, scan.section + 1)) == NULL)
		return fail_memory(intake);
	memcpy(copy, bytes->data, scan.section);
	bytes->data += scan.body;
	bytes->size -= scan.body;
	return headers_complete(intake, (ph_span){copy, scan.section}, end);
}

static int
take_headers(ph_intake *intake, ph_span *bytes)
{
	bool complete = false;

	if (intake->collected_size == 0 && take_first_piece(intake, bytes, &complete) == -1)
		return -1;
	if (complete)
		return 0;
	if (collect(intake, bytes) == -1)
		return -1;
	ph_span collected = {intake->collected, intake->collected_size};
	enum header_end end = header_scan(&intake->header_scan, collected);

	if (end == HEADER_MORE)
		return 0;
	size_t body = intake->header_scan.body;

	if (headers_complete(intake, (ph_span){collected.data, intake->header_scan.section}, end) == -1)
		return -1;
	return take_body(intake, (ph_span){collected.data + body, collected.size - body});
}

int
ph_intake_write(ph_intake *intake, ph_span bytes)
{
	int64_t limit = intake->message.settings->message_size_limit;

	intake->received += (int64_t)bytes.size;
	if (intake->failed)
		return -1;
	/* a report with a message that just met the limit is larger, and must go out all the
	 * same */
	if (limit > 0 && intake->received > limit &&
		intake->message.origin.origin != PH_ORIGIN_INTERNAL)
		return fail_with(intake, 552, "5.3.4", "Message size exceeds fixed limit");
	if (bytes.size > 0 && !intake->in_body && take_headers(intake, &bytes) == -1)
		return -1;
	return take_body(intake, bytes);
}

int64_t
ph_intake_size(const ph_intake *intake)
{
	return intake->received;
}

/* ---- Commit ---------------------------------------------------------------------------------- */

/* The content has ended: a section without a body, a last line without its end. */
static int
finish_content(ph_intake *intake)
{
	static const ph_span crlf = {"\r\n", 2};

	if (intake->failed)
		return -1;
	if (!intake->in_body) {
		ph_span rest = crlf;

		if (intake->collected_size > 0 &&
			intake->collected[intake->collected_size - 1] != '\n' &&
			take_headers(intake, &rest) == -1)
			return -1;
		if (!intake->in_body && headers_complete(intake,
			(ph_span){intake->collected, intake->collected_size}, HEADER_BLANK) == -1)
			return -1;
	}
	if (intake->has_body && memcmp(intake->last, crlf.data, 2) != 0 &&
		take_body(intake, crlf) == -1)
		return -1;
	if (intake->discarded)
		return 0;
	if (take_verdict(intake, filter_run_body_end(&intake->message)) == -1)
		return -1;
	if (intake->stored > 0 && !intake->content.ends_crlf && !intake->discarded)
		return take_verdict(intake, store_body(intake, crlf));
	return 0;
}

static void
log_message_id(const struct ph_filter_message *message)
{
	size_t index = ph_header_find(message, "Message-Id", 0);
	ph_span id = {"<>", 2};

	if (index != SIZE_MAX)
		id = header_trim(ph_header_value(message, index));
	ph_log_as("cleanup", PH_LOG_INFO, "%s: message-id=%.*s", message->envelope.id,
		(int)(id.size < 998 ? id.size : 998), id.data);
}

/* Writes the head and makes it all durable. The storage frees the writer, whatever happens. */
static int
commit_storage(ph_intake *intake)
{
	struct ph_filter_message *message = &intake->message;
	const struct ph_queue_ops *ops = intake->queue->ops;
	struct content_scan head_scan = {.mid_line = false};
	ph_span head, envelope;
	uint64_t handle = 0;
	ph_error error = {""};

	if (message_head(message, intake->blank_line, &head) == -1)
		return fail_memory(intake);
	content_scan(&head_scan, head);
	if (intake->content.dot_lines || head_scan.dot_lines)
		message->content_flags |= PH_CONTENT_DOT_LINES;
	if (intake->content.eight_bit || head_scan.eight_bit)
		message->content_flags |= PH_CONTENT_8BIT;
	message->envelope.content_size = (int64_t)head.size + intake->stored;
	if (envelope_encode(&message->envelope, message->pool, &envelope) == -1)
		return fail_memory(intake);
	if (begin_storage(intake) == -1)
		return -1;
	ph_queue_writer *writer = intake->writer;

	intake->writer = NULL;
	if (ops->commit(writer, message->envelope.id, envelope, head, message->content_flags,
		&handle, &error) == -1)
		return fail_storage(intake, &error);
	intake->base->announce(intake->queue);
	return 0;
}

static int
commit(ph_intake *intake)
{
	struct ph_filter_message *message = &intake->message;

	if (finish_content(intake) == -1)
		return -1;
	if (message_change_recipients(message) == -1)
		return fail_memory(intake);
	if (!intake->discarded && take_verdict(intake, filter_run_end(message)) == -1)
		return -1;
	if (!intake->discarded && rewrite_envelope(message) == -1)
		return take_verdict(intake, PH_FILTER_REFUSE);
	if (message_prepend_headers(message) == -1)
		return fail_memory(intake);
	if (message_drop_duplicates(message) == -1)
		return fail_memory(intake);
	if (message->envelope.recipient_count == 0)
		return fail_with(intake, 554, "5.5.1", "Error: no valid recipients");
	log_message_id(message);
	return intake->discarded ? 0 : commit_storage(intake);
}

ph_intake_result
ph_intake_commit(ph_intake *intake, ph_reply *reply)
{
	struct ph_filter_message *message = &intake->message;
	ph_intake_result result = PH_INTAKE_REFUSED;

	if (commit(intake) == 0) {
		result = intake->discarded ? PH_INTAKE_DISCARDED : PH_INTAKE_QUEUED;
		ph_filter_reply(message, 250, "2.0.0", "Ok: queued as %s", message->envelope.id);
	}
	*reply = message->reply;
	intake_free(intake);
	return result;
}
