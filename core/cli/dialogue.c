/*
 * sendmail -bs: an SMTP server (RFC 5321) for a program on this host, on standard input and output.
 * It asks no policy: who may run it may also submit in any other way. Lines end in CR LF or LF
 * (LSB 5), the content at a line with a single dot.
 */
#include "cli/sendmail.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <posthouse/address.h>
#include <posthouse/dsn.h>

struct dialogue {
	const struct sendmail_site *site;
	const char *sender;          /* of -f: instead of what MAIL says; NULL: none */
	const char *name;
	char host[256];
	ph_pool *pool;               /* for the transaction */
	struct outgoing outgoing;
	bool mail;                   /* MAIL was accepted */
	bool over;
};

static void say(const char *format, ...) PH_PRINTF(1, 2);

static void
say(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	fputs("\r\n", stdout);
	fflush(stdout);
}

/* A line without its end; -1 at the end of the input. */
static ssize_t
read_line(char **line, size_t *room)
{
	ssize_t size = getline(line, room, stdin);

	if (size <= 0)
		return -1;
	if (size > 0 && (*line)[size - 1] == '\n')
		size--;
	if (size > 0 && (*line)[size - 1] == '\r')
		size--;
	(*line)[size] = '\0';
	return size;
}

static void
forget(struct dialogue *dialogue)
{
	outgoing_forget(&dialogue->outgoing);
	dialogue->outgoing.name = dialogue->name;
	dialogue->mail = false;
	ph_pool_reset(dialogue->pool);
}

/* ---- Commands -------------------------------------------------------------------------------- */

static void
say_hello(struct dialogue *dialogue, const char *argument)
{
	forget(dialogue);
	say("250 %s", dialogue->host);
}

static void
say_extended_hello(struct dialogue *dialogue, const char *argument)
{
	forget(dialogue);
	say("250-%s\r\n250-PIPELINING\r\n250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250 SMTPUTF8",
		dialogue->host);
}

/* The path behind "FROM:" or "TO:"; NULL, and the reply was said. */
static const char *
parse_path(struct dialogue *dialogue, const char *argument, const char *keyword, unsigned flags,
	ph_span *rest)
{
	size_t size = strlen(keyword);
	const char *address;
	ph_error error = {""};

	if (strncasecmp(argument, keyword, size) != 0) {
		say("501 5.5.4 Syntax: %s<address>", keyword);
		return NULL;
	}
	if (ph_path_parse(dialogue->pool, ph_span_of(argument + size), flags | PH_PATH_UTF8,
		&address, rest, &error) == -1) {
		say("501 5.1.3 Bad address syntax: %s", error.text);
		return NULL;
	}
	return address;
}

/* ---- Parameters ---------------------------------------------------------------------------------- */

/* Takes the value of one. NULL, or what to say: a code, and a text. */
typedef const char *take_fn(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span value);

static const char *
take_nothing(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span value)
{
	return NULL;
}

static const char *
take_body(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span value)
{
	if (ph_span_equal_nocase(value, ph_span_of("8BITMIME")))
		dialogue->outgoing.body = "8BITMIME";
	else if (!ph_span_equal_nocase(value, ph_span_of("7BIT")))
		return "501 5.5.4 Unsupported BODY value";
	return NULL;
}

static const char *
take_ret(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span value)
{
	uint32_t ret;

	if (dialogue->outgoing.ret != NULL || ph_dsn_ret_parse(value, &ret) == -1)
		return "501 5.5.4 Bad RET parameter syntax";
	dialogue->outgoing.ret = ret == PH_RET_FULL ? "FULL" : "HDRS";
	return NULL;
}

static const char *
take_envid(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span value)
{
	if (dialogue->outgoing.envid != NULL ||
		ph_dsn_envid_parse(dialogue->pool, value, &dialogue->outgoing.envid) == -1)
		return "501 5.5.4 Bad ENVID parameter syntax";
	return NULL;
}

static const char *
take_notify(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span value)
{
	return to->notify != 0 || ph_dsn_notify_parse(value, &to->notify) == -1 ?
		"501 5.5.4 Error: Bad NOTIFY parameter syntax" : NULL;
}

static const char *
take_orcpt(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span value)
{
	const char *decoded;

	if (to->orcpt != NULL || ph_dsn_orcpt_parse(dialogue->pool, value, &decoded) == -1 ||
		(to->orcpt = ph_pool_copy(dialogue->pool, value)) == NULL)
		return "501 5.5.4 Error: Bad ORCPT parameter syntax";
	return NULL;
}

static const struct parameter {
	const char *keyword;
	bool of_recipient;
	take_fn *take;
} parameters[] = {
	{"BODY", false, take_body},
	{"ENVID", false, take_envid},
	{"NOTIFY", true, take_notify},
	{"ORCPT", true, take_orcpt},
	{"RET", false, take_ret},
	{"SIZE", false, take_nothing},
	{"SMTPUTF8", false, take_nothing},
};

/* One, "KEYWORD=value" or "KEYWORD". */
static const char *
take_parameter(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span text)
{
	const char *equals = memchr(text.data, '=', text.size);
	size_t size = equals != NULL ? (size_t)(equals - text.data) : text.size;
	ph_span value = equals != NULL ? (ph_span){equals + 1, text.size - size - 1} : ph_span_of("");

	for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++)
		if (parameters[i].of_recipient == (to != NULL) &&
			ph_span_equal_nocase((ph_span){text.data, size}, ph_span_of(parameters[i].keyword)))
			return parameters[i].take(dialogue, to, value);
	return "555 5.5.4 Unsupported option";
}

