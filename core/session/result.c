/*
 * The results of access(5), as tables and policy servers give them.
 */
#include <stdio.h>
#include <string.h>

#include <posthouse/log.h>

#include "session/result.h"
#include "session/run.h"

/* A result being done. */
struct result {
	ph_session *session;
	const char *name;   /* what the reply is about */
	const char *class;
	const char *source;
	const char *text;   /* what follows the word, without white space at its start; "" */
};

/* ---- Replies --------------------------------------------------------------------------------- */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits before a dot or the end of the status, one to three. */
static size_t
number_size(const char *text)
{
	size_t size = 0;

	while (size < 3 && is_digit(text[size]))
		size++;
	return size;
}

/* An enhanced status code "5.7.1" in front of the text is taken from it (RFC 3463). */
static const char *
take_status(const char *text, const char *fallback, char status[12])
{
	size_t subject = 0, detail = 0, size = 0;

	snprintf(status, 12, "%s", fallback);
	if ((text[0] != '4' && text[0] != '5' && text[0] != '2') || text[1] != '.' ||
		(subject = number_size(text + 2)) == 0 || text[2 + subject] != '.' ||
		(detail = number_size(text + 3 + subject)) == 0)
		return text;
	size = 3 + subject + detail;
	if (text[size] != '\0' && text[size] != ' ' && text[size] != '\t')
		return text;
	snprintf(status, 12, "%.*s", (int)size, text);
	return text + size + strspn(text + size, " \t");
}

static ph_verdict
refuse(const struct result *result, int code, const char *fallback, const char *words)
{
	char status[12];
	const char *text = take_status(result->text, fallback, status);

	return ph_refuse(result->session, code, status, "<%s>: %s rejected: %s", result->name,
		result->class, text[0] != '\0' ? text : words);
}

static ph_verdict
do_ok(const struct result *result)
{
	return PH_PERMIT;
}

static ph_verdict
do_dunno(const struct result *result)
{
	return PH_DUNNO;
}

static ph_verdict
do_reject(const struct result *result)
{
	int code = (int)result->session->policy->access_map_reject_code;

	return refuse(result, code, "5.7.1", "Access denied");
}

static ph_verdict
do_defer(const struct result *result)
{
	int code = (int)result->session->policy->access_map_defer_code;

	return refuse(result, code, "4.7.1", "Access denied");
}

static ph_verdict
do_defer_if_permit(const struct result *result)
{
	char status[12];
	const char *text = take_status(result->text, "4.7.1", status);
	int code = (int)result->session->policy->access_map_defer_code;

	return ph_defer_if_permit(result->session, code, status, "<%s>: %s rejected: %s",
		result->name, result->class, text[0] != '\0' ? text : "Service unavailable");
}

static ph_verdict
do_defer_if_reject(const struct result *result)
{
	char status[12];
	const char *text = take_status(result->text, "4.7.1", status);
	int code = (int)result->session->policy->access_map_defer_code;

	return ph_defer_if_reject(result->session, code, status, "<%s>: %s rejected: %s",
		result->name, result->class, text[0] != '\0' ? text : "Service unavailable");
}

/* ---- What becomes of the message ------------------------------------------------------------- */

static ph_verdict
fail(const struct result *result, const char *why)
{
	ph_log(PH_LOG_WARNING, "%s: entry for %s: %s", result->source, result->name, why);
	return ph_defer(result->session, 451, "4.3.5", "Server configuration error");
}

/* Nothing but the text, as the log of a table's author reads it. */
static void
remark(const struct result *result, const char *what)
{
	if (result->text[0] == '\0')
		policy_note(result->session, what, ph_command(result->session),
			"<%s>: %s triggers %s action", result->name, result->class,
			strcmp(what, "info") == 0 ? "INFO" : "WARN");
	else
		policy_note(result->session, what, ph_command(result->session), "%s", result->text);
}

/* Says it in the log, as what a refusal says is said: prefix and the text, or else the fallback. */
static void
tell(const struct result *result, const char *what, const char *prefix, const char *fallback)
{
	policy_note(result->session, what, ph_command(result->session), "<%s>: %s %s%s",
		result->name,
		result->class, prefix, result->text[0] != '\0' ? result->text : fallback);
}

static ph_verdict
done(const struct result *result, int outcome)
{
	return outcome == 0 ? PH_DUNNO
			    : ph_defer(result->session, 451, "4.3.0",
			"Insufficient system resources");
}

static ph_verdict
do_discard(const struct result *result)
{
	tell(result, "discard", "", "triggers DISCARD action");
	return PH_DISCARD;
}

static ph_verdict
do_hold(const struct result *result)
{
	tell(result, "hold", "", "triggers HOLD action");
	return done(result, ph_message_hold(result->session,
		result->text[0] != '\0' ? result->text : "triggers HOLD action"));
}

static ph_verdict
do_filter(const struct result *result)
{
	const char *colon = strchr(result->text, ':');

	if (colon == NULL || colon == result->text)
		return fail(result, "FILTER needs a transport and a destination: FILTER smtp:[127.0.0.1]:10025");
	tell(result, "filter", "triggers FILTER ", "");
	return done(result, ph_message_filter(result->session, result->text));
}

