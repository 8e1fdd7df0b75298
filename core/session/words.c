/*
 * The words of the core's own in lists of restrictions: permit, reject, defer and the like.
 */
#include "session/run.h"

#include <string.h>

#include "ground/loop.h"

static const char *const list_classes[] = {
	[LIST_CLIENT] = "Client host",
	[LIST_HELO] = "Helo command",
	[LIST_SENDER] = "Sender address",
	[LIST_RELAY] = "Recipient address",
	[LIST_RECIPIENT] = "Recipient address",
	[LIST_DATA] = "Data command",
	[LIST_END_OF_DATA] = "End-of-data",
	[LIST_ETRN] = "Etrn command",
};

const char *
run_class(const struct run *run)
{
	return list_classes[run->list];
}

const char *
run_object(const struct run *run)
{
	const ph_session *session = run->session;

	switch (run->list) {
	case LIST_CLIENT:
		return ph_client_label(session);
	case LIST_HELO:
		return ph_helo(session);
	case LIST_SENDER:
		return ph_sender(session);
	case LIST_RELAY:
	case LIST_RECIPIENT:
		return ph_recipient(session);
	case LIST_DATA:
		return "DATA";
	case LIST_END_OF_DATA:
		return "END-OF-MESSAGE";
	case LIST_ETRN:
		return ph_etrn_domain(session);
	}
	return "";
}

void
run_say(struct run *run, int code, const char *status, const char *why)
{
	session_refuse(run->reply, code, status, "<%s>: %s rejected: %s", run_object(run),
		run_class(run), why);
}

static ph_verdict
word_permit(struct run *run, const ph_rule *rule)
{
	return PH_PERMIT;
}

/* A code that is a parameter may be of either class; the status follows. */
static ph_verdict
word_reject(struct run *run, const ph_rule *rule)
{
	int code = (int)run->session->policy->reject_code;

	run_say(run, code, code < 500 ? "4.7.1" : "5.7.1", "Access denied");
	return code < 500 ? PH_DEFER : PH_REJECT;
}

static ph_verdict
word_defer(struct run *run, const ph_rule *rule)
{
	run_say(run, (int)run->session->policy->defer_code, "4.3.2", "Try again later");
	return PH_DEFER;
}

static ph_verdict
word_defer_if_permit(struct run *run, const ph_rule *rule)
{
	run_say(run, 450, "4.7.0", "defer_if_permit requested");
	return PH_DEFER_IF_PERMIT;
}

static ph_verdict
word_defer_if_reject(struct run *run, const ph_rule *rule)
{
	run_say(run, 450, "4.7.0", "defer_if_reject requested");
	return PH_DEFER_IF_REJECT;
}

static ph_verdict
word_sleep(struct run *run, const ph_rule *rule)
{
	ph_explain(run->session, "a client waits %lld seconds here", (long long)rule->number);
	if (!run->session->rehearsal)
		(void)ph_sleep(ph_in(rule->number * 1000));
	return PH_DUNNO;
}

static const struct word {
	const char *name;
	ph_verdict (*say)(struct run *run, const ph_rule *rule);
} words[] = {
	{"defer", word_defer},
	{"defer_if_permit", word_defer_if_permit},
	{"defer_if_reject", word_defer_if_reject},
	{"permit", word_permit},
	{"reject", word_reject},
	{"sleep", word_sleep},
};

ph_verdict
run_word(struct run *run, const ph_rule *rule)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].name, rule->name) == 0)
			return words[i].say(run, rule);
	ph_log(PH_LOG_ERROR, "%s: unknown restriction", rule->name);
	session_refuse(run->reply, 451, "4.3.5", "Server configuration error");
	return PH_DEFER;
}

const char *
ph_list_object(const ph_session *session)
{
	return session->run != NULL ? run_object(session->run) : "";
}

const char *
ph_list_class(const ph_session *session)
{
	return session->run != NULL ? run_class(session->run) : "";
}
