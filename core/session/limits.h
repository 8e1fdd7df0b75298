/*
 * How many connections each client has, over all smtpd processes.
 *
 * A mapping that the processes share has a column for each: a table of addresses with a count, which
 * only that process writes and all read. limits_create() and limits_clear() are the parent's and
 * stand in process/role.h. A client's addresses of one IPv6 network of 64 bits count as one.
 */
#ifndef SESSION_LIMITS_H
#define SESSION_LIMITS_H

#include <posthouse/base.h>

/* Which column is this process's; none exists when limits_create() was not called: then nothing
 * is counted. */
void limits_attach(unsigned column);
/* One connection more. Returns how many the client has now, this one included; 0: not counted,
 * because the table is full there. */
unsigned limits_enter(const ph_address *client);
/* One less. Only after limits_enter() returned more than 0. */
void limits_leave(const ph_address *client);
/* For tests: takes the mapping away. */
void limits_destroy(void);

#endif
