/*
 * Lists of mailboxes: what comes out goes in again and is the same.
 */
#include "intake/mailbox_list.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
same(void *expected, const char *address)
{
	if (strcmp(address, expected) != 0)
		abort();
	return 0;
}

static int
again(void *pool, const char *address)
{
	char *copy = ph_pool_strdup(pool, address);

	if (mailbox_list_parse(pool, ph_span_of(address), same, copy, NULL) != 0)
		abort();
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_pool *pool = ph_pool_new(0);
	ph_error error;

	mailbox_list_parse(pool, (ph_span){(const char *)data, size}, again, pool, &error);
	ph_pool_free(pool);
	return 0;
}
