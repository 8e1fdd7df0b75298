/*
 * restriction_access: access tables (access(5)): what is known of the session is looked up, and the
 * table says what to do.
 */
#include <posthouse/restriction.h>

#include <stdlib.h>
#include <string.h>

#include "keys.h"
#include "servers.h"

struct access {
	const char *null_key;
	const char *delimiter;
	const char *origin; /* completes addresses without a domain; "": nothing does */
	bool dotted;        /* parent domains are written with a dot before them */
};

static const struct ph_param params[] = {
	{"smtpd_null_access_lookup_key", PH_STRING, 0, offsetof(struct access, null_key), "<>", 0, 0, NULL,
		"The key under which access tables have the empty sender address."},
};

/* ---- What is looked up ------------------------------------------------------------------------ */

enum object {
	OBJECT_CLIENT,
	OBJECT_REVERSE_CLIENT,
	OBJECT_HELO,
	OBJECT_SENDER,
	OBJECT_RECIPIENT,
	OBJECT_ETRN,
	OBJECT_CCERT,
	OBJECT_SASL
};

/* What replies call it. */
static const char *const object_words[] = {
	[OBJECT_CLIENT] = "Client host",
	[OBJECT_REVERSE_CLIENT] = "Unverified Client host",
	[OBJECT_HELO] = "Helo command",
	[OBJECT_SENDER] = "Sender address",
	[OBJECT_RECIPIENT] = "Recipient address",
	[OBJECT_ETRN] = "Etrn command",
	[OBJECT_CCERT] = "Client certificate",
	[OBJECT_SASL] = "SASL login name",
};

/* The name that replies show. */
static const char *
object_name(ph_session *session, enum object object)
{
	switch (object) {
	case OBJECT_CLIENT:
		return ph_client_label(session);
	case OBJECT_REVERSE_CLIENT:
		return ph_client_reverse_name(session);
	case OBJECT_HELO:
		return ph_helo(session);
	case OBJECT_SENDER:
		return ph_sender(session);
	case OBJECT_RECIPIENT:
		return ph_recipient(session);
	case OBJECT_ETRN:
		return ph_etrn_domain(session);
	case OBJECT_CCERT:
		return ph_ccert_fingerprint(session);
	case OBJECT_SASL:
		return ph_sasl_username(session);
	}
	return "";
}

/* The domain whose servers are looked up; "" when there is none. */
static const char *
object_domain(ph_session *session, enum object object)
{
	const char *name = object == OBJECT_CLIENT ? ph_client_name(session)
						   : ph_client_reverse_name(session);

	switch (object) {
	case OBJECT_CLIENT:
	case OBJECT_REVERSE_CLIENT:
		return strcmp(name, "unknown") != 0 ? name : "";
	case OBJECT_HELO:
		return ph_helo(session);
	case OBJECT_SENDER:
		return ph_sender_domain(session);
	case OBJECT_RECIPIENT:
		return ph_recipient_domain(session);
	case OBJECT_ETRN:
	case OBJECT_CCERT:
	case OBJECT_SASL:
		break;
	}
	return "";
}

/* ---- Asking a table --------------------------------------------------------------------------- */

static ph_found
find_client(struct lookup *lookup)
{
	ph_found found = keys_domain(lookup, ph_client_name(lookup->session));

	return found != PH_NOT_FOUND ? found : keys_address(lookup, ph_client_address(lookup->session));
}

static ph_found
find_ccert(struct lookup *lookup)
{
	const char *certificate = ph_ccert_fingerprint(lookup->session);
	const char *key = ph_ccert_pubkey_fingerprint(lookup->session);
	ph_found found = PH_NOT_FOUND;

	if (certificate[0] != '\0')
		found = keys_whole(lookup, certificate);
	if (found == PH_NOT_FOUND && key[0] != '\0')
		found = keys_whole(lookup, key);
	return found;
}

static ph_found
find_sender(struct lookup *lookup, const struct access *self)
{
	const char *sender = ph_sender(lookup->session);

	if (!ph_has_sender(lookup->session))
		return PH_NOT_FOUND;
	return sender[0] != '\0' ? keys_mailbox(lookup, sender, self->delimiter)
				 : keys_whole(lookup, self->null_key);
}

