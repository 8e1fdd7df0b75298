/*
 * The dialogue on one connection. What commands mean is the session's; here is how they are said.
 *
 * Replies collect in the stream and leave together when the next read has to wait, so that the
 * answers to a group of pipelined commands are one segment (RFC 2920).
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "command.h"
#include "dotted.h"
#include "listener_smtp.h"
#include "params.h"

enum {
	FLOOD = 64 * 1024,    /* a line of that size is no mistake any more */
	MAX_HELO = 255,
	LINGER_MS = 1000,     /* for a client that is dropped to read why */
	TLS_RECORD = 0x16     /* the first byte of a client that speaks TLS at once */
};

struct dialogue {
	const struct listener_smtp *self;
	ph_connection *connection;
	ph_session *session;
	ph_stream *stream;
	ph_deadline end;     /* of the session */
	enum verb last;      /* the command in hand or before */
	unsigned errors, junk;
	bool greeted;        /* a command was read */
	bool extended;       /* EHLO: may send ahead */
	bool denied;         /* the client is not welcome: it may only leave */
	bool closing;
	bool dropped;        /* closing, not by the client's wish */
};

/* ---- Replies ---------------------------------------------------------------------------------- */

static ph_deadline
deadline(const struct dialogue *d)
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
		(void)ph_stream_flush(d->stream, deadline(d));
		(void)ph_sleep(ph_in(d->self->error_sleep_time));
	}
}

static void
say_reply(struct dialogue *d, const ph_reply *reply)
{
	if (reply->code >= 400)
		count_error(d);
	(void)ph_stream_printf(d->stream, deadline(d), "%d %s%s%s\r\n", reply->code, reply->status,
		reply->status[0] != '\0' ? " " : "", reply->text);
	if (reply->code == 421 || reply->code == 521)
		d->closing = d->dropped = true;
}

/* A whole reply of the module's own, without its line end. */
static void
say(struct dialogue *d, const char *line)
{
	if (line[0] >= '4')
		count_error(d);
	(void)ph_stream_printf(d->stream, deadline(d), "%s\r\n", line);
}

/* The last words of the server, with its name as RFC 5321, 4.2.1 asks; nothing waits any more. */
static void
drop(struct dialogue *d, const char *code_and_status, const char *text)
{
	(void)ph_stream_printf(d->stream, deadline(d), "%s %s %s\r\n", code_and_status, d->self->hostname,
		text);
	d->closing = d->dropped = true;
}

static const char *
last_word(const struct dialogue *d)
{
	return d->greeted ? command_word(d->last) : "CONNECT";
}

static void
log_end(const struct dialogue *d, const char *what)
{
	ph_log(PH_LOG_INFO, "%s after %s from %s[%s]", what, last_word(d), ph_client_name(d->session),
		ph_client_address_text(d->session));
}

/* A read or write did not come about: tell the client where it may still hear. */
static void
give_up(struct dialogue *d, int64_t result)
{
	d->closing = true;
	switch (result) {
	case PH_STREAM_TIMEOUT:
		log_end(d, "timeout");
		drop(d, "421 4.4.2", "Error: timeout exceeded");
		break;
	case PH_STREAM_CANCELLED:
		drop(d, "421 4.3.2", "Server shutting down");
		break;
	default:
		log_end(d, "lost connection");
		break;
	}
}

/* ---- Greeting and leaving --------------------------------------------------------------------- */

static bool
discards_keyword(const struct listener_smtp *self, const char *keyword)
{
	for (size_t i = 0; i < self->discard_ehlo_keywords.count; i++)
		if (ph_strcasecmp(self->discard_ehlo_keywords.items[i], keyword) == 0)
			return true;
	return false;
}

