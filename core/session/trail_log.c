#include "session/trail_log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <posthouse/log.h>

#include "session/run.h"

enum { PATH_SIZE = 160, LINE_SIZE = 480 /* of what is said behind the list */ };

struct trail_log {
	struct trail trail;
	const ph_session *session;
	const char *list;                            /* that is being asked; NULL: none */
	const struct ph_rule *at[RUN_DEPTH_MAX + 1]; /* in it, by depth: lists within lists */
};

/* The classes and tables that led to a depth, " > strict > check_sender_access". */
static const char *
path_to(const struct trail_log *log, unsigned depth, char path[PATH_SIZE])
{
	size_t used = 0;

	path[0] = '\0';
	for (unsigned i = 1; i < depth && i <= RUN_DEPTH_MAX && used < PATH_SIZE; i++)
		if (log->at[i] != NULL)
			used += (size_t)snprintf(path + used, PATH_SIZE - used, " > %s",
				log->at[i]->name);
	return path;
}

static void say(const struct trail_log *log, unsigned depth, const char *format, ...) PH_PRINTF(3,
	4);

static void
say(const struct trail_log *log, unsigned depth, const char *format, ...)
{
	const struct run *run = log->session->run;
	const char *where = run != NULL ? run->where : "CONNECT";
	char path[PATH_SIZE], line[LINE_SIZE];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (log->list == NULL || depth == 0)
		ph_log(PH_LOG_INFO, "explain: %s: %s", where, line);
	else
		ph_log(PH_LOG_INFO, "explain: %s %s%s: %s", where, log->list,
			path_to(log, depth, path), line);
}

/* ---- The steps ------------------------------------------------------------------------------- */

static void
log_client(void *context, const ph_session *session)
{
	char name[LINE_SIZE];

	trail_client_text(session, name, sizeof(name));
	say(context, 0, "client %s is %s", session->client_text, name);
}

static void
log_list(void *context, const char *name, const struct ph_rules *rules)
{
	struct trail_log *log = context;

	log->list = name;
}

static void
log_rule(void *context, const struct ph_rule *rule, unsigned depth, bool skipped, bool warn)
{
	struct trail_log *log = context;
	char text[TRAIL_RULE_TEXT];

	if (depth <= RUN_DEPTH_MAX)
		log->at[depth] = rule;
	if (skipped)
		say(log, depth, "%s: not asked, %s", trail_rule_text(rule, text),
			trail_absence(rule));
	else if (rule->rules != NULL)
		say(log, depth, "%s: its restrictions are asked", trail_rule_text(rule, text));
}

static void
log_note(void *context, const char *text, unsigned depth)
{
	struct trail_log *log = context;
	bool known = depth > 0 && depth <= RUN_DEPTH_MAX && log->at[depth] != NULL;

	if (log->list != NULL && known)
		say(log, depth, "%s: %s", log->at[depth]->name, text);
	else
		say(log, depth, "%s", text);
}

static void
log_wish(void *context, const char *what, const char *text, unsigned depth)
{
	say(context, depth, "for the message: %s %s", what, text);
}

static void
log_verdict(void *context, const struct ph_rule *rule, ph_verdict verdict, const ph_reply *reply,
	bool warned, unsigned depth)
{
	const char *name = trail_verdict_name(verdict);
	char text[TRAIL_RULE_TEXT];

	trail_rule_text(rule, text);
	if (verdict == PH_DUNNO || verdict == PH_PERMIT || verdict == PH_DISCARD)
		say(context, depth, "%s: %s", text, name);
	else
		say(context, depth, "%s: %s%s %d %s %s", text,
			warned ? "only logged (warn_if_reject): " : "",
			name, reply->code, reply->status, reply->text);
}

static void
log_outcome(void *context, const char *command, int result, const ph_reply *reply)
{
	struct trail_log *log = context;

	log->list = NULL;
	if (result == 0)
		ph_log(PH_LOG_INFO, "explain: %s: accepted", command);
	else
		ph_log(PH_LOG_INFO, "explain: %s: refused, %d %s %s", command, reply->code,
			reply->status, reply->text);
}

/* ---- Who is explained ------------------------------------------------------------------------ */

void
trail_log_begin(ph_session *session)
{
	struct trail_log *log;

	if (!ph_networks_match(session->policy->smtpd_explain_clients, &session->client) ||
		(log = calloc(1, sizeof(*log))) == NULL)
		return;
	*log = (struct trail_log){.session = session, .trail = {.context = log, .client = log_client,
		.list = log_list, .rule = log_rule, .note = log_note, .wish = log_wish,
		.verdict = log_verdict, .outcome = log_outcome}};
	session->trail_log = log;
	session->trail = &log->trail;
}
