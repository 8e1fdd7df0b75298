/*
 * The sender of probes: see verify_sender.h.
 */
#include "intake/verify_sender.h"

#include <string.h>

#include <posthouse/address.h>

#include "intake/complete.h"

/* No vowels: no words come of it. */
static const char digits[] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";
#define BASE (sizeof(digits) - 1)
#define DIGITS_MAX 16

/* Without its period; "" for the empty one. */
static const char *
plain_sender(ph_pool *pool, const struct settings *settings)
{
	const char *sender = settings->address_verify_sender;

	/* a test may leave it out */
	if (sender == NULL || strcmp(sender, "<>") == 0)
		return "";
	return address_complete(pool, settings, sender);
}

/* With the digits of a period behind its local part. */
static const char *
sender_of(ph_pool *pool, const char *plain, int64_t period)
{
	ph_span local = ph_address_local_part(plain);
	char text[DIGITS_MAX + 1], *at = text + DIGITS_MAX;

	*at = '\0';
	for (uint64_t rest = (uint64_t)period; at == text + DIGITS_MAX || (rest > 0 && at > text);
		rest /= BASE)
		*--at = digits[rest % BASE];
	return ph_pool_printf(pool, "%.*s%s%s", (int)local.size, local.data, at,
		plain + local.size);
}

const char *
verify_sender(ph_pool *pool, const struct settings *settings, int64_t now)
{
	int64_t ttl = settings->address_verify_sender_ttl / 1000;
	const char *plain = plain_sender(pool, settings);

	return plain == NULL || *plain == '\0' || ttl <= 0 ? plain
		: sender_of(pool, plain, now / ttl);
}

const char *
verify_sender_base(ph_pool *pool, const struct settings *settings, int64_t now, const char *address)
{
	int64_t ttl = settings->address_verify_sender_ttl / 1000;
	const char *plain = plain_sender(pool, settings);

	if (plain == NULL || *plain == '\0')
		return NULL;
	if (ttl <= 0)
		return ph_strcasecmp(plain, address) == 0 ? plain : NULL;
	for (int64_t period = now / ttl - 1; period <= now / ttl + 1; period++) {
		const char *sender = sender_of(pool, plain, period);

		if (sender != NULL && ph_strcasecmp(sender, address) == 0)
			return plain;
	}
	return NULL;
}
