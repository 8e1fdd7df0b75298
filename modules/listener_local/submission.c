#include "submission.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/dsn.h>
#include <posthouse/log.h>

/* What a client may have us keep beside the intake: texts of its envelope. */
#define POOL_LIMIT (16u << 20)

static void
put_content(void *context, ph_span bytes)
{
	struct submission *submission = context;

	if (submission->intake != NULL)
		ph_intake_write(submission->intake, bytes);
}

struct submission *
submission_new(const void *listener, const struct user *user)
{
	struct submission *submission = calloc(1, sizeof(*submission));

	if (submission == NULL)
		return NULL;
	submission->pool = ph_pool_new(POOL_LIMIT);
	if (submission->pool == NULL) {
		free(submission);
		return NULL;
	}
	submission->listener = listener;
	submission->user = *user;
	submission->mail.size = sizeof(submission->mail);
	submission->lines.put = put_content;
	submission->lines.context = submission;
	return submission;
}

void
submission_free(struct submission *submission)
{
	if (submission == NULL)
		return;
	ph_intake_abort(submission->intake);
	ph_pool_free(submission->pool);
	free(submission);
}

/* The first refusal stands; always -1. */
static int
refuse(struct submission *submission, int code, const char *status, const char *format, ...)
	PH_PRINTF(4, 5);

static int
refuse(struct submission *submission, int code, const char *status, const char *format, ...)
{
	ph_reply *reply = &submission->refusal;
	va_list arguments;

	if (reply->code != 0)
		return -1;
	reply->code = code;
	snprintf(reply->status, sizeof(reply->status), "%s", status);
	va_start(arguments, format);
	vsnprintf(reply->text, sizeof(reply->text), format, arguments);
	va_end(arguments);
	return -1;
}

static int
refuse_memory(struct submission *submission)
{
	return refuse(submission, 451, "4.3.0", "Error: out of memory");
}

/* ---- The envelope ---------------------------------------------------------------------------- */

/* The address in its usual form, or NULL: refused. */
static const char *
parse_address(struct submission *submission, const char *what, ph_span text)
{
	const char *path = ph_pool_printf(submission->pool, "<%.*s>", (int)text.size, text.data);
	const char *address;
	ph_span rest;
	ph_error error = {""};

	if (path == NULL) {
		refuse_memory(submission);
		return NULL;
	}
	if (ph_path_parse(submission->pool, ph_span_of(path),
		PH_PATH_EMPTY_OK | PH_PATH_STRICT | PH_PATH_UTF8, &address, &rest, &error) == -1 ||
		rest.size > 0) {
		refuse(submission, 501, what[0] == 's' ? "5.1.7" : "5.1.3",
			"<%.*s>: Bad %s address syntax",
			(int)(text.size < 100 ? text.size : 100), text.data, what);
		return NULL;
	}
	return address;
}

static bool
is_utf8(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return true;
	return false;
}

/* The intake begins when the sender's side of the envelope is complete. */
static int
begin(struct submission *submission)
{
	struct ph_intake_origin origin = {.size = sizeof(origin),
		.origin = PH_ORIGIN_LOCAL,
		.listener = submission->listener,
		.uid = submission->user.uid,
		.user_name = submission->user.name,
		.full_name = submission->name != NULL ? submission->name
		: submission->user.full_name};
	const char *from = submission->from != NULL ? submission->from : submission->user.name;
	ph_error error = {""};

	if (submission->intake != NULL)
		return 0;
	submission->mail.smtputf8 = is_utf8(from);
	submission->intake = ph_intake_begin(&origin, &error);
	if (submission->intake == NULL) {
		ph_log(PH_LOG_ERROR, "local submission: %s", error.text);
		return refuse(submission, 451, "4.3.0", "Error: %s", error.text);
	}
	if (ph_intake_sender(submission->intake, from, &submission->mail) == -1)
		return refuse_memory(submission);
	return 0;
}

static int
line_to(struct submission *submission, ph_span value)
{
	struct ph_rcpt_parameters parameters = {
		.size = sizeof(parameters), .notify = submission->notify, .orcpt = submission->orcpt};
	const char *address = parse_address(submission, "recipient", value);

	if (address == NULL || begin(submission) == -1)
		return -1;
	if (ph_intake_recipient_count(submission->intake) >= PH_SUBMIT_RECIPIENTS_MAX)
		return refuse(submission, 452, "4.5.3", "Error: too many recipients");
	if (ph_intake_recipient(submission->intake, address, &parameters) == -1)
		return refuse_memory(submission);
	submission->orcpt = NULL;
	return 0;
}

