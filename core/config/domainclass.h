/*
 * Classes of domains: whose mail stays here, whose goes on, and why.
 */
#ifndef CONFIG_DOMAINCLASS_H
#define CONFIG_DOMAINCLASS_H

#include "config/settings.h"

/* A domain that is in several is in the first of them. */
enum domain_class {
	DOMAIN_FAILED = -1,     /* a table could not be asked */
	DOMAIN_FOREIGN,         /* none of these */
	DOMAIN_LOCAL,           /* $mydestination; address literals and no domain are the caller's to judge */
	DOMAIN_VIRTUAL_ALIAS,   /* $virtual_alias_domains: all addresses are aliases */
	DOMAIN_VIRTUAL_MAILBOX, /* $virtual_mailbox_domains */
	DOMAIN_RELAY            /* $relay_domains */
};

/* May wait. error: why it failed. */
enum domain_class domain_class(const struct settings *settings, const char *domain,
	ph_error *error);
/* The parameter that lists the domains of a class; "" for a foreign one. */
const char *domain_class_parameter(enum domain_class class);

#endif
