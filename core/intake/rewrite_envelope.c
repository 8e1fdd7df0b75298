/*
 * The envelope at the commit: the sender, copies for others, the recipients.
 */
#include <string.h>

#include <posthouse/dsn.h>

#include "intake/complete.h"
#include "intake/rewrite.h"

static bool
is_set(const ph_map *map)
{
	return map != NULL && !ph_map_is_empty(map);
}

/* Reports and mail that came in before are not copied, nor what receive_override_options spares. */
static bool
wants_copies(const struct ph_filter_message *message)
{
	return message->origin.origin != PH_ORIGIN_INTERNAL && !message->origin.again &&
		!message->no_mappings;
}

static int
fail_memory(struct ph_filter_message *message)
{
	ph_filter_reply(message, 451, "4.3.0", "Error: queue file write error");
	return -1;
}

/* ---- Copies ------------------------------------------------------------------------------------ */

static int
add_copy(struct ph_filter_message *message, const char *address)
{
	static const struct ph_rcpt_parameters never = {.size = sizeof(never), .notify = 1};
	const char *rewritten;

	if (rewrite_address(message, REWRITE_ENVELOPE_RECIPIENT, address, &rewritten) == -1)
		return -1;
	return message_add_recipient(message, rewritten, address, &never) == 0 ? 0 : fail_memory(message);
}

static int
add_copies(struct ph_filter_message *message, const char *parameter, const ph_map *map,
	const char *address)
{
	ph_strings list = {0, NULL};

	if (!is_set(map) || *address == '\0')
		return 0;
	if (rewrite_lookup(message, parameter, map, address, false, &list) == -1)
		return -1;
	for (size_t i = 0; i < list.count; i++)
		if (add_copy(message, list.items[i]) == -1)
			return -1;
	return 0;
}

int
rewrite_copies(struct ph_filter_message *message)
{
	const struct settings *settings = message->settings;
	size_t count = message->envelope.recipient_count;

	if (!wants_copies(message))
		return 0;
	if (settings->always_bcc != NULL && *settings->always_bcc != '\0' &&
		add_copy(message, settings->always_bcc) == -1)
		return -1;
	if (add_copies(message, "sender_bcc_maps", settings->sender_bcc_maps,
		message->envelope.sender) == -1)
		return -1;
	if (!is_set(settings->recipient_bcc_maps))
		return 0;
	for (size_t i = 0; i < count; i++)
		if (add_copies(message, "recipient_bcc_maps", settings->recipient_bcc_maps,
			message->envelope.recipients[i].address) == -1)
			return -1;
	return 0;
}

/* ---- Recipients -------------------------------------------------------------------------------- */

/* The address it came in with stays known as the original. */
static void
change_address(struct recipient *recipient, const char *address)
{
	if (*recipient->original == '\0')
		recipient->original = recipient->address;
	recipient->address = address;
	if (strcmp(recipient->original, address) == 0)
		recipient->original = "";
}

static int
rewrite_recipients(struct ph_filter_message *message)
{
	for (size_t i = 0; i < message->envelope.recipient_count; i++) {
		struct recipient *recipient = &message->envelope.recipients[i];
		const char *rewritten;

		if (rewrite_route(message, recipient->address, &rewritten) == -1)
			return -1;
		if (rewrite_is_configured(message->settings) &&
			rewrite_address(message, REWRITE_ENVELOPE_RECIPIENT, rewritten, &rewritten) == -1)
			return -1;
		if (strcmp(rewritten, recipient->address) != 0)
			change_address(recipient, rewritten);
	}
	return 0;
}

struct heirs {
	struct ph_filter_message *message;
	const struct recipient *from;
};

static int
add_heir(void *context, const char *address)
{
	struct heirs *heirs = context;
	struct envelope *envelope = &heirs->message->envelope;

	if (message_add_recipient(heirs->message, address, address, NULL) == -1)
		return fail_memory(heirs->message);
	struct recipient *heir = &envelope->recipients[envelope->recipient_count - 1];
	const char *copy = heir->address;

	*heir = *heirs->from;
	if (strcmp(copy, heir->address) != 0)
		change_address(heir, copy);
	return 0;
}

/* RFC 3461, 5.2.7.3: of several that stand for one the sender hears no success, but that it is so. */
static int
share_out_wishes(struct ph_filter_message *message, const struct recipient *alias, size_t first)
{
	struct envelope *envelope = &message->envelope;

	if (envelope->recipient_count - first < 2)
		return 0;
	for (size_t i = first; i < envelope->recipient_count; i++)
		envelope->recipients[i].notify = ph_dsn_notify_expanded(alias->notify);
	if ((alias->notify & PH_NOTIFY_SUCCESS) == 0)
		return 0;
	return message_add_alias(message, alias) == 0 ? 0 : fail_memory(message);
}

static int
expand_recipients(struct ph_filter_message *message)
{
	struct envelope *envelope = &message->envelope;
	const struct recipient *before = envelope->recipients;
	size_t count = envelope->recipient_count;

	if (!is_set(message->settings->virtual_alias_maps) || message->no_mappings)
		return 0;
	envelope->recipients = NULL;
	envelope->recipient_count = message->recipient_room = 0;
	for (size_t i = 0; i < count; i++) {
		struct heirs heirs = {message, &before[i]};
		size_t first = envelope->recipient_count;

		if (rewrite_expand(message, before[i].address, add_heir, &heirs) == -1 ||
			share_out_wishes(message, &before[i], first) == -1)
			return -1;
	}
	return 0;
}

int
rewrite_addresses(struct ph_filter_message *message)
{
	struct envelope *envelope = &message->envelope;

	if (rewrite_is_configured(message->settings) && *envelope->sender != '\0' && rewrite_address(message, REWRITE_ENVELOPE_SENDER,
		envelope->sender, &envelope->sender) == -1)
		return -1;
	return rewrite_recipients(message);
}

int
rewrite_envelope(struct ph_filter_message *message)
{
	struct envelope *envelope = &message->envelope;

	if (rewrite_addresses(message) == -1 || rewrite_copies(message) == -1 ||
		expand_recipients(message) == -1)
		return -1;
	if (!message->settings->enable_original_recipient)
		for (size_t i = 0; i < envelope->recipient_count; i++)
			envelope->recipients[i].original = "";
	return 0;
}