static int
line_from(struct submission *submission, ph_span value)
{
	submission->from = parse_address(submission, "sender", value);
	return submission->from != NULL ? 0 : -1;
}

static int
line_name(struct submission *submission, ph_span value)
{
	submission->name = ph_pool_copy(submission->pool, value);
	return submission->name != NULL ? 0 : refuse_memory(submission);
}

static int
line_envid(struct submission *submission, ph_span value)
{
	for (size_t i = 0; i < value.size; i++)
		if (value.data[i] < ' ' || value.data[i] > '~')
			return refuse(submission, 501, "5.5.4", "Error: bad value of envid");
	submission->mail.envid = ph_pool_copy(submission->pool, value);
	return submission->mail.envid != NULL ? 0 : refuse_memory(submission);
}

static int
line_body(struct submission *submission, ph_span value)
{
	submission->mail.body = ph_span_equal_nocase(value, ph_span_of("8BITMIME"));
	return 0;
}

static int
line_watch(struct submission *submission, ph_span value)
{
	submission->mail.watch = true;
	return 0;
}

static int
line_ret(struct submission *submission, ph_span value)
{
	if (ph_dsn_ret_parse(value, &submission->mail.ret) == -1)
		return refuse(submission, 501, "5.5.4", "Error: bad value of ret");
	return 0;
}

static int
line_notify(struct submission *submission, ph_span value)
{
	uint64_t notify;

	if (ph_parse_uint(value, 15, &notify) == -1 ||
		(notify > PH_NOTIFY_NEVER && (notify & PH_NOTIFY_NEVER)))
		return refuse(submission, 501, "5.5.4", "Error: bad value of notify");
	submission->notify = (uint32_t)notify;
	return 0;
}

static int
line_orcpt(struct submission *submission, ph_span value)
{
	if (ph_dsn_orcpt_parse(submission->pool, value, &submission->orcpt) == -1)
		return refuse(submission, 501, "5.5.4", "Error: bad value of orcpt");
	return 0;
}

static int
take_line(void *context, ph_span keyword, ph_span value, ph_error *error)
{
	static const struct {
		const char *keyword;
		bool early; /* before the first recipient only */
		int (*take)(struct submission *submission, ph_span value);
	} lines[] = {
		{"to", false, line_to},
		{"from", true, line_from},
		{"name", true, line_name},
		{"notify", false, line_notify},
		{"orcpt", false, line_orcpt},
		{"body", true, line_body},
		{"ret", true, line_ret},
		{"envid", true, line_envid},
		{"watch", true, line_watch},
	};
	struct submission *submission = context;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (!ph_span_equal(keyword, ph_span_of(lines[i].keyword)))
			continue;
		if (lines[i].early && submission->intake != NULL)
			return ph_error_set(error, "%s stands behind a recipient",
				lines[i].keyword);
		return lines[i].take(submission, value);
	}
	return ph_error_set(error, "the keyword \"%.*s\" is unknown",
		(int)(keyword.size < 32 ? keyword.size : 32), keyword.data);
}

/* ---- Content and end ------------------------------------------------------------------------- */

static void
take_data(void *context, ph_span bytes)
{
	struct submission *submission = context;

	if (submission->refusal.code == 0 && begin(submission) == 0)
		lines_feed(&submission->lines, bytes);
}

enum frames_result
submission_feed(struct submission *submission, ph_span bytes)
{
	static const struct frames_ops ops = {.line = take_line, .data = take_data};
	ph_error error = {"bad format"};
	enum frames_result result = frames_feed(&submission->frames, bytes, &ops, submission,
		&error);

	if (result == FRAMES_BAD)
		refuse(submission, 501, "5.5.2", "Error: %s", error.text);
	return result;
}

ph_intake_result
submission_commit(struct submission *submission, ph_reply *reply)
{
	if (submission->refusal.code == 0 && begin(submission) == 0) {
		ph_intake *intake = submission->intake;

		lines_finish(&submission->lines);
		submission->intake = NULL;
		return ph_intake_commit(intake, reply);
	}
	*reply = submission->refusal;
	return PH_INTAKE_REFUSED;
}
