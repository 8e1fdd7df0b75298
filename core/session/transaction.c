/*
 * A mail transaction: MAIL, RCPT, DATA, content, end (RFC 5321, 3.3). The intake begins with the
 * first recipient that was accepted, and so does the queue ID.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include <posthouse/queue.h>

#include "ground/loop.h"
#include "queue/client.h"
#include "session/policy.h"
#include "session/session.h"
#include "session/usage.h"
#include "session/wishes.h"

enum {
	FREE_SPACE_AGE = 1000 /* milliseconds */
};

/* The log names the message for which the task works. */
static void
name_message(const ph_session *session)
{
	struct task_context *context = task_context();

	if (context != NULL)
		context->queue_id = session->queue_id;
}

bool
ph_session_in_transaction(const ph_session *session)
{
	return session->sender != NULL;
}

void
ph_session_reset(ph_session *session)
{
	if (session->intake != NULL)
		ph_intake_abort(session->intake);
	session->intake = NULL;
	session->queue_id = NULL;
	name_message(session);
	session->sender = session->recipient = NULL;
	session->parameters = NULL;
	session->announced = session->content_size = 0;
	session->recipients = 0;
	session->only_recipient = NULL;
	session->in_data = session->discard = false;
	session->wishes = NULL;
	session->transaction_id[0] = '\0';
	ph_pool_free(session->message_pool);
	session->message_pool = NULL;
	ph_pool_free(session->scratch_pool);
	session->scratch_pool = NULL;
}

/* ---- MAIL ------------------------------------------------------------------------------------ */

/* What a storage has free, asked anew after a second. */
static int64_t
free_space(const struct instance *queue)
{
	static const struct instance *last_queue;
	static int64_t last_time, last_answer;
	const struct ph_queue_ops *ops = queue->ops;

	if (ops->free_space == NULL)
		return INT64_MAX;
	if (queue != last_queue || ph_now() - last_time > FREE_SPACE_AGE) {
		last_queue = queue;
		last_time = ph_now();
		last_answer = ops->free_space(queue->self);
	}
	return last_answer;
}

