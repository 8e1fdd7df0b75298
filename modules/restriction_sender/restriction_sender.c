/*
 * restriction_sender: the address of MAIL. Not asked for "<>".
 */
#include <posthouse/restriction.h>

#include <string.h>

#include "login.h"

struct sender {
	int64_t non_fqdn_code;
	int64_t unknown_code;
	const ph_map *login_maps;
	struct ph_unverified unverified;
	int unknown_action;
};

#define UNVERIFIED(field) \
	(offsetof(struct sender, unverified) + offsetof(struct ph_unverified, field))

static const struct ph_param params[] = {
	{"non_fqdn_reject_code", PH_INT, 0, offsetof(struct sender, non_fqdn_code), "504", 400, 599, NULL,
		"The reply code of restrictions that ask for a fully qualified name."},
	{"smtpd_sender_login_maps", PH_MAP_REF, 0, offsetof(struct sender, login_maps), NULL, 0, 0, NULL,
		"Tables of sender addresses and of the login names that own them."},
	{"unknown_address_reject_code", PH_INT, 0, offsetof(struct sender, unknown_code), "450", 400, 599,
		NULL, "The reply code of restrictions on addresses in domains that do not exist."},
	{"unknown_address_tempfail_action", PH_ENUM, 0, offsetof(struct sender, unknown_action),
		"$reject_tempfail_action", 0, 0, "defer_if_permit, defer",
		"What restrictions on addresses in domains that do not exist do when a lookup failed for now: "
		"defer_if_permit, defer."},
	{"unverified_sender_defer_code", PH_INT, 0, UNVERIFIED(defer_code), "450", 250, 599, NULL,
		"The reply code of reject_unverified_sender when a probe found out nothing for now; 250: it is "
		"let pass."},
	{"unverified_sender_reject_code", PH_INT, 0, UNVERIFIED(reject_code), "450", 250, 599, NULL,
		"The reply code of reject_unverified_sender when a probe found that nobody has the address; "
		"250: it is let pass; 550 where the answers of the probed servers have proved right."},
	{"unverified_sender_reject_reason", PH_STRING, 0, UNVERIFIED(reason), "", 0, 0, NULL,
		"What reject_unverified_sender says in place of what a probe found out; empty: that."},
	{"unverified_sender_tempfail_action", PH_ENUM, 0, UNVERIFIED(tempfail_action),
		"$reject_tempfail_action", 0, 0, "defer_if_permit, defer",
		"What reject_unverified_sender does when a probe found out nothing for now: defer_if_permit, "
		"defer."},
};

static ph_verdict
reject_non_fqdn_sender(const ph_rule *rule, ph_session *session)
{
	const struct sender *self = ph_rule_instance(rule);
	const char *domain = ph_sender_domain(session);

	if (strchr(domain, '.') != NULL || ph_is_literal(domain, NULL))
		return PH_DUNNO;
	return ph_refuse(session, (int)self->non_fqdn_code, "5.5.2",
		"<%s>: Sender address rejected: need fully-qualified address", ph_sender(session));
}

static ph_verdict
reject_unknown_sender_domain(const ph_rule *rule, ph_session *session)
{
	const struct sender *self = ph_rule_instance(rule);
	const char *sender = ph_sender(session), *domain = ph_sender_domain(session);
	ph_destination destination = ph_destination_of(session, sender);

	if (destination == PH_DESTINATION_FAILED)
		return ph_defer(session, 451, "4.3.0", "<%s>: Temporary lookup failure", sender);
	if (destination == PH_DESTINATION_FINAL || domain[0] == '\0')
		return PH_DUNNO;
	switch (ph_mail_domain_of(session, domain)) {
	case PH_MAIL_DOMAIN_FOUND:
		return PH_DUNNO;
	case PH_MAIL_DOMAIN_FAILED:
		return ph_tempfail(session, self->unknown_action, 450, "4.1.8",
			"<%s>: Sender address rejected: Domain not found", sender);
	case PH_MAIL_DOMAIN_UNKNOWN:
		return ph_refuse(session, (int)self->unknown_code, "4.1.8",
			"<%s>: Sender address rejected: Domain not found", sender);
	case PH_MAIL_DOMAIN_MALFORMED:
		return ph_refuse(session, (int)self->unknown_code, "4.1.8",
			"<%s>: Sender address rejected: Malformed DNS server reply", sender);
	case PH_MAIL_DOMAIN_NULL_MX:
		return ph_reject(session, 550, "5.7.27",
			"<%s>: Sender address rejected: Domain %s does not accept mail (nullMX)", sender, domain);
	}
	return PH_DUNNO;
}

