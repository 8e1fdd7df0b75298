/*
 * Who may write under which address: smtpd_sender_login_maps.
 */
#ifndef RESTRICTION_SENDER_LOGIN_H
#define RESTRICTION_SENDER_LOGIN_H

#include <posthouse/restriction.h>

/* Clients that have logged in must own the address; one that the table does not have (known: it must
 * have it to matter) is nobody's. */
ph_verdict login_check_owner(ph_session *session, const ph_map *map, bool known);
/* Clients that have not logged in may not use an address that the table has. */
ph_verdict login_check_stranger(ph_session *session, const ph_map *map);

#endif
