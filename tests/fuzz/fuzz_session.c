/*
 * A whole SMTP session over a socket pair: connection, listener, session, policy with real
 * restrictions, intake; the storage keeps nothing and checks what it gets.
 *
 * The first byte of the input chooses the configuration, the rest is what the client sends. It waits
 * for an answer wherever there is an RS (0x1e), which is not sent; when the last byte is one, it
 * leaves without hearing the answer. The session always ends; replies
 * are replies; nothing is relayed for strangers; what is queued has proper line ends, and its end
 * was CR LF . CR LF.
 */
#include "fuzz.h"

#include <posthouse/address.h>
#include <posthouse/queue.h>

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../modules/listener_smtp/listener_smtp.h"
#include "../unit/session_world.h"
#include "ground/loop.h"
#include "intake/message.h"
#include "loop.h"
#include "session/connection.h"

enum {
	OPTION_MYNETWORKS = 1,
	OPTION_REJECT_NEWLINES = 2,
	OPTION_PIPELINING_FREE = 4,
	OPTION_STRICT = 8,      /* envelopes, and a HELO is required */
	OPTION_EARLY = 16,      /* lists are asked when their object comes up */
	OPTION_RESTRICTED = 32, /* more restrictions */
	OPTION_SMALL = 64,      /* limits */
	OPTION_FULL = 128       /* the storage fails now and then */
};

#define SEPARATOR 0x1e
#define ROUNDS 6 /* of the loop, in which the server answers */

extern const struct ph_module posthouse_module_listener_smtp;
/* A tree from which one of these was deleted is fuzzed without its restrictions. */
#pragma weak posthouse_module_restriction_client
#pragma weak posthouse_module_restriction_data
#pragma weak posthouse_module_restriction_helo
#pragma weak posthouse_module_restriction_recipient
#pragma weak posthouse_module_restriction_sender
extern const struct ph_module posthouse_module_restriction_client,
	posthouse_module_restriction_data, posthouse_module_restriction_helo,
	posthouse_module_restriction_recipient, posthouse_module_restriction_sender;

static struct listener_smtp listener;

/* ---- The storage ------------------------------------------------------------------------------- */

static struct {
	unsigned options;
	size_t begun, committed, aborted;
} storage;

struct ph_queue_writer {
	char *data;
	size_t size, room;
};

static int
queue_begin(void *self, int64_t expected, ph_queue_writer **writer, ph_error *error)
{
	storage.begun++;
	*writer = calloc(1, sizeof **writer);
	return 0;
}

static int
queue_append(ph_queue_writer *writer, ph_span bytes, ph_error *error)
{
	if ((storage.options & OPTION_FULL) != 0 && writer->size > 100)
		return ph_error_set(error, "the disk is full");
	if (writer->size + bytes.size > writer->room) {
		writer->room = 2 * (writer->size + bytes.size);
		writer->data = realloc(writer->data, writer->room);
	}
	memcpy(writer->data + writer->size, bytes.data, bytes.size);
	writer->size += bytes.size;
	return 0;
}

static void
writer_free(ph_queue_writer *writer)
{
	free(writer->data);
	free(writer);
}

static void
queue_abort(ph_queue_writer *writer)
{
	storage.aborted++;
	writer_free(writer);
}

static void
check_lines(ph_span bytes)
{
	for (size_t i = 0; i < bytes.size; i++) {
		CHECK(bytes.data[i] != '\n' || (i > 0 && bytes.data[i - 1] == '\r'));
		CHECK(bytes.data[i] != '\r' || (i + 1 < bytes.size && bytes.data[i + 1] == '\n'));
	}
	CHECK(bytes.size == 0 || bytes.data[bytes.size - 1] == '\n');
}

/* Strangers may write to us, and to those for whom we relay. */
static void
check_recipient(const char *address)
{
	const char *domain = ph_address_domain(address);

	CHECK(strpbrk(address, "\r\n") == NULL && *domain != '\0');
	if ((storage.options & OPTION_MYNETWORKS) != 0)
		return;
	if (&posthouse_module_restriction_recipient == NULL)
		return; /* who refuses relaying */
	CHECK(ph_strcasecmp(domain, "here.example") == 0 || ph_strcasecmp(domain, "relay.example") == 0);
	CHECK(ph_strcasecmp(address, "postmaster@here.example") == 0 ||
		ph_address_local_part(address).data[0] == '"' || strpbrk(address, "%!") == NULL);
}

