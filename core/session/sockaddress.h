/*
 * Socket addresses of the kernel as those of the core.
 */
#ifndef SESSION_SOCKADDRESS_H
#define SESSION_SOCKADDRESS_H

#include <sys/socket.h>

#include <posthouse/base.h>

/* An IPv4-mapped IPv6 address becomes its IPv4 address. */
ph_address sockaddress_read(const struct sockaddr *address);

#endif
