/*
 * restriction_recipient: the address of RCPT, and who may relay to it.
 */
#include <posthouse/restriction.h>

#include <string.h>

#include "backup.h"

struct recipient {
	int64_t non_fqdn_code;
	int64_t relay_code;
	int64_t unknown_code;
	const ph_networks *backup_networks;
	bool any_backup; /* no networks are set */
	struct ph_unverified unverified;
	int unknown_action;
};

#define UNVERIFIED(field) \
	(offsetof(struct recipient, unverified) + offsetof(struct ph_unverified, field))

static const struct ph_param params[] = {
	{"non_fqdn_reject_code", PH_INT, 0, offsetof(struct recipient, non_fqdn_code), "504", 400, 599, NULL,
		"The reply code of restrictions that ask for a fully qualified name."},
	{"permit_mx_backup_networks", PH_NETWORKS, 0, offsetof(struct recipient, backup_networks), "", 0, 0,
		NULL, "Where the best mail exchangers of a domain must all be for permit_mx_backup; "
		"empty: anywhere."},
	{"relay_domains_reject_code", PH_INT, 0, offsetof(struct recipient, relay_code), "554", 400, 599,
		NULL, "The reply code of reject_unauth_destination."},
	{"unknown_address_reject_code", PH_INT, 0, offsetof(struct recipient, unknown_code), "450", 400,
		599, NULL, "The reply code of restrictions on addresses in domains that do not exist."},
	{"unknown_address_tempfail_action", PH_ENUM, 0, offsetof(struct recipient, unknown_action),
		"$reject_tempfail_action", 0, 0, "defer_if_permit, defer",
		"What restrictions on addresses in domains that do not exist do when a lookup failed for now: "
		"defer_if_permit, defer."},
	{"unverified_recipient_defer_code", PH_INT, 0, UNVERIFIED(defer_code), "450", 250, 599, NULL,
		"The reply code of reject_unverified_recipient when a probe found out nothing for now; 250: it is "
		"let pass."},
	{"unverified_recipient_reject_code", PH_INT, 0, UNVERIFIED(reject_code), "450", 250, 599, NULL,
		"The reply code of reject_unverified_recipient when a probe found that nobody has the address; "
		"250: it is let pass; 550 where the answers of the probed servers have proved right."},
	{"unverified_recipient_reject_reason", PH_STRING, 0, UNVERIFIED(reason), "", 0, 0, NULL,
		"What reject_unverified_recipient says in place of what a probe found out; empty: that."},
	{"unverified_recipient_tempfail_action", PH_ENUM, 0, UNVERIFIED(tempfail_action),
		"$reject_tempfail_action", 0, 0, "defer_if_permit, defer",
		"What reject_unverified_recipient does when a probe found out nothing for now: defer_if_permit, "
		"defer."},
};

static ph_verdict
lookup_failed(ph_session *session)
{
	return ph_defer(session, 451, "4.3.0", "<%s>: Temporary lookup failure", ph_recipient(session));
}

static ph_verdict
refuse_relaying(ph_session *session, int code, const char *status)
{
	switch (ph_destination_of(session, ph_recipient(session))) {
	case PH_DESTINATION_FINAL:
	case PH_DESTINATION_RELAY:
		return PH_DUNNO;
	case PH_DESTINATION_FAILED:
		return lookup_failed(session);
	case PH_DESTINATION_FOREIGN:
		break;
	}
	return ph_refuse(session, code, status, "<%s>: Relay access denied", ph_recipient(session));
}

static ph_verdict
reject_unauth_destination(const ph_rule *rule, ph_session *session)
{
	const struct recipient *self = ph_rule_instance(rule);

	return refuse_relaying(session, (int)self->relay_code, "5.7.1");
}

static ph_verdict
defer_unauth_destination(const ph_rule *rule, ph_session *session)
{
	return refuse_relaying(session, 454, "4.7.1");
}

static ph_verdict
permit_auth_destination(const ph_rule *rule, ph_session *session)
{
	switch (ph_destination_of(session, ph_recipient(session))) {
	case PH_DESTINATION_FINAL:
	case PH_DESTINATION_RELAY:
		return PH_PERMIT;
	case PH_DESTINATION_FAILED:
		return lookup_failed(session);
	case PH_DESTINATION_FOREIGN:
		break;
	}
	return PH_DUNNO;
}

/* Nobody's DNS decides about an address literal, nor about a local part that hides another route. */
static ph_verdict
permit_mx_backup(const ph_rule *rule, ph_session *session)
{
	const struct recipient *self = ph_rule_instance(rule);
	ph_verdict verdict = permit_auth_destination(rule, session);
	ph_pool *pool = ph_scratch_pool(session);
	const char *local;

	if (verdict != PH_DUNNO || ph_recipient_domain(session)[0] == '[')
		return verdict;
	local = ph_address_unquoted(pool, ph_recipient(session));
	if (local == NULL || strpbrk(local, "@%!") != NULL)
		return PH_DUNNO;
	return backup_check(session, self->any_backup ? NULL : self->backup_networks);
}

static ph_verdict
reject_non_fqdn_recipient(const ph_rule *rule, ph_session *session)
{
	const struct recipient *self = ph_rule_instance(rule);
	const char *domain = ph_recipient_domain(session);

	if (strchr(domain, '.') != NULL || ph_is_literal(domain, NULL))
		return PH_DUNNO;
	return ph_refuse(session, (int)self->non_fqdn_code, "5.5.2",
		"<%s>: Recipient address rejected: need fully-qualified address", ph_recipient(session));
}

