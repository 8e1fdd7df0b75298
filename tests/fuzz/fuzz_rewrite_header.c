/*
 * Header addresses: rewriting nothing changes nothing; what was rewritten once is not again.
 */
#include "intake/rewrite_header.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
keep(void *context, const char *address, const char **rewritten)
{
	return 0;
}

static int
replace(void *context, const char *address, const char **rewritten)
{
	*rewritten = "new@new.example";
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	ph_span value = {(const char *)data, size}, same, first, second;

	if (header_rewrite(pool, value, keep, NULL, &same) != 0 || same.data != value.data ||
		same.size != size)
		abort();
	if (header_rewrite(pool, value, replace, NULL, &first) != 0 ||
		header_rewrite(pool, first, replace, NULL, &second) != 0)
		abort();
	if (first.size != second.size || (first.size > 0 && memcmp(first.data, second.data, first.size) != 0))
		abort();
	ph_pool_free(pool);
	return 0;
}
