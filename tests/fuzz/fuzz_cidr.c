/* Tables of networks: the text up to the first NUL is the table; the bytes behind it are addresses.
 * What the ranges say is what the rules say, one after the other. */
#include "fuzz.h"

#include "../../modules/map_cidr/naive.h"
#include "../../modules/map_cidr/ranges.h"

#include <string.h>
#include <sys/socket.h>

static void
compare(const struct rules *rules, const struct ranges *ranges, uint16_t family, const uint8_t *bytes)
{
	CHECK(ranges_find(ranges, rules, bytes) == naive_find(rules, family, bytes));
}

static void
check(const struct rules *rules, uint16_t family, ph_pool *pool, const uint8_t *data, size_t size)
{
	struct ranges ranges;

	CHECK(ranges_make(&ranges, rules, family, pool) == 0);
	for (size_t i = 0; i < rules->count && i < 50; i++)
		if (rules->items[i].family == family)
			compare(rules, &ranges, family, rules->items[i].bytes);
	for (size_t i = 0; i < ranges.count && i < 50; i++)
		compare(rules, &ranges, family, ranges.items[i].first);
	for (size_t i = 0; i + 16 <= size && i < 160; i += 16)
		compare(rules, &ranges, family, data + i);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	const uint8_t *zero = size > 0 ? memchr(data, 0, size) : NULL;
	size_t table = zero != NULL ? (size_t)(zero - data) : size;
	struct rules rules;
	ph_error error = {""};

	if (cidr_parse(&rules, pool, "fuzz", (ph_span){(const char *)data, table}, &error) == -1) {
		CHECK(strncmp(error.text, "fuzz:", 5) == 0);
	} else {
		check(&rules, AF_INET, pool, data + table, size - table);
		check(&rules, AF_INET6, pool, data + table, size - table);
	}
	ph_pool_free(pool);
	return 0;
}
