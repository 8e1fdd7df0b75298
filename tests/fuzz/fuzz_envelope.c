/*
 * Envelopes from a disk: what can be decoded can be encoded and means the same.
 */
#include "intake/envelope.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	struct envelope first, second;
	ph_span once, twice;
	ph_error error;

	if (envelope_decode((ph_span){(const char *)data, size}, pool, &first, &error) == 0) {
		if (envelope_encode(&first, pool, &once) == -1 ||
			envelope_decode(once, pool, &second, &error) == -1 ||
			envelope_encode(&second, pool, &twice) == -1 || !ph_span_equal(once, twice))
			abort();
	}
	ph_pool_free(pool);
	return 0;
}
