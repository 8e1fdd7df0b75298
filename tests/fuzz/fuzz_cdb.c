/* Constant databases: whatever stands in one, nothing outside of it is read, and what is found lies
 * within. */
#include "fuzz.h"

#include "../../modules/map_hash/reader.h"

#include <string.h>

static void
inside(const struct reader *reader, ph_span span)
{
	CHECK(span.size == 0 || (span.data >= reader->bytes.data &&
		span.data + span.size <= reader->bytes.data + reader->bytes.size));
}

static void
walk(const struct reader *reader)
{
	ph_span key, value, found;
	size_t at = 0;

	for (int i = 0; i < 200 && reader_next(reader, &at, &key, &value) == PH_FOUND; i++) {
		inside(reader, key);
		inside(reader, value);
		if (reader_find(reader, key, &found) == PH_FOUND)
			inside(reader, found);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader reader;
	/* On the heap and of that size, so that a read behind it is seen. */
	char *bytes = malloc(size > 0 ? size : 1);
	ph_span value;

	CHECK(bytes != NULL);
	if (size > 0)
		memcpy(bytes, data, size);
	if (reader_open(&reader, (ph_span){bytes, size}) == NULL) {
		walk(&reader);
		if (reader_find(&reader, ph_span_of("alpha"), &value) == PH_FOUND)
			inside(&reader, value);
	}
	free(bytes);
	return 0;
}