static int
queue_commit(ph_queue_writer *writer, const char *id, ph_span bytes, ph_span head, uint32_t flags,
	uint64_t *handle, ph_error *error)
{
	ph_pool *pool = ph_pool_new(0);
	struct envelope envelope;

	CHECK(envelope_decode(bytes, pool, &envelope, error) == 0 && strcmp(envelope.id, id) == 0);
	CHECK(envelope.recipient_count > 0);
	for (size_t i = 0; i < envelope.recipient_count; i++)
		check_recipient(envelope.recipients[i].address);
	check_lines(head);
	check_lines((ph_span){writer->data, writer->size});
	CHECK(head.size > 10 && memcmp(head.data, "Received: ", 10) == 0);
	ph_pool_free(pool);
	writer_free(writer);
	storage.committed++;
	(void)ph_yield();
	*handle = storage.committed;
	return 0;
}

static int64_t
queue_space(void *self)
{
	return (storage.options & OPTION_FULL) != 0 && storage.begun > 1 ? 0 : 1 << 30;
}

static const struct ph_queue_ops queue_ops = {.size = sizeof queue_ops, .begin = queue_begin,
	.append = queue_append, .commit = queue_commit, .abort = queue_abort, .free_space = queue_space};

/* ---- The intake's surroundings ------------------------------------------------------------------ */

static const struct instance *
the_queue(const char *name)
{
	return &world.queue;
}

static const struct instance *
no_filter(size_t number)
{
	return NULL;
}

static void
announce(const struct instance *queue)
{
}

static void
client_of(const ph_session *session, struct intake_client *client)
{
	*client = (struct intake_client){.name = ph_client_name(session),
		.address = ph_client_address_text(session), .helo = ph_helo(session),
		.protocol = ph_protocol(session), .sasl_username = ""};
}

const struct intake_base *
intake_base(void)
{
	static const struct intake_base base = {.settings = &world.settings, .queue = the_queue,
		.filter = no_filter, .announce = announce, .client = client_of};

	return &base;
}

int
ph_endpoint_inet(ph_endpoints *endpoints, const ph_address *address, uint16_t port, ph_error *error)
{
	return 0;
}

/* ---- The configuration -------------------------------------------------------------------------- */

/* Each module has an instance whose parameters are all reply codes. */
static const struct ph_rule *
rule_of(const char *name)
{
	static const struct ph_module *const modules[] = {&posthouse_module_restriction_client,
		&posthouse_module_restriction_data, &posthouse_module_restriction_helo,
		&posthouse_module_restriction_recipient, &posthouse_module_restriction_sender};
	static const int64_t codes[32] = {554, 550, 450, 504, 501, 550, 550, 550};
	static struct instance instances[sizeof modules / sizeof modules[0]];
	static struct ph_rule rules[32];
	static size_t count;
	struct ph_rule *rule = &rules[count++];

	CHECK(count < sizeof rules / sizeof rules[0]);
	*rule = (struct ph_rule){.name = name, .argument = ""};
	for (size_t i = 0; i < sizeof modules / sizeof modules[0]; i++) {
		if (modules[i] == NULL)
			continue;
		const struct ph_restriction *restrictions = modules[i]->operations;

		CHECK(modules[i]->instance_size <= sizeof codes);
		instances[i] = (struct instance){.self = (void *)codes, .module = modules[i],
			.name = modules[i]->name};
		for (size_t k = 0; k < modules[i]->operation_count; k++)
			if (strcmp(restrictions[k].name, name) == 0) {
				rule->restriction = &restrictions[k];
				rule->instance = &instances[i];
			}
	}
	return rule;
}

/* Those that no module provides: "warn_if_reject" and the like, whose names have an "if". */
static bool
is_cores_own(const char *name)
{
	return strstr(name, "_if_") != NULL;
}

static const ph_rules *
rules_of(const char *const *names)
{
	struct ph_rules *rules = calloc(1, sizeof *rules);
	struct ph_rule *items = calloc(8, sizeof *items);

	for (; *names != NULL; names++) {
		const struct ph_rule *rule = rule_of(*names);

		if (rule->restriction != NULL || is_cores_own(*names))
			items[rules->count++] = *rule;
	}
	rules->items = items;
	return rules;
}

#define RULES(...) rules_of((const char *const[]){__VA_ARGS__, NULL})

static struct policy_settings plain, restricted;

