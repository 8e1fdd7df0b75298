/*
 * How often clients did something within a unit of time: a table of fixed size in memory that
 * processes share.
 *
 * Nobody locks it. Each counter is one word that says whose it is, when its window began and how
 * much was counted, and changes in one step: a process that dies leaves it as it was or as it will
 * be. A counter's window begins with the first event and lasts for the unit; the first event after
 * that begins the next.
 *
 * A client may lie in one of 16 slots, which its hash says. When a newcomer finds them all taken,
 * the one of least worth gives way, in this order:
 *   1. one whose windows are all over: nothing is lost with it;
 *   2. one without a connection that has used up less than half of each limit, and of these the one
 *      with the least use, then the oldest;
 *   3. any other that has not used up a limit, likewise.
 * A client that has used up one of its limits keeps its slot for as long as that window lasts,
 * whatever comes. When all 16 are such, a newcomer is not counted. Two processes that see the same
 * client for the first time in the same moment may count one event too few.
 */
#ifndef SESSION_RATES_H
#define SESSION_RATES_H

#include <posthouse/base.h>

enum rate_event {
	RATE_CONNECTION,
	RATE_MESSAGE,
	RATE_RECIPIENT,
	RATE_AUTH,
	RATE_NEW_TLS_SESSION,
	RATE_EVENTS
};

enum {
	RATE_LIMIT_MOST = 4000000 /* more is not counted */
};

struct rates;

/* The memory of a table, bytes; it begins as zero. */
size_t rates_size(void);

struct rate_request {
	uint64_t client;     /* a keyed hash: what an attacker cannot choose; not 0 */
	enum rate_event event;
	uint32_t limit;      /* more than that is too much; at least 1 */
	uint32_t unit;       /* seconds */
	uint32_t now;        /* seconds of a clock that all processes share */
	/* Does a client have a connection? Asked when a slot has to give way; NULL: none has. */
	bool (*is_connected)(uint64_t client);
};

/* Counts an event. Returns how many there were in this window, this one included; 0: it was not
 * counted, for the table is full of clients that have used up their limits. */
uint32_t rates_count(struct rates *rates, const struct rate_request *request);

#endif