static void
say_extensions(struct dialogue *d)
{
	static const char *const keywords[] = {"PIPELINING", "SIZE", "VRFY", "ENHANCEDSTATUSCODES",
		"8BITMIME"};
	const char *pending = d->self->hostname;
	int64_t limit = ph_session_size_limit(d->session);
	char size[32];

	/* A line is known to be the last one when no other follows. */
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (discards_keyword(d->self, keywords[i]) ||
			(d->self->disable_vrfy && strcmp(keywords[i], "VRFY") == 0))
			continue;
		(void)ph_stream_printf(d->stream, deadline(d), "250-%s\r\n", pending);
		pending = keywords[i];
		if (strcmp(keywords[i], "SIZE") == 0 && limit > 0) {
			(void)snprintf(size, sizeof(size), "SIZE %lld", (long long)limit);
			pending = size;
		}
	}
	(void)ph_stream_printf(d->stream, deadline(d), "250 %s\r\n", pending);
}

static bool
greet_client(struct dialogue *d, const struct command *command, const char *protocol)
{
	char name[MAX_HELO + 1];
	size_t n = 0;
	ph_reply reply = {0};

	while (n < command->argument.size && command->argument.data[n] != ' ')
		n++;
	if (n == 0 || n > MAX_HELO) {
		say(d, command->verb == VERB_EHLO ? "501 5.5.4 Syntax: EHLO hostname"
						  : "501 5.5.4 Syntax: HELO hostname");
		return false;
	}
	memcpy(name, command->argument.data, n);
	name[n] = '\0';
	if (ph_session_helo(d->session, name, protocol, &reply) == -1) {
		say_reply(d, &reply);
		return false;
	}
	return true;
}

static bool
do_helo(struct dialogue *d, const struct command *command)
{
	if (!greet_client(d, command, "SMTP"))
		return false;
	d->extended = false;
	(void)ph_stream_printf(d->stream, deadline(d), "250 %s\r\n", d->self->hostname);
	return true;
}

static bool
do_ehlo(struct dialogue *d, const struct command *command)
{
	if (!greet_client(d, command, "ESMTP"))
		return false;
	d->extended = !discards_keyword(d->self, "PIPELINING");
	say_extensions(d);
	return true;
}

static bool
do_quit(struct dialogue *d, const struct command *command)
{
	say(d, "221 2.0.0 Bye");
	d->closing = true;
	return true;
}

static bool
do_web(struct dialogue *d, const struct command *command)
{
	int size = (int)(command->argument.size < 100 ? command->argument.size : 100);

	ph_log(PH_LOG_WARNING, "non-SMTP command from %s[%s]: %.*s %.*s", ph_client_name(d->session),
		ph_client_address_text(d->session), (int)command->word.size, command->word.data, size,
		command->argument.data);
	drop(d, "221 2.7.0", "Error: this is a mail server");
	return false;
}

/* ---- MAIL and RCPT ---------------------------------------------------------------------------- */

static bool
has_8bit(ph_span text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] >= 0x80)
			return true;
	return false;
}

/* The address of MAIL or RCPT, in scratch memory, and what follows it. NULL with the refusal said. */
static const char *
take_path(struct dialogue *d, const struct command *command, ph_span *rest)
{
	bool mail = command->verb == VERB_MAIL;
	unsigned flags = (mail ? PH_PATH_EMPTY_OK : 0) | (d->self->strict_envelopes ? PH_PATH_STRICT : 0);
	ph_pool *pool = ph_scratch_pool(d->session);
	const char *address;
	ph_error error = {""};
	ph_span path;

	if (!command_path(command->argument, mail ? "FROM" : "TO", &path)) {
		say(d, mail ? "501 5.5.4 Syntax: MAIL FROM:<address>"
			    : "501 5.5.4 Syntax: RCPT TO:<address>");
		return NULL;
	}
	if (pool == NULL) {
		say(d, "452 4.3.1 Insufficient system resources");
		return NULL;
	}
	if (has_8bit(path)) {
		say(d, "553 5.6.7 Non-ASCII addresses are not supported");
		return NULL;
	}
	ph_pool_reset(pool);
	if (ph_path_parse(pool, path, flags, &address, rest, &error) == 0)
		return address;
	ph_log(PH_LOG_WARNING, "Illegal address syntax from %s[%s] in %s command: %.*s (%s)",
		ph_client_name(d->session), ph_client_address_text(d->session), command_word(command->verb),
		(int)(path.size < 100 ? path.size : 100), path.data, error.text);
	say(d, mail ? "501 5.1.7 Bad sender address syntax" : "501 5.1.3 Bad recipient address syntax");
	return NULL;
}