static void
set_policies(void)
{
	plain = restricted = world.policy;
	plain.smtpd_relay_restrictions = RULES("permit_mynetworks", "reject_unauth_destination");
	restricted.smtpd_client_restrictions = RULES("permit_mynetworks", "reject_unauth_pipelining");
	restricted.smtpd_helo_restrictions = RULES("reject_invalid_helo_hostname",
		"reject_non_fqdn_helo_hostname", "reject_unknown_helo_hostname");
	restricted.smtpd_sender_restrictions = RULES("warn_if_reject", "reject_non_fqdn_sender",
		"reject_unknown_sender_domain", "defer_if_reject");
	restricted.smtpd_relay_restrictions = RULES("permit_mynetworks", "defer_unauth_destination");
	restricted.smtpd_recipient_restrictions = RULES("reject_non_fqdn_recipient",
		"reject_unknown_recipient_domain", "permit_auth_destination", "permit_mynetworks", "reject");
	restricted.smtpd_data_restrictions = RULES("reject_multi_recipient_bounce");
	restricted.smtpd_end_of_data_restrictions = RULES("permit");
}

static void
set_world(void)
{
	static const struct world_record dns[] = {
		{PH_DNS_MX, "b.example", PH_DNS_FOUND, {"10 mx.b.example"}},
		{PH_DNS_A, "c.example", PH_DNS_FOUND, {"192.0.2.9"}},
		{PH_DNS_A, "later.example", PH_DNS_TEMPFAIL, {NULL}},
	};

	world_reset();
	world.dns = dns;
	world.dns_count = sizeof dns / sizeof dns[0];
	world.mydestination[0] = "here.example";
	world.relay_domains[0] = "relay.example";
	world.mynetworks[0] = "127.0.0.1";
	world.settings.myhostname = "mail.here.example";
	world.settings.mydomain = world.settings.myorigin = "here.example";
	world.settings.mail_name = "Posthouse";
	world.settings.append_at_myorigin = true;
	world.settings.empty_address_recipient = "MAILER-DAEMON";
	world.settings.remote_header_rewrite_domain = "";
	world.settings.queue_minfree = 1000;
	world.settings.hopcount_limit = 50;
	world.queue.ops = &queue_ops;
	world.queue.name = "fuzz";
	world.listener.self = &listener;
	world.listener.module = &posthouse_module_listener_smtp;
	world.listener.ops = posthouse_module_listener_smtp.operations;
	set_policies();
}

/* Deadlines are long: a slow machine finds nothing that another does not. */
static void
set_options(unsigned options)
{
	bool strict = (options & OPTION_STRICT) != 0, small = (options & OPTION_SMALL) != 0;

	memset(&storage, 0, sizeof storage);
	storage.options = options;
	world.policy = (options & OPTION_RESTRICTED) != 0 ? restricted : plain;
	world.policy.smtpd_delay_reject = (options & OPTION_EARLY) == 0;
	world.policy.smtpd_helo_required = strict;
	world.policy.smtpd_recipient_limit = small ? 3 : 1000;
	world.settings.message_size_limit = small ? 200 : 10240000;
	listener = (struct listener_smtp){.banner = "mail.here.example ESMTP Posthouse",
		.timeout = 300000, .session_deadline = 600000, .min_data_rate = 500,
		.soft_error_limit = 10, .hard_error_limit = 20, .junk_command_limit = small ? 5 : 100,
		.line_length_limit = small ? 512 : 2048, .strict_envelopes = strict,
		.forbid_bare_newline = (options & OPTION_REJECT_NEWLINES) != 0 ? BARE_NEWLINE_REJECT :
			BARE_NEWLINE_NORMALIZE,
		.bare_newline_reject_code = 550, .recipient_overshoot_limit = 1000, .reject_footer = "",
		.forbid_unauth_pipelining = (options & OPTION_PIPELINING_FREE) == 0,
		.disable_vrfy = strict, .hostname = "mail.here.example"};
}

/* ---- The client --------------------------------------------------------------------------------- */

struct client {
	int fd;
	ph_span input;
	size_t column; /* in the reply's line */
	char code[4];
	char last;
	bool ended;
};

/* Replies: three digits, blank or hyphen, no control characters, CR LF. */
static void
check_replies(struct client *client, const char *data, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = data[i];

		if (c == '\n') {
			CHECK(client->last == '\r' && client->column >= 6);
			client->column = 0;
		} else {
			CHECK(client->last != '\r');
			CHECK(client->column >= 3 || isdigit((unsigned char)c));
			CHECK(client->column != 3 || c == ' ' || c == '-');
			CHECK(c == '\r' || ((unsigned char)c >= 0x20 && c != 0x7f));
			CHECK(++client->column <= 1000);
		}
		client->last = c;
	}
}