static ph_verdict
reject_unlisted_sender(const ph_rule *rule, ph_session *session)
{
	return ph_refuse_unlisted(session, ph_sender(session), true);
}

static ph_verdict
reject_unverified_sender(const ph_rule *rule, ph_session *session)
{
	const struct sender *self = ph_rule_instance(rule);
	struct ph_unverified how = self->unverified;

	how.size = sizeof(how);
	return ph_refuse_unverified(session, ph_sender(session), true, &how);
}

static ph_verdict
reject_authenticated_sender_login_mismatch(const ph_rule *rule, ph_session *session)
{
	const struct sender *self = ph_rule_instance(rule);

	return login_check_owner(session, self->login_maps, false);
}

static ph_verdict
reject_known_sender_login_mismatch(const ph_rule *rule, ph_session *session)
{
	const struct sender *self = ph_rule_instance(rule);
	ph_verdict verdict = login_check_owner(session, self->login_maps, true);

	return verdict != PH_DUNNO ? verdict : login_check_stranger(session, self->login_maps);
}

static ph_verdict
reject_unauthenticated_sender_login_mismatch(const ph_rule *rule, ph_session *session)
{
	const struct sender *self = ph_rule_instance(rule);

	return login_check_stranger(session, self->login_maps);
}

static ph_verdict
reject_sender_login_mismatch(const ph_rule *rule, ph_session *session)
{
	ph_verdict verdict = reject_authenticated_sender_login_mismatch(rule, session);

	return verdict != PH_DUNNO ? verdict
		: reject_unauthenticated_sender_login_mismatch(rule, session);
}

static const struct ph_restriction restrictions[] = {
	{.name = "reject_authenticated_sender_login_mismatch", .stage = PH_STAGE_SENDER,
		.check = reject_authenticated_sender_login_mismatch,
		.doc = "Refuses a sender that the client, which has logged in, does not own in "
		       "$smtpd_sender_login_maps."},
	{.name = "reject_known_sender_login_mismatch", .stage = PH_STAGE_SENDER,
		.check = reject_known_sender_login_mismatch,
		.doc = "Refuses a sender that $smtpd_sender_login_maps has and that the client, logged in or "
		       "not, does not own."},
	{.name = "reject_non_fqdn_sender", .stage = PH_STAGE_SENDER,
		.check = reject_non_fqdn_sender,
		.doc = "Refuses senders whose domain is not fully qualified."},
	{.name = "reject_sender_login_mismatch", .stage = PH_STAGE_SENDER,
		.check = reject_sender_login_mismatch,
		.doc = "Refuses a sender that $smtpd_sender_login_maps gives to others: what both "
		       "reject_authenticated_… and reject_unauthenticated_sender_login_mismatch refuse."},
	{.name = "reject_unauthenticated_sender_login_mismatch", .stage = PH_STAGE_SENDER,
		.check = reject_unauthenticated_sender_login_mismatch,
		.doc = "Refuses a sender that $smtpd_sender_login_maps has to clients that have not logged in."},
	{.name = "reject_unknown_address", .stage = PH_STAGE_SENDER,
		.check = reject_unknown_sender_domain, .instead = "reject_unknown_sender_domain",
		.doc = "The old name of reject_unknown_sender_domain."},
	{.name = "reject_unknown_sender_domain", .stage = PH_STAGE_SENDER,
		.check = reject_unknown_sender_domain,
		.doc = "Refuses senders in a domain with neither a mail exchanger nor an address, or with a "
		       "malformed MX record; not those in our own."},
	{.name = "reject_unlisted_sender", .stage = PH_STAGE_SENDER,
		.check = reject_unlisted_sender,
		.doc = "Refuses senders in our own domains that nobody has: those that would be refused by "
		       "reject_unlisted_recipient."},
	{.name = "reject_unverified_sender", .stage = PH_STAGE_SENDER | PH_ASKS_OTHERS,
		.check = reject_unverified_sender,
		.doc = "Refuses senders to which mail could not be returned, as a probe finds out; see doc/VERIFY.md."},
};

PH_MODULE(restriction_sender, "1.0", "restrictions by the sender's address",
	PH_INSTANCE(struct sender, params), PH_RESTRICTION_TABLE(restrictions));
