/*
 * The dialogue on one connection: the greeting, one command after the other, the end.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <posthouse/log.h>

#include "dialogue.h"

enum {
	FLOOD = 64 * 1024, /* a line of that size is no mistake any more */
	LINGER_MS = 1000,  /* for a client that is dropped to read why */
	TLS_RECORD = 0x16  /* the first byte of a client that speaks TLS at once */
};

/* ---- Commands -------------------------------------------------------------------------------- */

/* Has the client sent ahead where it must not? Then it has been told, and is dropped. */
static bool
sent_ahead(struct dialogue *d, const struct command *command)
{
	ph_span ahead = ph_stream_buffered(d->stream);

	if (!d->self->forbid_unauth_pipelining || ahead.size == 0 || command->verb == VERB_QUIT ||
		command->verb == VERB_FORBIDDEN ||
		(d->extended && (actions[command->verb].flags & LAST_OF_GROUP) == 0))
		return false;
	ph_log(PH_LOG_INFO, "improper command pipelining after %s from %s: %.*s",
		command_word(command->verb), ph_client_label(d->session),
		(int)(ahead.size < 100 ? ahead.size : 100), ahead.data);
	dialogue_say(d, "554 5.5.0 Error: SMTP protocol synchronization");
	d->closing = d->dropped = true;
	return true;
}

/* To a client that was refused when it connected. */
static void
deny(struct dialogue *d)
{
	ph_reply reply = {.code = 503, .status = "5.7.0"};

	(void)snprintf(reply.text, sizeof(reply.text), "Error: access denied for %.200s",
		ph_client_label(d->session));
	dialogue_reply(d, &reply);
}

static void
run_command(struct dialogue *d, const struct command *command)
{
	const struct action *action = &actions[command->verb];
	bool accepted = false;

	d->last = command->verb;
	d->greeted = true;
	if ((action->flags & JUNK) != 0 && ++d->junk > (unsigned)d->self->junk_command_limit)
		d->errors++;
	if (!sent_ahead(d, command)) {
		if (d->denied && command->verb != VERB_QUIT)
			deny(d);
		else
			accepted = action->run(d, command);
	}
	ph_session_count(d->session, command_name(command->verb), accepted);
}

/* What the parameters make of a command. */
static void
reconsider(const struct dialogue *d, struct command *command)
{
	if (dialogue_is_listed(&d->self->noop_commands, command->word))
		command->verb = VERB_NOOP;
	else if (command->verb == VERB_UNKNOWN && (command_is_header(command->word) ||
		dialogue_is_listed(&d->self->forbidden_commands, command->word)))
		command->verb = VERB_FORBIDDEN;
}

static void
refuse_bare_newline(struct dialogue *d, enum verb verb)
{
	ph_reply refusal;

	dialogue_bare(d, "5.5.2", "bare <LF>", &refusal);
	ph_session_log_reject(d->session, command_word(verb), &refusal);
	dialogue_reply(d, &refusal);
	d->closing = d->dropped = true;
}

/* A line end that is none may be an attempt to slip a second message in: whoever is to keep the
 * rules is dropped for it, others are understood. */
static void
take_line(struct dialogue *d, ph_span line)
{
	struct command command = {0};
	enum command_fault fault = command_parse(line, &command);

	ph_session_said(d->session, true, line);
	reconsider(d, &command);
	switch (fault) {
	case COMMAND_NUL:
		dialogue_say(d, "500 5.5.2 Error: NUL received");
		break;
	case COMMAND_BARE_CR:
		dialogue_say(d, "500 5.5.2 Error: bare <CR> received");
		break;
	case COMMAND_BARE_LF:
		if (dialogue_is_strict(d)) {
			refuse_bare_newline(d, command.verb);
			break;
		}
		run_command(d, &command);
		return;
	case COMMAND_OK:
		run_command(d, &command);
		return;
	}
	ph_session_count(d->session, "unknown", false);
}

/* A line without an end within the limit is skipped; a flood ends the session. */
static void
skip_line(struct dialogue *d)
{
	ph_deadline until = dialogue_deadline(d);
	size_t skipped = 0;

	while (skipped < FLOOD) {
		ph_span bytes;
		const char *lf;
		int64_t result = ph_stream_peek(d->stream, &bytes, until);

		if (result < 0) {
			dialogue_give_up(d, result);
			return;
		}
		lf = memchr(bytes.data, '\n', bytes.size);
		skipped += lf != NULL ? (size_t)(lf + 1 - bytes.data) : bytes.size;
		ph_stream_consume(d->stream,
			lf != NULL ? (size_t)(lf + 1 - bytes.data) : bytes.size);
		if (lf != NULL)
			break;
	}
	dialogue_say(d, "500 5.5.2 Error: line too long");
	ph_session_count(d->session, "unknown", false);
	if (skipped >= FLOOD)
		d->closing = d->dropped = true;
}

