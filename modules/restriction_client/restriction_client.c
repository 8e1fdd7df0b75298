/*
 * restriction_client: who the client is. Most of these may stand in any list.
 */
#include <posthouse/restriction.h>

struct client {
	int64_t unknown_client_code;
	int64_t plaintext_code;
};

static const struct ph_param params[] = {
	{"plaintext_reject_code", PH_INT, 0, offsetof(struct client, plaintext_code), "450", 400, 599, NULL,
		"The reply code of reject_plaintext_session."},
	{"unknown_client_reject_code", PH_INT, 0, offsetof(struct client, unknown_client_code), "450", 400,
		599, NULL, "The reply code of the reject_unknown_…client_hostname restrictions where the name is certainly "
		"missing; where a lookup failed it is 450."},
};

static ph_verdict
permit_if(bool condition)
{
	return condition ? PH_PERMIT : PH_DUNNO;
}

static ph_verdict
permit_inet_interfaces(const ph_rule *rule, ph_session *session)
{
	return permit_if(ph_client_is_local_interface(session));
}

static ph_verdict
permit_mynetworks(const ph_rule *rule, ph_session *session)
{
	return permit_if(ph_client_in_mynetworks(session));
}

static ph_verdict
permit_sasl_authenticated(const ph_rule *rule, ph_session *session)
{
	return permit_if(ph_sasl_username(session)[0] != '\0');
}

/* No listener asks clients for certificates: nobody has one that could be in a table. */
static ph_verdict
permit_tls_clientcerts(const ph_rule *rule, ph_session *session)
{
	return PH_DUNNO;
}

static ph_verdict
permit_tls_all_clientcerts(const ph_rule *rule, ph_session *session)
{
	return permit_if(ph_ccert_trusted(session));
}

static ph_verdict
reject_plaintext_session(const ph_rule *rule, ph_session *session)
{
	const struct client *self = ph_rule_instance(rule);

	if (ph_tls_protocol(session)[0] != '\0')
		return PH_DUNNO;
	return ph_refuse(session, (int)self->plaintext_code, "4.7.1", "Session encryption is required");
}

static void
explain_names(ph_session *session)
{
	static const char *const reverse[] = {"could not be looked up", "has no name", "has the name "};
	static const char *const forward[] = {", whose addresses could not be looked up",
		", which does not have this address", ", which has this address"};
	bool named = ph_client_reverse_name_found(session) == PH_FOUND;

	ph_explain(session, "%s %s%s%s", ph_client_address_text(session),
		reverse[ph_client_reverse_name_found(session) + 1],
		named ? ph_client_reverse_name(session) : "",
		named ? forward[ph_client_forward_found(session) + 1] : "");
}

/* Refuses a client for a name that it does not have, or only for now when nobody can tell. */
static ph_verdict
refuse_unknown(const ph_rule *rule, ph_session *session, ph_found found, const char *status,
	const char *why)
{
	const struct client *self = ph_rule_instance(rule);

	explain_names(session);
	if (found == PH_FOUND)
		return PH_DUNNO;
	return ph_refuse(session, found == PH_FAILED ? 450 : (int)self->unknown_client_code, status,
		"Client host rejected: cannot %s, [%s]", why, ph_client_address_text(session));
}

static ph_verdict
reject_unknown_client_hostname(const ph_rule *rule, ph_session *session)
{
	return refuse_unknown(rule, session, ph_client_name_found(session), "4.7.25", "find your hostname");
}

static ph_verdict
reject_unknown_reverse_client_hostname(const ph_rule *rule, ph_session *session)
{
	return refuse_unknown(rule, session, ph_client_reverse_name_found(session), "4.7.1",
		"find your reverse hostname");
}

/* Of a client without a name the one above has something to say. */
static ph_verdict
reject_unknown_forward_client_hostname(const ph_rule *rule, ph_session *session)
{
	if (ph_client_reverse_name_found(session) == PH_NOT_FOUND)
		return PH_DUNNO;
	return refuse_unknown(rule, session, ph_client_forward_found(session), "4.7.25",
		"resolve your hostname");
}

static const struct ph_restriction restrictions[] = {
	{.name = "permit_inet_interfaces", .stage = PH_STAGE_ANY,
		.check = permit_inet_interfaces,
		.doc = "Permits clients with an address of this host."},
	{.name = "permit_mynetworks", .stage = PH_STAGE_ANY,
		.check = permit_mynetworks,
		.doc = "Permits clients in $mynetworks."},
	{.name = "permit_sasl_authenticated", .stage = PH_STAGE_ANY,
		.check = permit_sasl_authenticated,
		.doc = "Permits clients that have logged in."},
	{.name = "permit_tls_all_clientcerts", .stage = PH_STAGE_ANY,
		.check = permit_tls_all_clientcerts,
		.doc = "Permits clients with a certificate of an authority that we trust."},
	{.name = "permit_tls_clientcerts", .stage = PH_STAGE_ANY, .argument = PH_OPTIONAL_STRING,
		.check = permit_tls_clientcerts,
		.doc = "Permits clients by their certificate; none has one, as long as no listener speaks TLS."},
	{.name = "reject_plaintext_session", .stage = PH_STAGE_ANY,
		.check = reject_plaintext_session,
		.doc = "Refuses sessions that are not encrypted."},
	{.name = "reject_unknown_client", .stage = PH_STAGE_CLIENT,
		.check = reject_unknown_client_hostname, .instead = "reject_unknown_client_hostname",
		.doc = "The old name of reject_unknown_client_hostname."},
	{.name = "reject_unknown_client_hostname", .stage = PH_STAGE_CLIENT,
		.check = reject_unknown_client_hostname,
		.doc = "Refuses clients without a name that points back to their address."},
	{.name = "reject_unknown_forward_client_hostname", .stage = PH_STAGE_CLIENT,
		.check = reject_unknown_forward_client_hostname,
		.doc = "Refuses clients that have a name which does not point back to their address."},
	{.name = "reject_unknown_reverse_client_hostname", .stage = PH_STAGE_CLIENT,
		.check = reject_unknown_reverse_client_hostname,
		.doc = "Refuses clients whose address has no name."},
};

PH_MODULE(restriction_client, "1.0", "restrictions by the client's address",
	PH_INSTANCE(struct client, params), PH_RESTRICTION_TABLE(restrictions));