static bool
do_mail(struct dialogue *d, const struct command *command)
{
	struct mail_params params;
	ph_reply reply = {0};
	const char *sender;
	ph_span rest;

	sender = take_path(d, command, &rest);
	if (sender == NULL)
		return false;
	if (params_mail(rest, &params, &reply) == -1 ||
		ph_session_mail(d->session, sender, &params.envelope, params.size, &reply) == -1) {
		say_reply(d, &reply);
		return false;
	}
	say(d, "250 2.1.0 Ok");
	return true;
}

static bool
do_rcpt(struct dialogue *d, const struct command *command)
{
	struct ph_rcpt_parameters params;
	ph_reply reply = {0};
	const char *recipient;
	ph_span rest;

	recipient = take_path(d, command, &rest);
	if (recipient == NULL)
		return false;
	if (params_rcpt(rest, &params, &reply) == -1 ||
		ph_session_rcpt(d->session, recipient, &params, &reply) == -1) {
		say_reply(d, &reply);
		return false;
	}
	say(d, "250 2.1.5 Ok");
	return true;
}

/* ---- DATA ------------------------------------------------------------------------------------- */

static void
take_content(void *context, ph_span bytes)
{
	ph_session_content(context, bytes);
}

/* How long for the next piece: for each some time, and for all of it a rate. */
static ph_deadline
content_deadline(const struct dialogue *d, ph_deadline started, int64_t received)
{
	ph_deadline next = deadline(d);
	ph_deadline paced = started + d->self->timeout + received / d->self->min_data_rate * 1000;

	return next < paced ? next : paced;
}

/* Reads up to the end of the content. False: the connection is at its end. */
static bool
read_content(struct dialogue *d, struct dotted *dotted)
{
	ph_deadline started = ph_now();
	int64_t received = 0;

	while (dotted->state != DOTTED_END) {
		ph_span bytes;
		size_t taken;
		int64_t result =
			ph_stream_peek(d->stream, &bytes, content_deadline(d, started, received));

		if (result < 0) {
			give_up(d, result);
			return false;
		}
		taken = dotted_feed(dotted, bytes, take_content, d->session);
		ph_stream_consume(d->stream, taken);
		received += (int64_t)taken;
	}
	return true;
}

/* Does this client's content have to be in proper lines? */
static bool
is_strict(const struct dialogue *d)
{
	return d->self->forbid_bare_newline == BARE_NEWLINE_REJECT &&
		!ph_networks_match(d->self->bare_newline_exclusions, ph_client_address(d->session));
}

/* Why the content is unacceptable as it came, or NULL. */
static const ph_reply *
judge_lines(const struct dialogue *d, const struct dotted *dotted)
{
	static const ph_reply lf = {550, "5.5.2", "Error: bare <LF> received"};
	static const ph_reply cr = {550, "5.5.2", "Error: bare <CR> received"};
	static const ph_reply nul = {550, "5.6.0", "Error: NUL received"};

	if (dotted->suspect)
		ph_log(PH_LOG_INFO, "smuggle_suspect: a lone dot with a bare line end, from %s[%s]",
			ph_client_name(d->session), ph_client_address_text(d->session));
	if (!is_strict(d))
		return NULL;
	return dotted->bare_lf ? &lf : dotted->bare_cr ? &cr : dotted->nul ? &nul : NULL;
}

