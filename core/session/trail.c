#include "session/trail.h"

#include <stdio.h>

#include "session/run.h"

void
trail_list(const ph_session *session, const char *name)
{
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->list(trail->context, name);
}

void
trail_rule(const ph_session *session, const struct ph_rule *rule, unsigned depth, bool skipped)
{
	const struct trail *trail = session->trail;

	if (trail != NULL)
		trail->rule(trail->context, rule, depth, skipped);
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
	trail->note(trail->context, text, session->run != NULL ? session->run->depth : 0);
}

/* ---- Lookups ---------------------------------------------------------------------------------- */

static const char *
type_name(ph_dns_type type)
{
	switch (type) {
	case PH_DNS_A:
		return "A";
	case PH_DNS_NS:
		return "NS";
	case PH_DNS_CNAME:
		return "CNAME";
	case PH_DNS_PTR:
		return "PTR";
	case PH_DNS_MX:
		return "MX";
	case PH_DNS_TXT:
		return "TXT";
	case PH_DNS_AAAA:
		return "AAAA";
	case PH_DNS_TLSA:
		return "TLSA";
	}
	return "records";
}

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
			used += (size_t)snprintf(text + used, size - used, "%s%s", comma, address_text);
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
		ph_explain(session, "DNS %s %s: %s", type_name(type), name,
			records[0] != '\0' ? records : "found");
		break;
	case PH_DNS_NODATA:
		ph_explain(session, "DNS %s %s: no such record", type_name(type), name);
		break;
	case PH_DNS_NXDOMAIN:
		ph_explain(session, "DNS %s %s: no such name", type_name(type), name);
		break;
	case PH_DNS_TEMPFAIL:
		ph_explain(session, "DNS %s %s: failed (%s)", type_name(type), name, ph_dns_reason(answer));
		break;
	}
}

void
trail_map(ph_session *session, const ph_map *map, const char *key, ph_found found, const char *value)
{
	if (session->trail == NULL)
		return;
	switch (found) {
	case PH_FOUND:
		ph_explain(session, "%s: \"%s\" gives \"%s\"", ph_map_name(map), key,
			value != NULL ? value : "an entry");
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
