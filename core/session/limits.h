/*
 * What clients use up, over all smtpd processes of all generations: connections, and events in a
 * unit of time (session/rates.h).
 *
 * The supervisor makes the memory, sparse and of a fixed size, and hands it to each generation. A
 * client is a 64-bit hash of its network and of the service that it uses, under a secret drawn when
 * the daemon started. Connections are counted in columns, a table of clients for each process,
 * which only that process writes and all read: so no count outlives its process. A process holds a
 * lock of the kernel on its column, which ends with it; a column that nobody holds is cleared by
 * whoever comes across it.
 */
#ifndef SESSION_LIMITS_H
#define SESSION_LIMITS_H

#include <posthouse/base.h>

#include "session/rates.h"

/* Makes the memory. A descriptor that the caller hands on and closes, or -1. */
int limits_make(ph_error *error);
/* Maps it, before the roles are forked. With -1, or with memory that another version of this
 * program made, this generation has memory of its own. The descriptor is taken over. 0 or -1. */
int limits_open(int fd, ph_error *error);
/* In a process that has no business with it; in tests. */
void limits_close(void);
/* A process of this generation has died: clears what it leaves. */
void limits_sweep(void);
/* This process counts from now on. Without it, nothing is counted. */
void limits_attach(void);

/* A client of a service; only the first bits of its address count, as many as prefix says. 0, which
 * is never counted: it has no address. */
uint64_t limits_client(const char *service, const ph_address *address, unsigned prefix);
/* One connection more. Returns how many the client has now, this one included; 0: not counted,
 * because this process's column is full. When there are more than limit, those of processes that
 * have died meanwhile are not among them. */
unsigned limits_enter(uint64_t client, int64_t limit);
/* One less. Only after limits_enter() returned more than 0. */
void limits_leave(uint64_t client);
/* One event more. Returns how many there were in this unit of time (milliseconds), this one
 * included; 0: not counted (session/rates.h), or there is no limit. */
uint32_t limits_count(uint64_t client, enum rate_event event, int64_t limit, int64_t unit);

/* How much memory it takes now, bytes: for tests. */
size_t limits_memory(void);

#endif