static ph_found
find_object(struct lookup *lookup, const struct access *self, enum object object)
{
	ph_session *session = lookup->session;

	switch (object) {
	case OBJECT_CLIENT:
		return find_client(lookup);
	case OBJECT_REVERSE_CLIENT:
		return keys_domain(lookup, ph_client_reverse_name(session));
	case OBJECT_HELO:
		return keys_domain(lookup, ph_helo(session));
	case OBJECT_SENDER:
		return find_sender(lookup, self);
	case OBJECT_RECIPIENT:
		return keys_mailbox(lookup, ph_recipient(session), self->delimiter);
	case OBJECT_ETRN:
		return keys_domain(lookup, ph_etrn_domain(session));
	case OBJECT_CCERT:
		return find_ccert(lookup);
	case OBJECT_SASL:
		lookup->origin = ""; /* a login name without a domain is one */
		return ph_sasl_username(session)[0] == '\0' ? PH_NOT_FOUND
			: keys_mailbox(lookup, ph_sasl_username(session), self->delimiter);
	}
	return PH_NOT_FOUND;
}

/* ---- The restrictions ------------------------------------------------------------------------- */

/* By name, sorted. */
static const struct kind {
	const char *name;
	enum object object;
	enum servers servers;
} kinds[] = {
	{"check_ccert_access", OBJECT_CCERT, SERVERS_NONE},
	{"check_client_a_access", OBJECT_CLIENT, SERVERS_A},
	{"check_client_access", OBJECT_CLIENT, SERVERS_NONE},
	{"check_client_mx_access", OBJECT_CLIENT, SERVERS_MX},
	{"check_client_ns_access", OBJECT_CLIENT, SERVERS_NS},
	{"check_etrn_access", OBJECT_ETRN, SERVERS_NONE},
	{"check_helo_a_access", OBJECT_HELO, SERVERS_A},
	{"check_helo_access", OBJECT_HELO, SERVERS_NONE},
	{"check_helo_mx_access", OBJECT_HELO, SERVERS_MX},
	{"check_helo_ns_access", OBJECT_HELO, SERVERS_NS},
	{"check_recipient_a_access", OBJECT_RECIPIENT, SERVERS_A},
	{"check_recipient_access", OBJECT_RECIPIENT, SERVERS_NONE},
	{"check_recipient_mx_access", OBJECT_RECIPIENT, SERVERS_MX},
	{"check_recipient_ns_access", OBJECT_RECIPIENT, SERVERS_NS},
	{"check_reverse_client_hostname_a_access", OBJECT_REVERSE_CLIENT, SERVERS_A},
	{"check_reverse_client_hostname_access", OBJECT_REVERSE_CLIENT, SERVERS_NONE},
	{"check_reverse_client_hostname_mx_access", OBJECT_REVERSE_CLIENT, SERVERS_MX},
	{"check_reverse_client_hostname_ns_access", OBJECT_REVERSE_CLIENT, SERVERS_NS},
	{"check_sasl_access", OBJECT_SASL, SERVERS_NONE},
	{"check_sender_a_access", OBJECT_SENDER, SERVERS_A},
	{"check_sender_access", OBJECT_SENDER, SERVERS_NONE},
	{"check_sender_mx_access", OBJECT_SENDER, SERVERS_MX},
	{"check_sender_ns_access", OBJECT_SENDER, SERVERS_NS},
};

static int
compare(const void *name, const void *kind)
{
	return strcmp(name, ((const struct kind *)kind)->name);
}

/* The old name says nothing of whose address it is: the list does. */
static const char *
name_of(const ph_rule *rule, const ph_session *session)
{
	const char *name = ph_rule_name(rule);

	if (strcmp(name, "check_address_map") != 0)
		return name;
	return strcmp(ph_list_class(session), "Recipient address") == 0 ? "check_recipient_access"
		: "check_sender_access";
}

static ph_verdict
check_access(const ph_rule *rule, ph_session *session)
{
	const struct kind *kind = bsearch(name_of(rule, session), kinds, sizeof(kinds) / sizeof(kinds[0]),
		sizeof(kinds[0]), compare);
	const struct access *self = ph_rule_instance(rule);
	struct lookup lookup = {.session = session,
		.map = ph_rule_map(rule),
		.dotted = self->dotted,
		.origin = self->origin};
	struct ph_subject subject = {.size = sizeof(subject), .source = ph_map_name(lookup.map)};
	ph_found found;

	if (kind == NULL)
		return PH_DUNNO;
	subject.name = object_name(session, kind->object);
	subject.what = object_words[kind->object];
	found = kind->servers == SERVERS_NONE
		? find_object(&lookup, self, kind->object)
		: servers_find(&lookup, kind->servers, object_domain(session, kind->object), subject.what,
			subject.name);
	switch (found) {
	case PH_FOUND:
		return ph_apply_result(session, lookup.value, &subject);
	case PH_FAILED:
		return ph_defer(session, 451, "4.3.0", "<%s>: Temporary lookup failure", subject.name);
	case PH_NOT_FOUND:
		break;
	}
	return PH_DUNNO;
}

