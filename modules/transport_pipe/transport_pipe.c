/*
 * transport_pipe: mail to commands that the configuration names.
 */
#include <posthouse/address.h>
#include <posthouse/command.h>
#include <posthouse/mailbox.h>
#include <posthouse/transport.h>

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arguments.h"
#include "flags.h"

enum { MARGIN = 60 * 1000 }; /* beyond the command's own time */

struct pipe {
	int64_t command_time_limit;
	int64_t size;
	const char *user;
	const char *argv;
	const char *chroot;
	const char *flags;
	const char *directory;
	const char *eol;
	const char *null_sender;
};

static const struct ph_param params[] = {
	{.name = "argv", .type = PH_STRING, .flags = PH_SECTION_ONLY | PH_MACROS,
		.offset = offsetof(struct pipe, argv),
		.doc = "The command and its arguments; ${recipient}, ${sender} and the like in them are replaced."},
	{.name = "chroot", .type = PH_PATH, .flags = PH_SECTION_ONLY, .offset = offsetof(struct pipe, chroot),
		.doc = "The root directory that the command sees, and where it begins; empty: the system's."},
	{.name = "command_time_limit", .type = PH_TIME, .flags = PH_PER_SECTION,
		.offset = offsetof(struct pipe, command_time_limit), .default_value = "1000s",
		.min = 1000, .max = 3000 * 1000,
		.doc = "How long a command may run; then it is killed, and the mail returned."},
	{.name = "directory", .type = PH_PATH, .flags = PH_SECTION_ONLY,
		.offset = offsetof(struct pipe, directory),
		.doc = "Where the command runs, as it sees it; empty: in the home of its user, or in chroot."},
	{.name = "eol", .type = PH_STRING, .flags = PH_SECTION_ONLY, .offset = offsetof(struct pipe, eol),
		.default_value = "\\n", .doc = "The end of each line that the command gets to read, like \\r\\n."},
	{.name = "flags", .type = PH_STRING, .flags = PH_SECTION_ONLY, .offset = offsetof(struct pipe, flags),
		.doc = "How the message and the addresses are written: letters of BDFORXhqu.>"},
	{.name = "null_sender", .type = PH_STRING, .flags = PH_SECTION_ONLY,
		.offset = offsetof(struct pipe, null_sender), .default_value = "MAILER-DAEMON",
		.doc = "What ${sender}, \"From \" and Return-Path have for the empty sender."},
	{.name = "size", .type = PH_SIZE, .flags = PH_SECTION_ONLY, .offset = offsetof(struct pipe, size),
		.default_value = "0", .min = 0, .max = INT64_MAX,
		.doc = "The largest message that the command takes, others are returned; 0: any."},
	{.name = "user", .type = PH_STRING, .flags = PH_SECTION_ONLY, .offset = offsetof(struct pipe, user),
		.doc = "Whose rights the command has, user or user:group; never root's, and never mail_owner's."},
};

/* ---- In the local role --------------------------------------------------------------------------- */

/* Is it larger than the command takes? A message that cannot be read now is none. */
static bool
is_too_large(const struct pipe *pipe, ph_delivery *delivery, int64_t *length)
{
	ph_error error;
	int64_t offset;
	bool dot_lines;
	int fd;

	return pipe->size != 0 &&
		ph_delivery_content(delivery, &fd, &offset, length, &dot_lines, &error) == 0 &&
		*length > pipe->size;
}

/* Headers that name one recipient go to no other. */
static bool
goes_alone(const struct pipe *pipe)
{
	return flags_have(pipe->flags, 'D') || flags_have(pipe->flags, 'O');
}

static void
pipe_deliver(void *self, ph_delivery *delivery)
{
	const struct ph_user_delivery request = {.size = sizeof(request), .kind = PH_USER_INSTANCE};
	struct pipe *pipe = self;
	const char *relay = ph_instance_name(pipe);
	int64_t length, limit = pipe->command_time_limit;

	for (size_t i = 0; !flags_have(pipe->flags, 'X') && i < ph_delivery_count(delivery); i++)
		ph_delivery_relayed(delivery, i, false); /* if it is sent */
	if (*pipe->argv == '\0') {
		for (size_t i = 0; i < ph_delivery_count(delivery); i++)
			ph_delivery_defer(delivery, i, "4.3.5", relay,
				"transport %s has no user and no argv", relay);
	} else if (is_too_large(pipe, delivery, &length)) {
		for (size_t i = 0; i < ph_delivery_count(delivery); i++)
			ph_delivery_bounce(delivery, i, "5.2.3", relay,
				"message size %lld exceeds size limit %lld of service %s",
				(long long)length, (long long)pipe->size, relay);
	} else if (goes_alone(pipe)) {
		ph_spawn_message(pipe, delivery, &request, MARGIN, limit);
	} else {
		ph_spawn_message(pipe, delivery, &request, MARGIN + limit, 0);
	}
}

