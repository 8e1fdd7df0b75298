/*
 * What a filter wants done with the message, beside judging it.
 */
#include "intake/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <posthouse/log.h>

void
ph_filter_reason(ph_filter_message *message, const char *format, ...)
{
	char text[1024];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	message->reason = ph_pool_strdup(message->pool, text);
}

bool
ph_filter_is_exempt(const ph_filter_message *message)
{
	return message->exempt;
}

void
ph_filter_hold(ph_filter_message *message, const char *reason)
{
	if (!(message->content_flags & PH_CONTENT_HOLD))
		ph_log_as("cleanup", PH_LOG_INFO, "%s: hold: %s", message->envelope.id, reason);
	message->content_flags |= PH_CONTENT_HOLD;
}

/* It becomes part of an envelope and of SMTP commands. */
static const char *
safe_copy(ph_filter_message *message, const char *text)
{
	for (const char *p = text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return NULL;
	return ph_pool_strdup(message->pool, text);
}

int
ph_filter_route(ph_filter_message *message, const char *route)
{
	const char *copy = safe_copy(message, route);

	if (copy == NULL)
		return -1;
	if (!message->returned)
		message->envelope.filter = copy;
	return 0;
}

int
ph_filter_redirect(ph_filter_message *message, const char *address)
{
	const char *copy = safe_copy(message, address);

	if (copy == NULL)
		return -1;
	if (!message->returned)
		message->redirect = copy;
	return 0;
}

int
ph_filter_bcc(ph_filter_message *message, const char *address)
{
	const char *copy = safe_copy(message, address);

	return copy != NULL ? message_append_text(message, &message->bcc, copy) : -1;
}

int
ph_header_prepend(ph_filter_message *message, const char *field)
{
	struct header header;

	if (message_make_field(message, field, &header) == -1)
		return -1;
	return message_append_text(message, &message->prepend, field);
}
