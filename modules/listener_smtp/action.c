/*
 * What is done for each command. What it means is the session's; here is how it is said.
 */
#include <stdio.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "dialogue.h"
#include "dotted.h"
#include "params.h"

enum {
	MAX_HELO = 255
};

/* ---- Greeting and leaving -------------------------------------------------------------------- */

/* Is the keyword among those that smtpd_discard_ehlo_keyword_address_maps has for the client, or
 * else smtpd_discard_ehlo_keywords for all? */
static bool
discards_keyword(const struct dialogue *d, const char *keyword)
{
	const char *word = d->discarded;

	if (word == NULL)
		return dialogue_is_listed(&d->self->discard_ehlo_keywords, ph_span_of(keyword));
	for (size_t size; *(word += strspn(word, ", \t")) != '\0'; word += size) {
		size = strcspn(word, ", \t");
		if (ph_span_equal_nocase((ph_span){word, size}, ph_span_of(keyword)))
			return true;
	}
	return false;
}

static void
say_extensions(struct dialogue *d)
{
	static const char *const keywords[] = {"PIPELINING", "SIZE", "VRFY", "ETRN",
		"ENHANCEDSTATUSCODES", "8BITMIME", "DSN"};
	const char *pending = d->self->hostname;
	int64_t limit = ph_session_size_limit(d->session);
	char size[32];

	/* A line is known to be the last one when no other follows. */
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (discards_keyword(d, keywords[i]) ||
			(d->self->disable_vrfy && strcmp(keywords[i], "VRFY") == 0))
			continue;
		dialogue_put(d, "250-%s", pending);
		pending = keywords[i];
		if (strcmp(keywords[i], "SIZE") == 0 && limit > 0) {
			(void)snprintf(size, sizeof(size), "SIZE %lld", (long long)limit);
			pending = size;
		}
	}
	dialogue_put(d, "250 %s", pending);
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
		dialogue_say(d, command->verb == VERB_EHLO ? "501 5.5.4 Syntax: EHLO hostname"
						  : "501 5.5.4 Syntax: HELO hostname");
		return false;
	}
	memcpy(name, command->argument.data, n);
	name[n] = '\0';
	if (ph_session_helo(d->session, name, protocol, &reply) == -1) {
		dialogue_reply(d, &reply);
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
	dialogue_put(d, "250 %s", d->self->hostname);
	return true;
}

static bool
do_ehlo(struct dialogue *d, const struct command *command)
{
	if (!greet_client(d, command, "ESMTP"))
		return false;
	d->extended = !discards_keyword(d, "PIPELINING");
	say_extensions(d);
	return true;
}

static bool
do_quit(struct dialogue *d, const struct command *command)
{
	dialogue_say(d, "221 2.0.0 Bye");
	d->closing = true;
	return true;
}

static bool
do_forbidden(struct dialogue *d, const struct command *command)
{
	int size = (int)(command->argument.size < 100 ? command->argument.size : 100);

	ph_log(PH_LOG_WARNING, "non-SMTP command from %s: %.*s %.*s", ph_client_label(d->session),
		(int)command->word.size, command->word.data, size, command->argument.data);
	dialogue_drop(d, "221 2.7.0", "Error: this is a mail server");
	return false;
}

/* ---- MAIL and RCPT --------------------------------------------------------------------------- */

static bool
has_8bit(ph_span text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] >= 0x80)
			return true;
	return false;
}

/* An address as this listener takes it, in the pool, and what follows it. NULL: malformed, and
 * logged. */
static const char *
parse_address(struct dialogue *d, const struct command *command, ph_pool *pool, ph_span text,
	unsigned flags, ph_span *rest)
{
	const char *address;
	ph_error error = {""};

	if (d->self->resolve_numeric_domain)
		flags |= PH_PATH_NUMERIC;
	if (ph_path_parse(pool, text, flags, &address, rest, &error) == 0) {
		if (address[0] != '-' || d->self->allow_min_user)
			return address;
		(void)ph_error_set(&error, "begins with a hyphen");
	}
	ph_log(PH_LOG_WARNING, "Illegal address syntax from %s in %s command: %.*s (%s)",
		ph_client_label(d->session), command_word(command->verb),
		(int)(text.size < 100 ? text.size : 100), text.data, error.text);
	return NULL;
}

/* The address of MAIL or RCPT, in scratch memory, and what follows it. NULL with the refusal
 * said. */