/* ---- In the child that is the user --------------------------------------------------------------- */

static const char *
safe(ph_pool *pool, const char *address)
{
	char *copy = ph_pool_copy(pool, ph_span_of(address));

	for (char *c = copy; c != NULL && *c != '\0'; c++)
		if (iscntrl((unsigned char)*c))
			*c = '?';
	return copy != NULL ? copy : "";
}

static const char *
head_of(const struct pipe *pipe, ph_pool *pool, const struct ph_user_delivery *request)
{
	const char *original = *request->original != '\0' ? request->original : request->recipient;
	const char *sender = safe(pool, *request->sender != '\0' ? request->sender : pipe->null_sender), *head = "";
	char date[32] = "Thu Jan  1 00:00:00 1970\n";
	time_t now = time(NULL);
	struct tm tm;

	if (flags_have(pipe->flags, 'F')) {
		if (localtime_r(&now, &tm) != NULL)
			asctime_r(&tm, date); /* with its newline */
		head = ph_pool_printf(pool, "From %s  %s", *sender != '\0' ? sender : "MAILER-DAEMON", date);
	}
	if (head != NULL && flags_have(pipe->flags, 'R'))
		head = ph_pool_printf(pool, "%sReturn-Path: <%s>\n", head, sender);
	if (head != NULL && flags_have(pipe->flags, 'O'))
		head = ph_pool_printf(pool, "%sX-Original-To: %s\n", head, safe(pool, original));
	if (head != NULL && flags_have(pipe->flags, 'D'))
		head = ph_pool_printf(pool, "%sDelivered-To: %s\n", head, safe(pool, request->recipient));
	return head;
}

static int
fill_recipient(const struct pipe *pipe, ph_pool *pool, const struct ph_user_delivery *request,
	struct arguments_recipient *recipient)
{
	const char *original = *request->original != '\0' ? request->original : request->recipient;
	const char *delimiters = ph_global("recipient_delimiter"), *address, *at;
	bool quoted = flags_have(pipe->flags, 'q');
	size_t local, user;

	recipient->recipient = flags_address(pool, pipe->flags, quoted, request->recipient);
	recipient->original_recipient = flags_address(pool, pipe->flags, quoted, original);
	/* Its parts never have quotes. */
	address = flags_address(pool, pipe->flags, false, request->recipient);
	if (recipient->recipient == NULL || address == NULL)
		return -1;
	at = strrchr(address, '@');
	local = at != NULL ? (size_t)(at - address) : strlen(address);
	user = strcspn(address, *delimiters != '\0' ? delimiters : "@");
	if (user == 0 || user > local)
		user = local;
	recipient->mailbox = ph_pool_copy(pool, (ph_span){address, local});
	recipient->user = ph_pool_copy(pool, (ph_span){address, user});
	recipient->extension = ph_pool_copy(pool,
		user < local ? (ph_span){address + user + 1, local - user - 1} : ph_span_of(""));
	recipient->domain = at != NULL ? at + 1 : "";
	return recipient->original_recipient && recipient->mailbox && recipient->user && recipient->extension ?
		0 : -1;
}

