/*
 * Classes of addresses, as a session sees them.
 */
#ifndef SESSION_DESTINATION_H
#define SESSION_DESTINATION_H

#include "config/domainclass.h"
#include "session/session.h"

/* The class of a domain: also of the address literals of this host, and of none at all (""). The
 * log says why it failed. May wait. */
enum domain_class destination_class(ph_session *session, const char *domain);
/* Does the local part name a route of its own, which some server down the line might follow? */
bool destination_hides_a_route(ph_session *session, const char *address);

#endif
