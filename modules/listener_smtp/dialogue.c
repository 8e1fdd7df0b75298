/*
 * How replies are said. They collect in the stream and leave together when the next read has to
 * wait, so that the answers to a group of pipelined commands are one segment (RFC 2920).
 */
#include "dialogue.h"
#include "footer.h"

#include <stdarg.h>
#include <stdio.h>

#include <posthouse/log.h>

ph_deadline
dialogue_deadline(const struct dialogue *d)
{
	ph_deadline at = ph_now() + d->self->timeout;

	return at < d->end ? at : d->end;
}

/* A refusal counts as an error; after too many the client waits for each. */
static void
count_error(struct dialogue *d)
{
	d->errors++;
	if (d->errors > (unsigned)d->self->soft_error_limit && d->self->error_sleep_time > 0) {
		(void)ph_stream_flush(d->stream, dialogue_deadline(d));
		(void)ph_sleep(ph_in(d->self->error_sleep_time));
	}
}

/* With soft_bounce nothing is for good. */
static void
soften(const struct dialogue *d, char *line)
{
	if (line[0] != '5' || !ph_session_soft_bounce(d->session))
		return;
	line[0] = '4';
	if (line[3] == ' ' && line[4] == '5' && line[5] == '.')
		line[4] = '4';
}

void
dialogue_line(struct dialogue *d, const char *line)
{
	ph_session_said(d->session, false, ph_span_of(line));
	(void)ph_stream_printf(d->stream, dialogue_deadline(d), "%s\r\n", line);
}

void
dialogue_put(struct dialogue *d, const char *format, ...)
{
	char line[400];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	soften(d, line);
	if (line[0] == '4' || line[0] == '5')
		footer_put(d, line);
	else
		dialogue_line(d, line);
}

void
dialogue_reply(struct dialogue *d, const ph_reply *reply)
{
	if (reply->code >= 400)
		count_error(d);
	dialogue_put(d, "%d %s%s%s", reply->code, reply->status,
		reply->status[0] != '\0' ? " " : "", reply->text);
	if (reply->code == 421 || reply->code == 521)
		d->closing = d->dropped = true;
}

void
dialogue_say(struct dialogue *d, const char *line)
{
	if (line[0] >= '4')
		count_error(d);
	dialogue_put(d, "%s", line);
}

void
dialogue_drop(struct dialogue *d, const char *code_and_status, const char *text)
{
	dialogue_put(d, "%s %s %s", code_and_status, d->self->hostname, text);
	d->closing = d->dropped = true;
}

static const char *
last_word(const struct dialogue *d)
{
	return d->greeted ? command_word(d->last) : "CONNECT";
}

void
dialogue_log_end(const struct dialogue *d, const char *what)
{
	ph_log(PH_LOG_INFO, "%s after %s from %s", what, last_word(d), ph_client_label(d->session));
}

void
dialogue_give_up(struct dialogue *d, int64_t result)
{
	d->closing = true;
	switch (result) {
	case PH_STREAM_TIMEOUT:
		dialogue_log_end(d, "timeout");
		dialogue_drop(d, "421 4.4.2", "Error: timeout exceeded");
		break;
	case PH_STREAM_CANCELLED:
		dialogue_drop(d, "421 4.3.2", "Server shutting down");
		break;
	default:
		dialogue_log_end(d, "lost connection");
		break;
	}
}

bool
dialogue_is_listed(const ph_strings *list, ph_span word)
{
	for (size_t i = 0; i < list->count; i++)
		if (ph_span_equal_nocase(word, ph_span_of(list->items[i])))
			return true;
	return false;
}

void
dialogue_bare(const struct dialogue *d, const char *status, const char *what, ph_reply *refusal)
{
	*refusal = (ph_reply){.code = (int)d->self->bare_newline_reject_code};
	(void)snprintf(refusal->status, sizeof(refusal->status), "%s", status);
	(void)snprintf(refusal->text, sizeof(refusal->text), "Error: %s received", what);
}

bool
dialogue_is_strict(const struct dialogue *d)
{
	return d->self->forbid_bare_newline == BARE_NEWLINE_REJECT &&
		!ph_networks_match(d->self->bare_newline_exclusions, ph_client_address(d->session));
}
