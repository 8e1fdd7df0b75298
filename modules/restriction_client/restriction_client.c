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
reject_plaintext_session(const ph_rule *rule, ph_session *session)
{
	const struct client *self = ph_rule_instance(rule);

	if (ph_tls_protocol(session)[0] != '\0')
		return PH_DUNNO;
	return ph_refuse(session, (int)self->plaintext_code, "4.7.1", "Session encryption is required");
}

/* Refuses a client for a name that it does not have, or only for now when nobody can tell. */
static ph_verdict
refuse_unknown(const ph_rule *rule, ph_session *session, ph_found found, const char *status,
	const char *why)
{
	const struct client *self = ph_rule_instance(rule);

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
	{"permit_inet_interfaces", PH_STAGE_ANY, PH_NO_ARGUMENT, permit_inet_interfaces,
		"Permits clients with an address of this host."},
	{"permit_mynetworks", PH_STAGE_ANY, PH_NO_ARGUMENT, permit_mynetworks,
		"Permits clients in $mynetworks."},
	{"permit_sasl_authenticated", PH_STAGE_ANY, PH_NO_ARGUMENT, permit_sasl_authenticated,
		"Permits clients that have logged in."},
	{"permit_tls_clientcerts", PH_STAGE_ANY, PH_OPTIONAL_STRING, permit_tls_clientcerts,
		"Permits clients by their certificate; none has one, as long as no listener speaks TLS."},
	{"reject_plaintext_session", PH_STAGE_ANY, PH_NO_ARGUMENT, reject_plaintext_session,
		"Refuses sessions that are not encrypted."},
	{"reject_unknown_client_hostname", PH_STAGE_CLIENT, PH_NO_ARGUMENT,
		reject_unknown_client_hostname,
		"Refuses clients without a name that points back to their address."},
	{"reject_unknown_forward_client_hostname", PH_STAGE_CLIENT, PH_NO_ARGUMENT,
		reject_unknown_forward_client_hostname,
		"Refuses clients that have a name which does not point back to their address."},
	{"reject_unknown_reverse_client_hostname", PH_STAGE_CLIENT, PH_NO_ARGUMENT,
		reject_unknown_reverse_client_hostname,
		"Refuses clients whose address has no name."},
};

PH_MODULE(restriction_client, "1.0", "restrictions by the client's address",
	PH_INSTANCE(struct client, params), PH_RESTRICTION_TABLE(restrictions));