static const char *
lower(ph_pool *pool, const char *name)
{
	char *copy = ph_pool_copy(pool, ph_span_of(name));

	for (char *c = copy; c != NULL && *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	return copy;
}

static int
prepare(const struct pipe *pipe, ph_pool *pool, const struct ph_user_delivery *requests, size_t count,
	struct ph_command *command)
{
	struct arguments_recipient *recipients = ph_pool_array(pool, count, sizeof(*recipients));
	bool fold = flags_have(pipe->flags, 'h');
	struct arguments_message message = {.recipients = recipients, .count = count,
		.nexthop = fold ? lower(pool, requests->nexthop) : requests->nexthop, .queue_id = requests->queue_id,
		.size = ph_pool_printf(pool, "%lld", (long long)requests->length), .envid = requests->envid,
		.client_address = requests->client_address, .client_hostname = requests->client_hostname,
		.client_helo = requests->client_helo, .client_port = requests->client_port,
		.client_protocol = requests->client_protocol, .sasl_username = requests->sasl_username,
		.sasl_method = requests->sasl_method, .sasl_sender = requests->sasl_sender,
		.sender = *requests->sender != '\0' ?
			flags_address(pool, "", flags_have(pipe->flags, 'q'), requests->sender) :
			pipe->null_sender};

	if (recipients == NULL || message.size == NULL || message.sender == NULL || message.nexthop == NULL)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (fill_recipient(pipe, pool, &requests[i], &recipients[i]) == -1)
			return -1;
	command->argv = arguments_make(pool, pipe->argv, &message);
	command->head = head_of(pipe, pool, requests);
	return command->argv != NULL && command->head != NULL ? 0 : -1;
}

/* With the flag D: was the message here before, or can it not be read? Then that is the result. */
static bool
is_over(const struct pipe *pipe, const struct ph_user_delivery *request, int fd, struct ph_user_result *result)
{
	int here = flags_have(pipe->flags, 'D') ?
		ph_mailbox_was_here(fd, request->offset, request->length, request->recipient) : 0;

	if (here == 1)
		ph_user_answer(result, PH_USER_BOUNCED, "5.4.6", "mail forwarding loop for %s", request->recipient);
	else if (here == -1)
		ph_user_answer(result, PH_USER_DEFERRED, "4.3.0", "cannot read the message: %s", strerror(errno));
	return here != 0;
}

/* One command for these recipients of one message. */
static void
run(const struct pipe *pipe, const struct ph_user_delivery *requests, int fd, size_t count,
	struct ph_user_result *results)
{
	ph_pool *pool = ph_pool_new(0);
	char eol[PH_COMMAND_EOL_MAX + 1];
	struct ph_command command = {.size = sizeof(command), .title = pipe->argv, .eol = eol, .fd = fd,
		.offset = requests->offset, .length = requests->length,
		.tail = flags_have(pipe->flags, 'B') ? "\n" : "", .time_limit = pipe->command_time_limit,
		.directory = *pipe->directory != '\0' ? pipe->directory : NULL,
		.flags = (flags_have(pipe->flags, '>') ? PH_COMMAND_QUOTE_FROM : 0u) |
			(flags_have(pipe->flags, '.') ? PH_COMMAND_QUOTE_DOT : 0u)};

	results[0] = (struct ph_user_result){.size = sizeof(results[0]), .outcome = 1, .status = "4.3.0",
		.text = "no memory"};
	if (!is_over(pipe, requests, fd, &results[0]) && pool != NULL && flags_eol(pipe->eol, eol, sizeof(eol), NULL) == 0 &&
		prepare(pipe, pool, requests, count, &command) == 0)
		ph_command_run(&command, &results[0]);
	if (results[0].outcome == PH_USER_SENT)
		snprintf(results[0].text, sizeof(results[0].text), "delivered via %s service",
			ph_instance_name(pipe));
	for (size_t i = 1; i < count; i++)
		results[i] = results[0];
	ph_pool_free(pool);
}

static void
pipe_deliver_as_user(void *self, const struct ph_user_context *user,
	const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results)
{
	const struct pipe *pipe = self;

	(void)user;
	if (!goes_alone(pipe))
		run(pipe, requests, fds[0], count, results);
	else
		for (size_t i = 0; i < count; i++)
			run(pipe, &requests[i], fds[i], 1, &results[i]);
}

/* ---- Life ---------------------------------------------------------------------------------------- */

static int
pipe_check(void *self, ph_error *error)
{
	const struct pipe *pipe = self;
	char eol[PH_COMMAND_EOL_MAX + 1];

	/* The instance that loading the module makes, for which there is no section. */
	if (*pipe->user == '\0' && *pipe->argv == '\0')
		return 0;
	if (*pipe->user == '\0')
		return ph_error_set(error, "user: expected the user whose rights the command has, as in user = nobody");
	if (arguments_check(pipe->argv, error) == -1 || flags_check(pipe->flags, error) == -1)
		return -1;
	return flags_eol(pipe->eol, eol, sizeof(eol), error);
}

PH_MODULE(transport_pipe, "1.0", "delivery to a command",
	PH_TRANSPORT(.flags = PH_TRANSPORT_LOCAL, .deliver = pipe_deliver,
		.deliver_as_user = pipe_deliver_as_user, .rights_offset = offsetof(struct pipe, user),
		.chroot_offset = offsetof(struct pipe, chroot)),
	PH_INSTANCE(struct pipe, params),
	PH_LIFE(.check = pipe_check));