static ph_verdict
do_redirect(const struct result *result)
{
	if (strchr(result->text, '@') == NULL)
		return fail(result, "REDIRECT needs an address: REDIRECT user@example.com");
	tell(result, "redirect", "triggers REDIRECT ", "");
	return done(result, ph_message_redirect(result->session, result->text));
}

static ph_verdict
do_bcc(const struct result *result)
{
	if (strchr(result->text, '@') == NULL)
		return fail(result, "BCC needs an address: BCC user@example.com");
	tell(result, "bcc", "triggers BCC ", "");
	return done(result, ph_message_bcc(result->session, result->text));
}

/* A name of printable characters, a colon (RFC 5322, 2.2). */
static bool
is_header(const char *text)
{
	size_t size = 0;

	while (text[size] > ' ' && text[size] < 0x7f && text[size] != ':')
		size++;
	return size > 0 && text[size] == ':' && strpbrk(text, "\r\n") == NULL;
}

static ph_verdict
do_prepend(const struct result *result)
{
	if (!is_header(result->text))
		return fail(result, "PREPEND needs a header: PREPEND X-Checked: yes");
	tell(result, "prepend", "triggers PREPEND ", "");
	return done(result, ph_message_prepend(result->session, result->text));
}

static ph_verdict
do_info(const struct result *result)
{
	remark(result, "info");
	return PH_DUNNO;
}

static ph_verdict
do_warn(const struct result *result)
{
	remark(result, "warn");
	return PH_DUNNO;
}

/* ---- All of them ----------------------------------------------------------------------------- */

static const struct action {
	const char *word;
	ph_verdict (*act)(const struct result *result);
	enum result_kind kind;
} actions[] = {
	{"BCC", do_bcc, RESULT_GOES_ON},
	{"DEFER", do_defer, RESULT_REFUSES},
	{"DEFER_IF_PERMIT", do_defer_if_permit, RESULT_GOES_ON},
	{"DEFER_IF_REJECT", do_defer_if_reject, RESULT_GOES_ON},
	{"DISCARD", do_discard, RESULT_DISCARDS},
	{"DUNNO", do_dunno, RESULT_GOES_ON},
	{"FILTER", do_filter, RESULT_GOES_ON},
	{"HOLD", do_hold, RESULT_GOES_ON},
	{"INFO", do_info, RESULT_GOES_ON},
	{"OK", do_ok, RESULT_PERMITS},
	{"PREPEND", do_prepend, RESULT_GOES_ON},
	{"REDIRECT", do_redirect, RESULT_GOES_ON},
	{"REJECT", do_reject, RESULT_REFUSES},
	{"WARN", do_warn, RESULT_GOES_ON},
};

static const struct action *
find_action(ph_span word)
{
	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (ph_span_equal_nocase(word, ph_span_of(actions[i].word)))
			return &actions[i];
	return NULL;
}

/* "OK" and numbers, as tables that other programs made have them (RFC 5321 codes are told
 * apart). */
static bool
is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static bool
is_code(const char *text, size_t word)
{
	return word == 3 && (text[0] == '4' || text[0] == '5') && is_digit(text[1]) &&
		is_digit(text[2]);
}

enum result_kind
result_kind(ph_span text)
{
	const struct action *action;
	size_t digits = 0;
	ph_span word;

	while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
		text.data++;
		text.size--;
	}
	word = (ph_span){text.data, 0};
	while (word.size < text.size && text.data[word.size] != ' ' && text.data[word.size] != '\t')
		digits += is_digit(text.data[word.size++]);
	if (digits == 3 && word.size == 3 && (word.data[0] == '4' || word.data[0] == '5'))
		return RESULT_REFUSES;
	action = find_action(word);
	if (action != NULL)
		return action->kind;
	return text.size > 0 && digits == text.size ? RESULT_PERMITS : RESULT_NAMES;
}

static ph_verdict
ask_names(const struct result *result, const char *text)
{
	struct run *run = result->session->run;
	ph_pool *pool = ph_scratch_pool(result->session);
	ph_error error = {""};
	const ph_rules *rules;
	char why[300];

	if (run == NULL || pool == NULL)
		return fail(result, "out of memory");
	rules = rules_parse(config_current(), pool, text, &error);
	if (rules == NULL) {
		snprintf(why, sizeof(why), "%s", error.text);
		return fail(result, why);
	}
	return run_rules(run, rules);
}

ph_verdict
ph_apply_result(ph_session *session, const char *text, const struct ph_subject *subject)
{
	struct run *run = session->run;
	struct result result = {.session = session, .name = subject->name, .class = subject->what,
		.source = subject->source != NULL ? subject->source : "table"};
	const struct action *action;
	size_t word;

	if (result.name == NULL)
		result.name = run != NULL ? run_object(run) : "";
	if (result.class == NULL)
		result.class = run != NULL ? run_class(run) : "";
	text += strspn(text, " \t");
	word = strcspn(text, " \t");
	result.text = text + word + strspn(text + word, " \t");
	if (is_code(text, word))
		return refuse(&result, (text[0] - '0') * 100 + (text[1] - '0') * 10 + text[2] - '0',
			text[0] == '4' ? "4.7.1" : "5.7.1", "Access denied");
	action = find_action((ph_span){text, word});
	if (action != NULL)
		return action->act(&result);
	return is_number(text) ? PH_PERMIT : ask_names(&result, text);
}
