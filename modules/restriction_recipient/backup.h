/*
 * permit_mx_backup: mail for domains that name this host as one of their mail exchangers.
 */
#ifndef RESTRICTION_RECIPIENT_BACKUP_H
#define RESTRICTION_RECIPIENT_BACKUP_H

#include <posthouse/restriction.h>

/* Is this host a mail exchanger of the recipient's domain, and, unless networks is NULL, are all the
 * best ones in these? Waits for the DNS. */
ph_verdict backup_check(ph_session *session, const ph_networks *networks);

#endif