/* Of the disk where the queue is: a rehearsal has no storage open. */
static int64_t
free_disk(const ph_session *session)
{
	struct statvfs status;

	if (statvfs(session->settings->queue_directory, &status) == -1)
		return INT64_MAX;
	return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

/* Is there room for a message of that size, and for what must stay free? The storage has the last
 * word: this is so that a large message is not sent for nothing. */
static bool
storage_has_room(const ph_session *session, int64_t size)
{
	const struct instance *queue = config_queue(config_current(), session->queue);
	int64_t minimum = session->settings->queue_minfree;

	if (minimum <= 0 && size <= 0)
		return true;
	if (session->rehearsal)
		return free_disk(session) - (minimum > 0 ? minimum : 0) > size;
	return free_space(queue) - (minimum > 0 ? minimum : 0) > size;
}

static int
check_order(const ph_session *session, ph_reply *reply)
{
	if (session->policy->smtpd_helo_required && session->helo == NULL)
		return session_refuse(reply, 503, "5.5.1", "Error: send HELO/EHLO first");
	if (session->sender != NULL)
		return session_refuse(reply, 503, "5.5.1", "Error: nested MAIL command");
	return 0;
}

static int
check_size(const ph_session *session, int64_t announced, ph_reply *reply)
{
	int64_t limit = session->settings->message_size_limit;

	if (limit > 0 && announced > limit)
		return session_refuse(reply, 552, "5.3.4", "Message size exceeds fixed limit");
	if (!storage_has_room(session, announced))
		return session_refuse(reply, 452, "4.3.1", "Insufficient system storage");
	return 0;
}

/* Copies what the intake will want to know later. */
static int
keep_mail(ph_session *session, const char *sender, const struct ph_mail_parameters *parameters)
{
	ph_pool *pool = ph_message_pool(session);
	struct ph_mail_parameters *copy;
	size_t size = sizeof(*copy);

	if (pool == NULL)
		return -1;
	session->sender = ph_pool_strdup(pool, sender);
	if (session->sender == NULL)
		return -1;
	if (parameters == NULL)
		return 0;
	copy = ph_pool_alloc(pool, size);
	if (copy == NULL)
		return -1;
	memcpy(copy, parameters, parameters->size < size ? parameters->size : size);
	copy->size = (uint32_t)size;
	if (copy->envid != NULL) {
		copy->envid = ph_pool_strdup(pool, copy->envid);
		if (copy->envid == NULL)
			return -1;
	}
	session->parameters = copy;
	return 0;
}

int
ph_session_mail(ph_session *session, const char *sender,
	const struct ph_mail_parameters *parameters, int64_t announced, ph_reply *reply)
{
	if (check_order(session, reply) == -1 || usage_count(session, RATE_MESSAGE, reply) == -1)
		return -1;
	if (keep_mail(session, sender, parameters) == -1) {
		ph_session_reset(session);
		return session_refuse(reply, 452, "4.3.1", "Insufficient system storage");
	}
	if (check_size(session, announced, reply) == -1) {
		policy_log(session, "reject", "MAIL", reply);
		ph_session_reset(session);
		return -1;
	}
	session->announced = announced;
	if (policy_check(session, POLICY_MAIL, "MAIL", reply) == -1) {
		ph_session_reset(session);
		return -1;
	}
	return 0;
}

/* ---- RCPT ------------------------------------------------------------------------------------ */

static int
open_intake(ph_session *session, ph_reply *reply)
{
	struct ph_intake_origin origin = {.size = sizeof(origin), .origin = PH_ORIGIN_SMTP,
		.session = session, .queue = session->queue};
	ph_error error = {""};

	if (session->intake != NULL || session->rehearsal)
		return 0;
	session->intake = ph_intake_begin(&origin, &error);
	if (session->intake == NULL) {
		ph_log(PH_LOG_WARNING, "message refused: %s", error.text);
		return session_refuse(reply, 451, "4.3.0", "Error: queue file write error");
	}
	if (ph_intake_sender(session->intake, session->sender, session->parameters) == -1) {
		ph_intake_abort(session->intake);
		session->intake = NULL;
		return session_refuse(reply, 452, "4.3.1", "Insufficient system storage");
	}
	session->queue_id = ph_pool_strdup(ph_message_pool(session),
		ph_intake_queue_id(session->intake));
	name_message(session);
	ph_log(PH_LOG_INFO, "%s: client=%s", ph_queue_id(session), ph_client_label(session));
	return 0;
}

/* A message that restrictions throw away is thrown away once, with the intake knowing. */
static void
pass_discard_on(ph_session *session)
{
	if (session->discard && session->intake != NULL)
		ph_intake_discard(session->intake, "a restriction's verdict");
}

/* What policy looks up comes and goes: the parameters stay. */
static int
keep_rcpt(ph_session *session, const char *recipient, const struct ph_rcpt_parameters *given,
	struct ph_rcpt_parameters *parameters)
{
	ph_pool *pool = ph_message_pool(session);
	size_t size = sizeof(*parameters);

	*parameters = (struct ph_rcpt_parameters){.size = (uint32_t)size};
	if (pool == NULL || (session->recipient = ph_pool_strdup(pool, recipient)) == NULL)
		return -1;
	if (given == NULL)
		return 0;
	memcpy(parameters, given, given->size < size ? given->size : size);
	parameters->size = (uint32_t)size;
	if (parameters->orcpt != NULL &&
		(parameters->orcpt = ph_pool_strdup(pool, parameters->orcpt)) == NULL)
		return -1;
	return 0;
}

/* Who sent a probe, whatever the time. */
static const char *
lasting(ph_session *session)
{
	const char *prober = session->settings->address_verify_sender_ttl > 0
		? destination_prober(session, session->recipient) : NULL;

	return prober != NULL ? prober : session->recipient;
}

static int
accept_recipient(ph_session *session, const char *recipient,
	const struct ph_rcpt_parameters *given, ph_reply *reply)
{
	struct ph_rcpt_parameters parameters;

	if (keep_rcpt(session, recipient, given, &parameters) == -1)
		return session_refuse(reply, 452, "4.3.1", "Insufficient system storage");
	if (policy_check(session, POLICY_RCPT, "RCPT", reply) == -1 ||
		open_intake(session, reply) == -1)
		return -1;
	if (!session->rehearsal &&
		ph_intake_recipient(session->intake, lasting(session), &parameters) == -1)
		return session_refuse(reply, 452, "4.3.1", "Insufficient system storage");
	pass_discard_on(session);
	return 0;
}

int
ph_session_rcpt(ph_session *session, const char *recipient,
	const struct ph_rcpt_parameters *parameters, ph_reply *reply)
{
	int result;

	if (session->sender == NULL)
		return session_refuse(reply, 503, "5.5.1", "Error: need MAIL command");
	if (usage_count(session, RATE_RECIPIENT, reply) == -1)
		return -1;
	if (session->recipients >= (size_t)session->policy->smtpd_recipient_limit)
		return session_refuse(reply, 452, "4.5.3", "Error: too many recipients");
	result = accept_recipient(session, recipient, parameters, reply);
	if (result == 0)
		session->only_recipient = session->recipients++ == 0 ? session->recipient : NULL;
	session->recipient = NULL;
	return result;
}

/* ---- VRFY and ETRN --------------------------------------------------------------------------- */

int
ph_session_vrfy(ph_session *session, const char *address, ph_reply *reply)
{
	int result;

	if (session->policy->smtpd_helo_required && session->helo == NULL)
		return session_refuse(reply, 503, "5.5.1", "Error: send HELO/EHLO first");
	session->recipient = address;
	result = policy_check(session, POLICY_VRFY, "VRFY", reply);
	session->recipient = NULL;
	return result;
}

/* What comes of it when policy lets it pass. */
static int
start_etrn(ph_session *session, const char *domain, ph_reply *reply)
{
	ph_error error = {""};

	switch (ph_match(session->settings->fast_flush_domains, domain, &error)) {
	case PH_FOUND:
		break;
	case PH_NOT_FOUND:
		ph_log(PH_LOG_WARNING, "reject: ETRN %.100s... from %s", domain,
			ph_client_label(session));
		return session_refuse(reply, 459, "4.7.1", "<%s>: service unavailable", domain);
	case PH_FAILED:
		ph_log(PH_LOG_WARNING, "lookup of domain %s failed: %s", domain, error.text);
		return session_refuse(reply, 458, "4.3.0", "<%s>: unable to queue messages",
			domain);
	}
	if (session->rehearsal || queue_client_sweep(domain) == 0) {
		session_refuse(reply, 250, "2.0.0", "Queuing started");
		return 0;
	}
	return session_refuse(reply, 458, "4.3.0", "<%s>: unable to queue messages", domain);
}

int
ph_session_etrn(ph_session *session, const char *domain, ph_reply *reply)
{
	int result;

	if (session->policy->smtpd_helo_required && session->helo == NULL)
		return session_refuse(reply, 503, "5.5.1", "Error: send HELO/EHLO first");
	if (session->sender != NULL)
		return session_refuse(reply, 503, "5.5.1", "Error: MAIL transaction in progress");
	session->etrn_domain = domain;
	result = policy_check(session, POLICY_ETRN, "ETRN", reply);
	if (result == 0)
		result = start_etrn(session, domain, reply);
	session->etrn_domain = NULL;
	return result;
}

/* ---- DATA ------------------------------------------------------------------------------------ */

int
ph_session_data(ph_session *session, ph_reply *reply)
{
	if (session->sender == NULL)
		return session_refuse(reply, 503, "5.5.1", "Error: need RCPT command");
	if (session->recipients == 0)
		return session_refuse(reply, 554, "5.5.1", "Error: no valid recipients");
	session->in_data = true;
	if (policy_check(session, POLICY_DATA, "DATA", reply) == -1) {
		session->in_data = false;
		return -1;
	}
	pass_discard_on(session);
	return 0;
}

/* Is the content larger than a message may be? Nothing more of it is kept then. */
static bool
too_large(const ph_session *session)
{
	int64_t limit = session->settings->message_size_limit;

	return limit > 0 && session->content_size > limit;
}

void
ph_session_content(ph_session *session, ph_span bytes)
{
	/* What stands for the content of a rehearsal has the size that was announced. */
	if (session->rehearsal && session->announced > 0)
		return;
	session->content_size += (int64_t)bytes.size;
	if (session->intake != NULL && !too_large(session))
		(void)ph_intake_write(session->intake, bytes);
}

/* Why the message is refused before its commit: 0, or -1 with the reply, logged. */
static int
judge_content(ph_session *session, const ph_reply *refusal, ph_reply *reply)
{
	session->in_data = false;
	if (refusal != NULL)
		*reply = *refusal;
	else if (session->intake == NULL && !session->rehearsal)
		session_refuse(reply, 503, "5.5.1", "Error: need RCPT command");
	else if (too_large(session))
		session_refuse(reply, 552, "5.3.4", "Error: message file too big");
	else
		return policy_check(session, POLICY_END_OF_DATA, "END-OF-MESSAGE", reply);
	policy_log(session, "reject", "END-OF-MESSAGE", reply);
	return -1;
}

/* What the intake says of it is the reply. */
static void
queue_message(ph_session *session, ph_reply *reply)
{
	ph_intake_result result;

	if (session->rehearsal) {
		session_refuse(reply, 250, "2.0.0", "Ok: queued as (nothing is: a rehearsal)");
		return;
	}
	pass_discard_on(session);
	wishes_grant(session);
	result = ph_intake_commit(session->intake, reply);
	session->intake = NULL;
	if (result == PH_INTAKE_REFUSED)
		policy_log(session, "reject", "END-OF-MESSAGE", reply);
}

void
ph_session_end_of_data(ph_session *session, const ph_reply *refusal, ph_reply *reply)
{
	memset(reply, 0, sizeof(*reply));
	if (judge_content(session, refusal, reply) == 0)
		queue_message(session, reply);
	ph_session_reset(session);
}
