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
headers_trace(ph_pool *pool, const struct ph_user_delivery *request, bool bare)
{
	return ph_pool_printf(pool, "Return-Path: <%s>\nX-Original-To: %s\n%s%s%s",
		defused(pool, request->sender), defused(pool, original(request)),
		bare ? "" : "Delivered-To: ", bare ? "" : defused(pool, request->recipient),
		bare ? "" : "\n");
}

const char *
headers_text(ph_pool *pool, const struct ph_user_delivery *request, bool bare, time_t now)
{
	char date[32] = "Thu Jan  1 00:00:00 1970\n";
	struct tm tm;
	const char *trace = headers_trace(pool, request, bare);

	if (localtime_r(&now, &tm) != NULL)
		asctime_r(&tm, date); /* with its newline */
	if (trace == NULL)
		return NULL;
	return ph_pool_printf(pool, "From %s  %s%s",
		*request->sender != '\0' ? defused(pool, request->sender) : "MAILER-DAEMON", date, trace);
}

const char *
ph_mailbox_head(ph_pool *pool, const struct ph_user_delivery *request, unsigned flags)
{
	bool bare = (flags & PH_MAILBOX_BARE) != 0;

	return flags & PH_MAILBOX_FROM ? headers_text(pool, request, bare, time(NULL)) :
		headers_trace(pool, request, bare);
}
