/*
 * restriction_helo: the name that the client gave with HELO or EHLO. Not asked without one.
 */
#include <posthouse/restriction.h>

#include <string.h>

struct helo {
	int64_t invalid_code;
	int64_t non_fqdn_code;
	int64_t unknown_code;
	int unknown_action;
};

static const struct ph_param params[] = {
	{"invalid_hostname_reject_code", PH_INT, 0, offsetof(struct helo, invalid_code), "501", 400, 599,
		NULL, "The reply code of reject_invalid_helo_hostname."},
	{"non_fqdn_reject_code", PH_INT, 0, offsetof(struct helo, non_fqdn_code), "504", 400, 599, NULL,
		"The reply code of restrictions that ask for a fully qualified name."},
	{"unknown_helo_hostname_tempfail_action", PH_ENUM, 0, offsetof(struct helo, unknown_action),
		"$reject_tempfail_action", 0, 0, "defer_if_permit, defer",
		"What reject_unknown_helo_hostname does when a lookup failed for now: defer_if_permit, defer."},
	{"unknown_hostname_reject_code", PH_INT, 0, offsetof(struct helo, unknown_code), "450", 400, 599,
		NULL, "The reply code of reject_unknown_helo_hostname."},
};

/* The name without a final dot; NULL without memory. */
static const char *
helo_name(ph_session *session)
{
	const char *helo = ph_helo(session);
	size_t size = strlen(helo);

	if (size > 1 && helo[size - 1] == '.')
		size--;
	return ph_pool_copy(ph_scratch_pool(session), (ph_span){helo, size});
}

static ph_verdict
no_memory(ph_session *session)
{
	return ph_defer(session, 451, "4.3.0", "Insufficient system resources");
}

static ph_verdict
reject_invalid_helo_hostname(const ph_rule *rule, ph_session *session)
{
	const struct helo *self = ph_rule_instance(rule);
	const char *name = helo_name(session);

	if (name == NULL)
		return no_memory(session);
	if (name[0] == '[' ? ph_is_literal(name, NULL) : ph_is_hostname(name))
		return PH_DUNNO;
	return ph_refuse(session, (int)self->invalid_code, "5.5.2", "<%s>: Helo command rejected: Invalid %s",
		ph_helo(session), name[0] == '[' ? "ip address" : "name");
}

static ph_verdict
reject_non_fqdn_helo_hostname(const ph_rule *rule, ph_session *session)
{
	const struct helo *self = ph_rule_instance(rule);
	const char *name = helo_name(session);

	if (name == NULL)
		return no_memory(session);
	if (ph_is_fqdn(name) || ph_is_literal(name, NULL))
		return PH_DUNNO;
	return ph_refuse(session, (int)self->non_fqdn_code, "5.5.2",
		"<%s>: Helo command rejected: need fully-qualified hostname", ph_helo(session));
}

static ph_verdict
reject_unknown_helo_hostname(const ph_rule *rule, ph_session *session)
{
	const struct helo *self = ph_rule_instance(rule);
	const char *name = helo_name(session);
	ph_mail_domain found;

	if (name == NULL)
		return no_memory(session);
	found = ph_mail_domain_of(session, name);
	if (found == PH_MAIL_DOMAIN_FAILED)
		return ph_tempfail(session, self->unknown_action, 450, "4.7.1",
			"<%s>: Helo command rejected: Host not found", ph_helo(session));
	if (found != PH_MAIL_DOMAIN_UNKNOWN)
		return PH_DUNNO;
	return ph_refuse(session, (int)self->unknown_code, "4.7.1",
		"<%s>: Helo command rejected: Host not found", ph_helo(session));
}

/* Once an exception for clients that left the brackets of an address out. It never was meant to let
 * anybody relay: in other lists it says nothing. */
static ph_verdict
permit_naked_ip_address(const ph_rule *rule, ph_session *session)
{
	ph_address address;

	return strcmp(ph_list_class(session), "Helo command") == 0 &&
		ph_address_parse(ph_span_of(ph_helo(session)), &address) == 0 ? PH_PERMIT : PH_DUNNO;
}

static const struct ph_restriction restrictions[] = {
	{.name = "permit_naked_ip_address", .stage = PH_STAGE_HELO,
		.check = permit_naked_ip_address, .instead = "permit_mynetworks",
		.doc = "Permits, in the HELO list, names that are an address without brackets."},
	{.name = "reject_invalid_helo_hostname", .stage = PH_STAGE_HELO,
		.check = reject_invalid_helo_hostname,
		.doc = "Refuses names that are malformed."},
	{.name = "reject_non_fqdn_helo_hostname", .stage = PH_STAGE_HELO,
		.check = reject_non_fqdn_helo_hostname,
		.doc = "Refuses names that are neither fully qualified nor an address literal."},
	{.name = "reject_invalid_hostname", .stage = PH_STAGE_HELO,
		.check = reject_invalid_helo_hostname, .instead = "reject_invalid_helo_hostname",
		.doc = "The old name of reject_invalid_helo_hostname."},
	{.name = "reject_non_fqdn_hostname", .stage = PH_STAGE_HELO,
		.check = reject_non_fqdn_helo_hostname, .instead = "reject_non_fqdn_helo_hostname",
		.doc = "The old name of reject_non_fqdn_helo_hostname."},
	{.name = "reject_unknown_hostname", .stage = PH_STAGE_HELO,
		.check = reject_unknown_helo_hostname, .instead = "reject_unknown_helo_hostname",
		.doc = "The old name of reject_unknown_helo_hostname."},
	{.name = "reject_unknown_helo_hostname", .stage = PH_STAGE_HELO,
		.check = reject_unknown_helo_hostname,
		.doc = "Refuses names that have neither an address nor a mail exchanger in the DNS."},
};

PH_MODULE(restriction_helo, "1.0", "restrictions by the name given with HELO",
	PH_INSTANCE(struct helo, params), PH_RESTRICTION_TABLE(restrictions));
