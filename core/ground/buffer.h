/*
 * Buffers of streams: 32 KiB each, from a list of free ones, so that a stream has one only while it
 * holds bytes.
 */
#ifndef GROUND_BUFFER_H
#define GROUND_BUFFER_H

#include <stddef.h>
#include <stdint.h>

enum {
	BUFFER_SIZE = 32 * 1024
};

struct buffer {
	struct buffer *next;
	uint32_t start; /* the bytes held are start … end-1 */
	uint32_t end;
	char bytes[BUFFER_SIZE];
};

/* An empty buffer; NULL: no memory. */
struct buffer *buffer_take(void);
/* Gives it back; NULL: nothing. */
void buffer_release(struct buffer *buffer);
/* Moves the bytes to the front. */
void buffer_compact(struct buffer *buffer);
/* Frees those that nobody uses. */
void buffers_trim(void);

static inline size_t
buffer_count(const struct buffer *buffer)
{
	return buffer == NULL ? 0 : buffer->end - buffer->start;
}

#endif
