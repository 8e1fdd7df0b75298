/*
 * Asking one restriction, and one list of them: the first that has an opinion decides.
 */
#include "session/run.h"

#include <stdlib.h>
#include <string.h>

#include "ground/loop.h"
#include "session/trail.h"

/* ---- One restriction ------------------------------------------------------------------------- */

static bool
object_is_there(const ph_session *session, uint32_t stage)
{
	if ((stage & PH_EVEN_IF_ABSENT) != 0)
		return true;
	switch ((enum ph_stage)(stage & 0xff)) {
	case PH_STAGE_HELO:
		return session->helo != NULL;
	case PH_STAGE_SENDER:
		return session->sender != NULL && session->sender[0] != '\0';
	case PH_STAGE_RECIPIENT:
		return session->recipient != NULL;
	case PH_STAGE_DATA:
		return session->in_data;
	case PH_STAGE_ETRN:
		return session->etrn_domain != NULL;
	case PH_STAGE_END_OF_DATA:
	case PH_STAGE_ANY:
	case PH_STAGE_CLIENT:
		return true;
	}
	return true;
}

/* A refusal without a reply of its own gets the core's. */
static void
complete_reply(struct run *run, ph_verdict verdict)
{
	if (run->reply->code != 0 || verdict == PH_DUNNO || verdict == PH_PERMIT ||
		verdict == PH_DISCARD)
		return;
	if (verdict == PH_REJECT)
		run_say(run, 554, "5.7.1", "Access denied");
	else
		run_say(run, 450, "4.3.2", "Try again later");
}

/* What was looked up is let go of when no restriction is in the middle of its work. */
static void
forget(struct run *run)
{
	if (run->asking == 0 && run->session->scratch_pool != NULL)
		ph_pool_reset(run->session->scratch_pool);
}

ph_verdict
run_unlisted(struct run *run, const char *address, bool sender)
{
	ph_session *session = run->session;
	ph_reply *outer = session->verdict;
	ph_verdict verdict;

	ph_explain(session, "%s is on: is %s known?", sender ? "smtpd_reject_unlisted_sender"
		: "smtpd_reject_unlisted_recipient", address);
	session->verdict = run->reply;
	verdict = ph_refuse_unlisted(session, address, sender);
	session->verdict = outer;
	forget(run);
	return verdict == PH_DUNNO ? PH_DUNNO : PH_REJECT;
}

/* Calls a module's restriction with the log knowing for whom. */
static ph_verdict
ask_module(struct run *run, const ph_rule *rule)
{
	ph_session *session = run->session;
	struct task_context *context = task_context();
	const char *instance = context != NULL ? context->instance : NULL;
	ph_reply *outer = session->verdict;
	bool outer_asked = run->asked_others;
	ph_verdict verdict;

	if (session->alone && (rule->restriction->stage & PH_ASKS_OTHERS) != 0)
		return PH_DUNNO;
	run->asked_others = false;
	if (context != NULL && rule->instance != NULL)
		context->instance = rule->instance->name;
	session->verdict = run->reply;
	verdict = rule->restriction->check(rule, session);
	session->verdict = outer;
	if (context != NULL)
		context->instance = instance;
	if (run->asked_others)
		verdict = PH_DUNNO;
	run->asked_others = outer_asked;
	forget(run);
	complete_reply(run, verdict);
	return verdict;
}

/* ---- What it means --------------------------------------------------------------------------- */

/* Keeps what is to be said should all be permitted. No memory: it is said at once. */
static ph_verdict
keep_for_permit(struct run *run)
{
	return run_reserve(run, run->reply) == 0 ? PH_DUNNO : PH_DEFER;
}

static ph_verdict
keep_for_reject(struct run *run)
{
	if (run->reject != NULL)
		return PH_DUNNO;
	run->reject = malloc(sizeof(*run->reject));
	if (run->reject == NULL)
		return PH_DEFER;
	*run->reject = *run->reply;
	return PH_DUNNO;
}

