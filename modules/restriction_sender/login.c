#include "login.h"

#include <string.h>

static ph_found
find(ph_session *session, const ph_map *map, const char **owners)
{
	*owners = "";
	return ph_map_find_address(session, map, ph_sender(session), PH_ADDRESS_USER | PH_ADDRESS_DOMAIN,
		owners);
}

static ph_verdict
later(ph_session *session)
{
	return ph_defer(session, 451, "4.3.0", "<%s>: Temporary lookup failure", ph_sender(session));
}

/* Names with commas or white space between them. */
static bool
has_name(const char *owners, const char *name)
{
	static const char separators[] = ", \t\r\n";
	ph_span wanted = ph_span_of(name);

	for (owners += strspn(owners, separators); *owners != '\0'; owners += strspn(owners, separators)) {
		ph_span owner = {owners, strcspn(owners, separators)};

		if (ph_span_equal_nocase(owner, wanted))
			return true;
		owners += owner.size;
	}
	return false;
}

ph_verdict
login_check_owner(ph_session *session, const ph_map *map, bool known)
{
	const char *owners, *login = ph_sasl_username(session);
	ph_found found;

	if (login[0] == '\0')
		return PH_DUNNO;
	found = find(session, map, &owners);
	if (found == PH_FAILED)
		return later(session);
	if (found == PH_NOT_FOUND ? known : has_name(owners, login))
		return PH_DUNNO;
	return ph_reject(session, 553, "5.7.1", "<%s>: Sender address rejected: not owned by user %s",
		ph_sender(session), login);
}

ph_verdict
login_check_stranger(ph_session *session, const ph_map *map)
{
	const char *owners;

	if (ph_sasl_username(session)[0] != '\0')
		return PH_DUNNO;
	switch (find(session, map, &owners)) {
	case PH_NOT_FOUND:
		return PH_DUNNO;
	case PH_FAILED:
		return later(session);
	case PH_FOUND:
		break;
	}
	return ph_reject(session, 553, "5.7.1", "<%s>: Sender address rejected: not logged in",
		ph_sender(session));
}