static bool
do_data(struct dialogue *d, const struct command *command)
{
	struct dotted dotted = {0};
	ph_reply reply = {0};

	if (command->argument.size > 0) {
		say(d, "501 5.5.4 Syntax: DATA");
		return false;
	}
	if (ph_session_data(d->session, &reply) == -1) {
		say_reply(d, &reply);
		return false;
	}
	say(d, "354 End data with <CR><LF>.<CR><LF>");
	if (!read_content(d, &dotted))
		return false;
	ph_session_end_of_data(d->session, judge_lines(d, &dotted), &reply);
	say_reply(d, &reply);
	if (reply.code >= 400)
		return false;
	d->errors = d->junk = 0;
	return true;
}

/* ---- The small ones --------------------------------------------------------------------------- */

static bool
do_rset(struct dialogue *d, const struct command *command)
{
	if (command->argument.size > 0) {
		say(d, "501 5.5.4 Syntax: RSET");
		return false;
	}
	ph_session_reset(d->session);
	say(d, "250 2.0.0 Ok");
	return true;
}

static bool
do_noop(struct dialogue *d, const struct command *command)
{
	say(d, "250 2.0.0 Ok");
	return true;
}

static bool
do_vrfy(struct dialogue *d, const struct command *command)
{
	if (d->self->disable_vrfy)
		say(d, "502 5.5.1 VRFY command is disabled");
	else if (command->argument.size == 0)
		say(d, "501 5.5.4 Syntax: VRFY address");
	else
		say(d, "252 2.0.0 Cannot verify the user; send the message and see");
	return command->argument.size > 0 && !d->self->disable_vrfy;
}

static bool
do_help(struct dialogue *d, const struct command *command)
{
	say(d, "214 2.0.0 HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY HELP: see RFC 5321");
	return true;
}

static bool
do_absent(struct dialogue *d, const struct command *command)
{
	say(d, "502 5.5.1 Error: command not implemented");
	return false;
}

static bool
do_auth(struct dialogue *d, const struct command *command)
{
	say(d, "503 5.5.1 Error: authentication not enabled");
	return false;
}

static bool
do_unknown(struct dialogue *d, const struct command *command)
{
	say(d, "500 5.5.2 Error: command not recognized");
	return false;
}

/* ---- Commands --------------------------------------------------------------------------------- */

enum {
	LAST_OF_GROUP = 1, /* the client has to wait for the answer (RFC 2920, 3.1) */
	JUNK = 2           /* moves no mail */
};

static const struct action {
	bool (*run)(struct dialogue *d, const struct command *command);
	unsigned flags;
} actions[VERB_COUNT] = {
	[VERB_UNKNOWN] = {do_unknown, 0},
	[VERB_HELO] = {do_helo, LAST_OF_GROUP},
	[VERB_EHLO] = {do_ehlo, LAST_OF_GROUP},
	[VERB_MAIL] = {do_mail, 0},
	[VERB_RCPT] = {do_rcpt, 0},
	[VERB_DATA] = {do_data, LAST_OF_GROUP},
	[VERB_RSET] = {do_rset, JUNK},
	[VERB_NOOP] = {do_noop, LAST_OF_GROUP | JUNK},
	[VERB_QUIT] = {do_quit, 0},
	[VERB_VRFY] = {do_vrfy, LAST_OF_GROUP | JUNK},
	[VERB_EXPN] = {do_absent, LAST_OF_GROUP},
	[VERB_HELP] = {do_help, JUNK},
	[VERB_STARTTLS] = {do_absent, LAST_OF_GROUP},
	[VERB_AUTH] = {do_auth, LAST_OF_GROUP},
	[VERB_BDAT] = {do_absent, 0},
	[VERB_ETRN] = {do_absent, 0},
	[VERB_TURN] = {do_absent, LAST_OF_GROUP},
	[VERB_WEB] = {do_web, 0},
};

