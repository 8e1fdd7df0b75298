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

static bool
fill(char *field, size_t size, const char *text)
{
	return snprintf(field, size, "%s", text) < (int)size;
}

#define FACT(field) {#field, offsetof(struct ph_user_delivery, field), sizeof(((struct ph_user_delivery *)0)->field)}

/* Too much of it is cut: nothing depends on it. */
static void
fill_client(struct ph_user_delivery *request, const ph_delivery *delivery)
{
	static const struct {
		const char *name;
		size_t offset, size;
	} facts[] = {FACT(client_address), FACT(client_hostname), FACT(client_helo), FACT(client_port),
		FACT(client_protocol), FACT(sasl_username), FACT(sasl_method), FACT(sasl_sender)};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		(void)fill((char *)request + facts[i].offset, facts[i].size, ph_delivery_client(delivery, facts[i].name));
	(void)fill(request->envid, sizeof(request->envid), ph_delivery_envid(delivery));
}

static bool
make_request(struct ph_user_delivery *request, ph_delivery *delivery, size_t i, int64_t offset,
	int64_t length)
{
	*request = (struct ph_user_delivery){.size = sizeof(*request), .kind = PH_USER_INSTANCE,
		.arrival = ph_delivery_arrival(delivery), .offset = offset, .length = length};
	fill_client(request, delivery);
	return fill(request->sender, sizeof(request->sender), ph_delivery_sender(delivery)) &&
		fill(request->recipient, sizeof(request->recipient), ph_delivery_recipient(delivery, i)) &&
		fill(request->original, sizeof(request->original), ph_delivery_original(delivery, i)) &&
		fill(request->queue_id, sizeof(request->queue_id), ph_delivery_queue_id(delivery)) &&
		fill(request->nexthop, sizeof(request->nexthop), ph_delivery_nexthop(delivery));
}

static void
report(const struct pipe *pipe, ph_delivery *delivery, size_t i, const struct ph_user_result *result)
{
	const char *relay = ph_instance_name(pipe);
	const char *open = *result->output == '\0' ? "" : result->outcome == 0 ? " (" : ". Command output: ";
	const char *close = *result->output != '\0' && result->outcome == 0 ? ")" : "";

	if (result->outcome == 0) {
		if (!flags_have(pipe->flags, 'X'))
			ph_delivery_relayed(delivery, i, false);
		ph_delivery_sent(delivery, i, result->status, relay, "delivered via %s service%s%s%s", relay, open,
			result->output, close);
	} else if (result->outcome == 2)
		ph_delivery_bounce(delivery, i, result->status, relay, "%s%s%s", result->text, open, result->output);
	else
		ph_delivery_defer(delivery, i, result->status, relay, "%s%s%s", result->text, open, result->output);
}

/* As many of the recipients as one batch takes, from first. */
struct parcel {
	size_t count;
	size_t index[PH_SPAWN_MAX];
	int fds[PH_SPAWN_MAX];
	struct ph_user_delivery requests[PH_SPAWN_MAX];
	struct ph_user_result results[PH_SPAWN_MAX];
};

static void
send_parcel(struct pipe *pipe, ph_delivery *delivery, struct parcel *parcel)
{
	const char *relay = ph_instance_name(pipe);
	size_t commands = flags_have(pipe->flags, 'D') || flags_have(pipe->flags, 'O') ? parcel->count : 1;
	ph_error error = {""};
	int sent;

	if (parcel->count == 0)
		return;
	sent = ph_spawn_delivery(pipe, parcel->requests, parcel->fds, parcel->count, parcel->results,
		ph_in((int64_t)commands * pipe->command_time_limit + MARGIN), &error);
	for (size_t i = 0; i < parcel->count; i++) {
		if (sent == -1)
			ph_delivery_defer(delivery, parcel->index[i], "4.3.0", relay, "%s", error.text);
		else
			report(pipe, delivery, parcel->index[i], &parcel->results[i]);
	}
	parcel->count = 0;
}

static void
deliver_all(struct pipe *pipe, ph_delivery *delivery, struct parcel *parcel, int fd, int64_t offset,
	int64_t length)
{
	for (size_t i = 0; i < ph_delivery_count(delivery); i++) {
		if (!make_request(&parcel->requests[parcel->count], delivery, i, offset, length)) {
			ph_delivery_bounce(delivery, i, "5.1.3", ph_instance_name(pipe), "an address is too long");
			continue;
		}
		parcel->fds[parcel->count] = fd;
		parcel->index[parcel->count++] = i;
		if (parcel->count == PH_SPAWN_MAX)
			send_parcel(pipe, delivery, parcel);
	}
	send_parcel(pipe, delivery, parcel);
}

static void
pipe_deliver(void *self, ph_delivery *delivery)
{
	struct pipe *pipe = self;
	struct parcel *parcel = calloc(1, sizeof(*parcel));
	const char *relay = ph_instance_name(pipe);
	ph_error error = {"no memory"};
	int64_t offset, length;
	bool dot_lines;
	int fd;

	if (*pipe->argv == '\0') {
		for (size_t i = 0; i < ph_delivery_count(delivery); i++)
			ph_delivery_defer(delivery, i, "4.3.5", relay, "transport %s has no user and no argv", relay);
	} else if (parcel == NULL || ph_delivery_content(delivery, &fd, &offset, &length, &dot_lines, &error) == -1) {
		for (size_t i = 0; i < ph_delivery_count(delivery); i++)
			ph_delivery_defer(delivery, i, "4.3.0", relay, "cannot read the message: %s", error.text);
	} else if (pipe->size != 0 && length > pipe->size) {
		for (size_t i = 0; i < ph_delivery_count(delivery); i++)
			ph_delivery_bounce(delivery, i, "5.2.3", relay,
				"message size %lld exceeds size limit %lld of service %s", (long long)length,
				(long long)pipe->size, relay);
	} else
		deliver_all(pipe, delivery, parcel, fd, offset, length);
	free(parcel);
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
	/* Headers that name one recipient go to no other. */
	if (!flags_have(pipe->flags, 'D') && !flags_have(pipe->flags, 'O'))
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
