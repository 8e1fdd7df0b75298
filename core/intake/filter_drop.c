/*
 * A built-in filter behind those of the configuration: headers that no message keeps
 * (message_drop_headers).
 */
#include "intake/message.h"

static bool
is_dropped(const ph_strings *names, const struct header *header)
{
	for (size_t i = 0; i < names->count; i++)
		if (header_is(header, names->items[i]))
			return true;
	return false;
}

static ph_filter_result
drop_headers(void *self, ph_filter_message *message, void **state)
{
	size_t kept = 0;

	for (size_t i = 0; i < message->header_count; i++)
		if (!is_dropped(&message->settings->message_drop_headers, &message->headers[i]))
			message->headers[kept++] = message->headers[i];
	message->header_count = kept;
	return PH_FILTER_CONTINUE;
}

const struct ph_filter_ops filter_drop = {.size = sizeof(struct ph_filter_ops), .header = drop_headers};
