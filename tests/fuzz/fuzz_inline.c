/* Tables in the configuration: every entry is found again, and no key comes twice. */
#include "fuzz.h"

#include "../../modules/map_inline/pairs.h"

#include <string.h>

static void
check(const struct pairs *pairs, size_t size)
{
	size_t bytes = 0;

	for (size_t i = 0; i < pairs->count; i++) {
		const struct pair *pair = &pairs->items[i];

		CHECK(pair->key.size > 0 && pair->value.size > 0);
		CHECK(pairs_find(pairs, pair->key) == pair);
		CHECK(memchr(pair->key.data, '=', pair->key.size) == NULL);
		bytes += pair->key.size + pair->value.size;
	}
	CHECK(pairs->count > 0 && bytes < size);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span text = {(const char *)data, size}, inside;
	struct pairs pairs;
	ph_error error = {""};

	if (pairs_parse(&pairs, pool, text, &error) == 0)
		check(&pairs, size);
	else
		CHECK(error.text[0] != '\0');
	if (pairs_unwrap(text, &inside, &error) == 0)
		CHECK(inside.size <= size);
	ph_pool_free(pool);
	return 0;
}