#define CHECK(restriction_name, restriction_stage, text) \
	{.name = (restriction_name), .stage = (restriction_stage), .argument = PH_ARGUMENT_MAP, \
		.check = check_access, .example = restriction_name " hash:/etc/posthouse/access", .doc = (text)}

static const struct ph_restriction restrictions[] = {
	{.name = "check_address_map", .stage = PH_STAGE_SENDER | PH_EVEN_IF_ABSENT,
		.argument = PH_ARGUMENT_MAP, .check = check_access,
		.example = "check_address_map hash:/etc/posthouse/access",
		.instead = "check_sender_access or check_recipient_access",
		.doc = "An old name of check_recipient_access in lists on recipients, of check_sender_access "
		       "in others."},
	CHECK("check_ccert_access", PH_STAGE_CLIENT,
		"Looks the fingerprints of the client's certificate and of its public key up in a table."),
	CHECK("check_client_a_access", PH_STAGE_CLIENT,
		"Looks the addresses of the client's name up in a table."),
	CHECK("check_client_access", PH_STAGE_CLIENT,
		"Looks the client's name, its parent domains, its address and its networks up in a table."),
	CHECK("check_client_mx_access", PH_STAGE_CLIENT,
		"Looks the mail exchangers of the client's name, and their addresses, up in a table."),
	CHECK("check_client_ns_access", PH_STAGE_CLIENT,
		"Looks the name servers of the client's name, and their addresses, up in a table."),
	CHECK("check_etrn_access", PH_STAGE_ETRN,
		"Looks the domain of ETRN and its parent domains up in a table."),
	CHECK("check_helo_a_access", PH_STAGE_HELO,
		"Looks the addresses of the HELO name up in a table."),
	CHECK("check_helo_access", PH_STAGE_HELO,
		"Looks the HELO name and its parent domains up in a table."),
	CHECK("check_helo_mx_access", PH_STAGE_HELO,
		"Looks the mail exchangers of the HELO name, and their addresses, up in a table."),
	CHECK("check_helo_ns_access", PH_STAGE_HELO,
		"Looks the name servers of the HELO name, and their addresses, up in a table."),
	CHECK("check_recipient_a_access", PH_STAGE_RECIPIENT,
		"Looks the addresses of the recipient's domain up in a table."),
	CHECK("check_recipient_access", PH_STAGE_RECIPIENT,
		"Looks the recipient, its domain, the parent domains and \"user@\" up in a table."),
	CHECK("check_recipient_mx_access", PH_STAGE_RECIPIENT,
		"Looks the mail exchangers of the recipient's domain, and their addresses, up in a table."),
	CHECK("check_recipient_ns_access", PH_STAGE_RECIPIENT,
		"Looks the name servers of the recipient's domain, and their addresses, up in a table."),
	CHECK("check_reverse_client_hostname_a_access", PH_STAGE_CLIENT,
		"Looks the addresses of the client's unverified name up in a table."),
	CHECK("check_reverse_client_hostname_access", PH_STAGE_CLIENT,
		"Looks the client's unverified name and its parent domains up in a table."),
	CHECK("check_reverse_client_hostname_mx_access", PH_STAGE_CLIENT,
		"Looks the mail exchangers of the client's unverified name, and their addresses, up in a table."),
	CHECK("check_reverse_client_hostname_ns_access", PH_STAGE_CLIENT,
		"Looks the name servers of the client's unverified name, and their addresses, up in a table."),
	CHECK("check_sasl_access", PH_STAGE_CLIENT,
		"Looks the client's login name up in a table."),
	CHECK("check_sender_a_access", PH_STAGE_SENDER,
		"Looks the addresses of the sender's domain up in a table."),
	CHECK("check_sender_access", PH_STAGE_SENDER | PH_EVEN_IF_ABSENT,
		"Looks the sender, its domain, the parent domains and \"user@\" up in a table; the empty "
		"sender as $smtpd_null_access_lookup_key."),
	CHECK("check_sender_mx_access", PH_STAGE_SENDER,
		"Looks the mail exchangers of the sender's domain, and their addresses, up in a table."),
	CHECK("check_sender_ns_access", PH_STAGE_SENDER,
		"Looks the name servers of the sender's domain, and their addresses, up in a table."),
};

static int
access_open(void *self, ph_error *error)
{
	struct access *access = self;

	access->delimiter = ph_global("recipient_delimiter");
	access->origin =
		strcmp(ph_global("append_at_myorigin"), "yes") == 0 ? ph_global("myorigin") : "";
	access->dotted =
		strstr(ph_global("parent_domain_matches_subdomains"), "smtpd_access_maps") == NULL;
	return 0;
}

PH_MODULE(restriction_access, "1.0", "access tables",
	PH_INSTANCE(struct access, params), PH_LIFE(.open = access_open),
	PH_RESTRICTION_TABLE(restrictions));