static const char *
take_path(struct dialogue *d, const struct command *command, ph_span *rest)
{
	bool mail = command->verb == VERB_MAIL;
	unsigned flags = (mail ? PH_PATH_EMPTY_OK : 0) | (d->self->strict_envelopes ? PH_PATH_STRICT
		: 0);
	ph_pool *pool = ph_scratch_pool(d->session);
	const char *address;
	ph_span path;

	if (!command_path(command->argument, mail ? "FROM" : "TO", &path)) {
		dialogue_say(d, mail ? "501 5.5.4 Syntax: MAIL FROM:<address>"
			    : "501 5.5.4 Syntax: RCPT TO:<address>");
		return NULL;
	}
	if (pool == NULL) {
		dialogue_say(d, "452 4.3.1 Insufficient system resources");
		return NULL;
	}
	if (has_8bit(path)) {
		dialogue_say(d, "553 5.6.7 Non-ASCII addresses are not supported");
		return NULL;
	}
	ph_pool_reset(pool);
	address = parse_address(d, command, pool, path, flags, rest);
	if (address == NULL)
		dialogue_say(d, mail ? "501 5.1.7 Bad sender address syntax"
				     : "501 5.1.3 Bad recipient address syntax");
	return address;
}

/* take_path() has emptied the pool. */
static struct params_setting
setting_of(const struct dialogue *d)
{
	return (struct params_setting){ph_scratch_pool(d->session), !discards_keyword(d, "DSN")};
}

static bool
do_mail(struct dialogue *d, const struct command *command)
{
	struct mail_params params;
	struct params_setting setting;
	ph_reply reply = {0};
	const char *sender;
	ph_span rest;

	sender = take_path(d, command, &rest);
	if (sender == NULL)
		return false;
	setting = setting_of(d);
	if (params_mail(&setting, rest, &params, &reply) == -1 ||
		ph_session_mail(d->session, sender, &params.envelope, params.size, &reply) == -1) {
		dialogue_reply(d, &reply);
		return false;
	}
	d->overshoot = 0;
	dialogue_say(d, "250 2.1.0 Ok");
	return true;
}

/* A list that is longer than a message may have is no error of the client's, up to a point: it
 * sends the rest with the next message. */
static void
refuse_recipient(struct dialogue *d, const ph_reply *reply)
{
	if (strcmp(reply->status, "4.5.3") == 0 &&
		d->overshoot < d->self->recipient_overshoot_limit) {
		d->overshoot++;
		dialogue_put(d, "%d %s %s", reply->code, reply->status, reply->text);
	} else {
		dialogue_reply(d, reply);
	}
}

static bool
do_rcpt(struct dialogue *d, const struct command *command)
{
	struct ph_rcpt_parameters params;
	struct params_setting setting;
	ph_reply reply = {0};
	const char *recipient;
	ph_span rest;

	recipient = take_path(d, command, &rest);
	if (recipient == NULL)
		return false;
	setting = setting_of(d);
	if (params_rcpt(&setting, rest, &params, &reply) == -1 ||
		ph_session_rcpt(d->session, recipient, &params, &reply) == -1) {
		d->recipient = recipient;
		refuse_recipient(d, &reply);
		d->recipient = NULL;
		return false;
	}
	dialogue_say(d, "250 2.1.5 Ok");
	return true;
}

/* ---- DATA ------------------------------------------------------------------------------------ */

static void
take_content(void *context, ph_span bytes)
{
	ph_session_content(context, bytes);
}

/* How long for the next piece: for each some time, and for all of it a rate. */
static ph_deadline
content_deadline(const struct dialogue *d, ph_deadline started, int64_t received)
{
	ph_deadline next = dialogue_deadline(d);
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
			dialogue_give_up(d, result);
			return false;
		}
		taken = dotted_feed(dotted, bytes, take_content, d->session);
		ph_stream_consume(d->stream, taken);
		received += (int64_t)taken;
	}
	return true;
}

/* Why the content is unacceptable as it came: then with a refusal. */
static bool
judge_lines(const struct dialogue *d, const struct dotted *dotted, ph_reply *refusal)
{
	if (dotted->suspect)
		ph_log(PH_LOG_INFO, "smuggle_suspect: a lone dot with a bare line end, from %s",
			ph_client_label(d->session));
	if (!dialogue_is_strict(d))
		return false;
	if (dotted->bare_lf)
		dialogue_bare(d, "5.5.2", "bare <LF>", refusal);
	else if (dotted->bare_cr)
		dialogue_bare(d, "5.5.2", "bare <CR>", refusal);
	else if (dotted->nul)
		dialogue_bare(d, "5.6.0", "NUL", refusal);
	return refusal->code != 0;
}

