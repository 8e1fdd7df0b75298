/*
 * How a message entered: what its listener, its session or the sendmail command bring along.
 */
#include "intake/message.h"

#include <string.h>

/* Are the headers of this client's mail to be rewritten? */
static bool
is_local_client(const struct settings *settings, const struct intake_client *client)
{
	for (size_t i = 0; i < settings->local_header_rewrite_clients.count; i++) {
		const char *word = settings->local_header_rewrite_clients.items[i];

		if ((client->in_interfaces && strcmp(word, "permit_inet_interfaces") == 0) ||
			(client->in_mynetworks && strcmp(word, "permit_mynetworks") == 0) ||
			(client->sasl_username != NULL && *client->sasl_username != '\0' &&
				strcmp(word, "permit_sasl_authenticated") == 0))
			return true;
	}
	return false;
}

/* What mail that enters by a listener is spared, and where it goes first. */
static int
take_entry(struct ph_filter_message *message, const ph_strings *overrides, const char *filter)
{
	message->envelope.filter = message_copy_text(message->pool, filter);
	message->no_mappings = message_has_word(overrides, "no_address_mappings");
	message->exempt |= message_has_word(overrides, "no_header_body_checks");
	return message->envelope.filter != NULL ? 0 : -1;
}

/* Facts of the session that go into the envelope; the session may end before the message does. */
static int
copy_client(struct ph_filter_message *message, const struct intake_client *client)
{
	struct envelope *envelope = &message->envelope;

	envelope->client_name = message_copy_text(message->pool, client->name);
	envelope->client_address = message_copy_text(message->pool, client->address);
	envelope->helo = message_copy_text(message->pool, client->helo);
	envelope->protocol = message_copy_text(message->pool, client->protocol);
	envelope->client_port = client->port;
	envelope->sasl_username = message_copy_text(message->pool, client->sasl_username);
	envelope->sasl_method = message_copy_text(message->pool, client->sasl_method);
	envelope->sasl_sender = message_copy_text(message->pool, client->sasl_sender);
	message->tls = client->tls;
	message->rewrite_headers = is_local_client(message->settings, client);
	if (take_entry(message, client->overrides, client->filter) == -1 ||
		envelope->client_name == NULL || envelope->client_address == NULL ||
		envelope->helo == NULL || envelope->protocol == NULL ||
		envelope->sasl_username == NULL ||
		envelope->sasl_method == NULL || envelope->sasl_sender == NULL)
		return -1;
	return 0;
}

/* What filters of content let pass. */
static bool
is_exempt(const struct settings *settings, const struct ph_intake_origin *origin)
{
	static const char *const classes[] = {
		[PH_REPORT_OTHER] = "", [PH_REPORT_BOUNCE] = "bounce",
			[PH_REPORT_NOTIFY] = "notify"};

	if (origin->again || origin->origin != PH_ORIGIN_INTERNAL)
		return origin->again;
	return origin->report > PH_REPORT_NOTIFY ||
		!message_has_word(&settings->internal_mail_filter_classes, classes[origin->report]);
}

/* What the section of a listener without sessions says. 0, or -1 without memory. */
static int
take_listener(struct ph_filter_message *message, const struct intake_base *base)
{
	struct ph_intake_origin *origin = &message->origin;
	const struct policy_settings *policy =
		origin->listener != NULL ? base->policy(origin->listener) : NULL;

	if (policy == NULL)
		return 0;
	if (*origin->queue == '\0')
		origin->queue = policy->queue;
	return take_entry(message, &policy->receive_override_options, policy->content_filter);
}

int
message_take_origin(struct ph_filter_message *message, const struct intake_base *base,
	const struct ph_intake_origin *origin)
{
	struct ph_intake_origin *copy = &message->origin;

	memcpy(copy, origin, origin->size < sizeof(*copy) ? origin->size : sizeof(*copy));
	copy->size = sizeof(*copy);
	copy->user_name = message_copy_text(message->pool, copy->user_name);
	copy->full_name = message_copy_text(message->pool, copy->full_name);
	copy->queue = message_copy_text(message->pool, copy->queue);
	message->envelope.origin = copy->origin;
	message->envelope.uid = copy->uid;
	if (copy->user_name == NULL || copy->full_name == NULL || copy->queue == NULL)
		return -1;
	message->rewrite_headers = copy->origin != PH_ORIGIN_SMTP;
	message->exempt = is_exempt(message->settings, copy);
	if (take_listener(message, base) == -1)
		return -1;
	if (copy->session == NULL)
		return 0;
	struct intake_client client = {.name = NULL};

	base->client(copy->session, &client);
	return copy_client(message, &client);
}
