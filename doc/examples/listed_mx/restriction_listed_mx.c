#include <posthouse/restriction.h>

/* reject_listed_mx: refuse senders whose mail exchanger is in a table. */
static ph_verdict
reject_listed_mx(const ph_rule *rule, ph_session *s)
{
	const ph_dns_answer *mx = ph_dns_lookup(s, PH_DNS_MX, ph_sender_domain(s)); /* waits; blocks nobody */

	if (ph_dns_status(mx) == PH_DNS_TEMPFAIL)
		return ph_defer(s, 451, "4.4.3", "<%s>: Sender address rejected: Domain lookup failed", ph_sender(s));
	for (size_t i = 0; i < ph_dns_count(mx); i++) {
		ph_found found = ph_map_find(s, ph_rule_map(rule), ph_dns_name(mx, i), NULL);

		if (found == PH_FAILED) /* is not "not found" */
			return ph_defer(s, 451, "4.3.0", "<%s>: Temporary lookup failure", ph_sender(s));
		if (found == PH_FOUND)
			return ph_reject(s, 550, "5.7.1", "<%s>: Sender address rejected: mail exchanger", ph_sender(s));
	}
	return PH_DUNNO;
}

PH_MODULE(restriction_listed_mx, "1.0", "refuses senders by their mail exchanger",
	PH_RESTRICTION("reject_listed_mx", PH_STAGE_SENDER, PH_ARGUMENT_MAP, reject_listed_mx));
