/*
 * Which lists are asked when, and what follows from their answers.
 *
 * The first restriction of a list that has an opinion decides that list; a permit ends only its own
 * list. With smtpd_delay_reject the lists for client, helo and sender wait for each recipient, when
 * all is known. The lists come in this order: client, helo, sender, relay, recipient. What was to be
 * deferred should it be permitted is carried from list to list and applied when all have permitted;
 * what was to be deferred should it be rejected counts within its list.
 */
#include "session/policy.h"

#include <stdlib.h>
#include <string.h>

#include "ground/loop.h"

/* The object of a list, for the texts of the core's own words. */
enum list {
	LIST_CLIENT,
	LIST_HELO,
	LIST_SENDER,
	LIST_RELAY,
	LIST_RECIPIENT,
	LIST_DATA,
	LIST_END_OF_DATA
};

static const char *const list_classes[] = {
	[LIST_CLIENT] = "Client host",
	[LIST_HELO] = "Helo command",
	[LIST_SENDER] = "Sender address",
	[LIST_RELAY] = "Recipient address",
	[LIST_RECIPIENT] = "Recipient address",
	[LIST_DATA] = "Data command",
	[LIST_END_OF_DATA] = "End-of-data",
};

/* One event being judged. */
struct run {
	ph_session *session;
	const char *where;
	enum list list;
	ph_reply *reply;        /* what the last restriction said */
	struct pending *permit; /* applied should all lists permit; NULL: none so far */
	ph_reply *reject;       /* applied should this list reject; NULL: none so far */
};

/* ---- Words of the core ------------------------------------------------------------------------ */

static const char *
object_name(const struct run *run)
{
	const ph_session *session = run->session;

	switch (run->list) {
	case LIST_CLIENT:
		return session_label(session);
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
	}
	return "";
}

/* A reply about the object of the list, "<a@b>: Sender address rejected: …". */
static void
say_about_object(struct run *run, int code, const char *status, const char *why)
{
	session_refuse(run->reply, code, status, "<%s>: %s rejected: %s", object_name(run),
		list_classes[run->list], why);
}

static ph_verdict
word_permit(struct run *run, const ph_rule *rule)
{
	return PH_PERMIT;
}

static ph_verdict
word_reject(struct run *run, const ph_rule *rule)
{
	say_about_object(run, 554, "5.7.1", "Access denied");
	return PH_REJECT;
}

static ph_verdict
word_defer(struct run *run, const ph_rule *rule)
{
	say_about_object(run, 450, "4.3.2", "Try again later");
	return PH_DEFER;
}

static ph_verdict
word_defer_if_permit(struct run *run, const ph_rule *rule)
{
	say_about_object(run, 450, "4.7.0", "defer_if_permit requested");
	return PH_DEFER_IF_PERMIT;
}

static ph_verdict
word_defer_if_reject(struct run *run, const ph_rule *rule)
{
	say_about_object(run, 450, "4.7.0", "defer_if_reject requested");
	return PH_DEFER_IF_REJECT;
}

static ph_verdict
word_sleep(struct run *run, const ph_rule *rule)
{
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

static ph_verdict
ask_word(struct run *run, const ph_rule *rule)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(words[i].name, rule->name) == 0)
			return words[i].say(run, rule);
	ph_log(PH_LOG_ERROR, "%s: unknown restriction", rule->name);
	session_refuse(run->reply, 451, "4.3.5", "Server configuration error");
	return PH_DEFER;
}

/* ---- One restriction -------------------------------------------------------------------------- */

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
	case PH_STAGE_END_OF_DATA:
	case PH_STAGE_ANY:
	case PH_STAGE_CLIENT:
		return true;
	}
	return true;
}

