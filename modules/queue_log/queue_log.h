/*
 * The module's instance.
 */
#ifndef QUEUE_LOG_QUEUE_LOG_H
#define QUEUE_LOG_QUEUE_LOG_H

#include <posthouse/module.h>

#include "storage.h"

struct queue_log {
	/* parameters */
	const char *path;
	const char *corrupt_path;
	int64_t segment_size;
	int64_t big_message_size;
	int64_t buffer_limit;
	int64_t spare_segments;
	bool verify;
	/* made by open() */
	struct storage *storage;
};

extern const struct ph_module posthouse_module_queue_log;

#endif