static void
receive(struct client *client)
{
	static char data[65536];
	ssize_t size;

	while (!client->ended && (size = recv(client->fd, data, sizeof data, MSG_DONTWAIT)) != -1) {
		client->ended = size == 0;
		check_replies(client, data, (size_t)size);
	}
	client->ended |= errno == ECONNRESET;
}

/* Lets the server work. */
static void
pause_rounds(struct client *client)
{
	for (int i = 0; i < ROUNDS; i++) {
		CHECK(ph_yield() == PH_WAIT_OK);
		receive(client);
	}
}

static void
transmit(struct client *client, ph_span bytes, bool waits)
{
	while (bytes.size > 0) {
		ssize_t size = send(client->fd, bytes.data, bytes.size, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (size == -1 && errno != EAGAIN)
			return; /* the server has closed */
		if (size == -1)
			size = 0;
		bytes.data += size;
		bytes.size -= (size_t)size;
		if (waits || bytes.size > 0)
			pause_rounds(client);
	}
}

static void
leave(struct client *client)
{
	if (client->fd != -1)
		close(client->fd);
	client->fd = -1;
	client->ended = true;
}

static void
converse(void *argument)
{
	struct client *client = argument;
	ph_address address = {.family = AF_INET, .bytes = {192, 0, 2, 1}};
	bool leaves_early = client->input.size > 0 &&
		client->input.data[client->input.size - 1] == SEPARATOR;
	int fds[2];

	if ((storage.options & OPTION_MYNETWORKS) != 0)
		memcpy(address.bytes, (uint8_t[]){127, 0, 0, 1}, 4);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	client->fd = fds[0];
	connection_accept(fds[1], &address, &world.listener);
	pause_rounds(client);
	while (client->input.size > 0 && !client->ended) {
		const char *end = memchr(client->input.data, SEPARATOR, client->input.size);
		size_t size = end != NULL ? (size_t)(end - client->input.data) : client->input.size;
		size_t next = end != NULL ? size + 1 : size;

		transmit(client, (ph_span){client->input.data, size}, !leaves_early || next < client->input.size);
		client->input.data += next;
		client->input.size -= next;
	}
	if (leaves_early)
		leave(client);
	else
		CHECK(shutdown(client->fd, SHUT_WR) == 0 || client->ended);
	for (int i = 0; connections_count() > 0; i++) {
		CHECK(i < 1000);
		pause_rounds(client);
	}
	receive(client);
	CHECK(client->column == 0 || leaves_early);
	leave(client);
}

/* ---- What was sent ------------------------------------------------------------------------------ */

static bool
is_data_command(const char *text, size_t end)
{
	size_t begin = end;

	while (begin > 0 && text[begin - 1] != '\n')
		begin--;
	while (end > begin && (text[end - 1] == ' ' || text[end - 1] == '\t'))
		end--;
	while (begin < end && (text[begin] == ' ' || text[begin] == '\t'))
		begin++;
	return ph_span_equal_nocase((ph_span){text + begin, end - begin}, ph_span_of("data"));
}

/* How many contents could have ended? Behind a command DATA a bare LF may be the end of a line. */
static size_t
count_ends(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t i = 1; i + 3 <= size; i++)
		if (text[i - 1] == '\n' && memcmp(text + i, ".\r\n", 3) == 0)
			count += (i > 1 && text[i - 2] == '\r') || is_data_command(text, i - 1);
	return count;
}

static void
check_ends(ph_span input)
{
	char *text = malloc(input.size + 1);
	size_t size = 0;

	for (size_t i = 0; i < input.size; i++)
		if (input.data[i] != SEPARATOR)
			text[size++] = input.data[i];
	CHECK(storage.committed <= count_ends(text, size));
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	struct client client = {.fd = -1};

	if (size == 0 || size > 32768)
		return 0;
	if (!ready)
		set_world();
	ready = true;
	set_options((uint8_t)(data[0] - '0')); /* '0': as it is shipped */
	client.input = (ph_span){(const char *)data + 1, size - 1};
	run_in_task(converse, &client);
	CHECK(storage.begun == storage.committed + storage.aborted);
	check_ends((ph_span){(const char *)data + 1, size - 1});
	return 0;
}