int
run_reserve(struct run *run, const ph_reply *reply)
{
	if (run->permit == NULL) {
		run->permit = calloc(1, sizeof(*run->permit));
		if (run->permit == NULL)
			return -1;
	}
	if (!run->permit->active)
		*run->permit = (struct pending){true, *reply};
	return 0;
}

static ph_verdict
reject_now(struct run *run)
{
	if (run->reject != NULL) {
		ph_explain(run->session, "it is refused, so what defer_if_reject has kept applies");
		*run->reply = *run->reject;
	}
	return PH_REJECT;
}

/* What a verdict means where it was given. */
static ph_verdict
settle(struct run *run, ph_verdict verdict)
{
	switch (verdict) {
	case PH_DUNNO:
	case PH_PERMIT:
	case PH_DISCARD:
		return verdict;
	case PH_REJECT:
	case PH_DEFER:
	case PH_DEFER_IF_PERMIT:
	case PH_DEFER_IF_REJECT:
		if (run->warn) {
			policy_log(run->session, "reject_warning", run->where, run->reply);
			return PH_DUNNO;
		}
		if (verdict == PH_DEFER_IF_PERMIT)
			verdict = keep_for_permit(run);
		else if (verdict == PH_DEFER_IF_REJECT)
			verdict = keep_for_reject(run);
		return verdict == PH_DUNNO ? PH_DUNNO : reject_now(run);
	}
	session_refuse(run->reply, 451, "4.3.5", "Server configuration error");
	return PH_REJECT;
}

/* One element: a list of its own, a module's restriction, a word. What lists within said is settled
 * already; to settle it once more changes nothing. */
static ph_verdict
ask(struct run *run, const ph_rule *rule)
{
	ph_verdict verdict;

	if (rule->restriction != NULL && !object_is_there(run->session, rule->restriction->stage)) {
		trail_rule(run->session, rule, run->depth, true, run->warn);
		return PH_DUNNO;
	}
	trail_rule(run->session, rule, run->depth, false, run->warn);
	if (rule->rules != NULL)
		return run_rules(run, rule->rules);
	run->reply->code = 0;
	run->asking++;
	verdict = rule->restriction != NULL ? ask_module(run, rule) : run_word(run, rule);
	run->asking--;
	trail_verdict(run->session, rule, verdict, run->reply, run->warn, run->depth);
	return settle(run, verdict);
}

/* ---- One list -------------------------------------------------------------------------------- */

/* Whatever came now, it would be deferred. */
static bool
both_ways_deferred(const struct run *run)
{
	return run->reject != NULL && run->permit != NULL && run->permit->active;
}

ph_verdict
run_rules(struct run *run, const ph_rules *rules)
{
	ph_verdict verdict = PH_DUNNO;
	const ph_rules *outer_rules = run->rules;
	bool outer = run->warn;

	if (run->depth >= RUN_DEPTH_MAX) {
		ph_log(PH_LOG_WARNING, "restrictions lie in restrictions more than %d deep",
			RUN_DEPTH_MAX);
		session_refuse(run->reply, 451, "4.3.5", "Server configuration error");
		return PH_REJECT;
	}
	run->depth++;
	run->rules = rules;
	for (size_t i = 0; rules != NULL && i < rules->count && verdict == PH_DUNNO; i++) {
		const ph_rule *rule = &rules->items[i];

		if (rule->restriction == NULL && rule->rules == NULL &&
			strcmp(rule->name, "warn_if_reject") == 0) {
			run->warn = true;
			continue;
		}
		verdict = ask(run, rule);
		run->warn = outer;
		if (verdict == PH_DUNNO && both_ways_deferred(run)) {
			ph_explain(run->session, "it is deferred whatever would follow");
			*run->reply = run->permit->reply;
			verdict = PH_REJECT;
		}
	}
	run->warn = outer;
	run->rules = outer_rules;
	run->depth--;
	return verdict;
}

ph_verdict
run_list(struct run *run, const ph_rules *rules)
{
	ph_verdict verdict = run_rules(run, rules);

	free(run->reject);
	run->reject = NULL;
	return verdict;
}
