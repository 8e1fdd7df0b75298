/*
 * The last built-in filter: the trace header (RFC 5321, 4.4), on top of all that others changed.
 */
#include <string.h>

#include "intake/date.h"
#include "intake/message.h"

/* What a client said of itself, fit for a header: RFC 5322 specials that would open a comment or a
 * quotation, and everything that is not printable ASCII, become "?". */
static const char *
neutral(ph_pool *pool, const char *text)
{
	char *copy = ph_pool_strdup(pool, text);

	for (char *p = copy; p != NULL && *p != '\0'; p++)
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~' ||
			strchr("()<>\"\\,;", *p) != NULL)
			*p = '?';
	return copy;
}

/* RFC 3848: ESMTP, with S for TLS and A for a login; RFC 6531: UTF8SMTP. */
static const char *
protocol_text(ph_filter_message *message)
{
	const struct envelope *envelope = &message->envelope;
	const char *protocol = *envelope->protocol != '\0' ? envelope->protocol : "SMTP";
	bool tls = message->tls;
	bool login = *envelope->sasl_username != '\0';

	if (strcmp(protocol, "SMTP") == 0)
		return protocol;
	if (envelope->smtputf8)
		protocol = strcmp(protocol, "LMTP") == 0 ? "UTF8LMTP" : "UTF8SMTP";
	if (!tls && !login)
		return protocol;
	return ph_pool_printf(message->pool, "%s%s%s", protocol, tls ? "S" : "", login ? "A" : "");
}

static const char *
from_network(ph_filter_message *message, const char *date)
{
	const struct envelope *envelope = &message->envelope;
	const struct settings *settings = message->settings;
	const char *name = envelope->client_name;
	const char *helo = *envelope->helo != '\0' ? envelope->helo : name;
	const char *v6 = strchr(envelope->client_address, ':') != NULL ? "IPv6:" : "";
	const char *with = protocol_text(message);
	const char *target = envelope->recipient_count == 1 ? envelope->recipients[0].original
		: NULL;

	if (target != NULL && *target == '\0')
		target = envelope->recipients[0].address;
	name = neutral(message->pool, name);
	helo = neutral(message->pool, helo);
	if (name == NULL || helo == NULL || with == NULL)
		return NULL;
	if (target != NULL)
		return ph_pool_printf(message->pool,
			"from %s (%s [%s%s])\r\n\tby %s (%s) with %s id %s\r\n\tfor <%s>; %s", helo, name, v6,
			envelope->client_address, settings->myhostname, settings->mail_name, with,
			envelope->id, target, date);
	return ph_pool_printf(message->pool,
		"from %s (%s [%s%s])\r\n\tby %s (%s) with %s id %s;\r\n\t%s", helo, name, v6,
		envelope->client_address, settings->myhostname, settings->mail_name, with,
		envelope->id, date);
}

static const char *
received_value(ph_filter_message *message)
{
	const struct settings *settings = message->settings;
	char date[DATE_SIZE];

	date_text(message->envelope.arrival, date);
	if (message->origin.origin == PH_ORIGIN_SMTP && message->origin.session != NULL)
		return from_network(message, date);
	if (message->origin.origin == PH_ORIGIN_LOCAL)
		return ph_pool_printf(message->pool, "by %s (%s, from userid %u)\r\n\tid %s; %s",
			settings->myhostname, settings->mail_name, message->origin.uid,
			message->envelope.id, date);
	return ph_pool_printf(message->pool, "by %s (%s)\r\n\tid %s; %s", settings->myhostname,
		settings->mail_name, message->envelope.id, date);
}

static int
make_trace(ph_filter_message *message)
{
	const char *value = received_value(message), *field;

	field = value != NULL ? ph_pool_printf(message->pool, "Received: %s", value) : NULL;
	if (field == NULL || message_make_field(message, field, &message->trace) == -1)
		return -1;
	message->trace_made = true;
	return 0;
}

ph_span
ph_header_trace(ph_filter_message *message)
{
	if (!message->trace_made && make_trace(message) == -1)
		return (ph_span){NULL, 0};
	return message->trace.raw;
}

int
ph_header_set_trace(ph_filter_message *message, const char *field)
{
	message->trace_made = true;
	message->trace = (struct header){.raw = {NULL, 0}};
	return field != NULL ? message_make_field(message, field, &message->trace) : 0;
}

static ph_filter_result
received_end(void *self, ph_filter_message *message, void *state)
{
	if ((!message->trace_made && make_trace(message) == -1) ||
		(message->trace.raw.size > 0 && message_insert(message, 0, message->trace) == -1)) {
		ph_filter_reply(message, 451, "4.3.0", "Error: queue file write error");
		return PH_FILTER_REFUSE;
	}
	return PH_FILTER_CONTINUE;
}

const struct ph_filter_ops filter_received = {
	.size = sizeof(struct ph_filter_ops), .end = received_end};
