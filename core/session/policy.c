/*
 * Which lists are asked when, and what follows from their answers.
 *
 * The first restriction of a list that has an opinion decides that list; a permit ends only its own
 * list. With smtpd_delay_reject the lists for client, helo and sender wait for each recipient, when
 * all is known. The lists come in this order: client, helo, sender, relay, recipient
 * (relay last without smtpd_relay_before_recipient_restrictions). What was to
 * be deferred should it be permitted is carried from list to list and applied when all have
 * permitted; what was to be deferred should it be rejected counts within its list.
 */
#include "session/run.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/log.h>

static const char *const list_names[] = {
	[LIST_CLIENT] = "smtpd_client_restrictions",
	[LIST_HELO] = "smtpd_helo_restrictions",
	[LIST_SENDER] = "smtpd_sender_restrictions",
	[LIST_RELAY] = "smtpd_relay_restrictions",
	[LIST_RECIPIENT] = "smtpd_recipient_restrictions",
	[LIST_DATA] = "smtpd_data_restrictions",
	[LIST_END_OF_DATA] = "smtpd_end_of_data_restrictions",
	[LIST_ETRN] = "smtpd_etrn_restrictions",
};

/* ---- One event ------------------------------------------------------------------------------- */

static int
check_list(struct run *run, enum list list, const ph_rules *rules)
{
	run->list = list;
	trail_list(run->session, list_names[list], rules);
	switch (run_list(run, rules)) {
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
	ph_explain(run->session, "no list refused it: what defer_if_permit has kept applies");
	policy_log(run->session, "reject", run->where, run->reply);
	return -1;
}

/* Takes over what an earlier event left. */
static void
carry(struct run *run, const struct pending *left)
{
	if (left != NULL && left->active)
		(void)run_reserve(run, &left->reply);
}

/* What no list has refused may still be unknown. */
static int
check_unlisted(struct run *run, const char *address, bool sender)
{
	if (run->session->discard || run_unlisted(run, address, sender) == PH_DUNNO)
		return 0;
	policy_log(run->session, "reject", run->where, run->reply);
	return -1;
}

static int
check_sender_unlisted(struct run *run)
{
	const ph_session *session = run->session;

	return !session->policy->smtpd_reject_unlisted_sender || session->sender == NULL ? 0
		: check_unlisted(run, session->sender, true);
}

/* The lists about the client, when they waited for a command. */
static int
check_who(struct run *run)
{
	const struct policy_settings *policy = run->session->policy;

	if (check_list(run, LIST_CLIENT, policy->smtpd_client_restrictions) == -1)
		return -1;
	return check_list(run, LIST_HELO, policy->smtpd_helo_restrictions);
}

/* The lists about the sender, when they waited. VRFY may come without one. */
static int
check_sender(struct run *run)
{
	if (run->session->sender == NULL)
		return 0;
	if (check_list(run, LIST_SENDER, run->session->policy->smtpd_sender_restrictions) == -1)
		return -1;
	return check_sender_unlisted(run);
}

static int
check_etrn(struct run *run)
{
	const struct policy_settings *policy = run->session->policy;

	carry(run, run->session->left_by_client);
	carry(run, run->session->left_by_helo);
	if (policy->smtpd_delay_reject && check_who(run) == -1)
		return -1;
	if (check_list(run, LIST_ETRN, policy->smtpd_etrn_restrictions) == -1)
		return -1;
	return apply_reservation(run);
}

/* Both lists about the recipient are asked, whatever their order: each may refuse. */
static int
check_target(struct run *run)
{
	const struct policy_settings *policy = run->session->policy;
	bool relay_first = policy->smtpd_relay_before_recipient_restrictions;

	if (relay_first && check_list(run, LIST_RELAY, policy->smtpd_relay_restrictions) == -1)
		return -1;
	if (check_list(run, LIST_RECIPIENT, policy->smtpd_recipient_restrictions) == -1)
		return -1;
	return relay_first ? 0 : check_list(run, LIST_RELAY, policy->smtpd_relay_restrictions);
}

static int
check_recipient(struct run *run)
{
	ph_session *session = run->session;
	const struct policy_settings *policy = session->policy;

	if (destination_is_postmaster(session, session->recipient)) {
		ph_explain(session, "mail to the postmaster is accepted from everybody: no list is asked");
		return 0;
	}
	if (destination_is_prober(session, session->recipient)) {
		ph_explain(session, "mail to $address_verify_sender is accepted from everybody: no list is asked");
		return 0;
	}
	carry(run, session->left_by_client);
	carry(run, session->left_by_helo);
	carry(run, session->left_by_sender);
	if (policy->smtpd_delay_reject && (check_who(run) == -1 || check_sender(run) == -1))
		return -1;
	if (check_target(run) == -1)
		return -1;
	if (policy->smtpd_reject_unlisted_recipient &&
		check_unlisted(run, session->recipient, false) == -1)
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
	if (result == 0 && list == LIST_SENDER)
		result = check_sender_unlisted(run);
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

/* Is there no transaction yet, so that nothing can be done with its message? */
static bool
is_early(enum policy_event event)
{
	return event == POLICY_CONNECT || event == POLICY_HELO || event == POLICY_VRFY ||
		event == POLICY_ETRN;
}

int
policy_check(ph_session *session, enum policy_event event, const char *where, ph_reply *reply)
{
	const struct policy_settings *policy = session->policy;
	struct run run = {.session = session, .where = where, .reply = reply};
	struct run *outer = session->run;
	int result = 0;

	session->run = &run;
	run.early = is_early(event);

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
	case POLICY_VRFY:
		result = check_recipient(&run);
		break;
	case POLICY_ETRN:
		result = check_etrn(&run);
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
	session->run = outer;
	trail_outcome(session, where, result, reply);
	return result;
}

/* ---- The log --------------------------------------------------------------------------------- */

void
policy_log(ph_session *session, const char *what, const char *where, const ph_reply *reply)
{
	const char *space = reply->status[0] != '\0' ? " " : "";
	/* as the client is told */
	bool soft = session->settings->soft_bounce && reply->code >= 500 &&
		strcmp(what, "reject") == 0;

	policy_note(session, what, where, "%d %s%s%s%s", reply->code - (soft ? 100 : 0),
		soft && reply->status[0] == '5' ? "4" : "",
		reply->status + (soft && reply->status[0] == '5'), space, reply->text);
}

void
policy_note(ph_session *session, const char *what, const char *where, const char *format, ...)
{
	const char *id = ph_queue_id(session);
	/* behind the recipients the only one, if it is */
	const char *recipient =
		session->recipient != NULL ? session->recipient : session->only_recipient;
	bool from = session->sender != NULL, to = recipient != NULL;
	bool helo = session->helo != NULL;
	char text[320];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	ph_log(PH_LOG_INFO, "%s: %s: %s from %s: %s;%s%s%s%s%s%s proto=%s%s%s%s",
		id[0] != '\0' ? id : "NOQUEUE", what, where, ph_client_label(session), text,
		from ? " from=<" : "", from ? session->sender : "", from ? ">" : "",
		to ? " to=<" : "", to ? recipient : "", to ? ">" : "", session->protocol,
		helo ? " helo=<" : "", helo ? session->helo : "", helo ? ">" : "");
}
