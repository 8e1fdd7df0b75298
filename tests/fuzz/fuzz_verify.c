/*
 * The file of the verification cache: whatever stands in it, records are sound texts within their
 * limits, all bytes are accounted for, and what was read is written and read the same.
 */
#include "fuzz.h"

#include <string.h>

#include "queue/verify_cache.h"

#define NOW INT64_C(1700000000)

static size_t
check_record(const struct verify_record *record)
{
	char bytes[VERIFY_RECORD_MAX];
	struct verify_record again;
	size_t size = verify_record_put(record, bytes), skipped = 0;
	ph_span rest = {bytes, size};

	CHECK(record->address.size > 0 && record->address.size <= VERIFY_ADDRESS_MAX);
	CHECK(memchr(record->address.data, '\0', record->address.size) == NULL);
	CHECK(verify_record_next(&rest, &again, &skipped) && skipped == 0 && rest.size == 0);
	CHECK(again.status == record->status && again.updated == record->updated);
	CHECK(ph_span_equal(again.address, record->address) && ph_span_equal(again.text, record->text));
	return size;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct verify_limits limits = {.entries = 8, .positive_expire = 1000, .positive_refresh = 10,
		.negative_expire = 100, .negative_refresh = 10, .negative = true};
	struct verify_cache *cache = verify_cache_new(&limits);
	ph_span rest = {(const char *)data, size};
	struct verify_record record;
	size_t skipped = 0, used = 0;

	CHECK(cache != NULL);
	if (verify_header_take(&rest) == PH_FOUND)
		CHECK(rest.size == size - VERIFY_HEADER_SIZE);
	else
		CHECK(rest.size == size);
	size = rest.size;
	while (verify_record_next(&rest, &record, &skipped)) {
		struct verify_answer answer;

		used += check_record(&record);
		verify_cache_load(cache, &record, NOW);
		verify_cache_look(cache, record.address, NOW, &answer);
		CHECK(answer.text != NULL && verify_cache_count(cache) <= limits.entries);
	}
	CHECK(used + skipped == size);
	verify_cache_free(cache);
	return 0;
}
