/*
 * What policy wants done with a message at its commit: other recipients, headers of its own.
 */
#include <string.h>

#include "intake/complete.h"
#include "intake/message.h"

int
message_append_text(struct ph_filter_message *message, ph_strings *list, const char *text)
{
	const char **grown = ph_pool_array(message->pool, list->count + 1, sizeof(*grown));
	const char *copy = ph_pool_strdup(message->pool, text);

	if (grown == NULL || copy == NULL)
		return -1;
	if (list->count > 0)
		memcpy(grown, list->items, list->count * sizeof(*grown));
	grown[list->count] = copy;
	*list = (ph_strings){list->count + 1, grown};
	return 0;
}

static int
add_recipient(struct ph_filter_message *message, const char *address, const char *original,
	const struct ph_rcpt_parameters *parameters)
{
	const char *complete = recipient_complete(message->pool, message->settings, address);

	return complete == NULL ? -1
		: message_add_recipient(message, complete, original, parameters);
}

/* In place of all recipients comes one, who is told whom the message was for: the first. */
static int
redirect(struct ph_filter_message *message)
{
	const struct recipient *first = &message->envelope.recipients[0];
	const char *original = message->redirect;

	if (message->envelope.recipient_count > 0)
		original = *first->original != '\0' ? first->original : first->address;
	message->envelope.recipient_count = 0;
	return add_recipient(message, message->redirect, original, NULL);
}

/* The sender knows nothing of the ones beside the others, and hears nothing of them. */
int
message_change_recipients(struct ph_filter_message *message)
{
	static const struct ph_rcpt_parameters never = {.size = sizeof(never), .notify = 1};

	if (message->redirect != NULL && redirect(message) == -1)
		return -1;
	for (size_t i = 0; i < message->bcc.count; i++) {
		const char *address = message->bcc.items[i];

		if (add_recipient(message, address, address, &never) == -1)
			return -1;
	}
	return 0;
}

int
message_prepend_headers(struct ph_filter_message *message)
{
	for (size_t i = 0; i < message->prepend.count; i++) {
		const char *text = message->prepend.items[i], *colon = strchr(text, ':');
		const char *name, *value;

		if (colon == NULL)
			continue;
		name = ph_pool_copy(message->pool, (ph_span){text, (size_t)(colon - text)});
		value = colon + 1 + strspn(colon + 1, " \t");
		if (name == NULL || ph_header_insert(message, i, name, value) == -1)
			return -1;
	}
	return 0;
}
