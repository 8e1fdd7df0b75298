/*
 * Where an address goes: our own domains, those that we relay for, or elsewhere.
 */
#include <posthouse/address.h>
#include <posthouse/log.h>
#include <posthouse/session.h>
#include <posthouse/task.h>

#include <string.h>

#include "intake/verify_sender.h"
#include "session/destination.h"
#include "session/session.h"

bool
destination_hides_a_route(ph_session *session, const char *address)
{
	const char *local = ph_address_unquoted(ph_scratch_pool(session), address);

	return local == NULL || strpbrk(local, "@%!") != NULL;
}

enum domain_class
destination_class(ph_session *session, const char *domain)
{
	enum domain_class class = DOMAIN_FAILED;
	ph_error error = {""};
	ph_address literal;

	if (domain[0] == '\0')
		return DOMAIN_LOCAL;
	if (domain[0] == '[' && ph_is_literal(domain, &literal) &&
		ph_is_own_address(session, &literal))
		return DOMAIN_LOCAL;
	class = domain_class(session->settings, domain, &error);
	if (class == DOMAIN_FAILED)
		ph_log(PH_LOG_WARNING, "lookup of domain %s failed: %s", domain, error.text);
	return class;
}

static ph_destination
destination_of_domain(ph_session *session, const char *domain)
{
	switch (destination_class(session, domain)) {
	case DOMAIN_FAILED:
		return PH_DESTINATION_FAILED;
	case DOMAIN_LOCAL:
	case DOMAIN_VIRTUAL_ALIAS:
	case DOMAIN_VIRTUAL_MAILBOX:
		return PH_DESTINATION_FINAL;
	case DOMAIN_RELAY:
		return PH_DESTINATION_RELAY;
	case DOMAIN_FOREIGN:
		break;
	}
	return PH_DESTINATION_FOREIGN;
}

ph_destination
ph_destination_of(ph_session *session, const char *address)
{
	if (destination_hides_a_route(session, address))
		return PH_DESTINATION_FOREIGN;
	return destination_of_domain(session, ph_address_domain(address));
}

const char *
destination_prober(ph_session *session, const char *address)
{
	return verify_sender_base(ph_scratch_pool(session), session->settings,
		ph_wall_clock() / 1000000, address);
}

bool
destination_is_prober(ph_session *session, const char *address)
{
	return destination_prober(session, address) != NULL &&
		destination_of_domain(session, ph_address_domain(address)) == PH_DESTINATION_FINAL;
}

bool
destination_is_postmaster(ph_session *session, const char *address)
{
	const ph_span postmaster = {"postmaster", 10};

	return ph_span_equal_nocase(ph_address_local_part(address), postmaster) &&
		destination_of_domain(session, ph_address_domain(address)) == PH_DESTINATION_FINAL;
}
