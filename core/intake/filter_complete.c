/*
 * The first built-in filter: headers that mail from this site may leave out (RFC 6409, 8). Mail of
 * strangers passes as it is, unless always_add_missing_headers is set.
 */
#include <string.h>

#include "config/origin.h"
#include "intake/complete.h"
#include "intake/date.h"
#include "intake/message.h"

static const char *
make_message_id(const ph_filter_message *message)
{
	char moment[15];

	date_compact(message->envelope.arrival, moment);
	return ph_pool_printf(message->pool, "<%s.%s@%s>", moment, message->envelope.id,
		message->settings->myhostname);
}

static const char *
make_date(const ph_filter_message *message)
{
	char text[DATE_SIZE];

	return ph_pool_strdup(message->pool, date_text(message->envelope.arrival, text));
}

/* A copy without control characters, and with a backslash before those that are special. */
static const char *
escape(ph_pool *pool, const char *name, const char *special)
{
	char *text = ph_pool_alloc(pool, 2 * strlen(name) + 1), *at = text;

	if (text == NULL)
		return NULL;
	for (const char *p = name; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 127)
			continue;
		if (strchr(special, *p) != NULL)
			*at++ = '\\';
		*at++ = *p;
	}
	*at = '\0';
	return text;
}

/* Words need no quotes (RFC 5322, 3.2.3). */
static bool
is_phrase(const char *name)
{
	return strpbrk(name, "()<>[]:;@\\,.\"") == NULL;
}

static const char *
make_from(const ph_filter_message *message)
{
	const char *sender = message->envelope.sender, *name = message->origin.full_name;
	bool obsolete = message->settings->header_from_format == HEADER_FROM_OBSOLETE;

	if (*sender == '\0') {
		sender = ph_pool_printf(message->pool, "MAILER-DAEMON@%s",
			origin_domain(message->settings));
		name = "Mail Delivery System";
	}
	if (sender == NULL || name == NULL || *name == '\0')
		return sender;
	name = escape(message->pool, name, obsolete ? "()\\" : is_phrase(name) ? "" : "\"\\");
	if (name == NULL)
		return NULL;
	if (obsolete)
		return ph_pool_printf(message->pool, "%s (%s)", sender, name);
	return ph_pool_printf(message->pool, is_phrase(name) ? "%s <%s>" : "\"%s\" <%s>",
		name, sender);
}

/* Has somebody sent on what another wrote? (RFC 5322, 3.6.6) */
static bool
is_resent(const ph_filter_message *message)
{
	static const char *const names[] = {"Resent-From", "Resent-Sender", "Resent-To",
		"Resent-Cc", "Resent-Bcc", "Resent-Reply-To", "Resent-Date", "Resent-Message-Id"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (ph_header_find(message, names[i], 0) != SIZE_MAX)
			return true;
	return false;
}

/* A resent message is complete when its Resent-From, -Date and so on are; the plain ones are the
 * first author's. */
static int
complete(ph_filter_message *message)
{
	static const struct {
		const char *name, *resent;
		const char *(*make)(const ph_filter_message *message);
	} wanted[] = {{"Message-Id", "Resent-Message-Id", make_message_id},
		{"Date", "Resent-Date", make_date}, {"From", "Resent-From", make_from}};
	bool resent = is_resent(message);

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		const char *name = resent ? wanted[i].resent : wanted[i].name, *value;

		if (ph_header_find(message, name, 0) != SIZE_MAX)
			continue;
		value = wanted[i].make(message);
		if (value == NULL || ph_header_insert(message, SIZE_MAX, name, value) == -1)
			return -1;
	}
	return 0;
}

static ph_filter_result
complete_header(void *self, ph_filter_message *message, void **state)
{
	if (message->origin.again ||
		(!message->rewrite_headers && !message->settings->always_add_missing_headers))
		return PH_FILTER_CONTINUE;
	if (complete(message) == -1) {
		ph_filter_reply(message, 451, "4.3.0", "Error: queue file write error");
		return PH_FILTER_REFUSE;
	}
	return PH_FILTER_CONTINUE;
}

const struct ph_filter_ops filter_complete = {
	.size = sizeof(struct ph_filter_ops), .header = complete_header};