/* Calls a module's restriction with the log knowing for whom. */
static ph_verdict
ask_module(struct run *run, const ph_rule *rule)
{
	ph_session *session = run->session;
	struct task_context *context = task_context();
	const char *instance = context != NULL ? context->instance : NULL;
	ph_verdict verdict;

	if (!object_is_there(session, rule->restriction->stage))
		return PH_DUNNO;
	if (context != NULL && rule->instance != NULL)
		context->instance = rule->instance->name;
	run->reply->code = 0;
	session->verdict = run->reply;
	verdict = rule->restriction->check(rule, session);
	session->verdict = NULL;
	if (context != NULL)
		context->instance = instance;
	if (session->scratch_pool != NULL)
		ph_pool_reset(session->scratch_pool);
	if (run->reply->code == 0 && verdict != PH_DUNNO && verdict != PH_PERMIT) {
		if (verdict == PH_REJECT)
			word_reject(run, rule);
		else
			word_defer(run, rule);
	}
	return verdict;
}

/* ---- One list --------------------------------------------------------------------------------- */

/* Keeps what is to be said should all be permitted. No memory: it is said at once. */
static ph_verdict
keep_for_permit(struct run *run)
{
	if (run->permit == NULL) {
		run->permit = calloc(1, sizeof(*run->permit));
		if (run->permit == NULL)
			return PH_DEFER;
	}
	if (!run->permit->active)
		*run->permit = (struct pending){true, *run->reply};
	return PH_DUNNO;
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

/* What a verdict means where it was given. warn: only say in the log what would have been. */
static ph_verdict
settle(struct run *run, ph_verdict verdict, bool warn)
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
		if (warn) {
			policy_log(run->session, "reject_warning", run->where, run->reply);
			return PH_DUNNO;
		}
		if (verdict == PH_DEFER_IF_PERMIT)
			return keep_for_permit(run);
		if (verdict == PH_DEFER_IF_REJECT)
			return keep_for_reject(run);
		if (run->reject != NULL)
			*run->reply = *run->reject;
		return PH_REJECT;
	}
	session_refuse(run->reply, 451, "4.3.5", "Server configuration error");
	return PH_REJECT;
}

/* Asks one list. PH_DUNNO, PH_PERMIT, PH_DISCARD, or PH_REJECT with the reply. */
static ph_verdict
ask_list(struct run *run, const ph_rules *rules)
{
	ph_verdict verdict = PH_DUNNO;
	bool warn = false;

	for (size_t i = 0; rules != NULL && i < rules->count && verdict == PH_DUNNO; i++) {
		const ph_rule *rule = &rules->items[i];

		if (rule->restriction == NULL && strcmp(rule->name, "warn_if_reject") == 0) {
			warn = true;
			continue;
		}
		verdict = settle(run,
			rule->restriction != NULL ? ask_module(run, rule) : ask_word(run, rule), warn);
		warn = false;
		/* Whatever came now, it would be deferred. */
		if (verdict == PH_DUNNO && run->reject != NULL && run->permit != NULL &&
			run->permit->active) {
			*run->reply = run->permit->reply;
			verdict = PH_REJECT;
		}
	}
	free(run->reject);
	run->reject = NULL;
	return verdict;
}

/* ---- One event -------------------------------------------------------------------------------- */

static int
check_list(struct run *run, enum list list, const ph_rules *rules)
{
	run->list = list;
	switch (ask_list(run, rules)) {
	case PH_REJECT:
		policy_log(run->session, "reject", run->where, run->reply);
		return -1;
	case PH_DISCARD:
		run->session->discard = true;
		return 0;
	case PH_DUNNO:
	case PH_PERMIT:
	case PH_DEFER:
	case PH_DEFER_IF_PERMIT:
	case PH_DEFER_IF_REJECT:
		break;
	}
	return 0;
}

/* All lists have permitted: unless one of them had a reservation. */
static int
apply_reservation(struct run *run)
{
	if (run->permit == NULL || !run->permit->active)
		return 0;
	*run->reply = run->permit->reply;
	policy_log(run->session, "reject", run->where, run->reply);
	return -1;
}

