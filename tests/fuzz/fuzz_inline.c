/* Tables in the configuration: every entry is found again, no key comes twice, and texts are parts of
 * what was given. */
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

static void
check_texts(const struct texts *texts, ph_span text)
{
	CHECK(texts->count > 0);
	for (size_t i = 0; i < texts->count; i++) {
		const ph_span *item = &texts->items[i];

		CHECK(item->size > 0 && item->data >= text.data);
		CHECK(item->data + item->size <= text.data + text.size);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span text = {(const char *)data, size}, inside;
	struct pairs pairs;
	struct texts texts;
	ph_error error = {""};

	if (pairs_parse(&pairs, pool, text, &error) == 0)
		check(&pairs, size);
	else
		CHECK(error.text[0] != '\0');
	error.text[0] = '\0';
	if (texts_parse(&texts, pool, text, &error) == 0)
		check_texts(&texts, text);
	else
		CHECK(error.text[0] != '\0');
	if (pairs_unwrap(text, &inside, &error) == 0)
		CHECK(inside.size <= size);
	ph_pool_free(pool);
	return 0;
}
