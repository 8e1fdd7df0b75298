/*
 * The addresses of this host on which it receives mail.
 */
#ifndef SESSION_INTERFACES_H
#define SESSION_INTERFACES_H

#include <posthouse/base.h>

/* Learns them from the listening sockets: each one's own address, and those of all interfaces for
 * one that is bound to none in particular. 0 or -1. */
int interfaces_open(const int *fds, size_t count, ph_error *error);
/* Adds the address that one is bound to, or is to be. 0 or -1. */
int interfaces_add(const ph_address *address, ph_error *error);
void interfaces_close(void);
bool interfaces_have(const ph_address *address);

#endif
