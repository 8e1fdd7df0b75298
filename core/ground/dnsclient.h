/*
 * The resolver of a role: one libunbound context on the loop.
 */
#ifndef GROUND_DNSCLIENT_H
#define GROUND_DNSCLIENT_H

#include <posthouse/dns.h>
#include <posthouse/module.h>

/* servers empty: those of /etc/resolv.conf. timeout_ms: the deadline of one lookup. trust_anchor: a
 * file, or "" for none. After the fork, with the loop open; in the loop's thread. */
int dnsclient_open(const ph_addresses *servers, int64_t timeout_ms, const char *trust_anchor,
	ph_error *error);
void dnsclient_close(void);

#endif
