#include "backup.h"

#include <string.h>

/* What the addresses of one mail exchanger are: have_ours, and all of them in the networks. */
struct exchanger {
	bool ours, listed, failed;
	size_t count;
};

static void
look_at(ph_session *session, const ph_networks *networks, const char *name, struct exchanger *exchanger)
{
	static const ph_dns_type types[] = {PH_DNS_A, PH_DNS_AAAA};

	*exchanger = (struct exchanger){.listed = true};
	for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
		const ph_dns_answer *answer = ph_dns_lookup(session, types[t], name);

		exchanger->failed = exchanger->failed || ph_dns_status(answer) == PH_DNS_TEMPFAIL;
		for (size_t i = 0; i < ph_dns_count(answer); i++) {
			ph_address address = ph_dns_address(answer, i);

			exchanger->count++;
			exchanger->ours = exchanger->ours || ph_is_own_address(session, &address);
			exchanger->listed = exchanger->listed &&
				(networks == NULL || ph_networks_match(networks, &address));
		}
	}
}

static ph_verdict
later(ph_session *session, const char *what, const char *name)
{
	return ph_defer_if_reject(session, 450, "4.4.4", "<%s>: Recipient address rejected: "
		"Unable to look up %s%s", ph_recipient(session), what, name);
}

ph_verdict
backup_check(ph_session *session, const ph_networks *networks)
{
	const ph_dns_answer *answer = ph_dns_lookup(session, PH_DNS_MX, ph_recipient_domain(session));
	bool ours = false, failed = false;

	if (ph_dns_status(answer) == PH_DNS_TEMPFAIL)
		return later(session, "mail exchanger information", "");
	for (size_t i = 0; i < ph_dns_count(answer); i++) {
		bool best = ph_dns_preference(answer, i) == ph_dns_preference(answer, 0);
		const char *name = ph_dns_name(answer, i);
		struct exchanger exchanger;

		if (name[0] == '\0')
			continue;
		look_at(session, networks, name, &exchanger);
		failed = failed || exchanger.failed;
		ours = ours || exchanger.ours;
		if (best && networks != NULL && exchanger.failed)
			return later(session, "mail exchanger ", name);
		if (best && networks != NULL && (exchanger.count == 0 || !exchanger.listed))
			return PH_DUNNO;
	}
	if (ours)
		return PH_PERMIT;
	return failed ? later(session, "mail exchangers of ", ph_recipient_domain(session)) : PH_DUNNO;
}
