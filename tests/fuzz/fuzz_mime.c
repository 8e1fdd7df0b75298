/* The structure of a message: every byte is given once and in order, and the same things are seen however
 * it is cut. The first byte says how large the limits are. */
#include "fuzz.h"

#include <posthouse/checks.h>
#include <posthouse/mime.h>

#include <string.h>

enum { FIELD = 1, REST, BODY, DEEP };

struct seen {
	const uint8_t *data; /* what is expected next */
	size_t left;
	uint64_t hash;       /* of what was given, but not of how a long field's rest was cut */
	size_t most_field, most_line;
	ph_pool *pool;
};

static void
mix(struct seen *seen, uint64_t value)
{
	seen->hash = (seen->hash ^ value) * UINT64_C(1099511628211);
}

static void
take(struct seen *seen, ph_span bytes)
{
	CHECK(bytes.size > 0 && bytes.size <= seen->left);
	CHECK(memcmp(bytes.data, seen->data, bytes.size) == 0);
	seen->data += bytes.size;
	seen->left -= bytes.size;
	for (size_t i = 0; i < bytes.size; i++)
		mix(seen, (unsigned char)bytes.data[i]);
}

static void
make_key(struct seen *seen, ph_span bytes)
{
	const char *key = ph_check_key(seen->pool, bytes, seen->most_field);

	CHECK(key != NULL && strlen(key) <= bytes.size);
	ph_pool_reset(seen->pool);
}

static int
on_header(void *context, enum ph_mime_place place, ph_span field)
{
	struct seen *seen = context;

	CHECK(field.size <= seen->most_field);
	mix(seen, FIELD);
	mix(seen, place);
	take(seen, field);
	make_key(seen, field);
	mix(seen, ph_mime_describes(field));
	return 0;
}

static int
on_rest(void *context, ph_span bytes)
{
	take(context, bytes);
	return 0;
}

static int
on_body(void *context, ph_span line, int64_t offset)
{
	struct seen *seen = context;

	CHECK(line.size <= seen->most_line + 2 && offset >= 0);
	mix(seen, BODY);
	mix(seen, (uint64_t)offset);
	take(seen, line);
	make_key(seen, line);
	return 0;
}

static int
on_too_deep(void *context, ph_span field)
{
	mix(context, DEEP);
	return 0;
}

static uint64_t
run(const uint8_t *data, size_t size, size_t step, bool small, ph_pool *pool)
{
	static const struct ph_mime_ops ops = {.size = sizeof(ops), .header = on_header,
		.header_rest = on_rest, .body = on_body, .too_deep = on_too_deep};
	const struct ph_mime_limits limits = {.size = sizeof(limits), .nesting = small ? 2 : 100,
		.boundary = small ? 4 : 2048, .header = small ? 50 : 102400, .line = small ? 10 : 2048};
	struct seen seen = {data, size, 14695981039346656037u, limits.header, limits.line, pool};
	ph_mime *mime = ph_mime_new(&limits, &ops, &seen);

	CHECK(mime != NULL);
	for (size_t at = 0; at < size; at += step)
		CHECK(ph_mime_feed(mime, (ph_span){(const char *)data + at, size - at < step ? size - at : step}) == 0);
	CHECK(ph_mime_end(mime) == 0 && seen.left == 0);
	ph_mime_free(mime);
	return seen.hash;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool small = size > 0 && (data[0] & 1);
	ph_pool *pool = ph_pool_new(0);
	uint64_t whole;

	if (size > 0) {
		data++;
		size--;
	}
	whole = run(data, size, size + 1, small, pool);
	CHECK(run(data, size, 1, small, pool) == whole);
	CHECK(run(data, size, 7, small, pool) == whole);
	ph_pool_free(pool);
	return 0;
}
