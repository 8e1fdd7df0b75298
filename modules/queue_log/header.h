/*
 * Reading the header of a segment's file.
 */
#ifndef QUEUE_LOG_HEADER_H
#define QUEUE_LOG_HEADER_H

#include "file.h"
#include "record.h"

/* 0; -1: no header, damaged, or of another number; -2: of another major; 1: it could not be read,
 * with errno. */
int header_read(const struct files *files, int fd, uint32_t number, struct segment_header *header);

#endif
