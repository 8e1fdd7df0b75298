#include "user.h"

#include <errno.h>
#include <string.h>

#include <posthouse/mailbox.h>

#include "command.h"

bool
params_bare(const struct params *params, const char *kind)
{
	const ph_strings *list = &params->prepend_delivered_header;

	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i], kind) == 0)
			return false;
	return true;
}

/* Not when it was here before. */
static bool
may_go(const struct ph_user_delivery *request, int fd, struct ph_user_result *result)
{
	switch (ph_mailbox_was_here(fd, request->offset, request->length, request->recipient)) {
	case 0:
		return true;
	case 1:
		ph_user_answer(result, PH_USER_BOUNCED, "5.4.6", "mail forwarding loop for %s",
			request->recipient);
		return false;
	default:
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "cannot read the message: %s",
			strerror(errno));
		return false;
	}
}

static void
deliver_commands(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results)
{
	for (size_t i = 0; i < count; i++)
		if (may_go(&requests[i], fds[i], &results[i]))
			command_deliver(params, user, &requests[i], fds[i], &results[i]);
}

void
user_deliver(const struct params *params, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results)
{
	bool mailbox = requests->kind == PH_USER_MAILBOX ||
		(requests->flags & PH_USER_HOME_MAILBOX) != 0;
	const struct ph_mailbox box = {.size = sizeof(box),
		.flags = (mailbox ? 0 : PH_MAILBOX_FILE) |
		(params_bare(params, "file") ? PH_MAILBOX_BARE : 0),
		.path = user->mailbox, .user = user->name, .fd = user->mailbox_fd,
		.failure = user->mailbox_errno, .limit = params->mailbox_size_limit};

	if (requests->kind == PH_USER_COMMAND || requests->kind == PH_USER_INSTANCE)
		deliver_commands(params, user, requests, fds, count, results);
	else
		ph_mailbox_write(&box, requests, fds, count, results);
}
