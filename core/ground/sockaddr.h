/*
 * Between ph_address and the kernel's addresses.
 */
#ifndef GROUND_SOCKADDR_H
#define GROUND_SOCKADDR_H

#include <posthouse/base.h>
#include <sys/socket.h>

/* Returns the size of the kernel's address; 0 for a family that has none here. */
socklen_t sockaddr_fill(struct sockaddr_storage *storage, const ph_address *address);
/* A family other than IPv4 and IPv6 keeps only its number. */
void sockaddr_read(const struct sockaddr_storage *storage, ph_address *address);

#endif
