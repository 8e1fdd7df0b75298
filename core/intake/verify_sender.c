/*
 * The sender of probes: see verify_sender.h.
 */
#include "intake/verify_sender.h"

#include <string.h>

#include "intake/complete.h"

const char *
verify_sender(ph_pool *pool, const struct settings *settings)
{
	const char *sender = settings->address_verify_sender;

	/* a test may leave it out */
	if (sender == NULL || strcmp(sender, "<>") == 0)
		return "";
	return address_complete(pool, settings, sender);
}

bool
verify_sender_is(ph_pool *pool, const struct settings *settings, const char *address)
{
	const char *sender = verify_sender(pool, settings);

	return sender != NULL && *sender != '\0' && ph_strcasecmp(sender, address) == 0;
}
