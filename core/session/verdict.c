/*
 * What a restriction says: its reply, well-formed whatever the restriction made of it; and what a
 * rule tells it about itself.
 */
#include <posthouse/restriction.h>

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "session/run.h"

/* A reply is one line of printable ASCII: what a client said may be quoted in it. */
static void
make_printable(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || (unsigned char)*text >= 0x7f)
			*text = '?';
}

PH_PRINTF(4, 0)
static void
fill(ph_reply *reply, int code, const char *status, const char *format, va_list args)
{
	reply->code = code;
	snprintf(reply->status, sizeof(reply->status), "%s", status);
	vsnprintf(reply->text, sizeof(reply->text), format, args);
	make_printable(reply->text);
}

/* Makes code and status agree with the class ('4' or '5'). */
static void
correct_class(ph_reply *reply, char class, int fallback)
{
	if (reply->code / 100 != class - '0')
		reply->code = fallback;
	if (reply->status[0] == '\0' || reply->status[1] != '.')
		memcpy(reply->status, "5.7.1", sizeof("5.7.1"));
	reply->status[0] = class;
}

int
session_refuse(ph_reply *reply, int code, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fill(reply, code, status, format, args);
	va_end(args);
	return -1;
}

PH_PRINTF(5, 0)
static void
say(ph_session *session, char class, int code, const char *status, const char *format, va_list args)
{
	if (session->verdict == NULL)
		return;
	fill(session->verdict, code, status, format, args);
	correct_class(session->verdict, class, class == '5' ? 554 : 450);
}

ph_verdict
ph_reject(ph_session *session, int code, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(session, '5', code, status, format, args);
	va_end(args);
	return PH_REJECT;
}

ph_verdict
ph_defer(ph_session *session, int code, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(session, '4', code, status, format, args);
	va_end(args);
	return PH_DEFER;
}

ph_verdict
ph_defer_if_permit(ph_session *session, int code, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(session, '4', code, status, format, args);
	va_end(args);
	return PH_DEFER_IF_PERMIT;
}

ph_verdict
ph_defer_if_reject(ph_session *session, int code, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(session, '4', code, status, format, args);
	va_end(args);
	return PH_DEFER_IF_REJECT;
}

ph_verdict
ph_tempfail(ph_session *session, int action, int code, const char *status, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(session, '4', code, status, format, args);
	va_end(args);
	return action == PH_TEMPFAIL_DEFER ? PH_DEFER : PH_DEFER_IF_PERMIT;
}

ph_verdict
ph_refuse(ph_session *session, int code, const char *status, const char *format, ...)
{
	char class = code >= 400 && code < 500 ? '4' : '5';
	va_list args;

	va_start(args, format);
	say(session, class, code, status, format, args);
	va_end(args);
	return class == '4' ? PH_DEFER : PH_REJECT;
}

const void *
ph_rule_instance(const ph_rule *rule)
{
	return rule->instance != NULL ? rule->instance->self : NULL;
}

const char *
ph_rule_name(const ph_rule *rule)
{
	return rule->name;
}

const char *
ph_rule_argument(const ph_rule *rule)
{
	return rule->argument != NULL ? rule->argument : "";
}

const void *
ph_rule_prepared(const ph_rule *rule)
{
	return rule->prepared;
}

const ph_rule *
ph_rule_next(const ph_session *session, const ph_rule *rule)
{
	const ph_rules *rules = session->run != NULL ? session->run->rules : NULL;
	size_t i = 0;

	while (rules != NULL && i < rules->count && &rules->items[i] != rule)
		i++;
	for (i++; rules != NULL && i < rules->count; i++)
		if (rules->items[i].restriction != NULL &&
			rules->items[i].instance == rule->instance)
			return &rules->items[i];
	return NULL;
}

const ph_map *
ph_rule_map(const ph_rule *rule)
{
	return rule->map;
}