static bool
do_data(struct dialogue *d, const struct command *command)
{
	struct dotted dotted = {0};
	ph_reply reply = {0}, refusal = {0};

	if (command->argument.size > 0) {
		dialogue_say(d, "501 5.5.4 Syntax: DATA");
		return false;
	}
	if (ph_session_data(d->session, &reply) == -1) {
		dialogue_reply(d, &reply);
		return false;
	}
	dialogue_say(d, "354 End data with <CR><LF>.<CR><LF>");
	if (!read_content(d, &dotted))
		return false;
	ph_session_end_of_data(
		d->session, judge_lines(d, &dotted, &refusal) ? &refusal : NULL, &reply);
	dialogue_reply(d, &reply);
	if (reply.code >= 400)
		return false;
	d->errors = d->junk = 0;
	return true;
}

/* ---- The small ones -------------------------------------------------------------------------- */

static bool
do_rset(struct dialogue *d, const struct command *command)
{
	if (command->argument.size > 0) {
		dialogue_say(d, "501 5.5.4 Syntax: RSET");
		return false;
	}
	ph_session_reset(d->session);
	dialogue_say(d, "250 2.0.0 Ok");
	return true;
}

static bool
do_noop(struct dialogue *d, const struct command *command)
{
	dialogue_say(d, "250 2.0.0 Ok");
	return true;
}

/* The address of VRFY, with angle brackets or without, in the transaction's memory; NULL: it is
 * none. */
static const char *
vrfy_address(struct dialogue *d, const struct command *command)
{
	ph_pool *pool = ph_message_pool(d->session);
	const char *address;
	ph_span rest;

	if (pool == NULL || has_8bit(command->argument))
		return NULL;
	address = parse_address(d, command, pool, command->argument, 0, &rest);
	return address != NULL && rest.size == 0 ? address : NULL;
}

static bool
do_vrfy(struct dialogue *d, const struct command *command)
{
	ph_reply reply = {0};
	const char *address;

	if (d->self->disable_vrfy) {
		dialogue_say(d, "502 5.5.1 VRFY command is disabled");
		return false;
	}
	if (command->argument.size == 0) {
		dialogue_say(d, "501 5.5.4 Syntax: VRFY address");
		return false;
	}
	address = vrfy_address(d, command);
	if (address == NULL) {
		dialogue_say(d, "501 5.1.3 Bad recipient address syntax");
		return false;
	}
	if (ph_session_vrfy(d->session, address, &reply) == -1) {
		dialogue_reply(d, &reply);
		return false;
	}
	dialogue_put(d, "252 2.0.0 %s", address);
	return true;
}

/* A domain, with the "@" of RFC 1985 or Postfix's "#" before it, or an address literal; in the
 * transaction's memory. NULL: it is none. */
static const char *
etrn_domain(struct dialogue *d, ph_span text)
{
	const char *domain;

	if (text.size > 1 && (text.data[0] == '@' || text.data[0] == '#'))
		text = (ph_span){text.data + 1, text.size - 1};
	domain = ph_pool_copy(ph_message_pool(d->session), text);
	return domain != NULL && (ph_is_hostname(domain) || ph_is_literal(domain, NULL)) ? domain
		: NULL;
}

static bool
do_etrn(struct dialogue *d, const struct command *command)
{
	ph_reply reply = {0};
	const char *domain;
	int result;

	if (command->argument.size == 0 ||
		memchr(command->argument.data, ' ', command->argument.size)) {
		dialogue_say(d, "501 5.5.4 Syntax: ETRN domain");
		return false;
	}
	domain = etrn_domain(d, command->argument);
	if (domain == NULL) {
		dialogue_say(d, "501 5.5.4 Error: invalid parameter syntax");
		return false;
	}
	result = ph_session_etrn(d->session, domain, &reply);
	dialogue_reply(d, &reply);
	return result == 0;
}

static bool
do_help(struct dialogue *d, const struct command *command)
{
	dialogue_say(d, "214 2.0.0 HELO EHLO MAIL RCPT DATA RSET NOOP QUIT VRFY ETRN HELP: see RFC 5321");
	return true;
}

static bool
do_absent(struct dialogue *d, const struct command *command)
{
	dialogue_say(d, "502 5.5.1 Error: command not implemented");
	return false;
}

static bool
do_auth(struct dialogue *d, const struct command *command)
{
	dialogue_say(d, "503 5.5.1 Error: authentication not enabled");
	return false;
}

static bool
do_unknown(struct dialogue *d, const struct command *command)
{
	dialogue_say(d, "500 5.5.2 Error: command not recognized");
	return false;
}

/* ---- All of them ----------------------------------------------------------------------------- */

const struct action actions[VERB_COUNT] = {
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
	[VERB_ETRN] = {do_etrn, JUNK},
	[VERB_TURN] = {do_absent, LAST_OF_GROUP},
	[VERB_FORBIDDEN] = {do_forbidden, 0},
};
