/*
 * The first built-in filter: headers that local mail and reports may leave out (RFC 6409, 8).
 * Mail from the network passes as it is.
 */
#include "config/origin.h"
#include "intake/complete.h"
#include "intake/date.h"
#include "intake/message.h"

static int
add_message_id(ph_filter_message *message)
{
	char moment[15];

	date_compact(message->envelope.arrival, moment);
	const char *value = ph_pool_printf(message->pool, "<%s.%s@%s>", moment,
		message->envelope.id, message->settings->myhostname);

	return value != NULL ? ph_header_insert(message, SIZE_MAX, "Message-Id", value) : -1;
}

static int
add_date(ph_filter_message *message)
{
	char text[DATE_SIZE];

	return ph_header_insert(message, SIZE_MAX, "Date",
		date_text(message->envelope.arrival, text));
}

/* A name as the text of a comment: what would end it is escaped, control characters vanish. */
static const char *
comment_text(ph_pool *pool, const char *name)
{
	size_t size = 0;
	char *text;

	for (const char *p = name; *p != '\0'; p++)
		size += 2;
	if ((text = ph_pool_alloc(pool, size + 1)) == NULL)
		return NULL;
	char *at = text;

	for (const char *p = name; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 127)
			continue;
		if (*p == '(' || *p == ')' || *p == '\\')
			*at++ = '\\';
		*at++ = *p;
	}
	*at = '\0';
	return text;
}

static int
add_from(ph_filter_message *message)
{
	const char *sender = message->envelope.sender, *name = message->origin.full_name, *value;

	if (*sender == '\0') {
		value = ph_pool_printf(message->pool, "MAILER-DAEMON@%s (Mail Delivery System)",
			origin_domain(message->settings));
	} else if (name != NULL && *name != '\0') {
		if ((name = comment_text(message->pool, name)) == NULL)
			return -1;
		value = ph_pool_printf(message->pool, "%s (%s)", sender, name);
	} else {
		value = sender;
	}
	return value != NULL ? ph_header_insert(message, SIZE_MAX, "From", value) : -1;
}

/* A resent message is complete when its Resent-From, -Date and so on are; the plain ones are the
 * first author's. */
static int
complete(ph_filter_message *message)
{
	static const struct {
		const char *name;
		int (*add)(ph_filter_message *message);
	} wanted[] = {{"Message-Id", add_message_id}, {"Date", add_date}, {"From", add_from}};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (ph_header_find(message, wanted[i].name, 0) == SIZE_MAX &&
			wanted[i].add(message) == -1)
			return -1;
	return 0;
}

static ph_filter_result
complete_header(void *self, ph_filter_message *message, void **state)
{
	if (message->origin.origin == PH_ORIGIN_SMTP || message->origin.again)
		return PH_FILTER_CONTINUE;
	if (complete(message) == -1) {
		ph_filter_reply(message, 451, "4.3.0", "Error: queue file write error");
		return PH_FILTER_REFUSE;
	}
	return PH_FILTER_CONTINUE;
}

const struct ph_filter_ops filter_complete = {
	.size = sizeof(struct ph_filter_ops), .header = complete_header};