/* Takes over what an earlier event left. */
static void
carry(struct run *run, const struct pending *left)
{
	if (left == NULL || !left->active || (run->permit != NULL && run->permit->active))
		return;
	*run->reply = left->reply;
	(void)keep_for_permit(run);
}

static int
check_recipient(struct run *run)
{
	ph_session *session = run->session;
	const struct policy_settings *policy = session->policy;

	if (destination_is_postmaster(session, session->recipient))
		return 0;
	carry(run, session->left_by_client);
	carry(run, session->left_by_helo);
	carry(run, session->left_by_sender);
	if (policy->smtpd_delay_reject &&
		(check_list(run, LIST_CLIENT, policy->smtpd_client_restrictions) == -1 ||
			check_list(run, LIST_HELO, policy->smtpd_helo_restrictions) == -1 ||
			check_list(run, LIST_SENDER, policy->smtpd_sender_restrictions) == -1))
		return -1;
	if (check_list(run, LIST_RELAY, policy->smtpd_relay_restrictions) == -1 ||
		check_list(run, LIST_RECIPIENT, policy->smtpd_recipient_restrictions) == -1)
		return -1;
	return apply_reservation(run);
}

/* An early list: what it reserved is left for the recipients. */
static int
check_early(struct run *run, enum list list, const ph_rules *rules, struct pending **left)
{
	int result;

	free(*left);
	*left = NULL;
	if (run->session->policy->smtpd_delay_reject)
		return 0;
	result = check_list(run, list, rules);
	*left = run->permit;
	run->permit = NULL;
	return result;
}

static int
check_content(struct run *run, enum list list, const ph_rules *rules)
{
	if (check_list(run, list, rules) == -1)
		return -1;
	return apply_reservation(run);
}

int
policy_check(ph_session *session, enum policy_event event, const char *where, ph_reply *reply)
{
	const struct policy_settings *policy = session->policy;
	struct run run = {.session = session, .where = where, .reply = reply};
	int result = 0;

	switch (event) {
	case POLICY_CONNECT:
		result = check_early(&run, LIST_CLIENT, policy->smtpd_client_restrictions,
			&session->left_by_client);
		break;
	case POLICY_HELO:
		result = check_early(&run, LIST_HELO, policy->smtpd_helo_restrictions,
			&session->left_by_helo);
		break;
	case POLICY_MAIL:
		result = check_early(&run, LIST_SENDER, policy->smtpd_sender_restrictions,
			&session->left_by_sender);
		break;
	case POLICY_RCPT:
		result = check_recipient(&run);
		break;
	case POLICY_DATA:
		result = check_content(&run, LIST_DATA, policy->smtpd_data_restrictions);
		break;
	case POLICY_END_OF_DATA:
		result = check_content(&run, LIST_END_OF_DATA,
			policy->smtpd_end_of_data_restrictions);
		break;
	}
	free(run.permit);
	return result;
}

/* ---- The log ---------------------------------------------------------------------------------- */

void
policy_log(ph_session *session, const char *what, const char *where, const ph_reply *reply)
{
	const char *id = ph_queue_id(session);
	bool from = session->sender != NULL, to = session->recipient != NULL;
	bool helo = session->helo != NULL;
	const char *space = reply->status[0] != '\0' ? " " : "";

	ph_log(PH_LOG_INFO,
		"%s: %s: %s from %s: %d %s%s%s;%s%s%s%s%s%s proto=%s%s%s%s", id[0] != '\0' ? id : "NOQUEUE",
		what, where, session_label(session), reply->code, reply->status, space,
		reply->text, from ? " from=<" : "", from ? session->sender : "", from ? ">" : "",
		to ? " to=<" : "", to ? session->recipient : "", to ? ">" : "", session->protocol,
		helo ? " helo=<" : "", helo ? session->helo : "", helo ? ">" : "");
}
