/*
 * Reading a message, in any process.
 */
#ifndef QUEUE_LOG_READER_H
#define QUEUE_LOG_READER_H

#include "storage.h"

ph_found reader_open(struct storage *storage, uint64_t handle, ph_pool *pool,
	struct ph_queue_content *content, ph_error *error);

#endif
