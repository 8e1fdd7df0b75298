/*
 * restriction_data: what is judged when all recipients are known.
 */
#include <posthouse/restriction.h>

struct data {
	int64_t multi_recipient_bounce_code;
};

static const struct ph_param params[] = {
	{"multi_recipient_bounce_reject_code", PH_INT, 0,
		offsetof(struct data, multi_recipient_bounce_code), "550", 400, 599, NULL,
		"The reply code of reject_multi_recipient_bounce."},
};

/* A report goes to the one who sent the message. In the recipient list it is the second that is
 * refused. */
static ph_verdict
reject_multi_recipient_bounce(const ph_rule *rule, ph_session *session)
{
	const struct data *self = ph_rule_instance(rule);
	bool in_hand = ph_recipient(session)[0] != '\0';
	size_t recipients = ph_recipient_count(session) + (in_hand ? 1 : 0);

	if (!ph_has_sender(session) || ph_sender(session)[0] != '\0' || recipients < 2)
		return PH_DUNNO;
	return ph_refuse(session, (int)self->multi_recipient_bounce_code, "5.5.3",
		"<%s>: %s rejected: Multi-recipient bounce", ph_list_object(session), ph_list_class(session));
}

static ph_verdict
reject_unauth_pipelining(const ph_rule *rule, ph_session *session)
{
	if (!ph_client_pipelined(session))
		return PH_DUNNO;
	return ph_reject(session, 503, "5.5.0", "<%s>: %s rejected: Improper use of SMTP command pipelining",
		ph_list_object(session), ph_list_class(session));
}

static const struct ph_restriction restrictions[] = {
	{.name = "reject_multi_recipient_bounce", .stage = PH_STAGE_ANY,
		.check = reject_multi_recipient_bounce,
		.doc = "Refuses a message from \"<>\" to more than one recipient."},
	{.name = "reject_unauth_pipelining", .stage = PH_STAGE_ANY,
		.check = reject_unauth_pipelining,
		.doc = "Refuses clients that send ahead where they must wait for an answer."},
};

PH_MODULE(restriction_data, "1.0", "restrictions when all recipients are known",
	PH_INSTANCE(struct data, params), PH_RESTRICTION_TABLE(restrictions));
