#include "mailbox/headers.h"

#include <stdio.h>
#include <string.h>

#include <posthouse/mailbox.h>

/* The address as it came in: the recipient's, if nothing changed it. */
static const char *
original(const struct ph_user_delivery *request)
{
	return *request->original != '\0' ? request->original : request->recipient;
}

/* What could end a line does not. */
static void
defuse(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}

static const char *
defused(ph_pool *pool, const char *address)
{
	char *copy = ph_pool_copy(pool, ph_span_of(address));

	if (copy == NULL)
		return "";
	defuse(copy);
	return copy;
}

const char *
headers_trace(ph_pool *pool, const struct ph_user_delivery *request)
{
	return ph_pool_printf(pool, "Return-Path: <%s>\nX-Original-To: %s\nDelivered-To: %s\n",
		defused(pool, request->sender), defused(pool, original(request)),
		defused(pool, request->recipient));
}

const char *
headers_text(ph_pool *pool, const struct ph_user_delivery *request, time_t now)
{
	char date[32] = "Thu Jan  1 00:00:00 1970\n";
	struct tm tm;
	const char *trace = headers_trace(pool, request);

	if (localtime_r(&now, &tm) != NULL)
		asctime_r(&tm, date); /* with its newline */
	if (trace == NULL)
		return NULL;
	return ph_pool_printf(pool, "From %s  %s%s",
		*request->sender != '\0' ? defused(pool, request->sender) : "MAILER-DAEMON", date, trace);
}

const char *
ph_mailbox_head(ph_pool *pool, const struct ph_user_delivery *request, bool from_line)
{
	return from_line ? headers_text(pool, request, time(NULL)) : headers_trace(pool, request);
}
