/*
 * Log lines on their way out: a bounded buffer and the descriptor that it drains into, without
 * ever blocking. Lines end with a newline and hold no other.
 */
#ifndef GROUND_RING_H
#define GROUND_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum ring_kind {
	RING_FILE,   /* a regular file: one write */
	RING_PIPE,   /* standard error: a terminal, a pipe; asked before each write */
	RING_SYSLOG  /* datagrams to /dev/log, one a line */
};

enum {
	RING_SIZE = 256 * 1024
};

struct ring {
	int fd; /* -1: none; the lines wait */
	enum ring_kind kind;
	size_t used;
	uint64_t dropped; /* lines that did not fit, since the last that did */
	int64_t retry_at; /* syslog: when to try to connect again, in seconds */
	char bytes[RING_SIZE];
};

/* True when the line fitted; else it is counted. */
bool ring_put(struct ring *ring, const char *line, size_t size);
/* Sends what can be sent now. True when the ring is empty. */
bool ring_drain(struct ring *ring);
/* A socket to /dev/log, or -1. */
int ring_connect_syslog(void);

#endif
