#include "act.h"

#include <string.h>

#include <posthouse/log.h>
#include <posthouse/session.h>

/* So much of a field or line is in the log. */
enum { LOGGED = 200 };

const ph_map *
act_table(const struct settings *settings, enum ph_mime_place place, ph_span field,
	const char **parameter)
{
	if (place == PH_MIME_PART || ph_mime_describes(field)) {
		*parameter = "mime_header_checks";
		return settings->mime;
	}
	if (place == PH_MIME_NESTED) {
		*parameter = "nested_header_checks";
		return settings->nested;
	}
	*parameter = "header_checks";
	return settings->header;
}

/* ---- What the log says ----------------------------------------------------------------------- */

static const char *
origin_text(const struct checks *checks)
{
	ph_session *session = ph_filter_session(checks->message);

	return session != NULL ? ph_client_label(session) : "local";
}

static const char *
dialogue_text(const struct checks *checks)
{
	ph_session *session = ph_filter_session(checks->message);

	if (session == NULL)
		return "";
	return ph_pool_printf(checks->scratch, " proto=%s helo=<%s>", ph_protocol(session),
		ph_helo(session));
}

/* "header Subject: x from host[address]; from=<a> to=<b> proto=ESMTP helo=<c>: text". */
static const char *
line_text(const struct checks *checks, const char *what, const char *content, const char *text)
{
	const char *origin = origin_text(checks), *dialogue = dialogue_text(checks);
	size_t count = ph_filter_recipient_count(checks->message);
	char shown[LOGGED + 1];
	size_t size = 0;

	for (; size < LOGGED && content[size] != '\0'; size++)
		shown[size] = (char)((unsigned char)content[size] < ' ' ? '?' : content[size]);
	shown[size] = '\0';
	return ph_pool_printf(checks->scratch, "%s %s from %s; from=<%s> to=<%s>%s%s%s", what,
		shown, origin != NULL ? origin : "unknown", ph_filter_sender(checks->message),
		count > 0 ? ph_filter_recipient(checks->message, count - 1) : "",
		dialogue != NULL ? dialogue : "", text[0] != '\0' ? ": " : "", text);
}

/* ---- Doing it -------------------------------------------------------------------------------- */

/* What is in hand. */
struct subject {
	struct checks *checks;
	const char *parameter;
	const char *what;    /* "header" or "body" */
	const char *content;
};

static void
stop(struct checks *checks, ph_filter_result result)
{
	checks->stopped = true;
	checks->result = result;
}

void
act_fail(struct checks *checks)
{
	ph_filter_reply(checks->message, 451, "4.3.0", "Error: queue file write error");
	stop(checks, PH_FILTER_REFUSE);
}

static const char *
line_of(const struct subject *subject, const char *text)
{
	const char *line = line_text(subject->checks, subject->what, subject->content, text);

	return line != NULL ? line : subject->what;
}

static void
refuse(const struct subject *subject, int code, const char *status, const char *text)
{
	ph_filter_message *message = subject->checks->message;

	ph_filter_reply(message, code, status, "%s", text);
	ph_filter_reason(message, "%s", line_of(subject, ""));
	stop(subject->checks, PH_FILTER_REFUSE);
}

/* Nothing was decided by a table that cannot be asked, or that says what nobody can understand. */
static void
put_off(const struct subject *subject, ph_found found, const char *why)
{
	ph_log_as("cleanup", PH_LOG_WARNING, "%s: %s: %s",
		ph_filter_queue_id(subject->checks->message), subject->parameter, why);
	if (found == PH_FAILED)
		refuse(subject, 451, "4.3.0", "Temporary lookup failure");
	else
		refuse(subject, 451, "4.3.5", "Server configuration error");
}

void
act_too_deep(struct checks *checks, ph_span field)
{
	const char *content = ph_check_key(checks->scratch, field, LOGGED);
	struct subject subject = {checks, "mime_nesting_limit",
		"mime-error MIME nesting exceeds safety limit:", content != NULL ? content : ""};

	if (!checks->stopped)
		refuse(&subject, 550, "5.6.0", "MIME nesting exceeds safety limit");
}

static enum fate
obey(const struct subject *subject, const struct ph_check *check, const char **text)
{
	struct checks *checks = subject->checks;
	ph_filter_message *message = checks->message;
	enum fate fate = FATE_STAYS;
	int result = 0;

	*text = check->text;
	switch (check->action) {
	case PH_CHECK_BCC:
		result = ph_filter_bcc(message, check->text);
		break;
	case PH_CHECK_FILTER:
		result = ph_filter_route(message, check->text);
		break;
	case PH_CHECK_REDIRECT:
		result = ph_filter_redirect(message, check->text);
		break;
	case PH_CHECK_HOLD:
		ph_filter_hold(message, line_of(subject, check->text));
		return FATE_STAYS;
	case PH_CHECK_DISCARD:
		ph_filter_reason(message, "%s", line_of(subject, check->text));
		stop(checks, PH_FILTER_DISCARD);
		return FATE_STAYS;
	case PH_CHECK_REJECT:
		refuse(subject, check->code, check->status, check->text);
		return FATE_STAYS;
	case PH_CHECK_PASS:
		stop(checks, PH_FILTER_CONTINUE);
		break;
	case PH_CHECK_IGNORE:
		return FATE_GOES;
	case PH_CHECK_STRIP:
		fate = FATE_GOES;
		break;
	case PH_CHECK_REPLACE:
		fate = FATE_REPLACED;
		break;
	case PH_CHECK_PREPEND:
		fate = FATE_PREPENDED;
		break;
	case PH_CHECK_DUNNO:
		return FATE_STAYS;
	case PH_CHECK_INFO:
	case PH_CHECK_WARN:
		break;
	}
	ph_log_as("cleanup", PH_LOG_INFO, "%s: %s: %s", ph_filter_queue_id(message),
		ph_check_log_word(check->action), line_of(subject, check->text));
	if (result == -1)
		act_fail(checks);
	return fate;
}

enum fate
act_on(struct checks *checks, const ph_map *map, const char *parameter, bool header, ph_span bytes,
	const char **text)
{
	struct subject subject = {checks, parameter, header ? "header" : "body", NULL};
	const char *answer;
	struct ph_check check;
	ph_error error = {""};
	ph_found found;

	subject.content = ph_check_key(checks->scratch, bytes,
		header ? (size_t)checks->settings->header_limit : bytes.size);
	if (subject.content == NULL) {
		act_fail(checks);
		return FATE_STAYS;
	}
	found = ph_map_lookup(checks->scratch, map, subject.content, &answer, &error);
	if (found == PH_NOT_FOUND)
		return FATE_STAYS;
	if (found == PH_FOUND && ph_check_parse(answer, header ? PH_CHECK_IN_HEADER : 0, &check, &error) == 0)
		return obey(&subject, &check, text);
	put_off(&subject, found, error.text);
	return FATE_STAYS;
}
