/*
 * Whether mail could be sent to a domain: what the restrictions on unknown domains ask.
 */
#include <posthouse/address.h>
#include <posthouse/dns.h>
#include <posthouse/restriction.h>

#include <string.h>

/* One that is given by its address is a mistake of the domain's owner that many live with. */
static bool
is_exchanger(const char *name)
{
	ph_address address;

	return ph_is_hostname(name) || ph_address_parse(ph_span_of(name), &address) == 0;
}

/* Of its MX records at least one has to name a host. */
static ph_mail_domain
judge_exchangers(const ph_dns_answer *answer)
{
	if (ph_dns_count(answer) == 1 && ph_dns_name(answer, 0)[0] == '\0')
		return PH_MAIL_DOMAIN_NULL_MX;
	for (size_t i = 0; i < ph_dns_count(answer); i++)
		if (is_exchanger(ph_dns_name(answer, i)))
			return PH_MAIL_DOMAIN_FOUND;
	return PH_MAIL_DOMAIN_MALFORMED;
}

static ph_mail_domain
judge_addresses(ph_session *session, const char *domain)
{
	static const ph_dns_type types[] = {PH_DNS_A, PH_DNS_AAAA};
	bool failed = false;

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		ph_dns_result result = ph_dns_status(ph_dns_lookup(session, types[i], domain));

		if (result == PH_DNS_FOUND)
			return PH_MAIL_DOMAIN_FOUND;
		failed = failed || result == PH_DNS_TEMPFAIL;
	}
	return failed ? PH_MAIL_DOMAIN_FAILED : PH_MAIL_DOMAIN_UNKNOWN;
}

ph_mail_domain
ph_mail_domain_of(ph_session *session, const char *domain)
{
	const ph_dns_answer *answer;

	if (ph_is_literal(domain, NULL))
		return PH_MAIL_DOMAIN_FOUND;
	answer = ph_dns_lookup(session, PH_DNS_MX, domain);
	switch (ph_dns_status(answer)) {
	case PH_DNS_FOUND:
		return judge_exchangers(answer);
	case PH_DNS_NODATA:
		return judge_addresses(session, domain);
	case PH_DNS_NXDOMAIN:
		return PH_MAIL_DOMAIN_UNKNOWN;
	case PH_DNS_TEMPFAIL:
		break;
	}
	return PH_MAIL_DOMAIN_FAILED;
}
