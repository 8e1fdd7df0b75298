#include "ground/buffer.h"

#include <stdlib.h>
#include <string.h>

#include "ground/sanitize.h"

enum {
	MOST_FREE = 64 /* kept for the next; 2 MiB */
};

static struct {
	struct buffer *first;
	unsigned count;
} spare;

struct buffer *
buffer_take(void)
{
	struct buffer *buffer = spare.first;

	if (buffer != NULL) {
		sanitize_unpoison(buffer, sizeof(*buffer));
		spare.first = buffer->next;
		spare.count--;
	} else {
		buffer = malloc(sizeof(*buffer));
		if (buffer == NULL)
			return NULL;
	}
	buffer->next = NULL;
	buffer->start = buffer->end = 0;
	return buffer;
}

void
buffer_release(struct buffer *buffer)
{
	if (buffer == NULL)
		return;
	if (spare.count == MOST_FREE) {
		free(buffer);
		return;
	}
	buffer->next = spare.first;
	spare.first = buffer;
	spare.count++;
	sanitize_poison(buffer, sizeof(*buffer));
}

void
buffer_compact(struct buffer *buffer)
{
	size_t count = buffer_count(buffer);

	if (buffer->start == 0)
		return;
	memmove(buffer->bytes, buffer->bytes + buffer->start, count);
	buffer->start = 0;
	buffer->end = (uint32_t)count;
}

void
buffers_trim(void)
{
	while (spare.first != NULL) {
		struct buffer *buffer = spare.first;

		sanitize_unpoison(buffer, sizeof(*buffer));
		spare.first = buffer->next;
		free(buffer);
	}
	spare.count = 0;
}
