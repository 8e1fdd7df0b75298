#include "session/trail.h"

#include <stdio.h>
#include <string.h>

#include "ground/dnspacket.h"
#include "session/run.h"

/* Where in lists of lists we are. */
static unsigned
depth_of(const ph_session *session)
{
	return session->run != NULL ? session->run->depth : 0;
}

void
trail_client(const ph_session *session)
{
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->client(trail->context, session);
}

void
trail_list(const ph_session *session, const char *name, const struct ph_rules *rules)
{
	static const struct ph_rules none;
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->list(trail->context, name, rules != NULL ? rules : &none);
}

void
trail_rule(const ph_session *session, const struct ph_rule *rule, unsigned depth, bool skipped,
	bool warn)
{
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->rule(trail->context, rule, depth, skipped, warn);
}

void
trail_wish(const ph_session *session, const char *what, const char *text)
{
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->wish(trail->context, what, text, depth_of(session));
}

void
trail_verdict(const ph_session *session, const struct ph_rule *rule, ph_verdict verdict,
	const ph_reply *reply, bool warned, unsigned depth)
{
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->verdict(trail->context, rule, verdict, reply, warned, depth);
}

void
trail_outcome(const ph_session *session, const char *command, int result, const ph_reply *reply)
{
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->outcome(trail->context, command, result, reply);
}

bool
ph_explaining(const ph_session *session)
{
	return session->trail != NULL;
}

void
ph_explain(ph_session *session, const char *format, ...)
{
	const struct trail *trail = session->trail;
	char text[400];
	va_list args;

	if (trail == NULL)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	trail->note(trail->context, text, depth_of(session));
}

/* ---- For people ------------------------------------------------------------------------------ */

const char *
trail_verdict_name(ph_verdict verdict)
{
	switch (verdict) {
	case PH_DUNNO:
		return "no opinion";
	case PH_PERMIT:
		return "permit";
	case PH_REJECT:
		return "reject";
	case PH_DEFER:
		return "defer";
	case PH_DEFER_IF_PERMIT:
		return "defer_if_permit";
	case PH_DEFER_IF_REJECT:
		return "defer_if_reject";
	case PH_DISCARD:
		return "discard";
	}
	return "nonsense";
}

const char *
trail_rule_text(const struct ph_rule *rule, char text[TRAIL_RULE_TEXT])
{
	const char *argument = rule->argument != NULL ? rule->argument : "";
	int used = snprintf(text, TRAIL_RULE_TEXT, "%.60s%s%.100s", rule->name,
		argument[0] ? " " : "", argument);

	if (rule->file == NULL)
		return text;
	/* The end of a path says more than its beginning. */
	size_t skipped = strlen(rule->file) > 60 ? strlen(rule->file) - 60 : 0;
	snprintf(text + used, TRAIL_RULE_TEXT - (size_t)used, " (%s%s:%d)",
		skipped > 0 ? "..." : "", rule->file + skipped, rule->line);
	return text;
}

const char *
trail_absence(const struct ph_rule *rule)
{
	uint32_t stage = rule->restriction != NULL ? rule->restriction->stage & 0xff : PH_STAGE_ANY;

	switch ((enum ph_stage)stage) {
	case PH_STAGE_HELO:
		return "the client did not say HELO";
	case PH_STAGE_SENDER:
		return "there is no sender";
	case PH_STAGE_RECIPIENT:
		return "there is no recipient";
	case PH_STAGE_DATA:
	case PH_STAGE_END_OF_DATA:
		return "it is not the time of DATA";
	case PH_STAGE_ETRN:
		return "there is no ETRN";
	case PH_STAGE_ANY:
	case PH_STAGE_CLIENT:
		break;
	}
	return "what it judges is absent";
}

/* Why the client has no verified name. */
static void
explain_unknown(const ph_session *session, char *text, size_t size)
{
	const char *address = session->client_text, *name = session->reverse_name;

	if (!session->policy->smtpd_peername_lookup)
		snprintf(text, size, "unknown (not looked up: smtpd_peername_lookup = no)");
	else if (session->reverse_status == PH_FAILED)
		snprintf(text, size, "unknown (the lookup of the name of %s failed for now)",
			address);
	else if (name == NULL)
		snprintf(text, size, "unknown (%s has no name in the DNS)", address);
	else if (session->client_status == PH_FAILED)
		snprintf(text, size,
			"unknown (%s says it is %s; the lookup of that name failed for now)",
			address, name);
	else
		snprintf(text, size, "unknown (%s says it is %s, which does not have that address)",
			address, name);
}

void
trail_client_text(const ph_session *session, char *text, size_t size)
{
	if (session->client_name != NULL)
		snprintf(text, size, "%s", session->client_name);
	else
		explain_unknown(session, text, size);
}

/* ---- Lookups --------------------------------------------------------------------------------- */

/* The first records of an answer, "10 mx1.example, 20 mx2.example". */
static void
list_records(ph_dns_type type, const ph_dns_answer *answer, char *text, size_t size)
{
	size_t used = 0, count = ph_dns_count(answer);
	char address_text[PH_ADDRESS_TEXT];
	ph_address address;

	text[0] = '\0';
	for (size_t i = 0; i < count && i < 4 && used < size; i++) {
		const char *comma = i > 0 ? ", " : "";

		if (type == PH_DNS_A || type == PH_DNS_AAAA) {
			address = ph_dns_address(answer, i);
			ph_address_text(&address, address_text);
			used += (size_t)snprintf(text + used, size - used, "%s%s", comma,
				address_text);
		} else if (type == PH_DNS_MX) {
			used += (size_t)snprintf(text + used, size - used, "%s%u %s", comma,
				ph_dns_preference(answer, i), ph_dns_name(answer, i));
		} else {
			used += (size_t)snprintf(text + used, size - used, "%s%s", comma,
				ph_dns_name(answer, i));
		}
	}
	if (count > 4 && used < size)
		snprintf(text + used, size - used, " and %zu more", count - 4);
}

void
trail_dns(ph_session *session, ph_dns_type type, const char *name, const ph_dns_answer *answer)
{
	char records[256];

	if (session->trail == NULL)
		return;
	switch (ph_dns_status(answer)) {
	case PH_DNS_FOUND:
		list_records(type, answer, records, sizeof(records));
		ph_explain(session, "DNS %s %s: %s", dns_type_name(type), name,
			records[0] != '\0' ? records : "found");
		break;
	case PH_DNS_NODATA:
		ph_explain(session, "DNS %s %s: no such record", dns_type_name(type), name);
		break;
	case PH_DNS_NXDOMAIN:
		ph_explain(session, "DNS %s %s: no such name", dns_type_name(type), name);
		break;
	case PH_DNS_TEMPFAIL:
		ph_explain(session, "DNS %s %s: failed (%s)", dns_type_name(type), name,
			ph_dns_reason(answer));
		break;
	}
}

void
trail_map(ph_session *session, const ph_map *map, const char *key, ph_found found,
	const char *value)
{
	if (session->trail == NULL)
		return;
	switch (found) {
	case PH_FOUND:
		if (value != NULL)
			ph_explain(session, "%s: \"%s\" gives \"%s\"", ph_map_name(map), key,
				value);
		else
			ph_explain(session, "%s: \"%s\" is there", ph_map_name(map), key);
		break;
	case PH_NOT_FOUND:
		ph_explain(session, "%s: \"%s\" is not there", ph_map_name(map), key);
		break;
	case PH_FAILED:
		ph_explain(session, "%s: \"%s\": %s", ph_map_name(map), key,
			value != NULL ? value : "the lookup failed");
		break;
	}
}
