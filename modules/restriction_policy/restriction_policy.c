/*
 * restriction_policy: policy servers, asked over the SMTP access policy delegation protocol.
 */
#include <posthouse/restriction.h>

#include "ask.h"
#include "request.h"
#include "service.h"

struct policy {
	struct service_settings settings;
	struct links *links;
};

#define SETTING(field) (offsetof(struct policy, settings) + offsetof(struct service_settings, field))

static const struct ph_param params[] = {
	{"smtpd_policy_service_default_action", PH_STRING, 0, SETTING(default_action),
		"451 4.3.5 Server configuration problem", 0, 0, NULL,
		"What is done when a policy server gives no answer: a result as access tables have them."},
	{"smtpd_policy_service_max_idle", PH_TIME, 0, SETTING(max_idle), "300s", 1000, 604800000, NULL,
		"How long an unused connection to a policy server is kept."},
	{"smtpd_policy_service_max_ttl", PH_TIME, 0, SETTING(max_ttl), "1000s", 1000, 604800000, NULL,
		"How long a connection to a policy server is used."},
	{"smtpd_policy_service_policy_context", PH_STRING, 0, SETTING(policy_context), "", 0, 0, NULL,
		"What policy servers get as policy_context, to tell callers apart."},
	{"smtpd_policy_service_request_limit", PH_INT, 0, SETTING(request_limit), "0", 0, INT32_MAX, NULL,
		"How many requests go over one connection to a policy server; 0 for no limit."},
	{"smtpd_policy_service_retry_delay", PH_TIME, 0, SETTING(retry_delay), "1s", 1, 604800000, NULL,
		"How long to wait before a policy server that gave no answer is asked again."},
	{"smtpd_policy_service_timeout", PH_TIME, 0, SETTING(timeout), "100s", 1, 604800000, NULL,
		"How long a policy server may take to accept a connection, and to answer."},
	{"smtpd_policy_service_try_limit", PH_INT, 0, SETTING(try_limit), "2", 1, INT32_MAX, NULL,
		"How often a policy server is asked before smtpd_policy_service_default_action applies."},
};

static int
prepare(const void *instance, ph_pool *pool, const char *argument, const void **prepared,
	ph_error *error)
{
	struct service *service = ph_pool_alloc(pool, sizeof(*service));

	if (service == NULL)
		return ph_error_set(error, "out of memory");
	*prepared = service;
	return service_parse(service, pool, ph_span_of(argument), error);
}

/* No answer: what was said to do then is done, unless nobody waits for it any more. */
static ph_verdict
go_without(ph_session *session, const struct service_settings *settings, const char *why,
	const struct ph_subject *subject)
{
	ph_explain(session, "%s gave no answer: %s; the default action is \"%s\"", subject->source, why,
		settings->default_action);
	if (ph_task_cancelled())
		return ph_defer(session, 451, "4.3.2", "Service is shutting down");
	return ph_apply_result(session, settings->default_action, subject);
}

static ph_verdict
check_policy_service(const ph_rule *rule, ph_session *session)
{
	const struct policy *self = ph_rule_instance(rule);
	const struct service *service = ph_rule_prepared(rule);
	struct service_settings settings = service_settings(service, &self->settings);
	struct question question = {.links = self->links, .service = service, .settings = &settings,
		.pool = ph_scratch_pool(session)};
	struct ph_subject subject = {.size = sizeof(subject), .source = service->name};
	const char *action;
	ph_error error;

	if (!request_make(session, question.pool, settings.policy_context, &question.request))
		return ph_defer(session, 451, "4.3.0", "Insufficient system resources");
	action = question_ask(&question, &error);
	if (action == NULL)
		return go_without(session, &settings, error.text, &subject);
	ph_explain(session, "asked %s about %s of %s: \"%s\"", service->name, ph_command(session),
		ph_list_object(session), action);
	return ph_apply_result(session, action, &subject);
}

/* ---- Life -------------------------------------------------------------------------------------- */

static int
policy_check(void *instance, ph_error *error)
{
	const struct policy *self = instance;

	return self->settings.default_action[0] != '\0' ? 0
		: ph_error_set(error, "smtpd_policy_service_default_action is empty; write for example DUNNO");
}

static int
policy_open(void *instance, ph_error *error)
{
	struct policy *self = instance;

	self->links = links_new();
	return self->links != NULL ? 0 : ph_error_set(error, "out of memory");
}

static void
policy_stop(void *instance)
{
	struct policy *self = instance;

	links_stop(self->links);
}

static void
policy_close(void *instance)
{
	struct policy *self = instance;

	links_free(self->links);
	self->links = NULL;
}

static const struct ph_restriction restrictions[] = {
	{.name = "check_policy_service", .stage = PH_STAGE_ANY | PH_ASKS_OTHERS, .argument = PH_ARGUMENT_STRING,
		.check = check_policy_service, .prepare = prepare,
		.example = "check_policy_service inet:127.0.0.1:10023",
		.doc = "Asks a policy server, which answers as an access table does."},
};

PH_MODULE(restriction_policy, "1.0", "policy servers",
	PH_INSTANCE(struct policy, params),
	PH_LIFE(.check = policy_check, .open = policy_open, .stop = policy_stop, .close = policy_close),
	PH_RESTRICTION_TABLE(restrictions));
