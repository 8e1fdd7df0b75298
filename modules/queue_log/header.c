#include "header.h"

#include <errno.h>
#include <stdlib.h>

int
header_read(const struct files *files, int fd, uint32_t number, struct segment_header *header)
{
	unsigned char *bytes = calloc(1, SEGMENT_HEADER);
	int result;

	if (bytes == NULL) {
		errno = ENOMEM;
		return 1;
	}
	/* A file that is too short has zeros here. */
	if (file_read_at(files, fd, bytes, SEGMENT_HEADER, 0) == -1) {
		free(bytes);
		return 1;
	}
	result = segment_header_decode(bytes, header);
	free(bytes);
	return result == 0 && header->number != number ? -1 : result;
}
