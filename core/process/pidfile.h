/*
 * The pid file: whoever holds the lock on it runs. The number in it is for people; the kernel says
 * who holds the lock.
 */
#ifndef PROCESS_PIDFILE_H
#define PROCESS_PIDFILE_H

#include <sys/types.h>

#include <posthouse/base.h>

/* Locks directory/master.pid and writes our pid. A descriptor to keep open; -1 when it is locked
 * (*holder is that process) or cannot be had (*holder is 0). */
int pidfile_lock(const char *directory, pid_t *holder, ph_error *error);
/* Removes the file and lets go of it. */
void pidfile_unlock(const char *directory, int fd);
/* Who runs; 0: nobody. */
pid_t pidfile_holder(const char *directory);

#endif