static ph_verdict
reject_unknown_recipient_domain(const ph_rule *rule, ph_session *session)
{
	const struct recipient *self = ph_rule_instance(rule);
	const char *recipient = ph_recipient(session), *domain = ph_recipient_domain(session);
	ph_destination destination = ph_destination_of(session, recipient);

	if (destination == PH_DESTINATION_FAILED)
		return lookup_failed(session);
	if (destination != PH_DESTINATION_FOREIGN || domain[0] == '\0')
		return PH_DUNNO;
	switch (ph_mail_domain_of(session, domain)) {
	case PH_MAIL_DOMAIN_FOUND:
		return PH_DUNNO;
	case PH_MAIL_DOMAIN_FAILED:
		return ph_tempfail(session, self->unknown_action, 450, "4.1.2",
			"<%s>: Recipient address rejected: Domain not found", recipient);
	case PH_MAIL_DOMAIN_UNKNOWN:
		return ph_refuse(session, (int)self->unknown_code, "4.1.2",
			"<%s>: Recipient address rejected: Domain not found", recipient);
	case PH_MAIL_DOMAIN_MALFORMED:
		return ph_refuse(session, (int)self->unknown_code, "4.1.2",
			"<%s>: Recipient address rejected: Malformed DNS server reply", recipient);
	case PH_MAIL_DOMAIN_NULL_MX:
		return ph_reject(session, 556, "5.1.10",
			"<%s>: Recipient address rejected: Domain %s does not accept mail (nullMX)", recipient,
			domain);
	}
	return PH_DUNNO;
}

static ph_verdict
reject_unlisted_recipient(const ph_rule *rule, ph_session *session)
{
	return ph_refuse_unlisted(session, ph_recipient(session), false);
}

static ph_verdict
reject_unverified_recipient(const ph_rule *rule, ph_session *session)
{
	const struct recipient *self = ph_rule_instance(rule);
	struct ph_unverified how = self->unverified;

	how.size = sizeof(how);
	return ph_refuse_unverified(session, ph_recipient(session), false, &how);
}

static int
recipient_open(void *self, ph_error *error)
{
	struct recipient *recipient = self;

	recipient->any_backup = ph_global("permit_mx_backup_networks")[0] == '\0';
	return 0;
}

static const struct ph_restriction restrictions[] = {
	{.name = "check_recipient_maps", .stage = PH_STAGE_RECIPIENT,
		.check = reject_unlisted_recipient, .instead = "reject_unlisted_recipient",
		.doc = "The old name of reject_unlisted_recipient."},
	{.name = "check_relay_domains", .stage = PH_STAGE_RECIPIENT | PH_REFUSES_STRANGERS,
		.check = reject_unauth_destination, .instead = "reject_unauth_destination",
		.doc = "An old way to refuse relaying; here it is reject_unauth_destination."},
	{.name = "defer_unauth_destination", .stage = PH_STAGE_RECIPIENT | PH_REFUSES_STRANGERS,
		.check = defer_unauth_destination,
		.doc = "Defers recipients in domains that we neither receive nor relay for."},
	{.name = "permit_auth_destination", .stage = PH_STAGE_RECIPIENT,
		.check = permit_auth_destination,
		.doc = "Permits recipients in domains that we receive or relay for."},
	{.name = "permit_mx_backup", .stage = PH_STAGE_RECIPIENT,
		.check = permit_mx_backup,
		.doc = "Permits recipients in domains that name this host as a mail exchanger, and in those that "
		       "we receive or relay for; see permit_mx_backup_networks."},
	{.name = "reject_non_fqdn_recipient", .stage = PH_STAGE_RECIPIENT,
		.check = reject_non_fqdn_recipient,
		.doc = "Refuses recipients whose domain is not fully qualified."},
	{.name = "reject_unauth_destination", .stage = PH_STAGE_RECIPIENT | PH_REFUSES_STRANGERS,
		.check = reject_unauth_destination,
		.doc = "Refuses recipients in domains that we neither receive nor relay for."},
	{.name = "reject_unknown_recipient_domain", .stage = PH_STAGE_RECIPIENT,
		.check = reject_unknown_recipient_domain,
		.doc = "Refuses recipients in a domain with neither a mail exchanger nor an address, or with a "
		       "malformed MX record; not those in domains that we receive or relay for."},
	{.name = "reject_unlisted_recipient", .stage = PH_STAGE_RECIPIENT,
		.check = reject_unlisted_recipient,
		.doc = "Refuses recipients that nobody has: those that the table of their domain's class does "
		       "not list, those that have moved, and those whose mail goes nowhere."},
	{.name = "reject_unverified_recipient", .stage = PH_STAGE_RECIPIENT | PH_ASKS_OTHERS,
		.check = reject_unverified_recipient,
		.doc = "Refuses recipients to which mail cannot be delivered, as a probe finds out; see doc/VERIFY.md."},
};

PH_MODULE(restriction_recipient, "1.0", "restrictions by the recipient's address, and on relaying",
	PH_INSTANCE(struct recipient, params), PH_LIFE(.open = recipient_open),
	PH_RESTRICTION_TABLE(restrictions));
