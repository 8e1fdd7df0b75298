/*
 * The connection of a command to the queue role, over run_directory/control.
 */
#ifndef CLI_QUEUETALK_H
#define CLI_QUEUETALK_H

#include "config/config.h"

struct talk {
	struct config *config;
	const struct settings *settings;
	ph_pool *pool;
	int fd;
};

/* A frame of an answer; what is in the pool lives until the next one. */
typedef void talk_frame_fn(void *context, unsigned type, ph_span payload, ph_pool *pool);

/* Connects; option is that of -c, or NULL. A code of sysexits.h; what went wrong was said. Call
 * talk_close() in any case. */
int talk_open(struct talk *talk, const char *option);
void talk_close(struct talk *talk);

/* One request (enum in queue/protocol.h) and its answer. count: how many messages it was about. A
 * code of sysexits.h; what went wrong was said. */
int talk_ask(struct talk *talk, unsigned type, const char *argument, unsigned what,
	talk_frame_fn *fn, void *context, uint64_t *count);

#endif