/* Has the client sent ahead where it must not? Then it has been told, and is dropped. */
static bool
sent_ahead(struct dialogue *d, const struct command *command)
{
	ph_span ahead = ph_stream_buffered(d->stream);

	if (!d->self->forbid_unauth_pipelining || ahead.size == 0 || command->verb == VERB_QUIT ||
		command->verb == VERB_WEB ||
		(d->extended && (actions[command->verb].flags & LAST_OF_GROUP) == 0))
		return false;
	ph_log(PH_LOG_INFO, "improper command pipelining after %s from %s[%s]: %.*s",
		command_word(command->verb), ph_client_name(d->session),
		ph_client_address_text(d->session), (int)(ahead.size < 100 ? ahead.size : 100),
		ahead.data);
	say(d, "554 5.5.0 Error: SMTP protocol synchronization");
	d->closing = d->dropped = true;
	return true;
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
			say(d, "503 5.7.0 Error: access denied");
		else
			accepted = action->run(d, command);
	}
	ph_session_count(d->session, command_name(command->verb), accepted);
}

/* A line end that is none may be an attempt to slip a second message in: whoever is to keep the rules
 * is dropped for it, others are understood. */
static void
take_line(struct dialogue *d, ph_span line)
{
	struct command command = {0};

	switch (command_parse(line, &command)) {
	case COMMAND_NUL:
		say(d, "500 5.5.2 Error: NUL received");
		break;
	case COMMAND_BARE_CR:
		say(d, "500 5.5.2 Error: bare <CR> received");
		break;
	case COMMAND_BARE_LF:
		if (is_strict(d)) {
			say(d, "521 5.5.2 Error: bare <LF> received");
			d->closing = d->dropped = true;
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
	ph_deadline until = deadline(d);
	size_t skipped = 0;

	while (skipped < FLOOD) {
		ph_span bytes;
		const char *lf;
		int64_t result = ph_stream_peek(d->stream, &bytes, until);

		if (result < 0) {
			give_up(d, result);
			return;
		}
		lf = memchr(bytes.data, '\n', bytes.size);
		skipped += lf != NULL ? (size_t)(lf + 1 - bytes.data) : bytes.size;
		ph_stream_consume(d->stream, lf != NULL ? (size_t)(lf + 1 - bytes.data) : bytes.size);
		if (lf != NULL)
			break;
	}
	say(d, "500 5.5.2 Error: line too long");
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
		result = ph_stream_peek(d->stream, &line, deadline(d));
		if (result > 0 && line.data[0] == TLS_RECORD) {
			say(d, "501 5.5.2 Error: this port does not begin with TLS");
			d->closing = d->dropped = true;
			return;
		}
		if (result > 0)
			result = ph_stream_read_line(d->stream, &line,
				(size_t)d->self->line_length_limit, deadline(d));
	}
	(void)ph_session_idle(d->session, false);
	if (result == PH_STREAM_TOO_LONG)
		skip_line(d);
	else if (result < 0)
		give_up(d, result);
	else
		take_line(d, line);
}

static void
converse(struct dialogue *d)
{
	while (!d->closing) {
		read_command(d);
		if (!d->closing && d->errors >= (unsigned)d->self->hard_error_limit) {
			log_end(d, "too many errors");
			drop(d, "421 4.7.0", "Error: too many errors");
		}
	}
}

/* ---- The connection --------------------------------------------------------------------------- */

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
		drop(d, "421 4.7.0", refusal);
	} else if (ph_connection_draining(d->connection)) {
		drop(d, "421 4.3.2", "Server shutting down");
	} else if (ph_session_connect(d->session, &reply) == -1) {
		d->denied = true;
		say_reply(d, &reply);
	} else if (spoke_first(d)) {
		ph_log(PH_LOG_INFO, "improper command pipelining after CONNECT from %s[%s]",
			ph_client_name(d->session), ph_client_address_text(d->session));
		drop(d, "521 5.5.1", "Error: protocol error");
	} else {
		(void)ph_stream_printf(d->stream, deadline(d), "220 %s\r\n", d->self->banner);
	}
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
	welcome(&d);
	converse(&d);
	ph_stream_flush_now(d.stream);
	ph_session_end(d.session);
	if (d.dropped)
		linger(&d);
}
