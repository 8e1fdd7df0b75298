/*
 * The body as it streams by: fields of parts and of messages inside, and lines.
 */
#ifndef FILTER_CHECKS_STREAM_H
#define FILTER_CHECKS_STREAM_H

#include "act.h"

/* 0, or -1: no memory. */
int stream_begin(struct checks *checks);
void stream_free(struct checks *checks);
/* A piece; what becomes of it is written. */
void stream_feed(struct checks *checks, ph_span bytes);
void stream_end(struct checks *checks);

#endif
