#include "intake/rewrite_header.h"

#include <string.h>

#include "intake/mailbox_list.h"

enum header_role
header_role(ph_span name)
{
	static const struct {
		const char *name;
		enum header_role role;
	} headers[] = {
		{"From", HEADER_ROLE_SENDER}, {"To", HEADER_ROLE_RECIPIENT},
		{"Cc", HEADER_ROLE_RECIPIENT}, {"Reply-To", HEADER_ROLE_SENDER},
		{"Sender", HEADER_ROLE_SENDER}, {"Bcc", HEADER_ROLE_RECIPIENT},
		{"Apparently-To", HEADER_ROLE_RECIPIENT}, {"Errors-To", HEADER_ROLE_SENDER},
		{"Return-Receipt-To", HEADER_ROLE_SENDER},
		{"Disposition-Notification-To", HEADER_ROLE_SENDER},
		{"Mail-Followup-To", HEADER_ROLE_SENDER},
		{"Resent-From", HEADER_ROLE_SENDER}, {"Resent-Sender", HEADER_ROLE_SENDER},
		{"Resent-Reply-To", HEADER_ROLE_RECIPIENT}, /* so Postfix has it */
		{"Resent-To", HEADER_ROLE_RECIPIENT},
		{"Resent-Cc", HEADER_ROLE_RECIPIENT}, {"Resent-Bcc", HEADER_ROLE_RECIPIENT},
		{"Return-Path", HEADER_ROLE_SENDER},
	};

	for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++)
		if (ph_span_equal_nocase(name, ph_span_of(headers[i].name)))
			return headers[i].role;
	return HEADER_ROLE_NONE;
}

struct edit {
	ph_pool *pool;
	header_rewrite_fn *rewrite;
	void *context;
	const char *copied; /* of the value, up to here */
	char *data;
	size_t size, room;
};

static int
put(struct edit *edit, const char *bytes, size_t size)
{
	if (size > edit->room - edit->size) {
		size_t room = edit->room * 2 > edit->size + size ? edit->room * 2 : edit->size + size + 64;
		char *grown = ph_pool_alloc(edit->pool, room);

		if (grown == NULL)
			return -1;
		if (edit->size > 0)
			memcpy(grown, edit->data, edit->size);
		edit->data = grown;
		edit->room = room;
	}
	if (size > 0)
		memcpy(edit->data + edit->size, bytes, size);
	edit->size += size;
	return 0;
}

/* Comments that stood within the address stand behind it. */
static int
put_comments(struct edit *edit, ph_span source)
{
	ph_span comment;

	while (mailbox_next_comment(&source, &comment))
		if (put(edit, " ", 1) == -1 || put(edit, comment.data, comment.size) == -1)
			return -1;
	return 0;
}

static int
visit(void *context, const char *address, ph_span source)
{
	struct edit *edit = context;
	const char *rewritten = address;
	int result = edit->rewrite(edit->context, address, &rewritten);

	if (result != 0 || strcmp(rewritten, address) == 0)
		return result;
	if (put(edit, edit->copied, (size_t)(source.data - edit->copied)) == -1 ||
		put(edit, rewritten, strlen(rewritten)) == -1 || put_comments(edit, source) == -1)
		return -1;
	edit->copied = source.data + source.size;
	return 0;
}

int
header_rewrite(ph_pool *pool, ph_span value, header_rewrite_fn *rewrite, void *context,
	ph_span *result)
{
	struct edit edit = {.pool = pool, .rewrite = rewrite, .context = context, .copied = value.data};
	int outcome = mailbox_list_scan(pool, value, visit, &edit);

	*result = value;
	if (outcome != 0 || edit.copied == value.data)
		return outcome;
	if (put(&edit, edit.copied, (size_t)(value.data + value.size - edit.copied)) == -1)
		return -1;
	*result = (ph_span){edit.data, edit.size};
	return 0;
}
