/*
 * A message while it is written: content collects in chunks until commit, or goes to a file when
 * there is much of it.
 */
#ifndef QUEUE_LOG_MESSAGE_H
#define QUEUE_LOG_MESSAGE_H

#include "storage.h"

int message_begin(struct storage *storage, int64_t expected, ph_queue_writer **writer,
	ph_error *error);
int message_append(ph_queue_writer *writer, ph_span bytes, ph_error *error);
int message_commit(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head,
	uint32_t flags, uint64_t *handle, ph_error *error);
void message_abort(ph_queue_writer *writer);

/* Frees what is kept for later messages. */
void chunks_clear(struct chunks *chunks);

#endif