static void
read_command(struct dialogue *d)
{
	ph_span line;
	int64_t result = PH_STREAM_CANCELLED;

	if (ph_session_idle(d->session, true)) {
		result = ph_stream_peek(d->stream, &line, dialogue_deadline(d));
		if (result > 0 && line.data[0] == TLS_RECORD) {
			dialogue_say(d, "501 5.5.2 Error: this port does not begin with TLS");
			d->closing = d->dropped = true;
			return;
		}
		if (result > 0)
			result = ph_stream_read_line(d->stream, &line,
				(size_t)d->self->line_length_limit, dialogue_deadline(d));
	}
	(void)ph_session_idle(d->session, false);
	if (result == PH_STREAM_TOO_LONG)
		skip_line(d);
	else if (result < 0)
		dialogue_give_up(d, result);
	else
		take_line(d, line);
}

static void
converse(struct dialogue *d)
{
	while (!d->closing) {
		read_command(d);
		if (!d->closing && d->errors >= (unsigned)d->self->hard_error_limit) {
			dialogue_log_end(d, "too many errors");
			dialogue_drop(d, "421 4.7.0", "Error: too many errors");
		}
	}
}

/* ---- The connection -------------------------------------------------------------------------- */

/* Has the client spoken before it was greeted? */
static bool
spoke_first(const struct dialogue *d)
{
	char byte;

	return d->self->forbid_unauth_pipelining &&
		recv(ph_stream_fd(d->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static void
welcome(struct dialogue *d)
{
	const char *refusal = ph_connection_refusal(d->connection);
	ph_reply reply = {0};

	if (refusal[0] != '\0') {
		dialogue_drop(d, "421 4.7.0", refusal);
	} else if (ph_connection_draining(d->connection)) {
		dialogue_drop(d, "421 4.3.2", "Server shutting down");
	} else if (ph_session_connect(d->session, &reply) == -1) {
		d->denied = true;
		dialogue_reply(d, &reply);
	} else if (spoke_first(d)) {
		ph_log(PH_LOG_INFO, "improper command pipelining after CONNECT from %s",
			ph_client_label(d->session));
		dialogue_drop(d, "521 5.5.1", "Error: protocol error");
	} else {
		dialogue_put(d, "220 %s", d->self->banner);
	}
}

/* Before the client may hear of extensions. */
static void
find_discarded(struct dialogue *d)
{
	const char *value;

	if (ph_map_is_empty(d->self->discard_ehlo_maps))
		return;
	if (ph_map_find(d->session, d->self->discard_ehlo_maps, ph_client_address_text(d->session),
		    &value) == PH_FOUND)
		d->discarded = ph_pool_strdup(ph_session_pool(d->session), value);
}

/* A socket that is closed with unread bytes is reset, and the client might not see what was said
 * last: what it still sends is thrown away for a moment. */
static void
linger(struct dialogue *d)
{
	ph_deadline until = ph_in(LINGER_MS);
	size_t skipped = 0;
	ph_span bytes;

	(void)shutdown(ph_stream_fd(d->stream), SHUT_WR);
	while (skipped < FLOOD && ph_stream_peek(d->stream, &bytes, until) > 0) {
		skipped += bytes.size;
		ph_stream_consume(d->stream, bytes.size);
	}
}

void
smtp_serve(void *self, ph_connection *connection)
{
	struct dialogue d = {.self = self, .connection = connection,
		.stream = ph_connection_stream(connection)};

	d.end = ph_now() + d.self->session_deadline;
	d.session = ph_session_begin(self, connection);
	if (d.session == NULL) {
		(void)ph_stream_printf(d.stream, ph_now(), "421 4.3.0 %s Error: out of memory\r\n",
			d.self->hostname);
		ph_stream_flush_now(d.stream);
		return;
	}
	find_discarded(&d);
	welcome(&d);
	converse(&d);
	ph_stream_flush_now(d.stream);
	ph_session_end(d.session);
	if (d.dropped)
		linger(&d);
}