/* Those of MAIL, or of RCPT for its recipient. 0; -1, and the reply was said. */
static int
take_parameters(struct dialogue *dialogue, struct outgoing_recipient *to, ph_span rest)
{
	const char *wrong = NULL;

	while (rest.size > 0 && wrong == NULL) {
		const char *blank = memchr(rest.data, ' ', rest.size);
		size_t size = blank != NULL ? (size_t)(blank - rest.data) : rest.size;

		if (size > 0)
			wrong = take_parameter(dialogue, to, (ph_span){rest.data, size});
		size += blank != NULL;
		rest = (ph_span){rest.data + size, rest.size - size};
	}
	if (wrong != NULL)
		say("%s", wrong);
	return wrong == NULL ? 0 : -1;
}

/* ---- The envelope -------------------------------------------------------------------------------- */

static void
take_mail(struct dialogue *dialogue, const char *argument)
{
	const char *address;
	ph_span rest;

	if (dialogue->mail) {
		say("503 5.5.1 Error: nested MAIL command");
		return;
	}
	address = parse_path(dialogue, argument, "FROM:", PH_PATH_EMPTY_OK, &rest);
	if (address == NULL)
		return;
	if (take_parameters(dialogue, NULL, rest) == -1) {
		forget(dialogue);
		return;
	}
	dialogue->outgoing.from = dialogue->sender != NULL ? dialogue->sender : address;
	dialogue->mail = true;
	say("250 2.1.0 Ok");
}

static void
take_recipient(struct dialogue *dialogue, const char *argument)
{
	struct outgoing_recipient to = {.address = NULL};
	ph_span rest;

	if (!dialogue->mail) {
		say("503 5.5.1 Error: need MAIL command");
		return;
	}
	to.address = parse_path(dialogue, argument, "TO:", 0, &rest);
	if (to.address == NULL || take_parameters(dialogue, &to, rest) == -1)
		return;
	if (dialogue->outgoing.recipient_count >= PH_SUBMIT_RECIPIENTS_MAX)
		say("452 4.5.3 Error: too many recipients");
	else if (outgoing_add(&dialogue->outgoing, &to) == -1)
		say("452 4.3.1 Error: out of memory");
	else
		say("250 2.1.5 Ok");
}

/* Up to the dot. 0; -1: the input ended before. Without memory the rest is read all the same. */
static int
read_content(struct buffer *content, bool *whole)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;

	*whole = true;
	while ((size = read_line(&line, &room)) != -1) {
		size_t dot = size > 0 && line[0] == '.';

		if (dot && size == 1)
			break;
		if (*whole && (buffer_add(content, line + dot, (size_t)size - dot) == -1 ||
				      buffer_add(content, "\n", 1) == -1))
			*whole = false;
	}
	free(line);
	return size == -1 ? -1 : 0;
}

static void
take_data(struct dialogue *dialogue, const char *argument)
{
	struct buffer content = {.data = NULL};
	ph_reply reply;
	bool whole;

	if (dialogue->outgoing.recipient_count == 0) {
		say(dialogue->mail ? "554 5.5.1 Error: no valid recipients"
			: "503 5.5.1 Error: need RCPT command");
		return;
	}
	say("354 End data with <CR><LF>.<CR><LF>");
	if (read_content(&content, &whole) == -1) {
		dialogue->over = true;
	} else if (!whole) {
		say("452 4.3.1 Error: out of memory");
	} else {
		dialogue->outgoing.content = (ph_span){content.data, content.size};
		sendmail_submit(dialogue->site, &dialogue->outgoing, &reply);
		say("%d %s %s", reply.code, reply.status, reply.text);
	}
	buffer_free(&content);
	forget(dialogue);
}

static void
take_reset(struct dialogue *dialogue, const char *argument)
{
	forget(dialogue);
	say("250 2.0.0 Ok");
}

static void
take_noop(struct dialogue *dialogue, const char *argument)
{
	say("250 2.0.0 Ok");
}

static void
take_verify(struct dialogue *dialogue, const char *argument)
{
	say("252 2.0.0 %s", argument);
}

static void
take_quit(struct dialogue *dialogue, const char *argument)
{
	say("221 2.0.0 Bye");
	dialogue->over = true;
}

static void
take_command(struct dialogue *dialogue, char *line)
{
	static const struct {
		const char *verb;
		void (*take)(struct dialogue *dialogue, const char *argument);
	} verbs[] = {
		{"MAIL", take_mail},
		{"RCPT", take_recipient},
		{"DATA", take_data},
		{"HELO", say_hello},
		{"EHLO", say_extended_hello},
		{"QUIT", take_quit},
		{"RSET", take_reset},
		{"NOOP", take_noop},
		{"VRFY", take_verify},
	};
	size_t size = strcspn(line, " ");
	const char *argument = line + size + strspn(line + size, " ");

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (ph_span_equal_nocase((ph_span){line, size}, ph_span_of(verbs[i].verb))) {
			verbs[i].take(dialogue, argument);
			return;
		}
	}
	say("502 5.5.2 Error: command not recognized");
}

int
sendmail_dialogue(const struct sendmail_site *site, const char *sender)
{
	struct dialogue dialogue = {.site = site, .sender = sender, .pool = ph_pool_new(0)};
	char *line = NULL;
	size_t room = 0;

	if (dialogue.pool == NULL)
		return EX_OSERR;
	dialogue.name = sendmail_full_name(site->pool);
	if (gethostname(dialogue.host, sizeof(dialogue.host) - 1) == -1)
		snprintf(dialogue.host, sizeof(dialogue.host), "localhost");
	forget(&dialogue);
	say("220 %s ESMTP", dialogue.host);
	while (!dialogue.over && read_line(&line, &room) != -1)
		take_command(&dialogue, line);
	free(line);
	forget(&dialogue);
	ph_pool_free(dialogue.pool);
	return EX_OK;
}
