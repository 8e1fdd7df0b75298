/*
 * Can mail be delivered to this address? The queue role is asked, which remembers, or sends a
 * probe.
 */
#include <posthouse/log.h>
#include <posthouse/restriction.h>
#include <posthouse/task.h>

#include <string.h>

#include "queue/verify_cache.h"
#include "queue/verify_client.h"
#include "queue/verify_file.h"
#include "session/session.h"

struct question {
	ph_session *session;
	const char *address;
	bool sender;
	const struct ph_unverified *how;
	enum verify_status status;
	char *text;
};

/* Milliseconds that a client waits for a probe: address_verify_poll_count questions. */
static int64_t
patience_of(const struct settings *settings)
{
	return (settings->address_verify_poll_count - 1) * settings->address_verify_poll_delay;
}

/* ---- Without a server ------------------------------------------------------------------------ */

/* Domains as the cache has them. NULL: no memory. */
static const char *
key_of(const struct question *question)
{
	char *key = ph_pool_strdup(ph_scratch_pool(question->session), question->address);
	char *at = key == NULL ? NULL
		: key + (ph_address_domain(question->address) - question->address);

	for (; at != NULL && *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + ('a' - 'A'));
	return key;
}

static void
look(struct question *question, struct verify_cache *cache)
{
	const struct settings *settings = question->session->settings;
	const char *path = settings->address_verify_map, *key = key_of(question);
	int64_t now = ph_wall_clock() / 1000000;
	struct verify_reading reading;
	struct verify_answer answer;
	ph_error error = {""};

	if (key == NULL || (*path != '\0' &&
		verify_file_read(path, cache, now, &reading, &error) == PH_FAILED)) {
		ph_explain(question->session, "address_verify_map: %s cannot be read: %s", path,
			error.text);
		return;
	}
	verify_cache_look(cache, ph_span_of(key), now, &answer);
	question->status = answer.status;
	memcpy(question->text, answer.text, strlen(answer.text) + 1);
}

/* A rehearsal sends no probe: it reads what the server has found out, but for the last second.
 * False: nothing is known. */
static bool
look_only(struct question *question)
{
	const struct settings *settings = question->session->settings;
	struct verify_limits limits = verify_limits_of(settings);
	struct verify_cache *cache = verify_cache_new(&limits);

	question->status = VERIFY_IN_PROGRESS;
	if (cache != NULL)
		look(question, cache);
	verify_cache_free(cache);
	if (question->status != VERIFY_IN_PROGRESS)
		return true;
	ph_explain(question->session,
		"%s: nothing is known in address_verify_map (%s); a server would send a "
		"probe and wait for it up to %lld ms, then refuse for now with code %lld; taken as deliverable",
		question->address, *settings->address_verify_map == '\0' ? "memory only"
		: settings->address_verify_map, (long long)patience_of(settings),
		(long long)question->how->defer_code);
	return false;
}

/* ---- Replies --------------------------------------------------------------------------------- */

static ph_verdict
later(const struct question *question, int code, const char *what, const char *why)
{
	return ph_tempfail(question->session, question->how->tempfail_action, code,
		question->sender ? "4.1.7" : "4.1.1", "<%s>: %s address rejected: %s%.250s",
		question->address, question->sender ? "Sender" : "Recipient", what, why);
}

static ph_verdict
reply(const struct question *question, int64_t code)
{
	const char *why = *question->how->reason != '\0' ? question->how->reason : question->text;

	if (code < 300)
		return PH_DUNNO;
	if (code < 500)
		return later(question, (int)code, "unverified address: ", why);
	return ph_reject(question->session, (int)code, question->sender ? "5.1.7" : "5.1.1",
		"<%s>: %s address rejected: undeliverable address: %s", question->address,
		question->sender ? "Sender" : "Recipient", why);
}

static ph_verdict
judge(const struct question *question)
{
	switch (question->status) {
	case VERIFY_DELIVERABLE:
		ph_explain(question->session, "%s is deliverable: %s", question->address,
			question->text);
		return PH_DUNNO;
	case VERIFY_DEFERRED:
	case VERIFY_IN_PROGRESS:
		break;
	case VERIFY_UNDELIVERABLE:
		return reply(question, question->how->reject_code);
	}
	return reply(question, question->how->defer_code);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static ph_verdict
ask(struct question *question)
{
	ph_session *session = question->session;

	if (session->rehearsal)
		return look_only(question) ? judge(question) : PH_DUNNO;
	if (verify_client_ask(ph_scratch_pool(session), question->address,
		patience_of(session->settings), &question->status, question->text) == PH_FOUND)
		return judge(question);
	if (ph_task_cancelled())
		return ph_defer(session, 451, "4.3.2", "Service is shutting down");
	ph_log(PH_LOG_WARNING,
		"address verification service failure: the queue process does not answer");
	return later(question, 450, "address verification problem", "");
}

/* Probes of ours, and those of others about ours, are no reason for more of them. */
static bool
is_of_probes(const struct question *question)
{
	ph_session *session = question->session;

	return destination_prober(session, question->address) != NULL ||
		(session->sender != NULL && destination_prober(session, session->sender) != NULL);
}

ph_verdict
ph_refuse_unverified(ph_session *session, const char *address, bool sender,
	const struct ph_unverified *how)
{
	struct question question = {.session = session, .address = address, .sender = sender,
		.how = how};

	if (*address == '\0')
		return PH_DUNNO;
	if (is_of_probes(&question)) {
		ph_explain(session, "$address_verify_sender is part of it: nothing is verified");
		return PH_DUNNO;
	}
	question.text = ph_pool_alloc(ph_scratch_pool(session), VERIFY_TEXT_MAX + 1);
	if (question.text == NULL || strlen(address) > VERIFY_ADDRESS_MAX)
		return ph_defer(session, 451, "4.3.0", "<%s>: Temporary lookup failure", address);
	return ask(&question);
}
