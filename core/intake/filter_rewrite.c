/*
 * The second built-in filter: addresses in headers, completed and rewritten. Headers of strangers
 * (without remote_header_rewrite_domain), and of mail that came in before, stay as they are.
 */
#include "intake/complete.h"
#include "intake/rewrite.h"
#include "intake/rewrite_header.h"

struct visit {
	struct ph_filter_message *message;
	enum rewrite_class class;
};

static int
rewrite_one(void *context, const char *address, const char **rewritten)
{
	struct visit *visit = context;

	if (!visit->message->rewrite_headers) {
		address = address_complete_remote(visit->message->pool, visit->message->settings, address);
		if (address == NULL)
			return -1;
	}
	return rewrite_address(visit->message, visit->class, address, rewritten);
}

static int
rewrite_field(struct ph_filter_message *message, struct header *header)
{
	enum header_role role = header_role(header_name(header));
	struct visit visit = {message,
		role == HEADER_ROLE_SENDER ? REWRITE_HEADER_SENDER : REWRITE_HEADER_RECIPIENT};
	ph_span value = header_value(header), result;

	if (role == HEADER_ROLE_NONE)
		return 0;
	if (header_rewrite(message->pool, value, rewrite_one, &visit, &result) != 0)
		return -1;
	return result.data == value.data ? 0 : header_set_value(message->pool, header, result);
}

static ph_filter_result
rewrite_headers(void *self, ph_filter_message *message, void **state)
{
	bool remote = *message->settings->remote_header_rewrite_domain != '\0';

	if (message->origin.again || (!message->rewrite_headers && !remote))
		return PH_FILTER_CONTINUE;
	for (size_t i = 0; i < message->header_count; i++) {
		if (rewrite_field(message, &message->headers[i]) == 0)
			continue;
		if (message->reply.code == 0)
			ph_filter_reply(message, 451, "4.3.0", "Error: queue file write error");
		return PH_FILTER_REFUSE;
	}
	return PH_FILTER_CONTINUE;
}

const struct ph_filter_ops filter_rewrite = {
	.size = sizeof(struct ph_filter_ops), .header = rewrite_headers};
