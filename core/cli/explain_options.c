/*
 * The options of posthouse explain.
 */
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/explain.h"
#include "config/grow.h"

enum { RECIPIENTS_MOST = 1000 };

/* ---- Options --------------------------------------------------------------------------------- */

enum option_name {
	OPTION_CLIENT = 256,
	OPTION_CLIENT_NAME,
	OPTION_REVERSE_NAME,
	OPTION_HELO,
	OPTION_FROM,
	OPTION_TO,
	OPTION_SASL,
	OPTION_TLS,
	OPTION_LISTENER,
	OPTION_SIZE,
	OPTION_DATA,
	OPTION_ETRN
};

static const struct option long_options[] = {
	{"client", required_argument, NULL, OPTION_CLIENT},
	{"client-name", required_argument, NULL, OPTION_CLIENT_NAME},
	{"reverse-name", required_argument, NULL, OPTION_REVERSE_NAME},
	{"helo", required_argument, NULL, OPTION_HELO},
	{"from", required_argument, NULL, OPTION_FROM},
	{"to", required_argument, NULL, OPTION_TO},
	{"sasl", required_argument, NULL, OPTION_SASL},
	{"tls", no_argument, NULL, OPTION_TLS},
	{"listener", required_argument, NULL, OPTION_LISTENER},
	{"size", required_argument, NULL, OPTION_SIZE},
	{"data", no_argument, NULL, OPTION_DATA},
	{"etrn", required_argument, NULL, OPTION_ETRN},
	{"json", no_argument, NULL, 'j'},
	{NULL, 0, NULL, 0},
};

struct options {
	const char *client, *size;
	struct explain_options *result;
	const char *recipients[RECIPIENTS_MOST];
	size_t count;
};

static int
usage(const char *why)
{
	if (why[0] != '\0')
		cli_error("explain: %s", why);
	fputs("usage: posthouse explain [-c file] --client ADDRESS [--client-name NAME] [--reverse-name NAME]\n"
		"       [--helo NAME] [--from ADDRESS [--to ADDRESS ...]] [--size BYTES] [--data]\n"
		"       [--etrn DOMAIN] [--sasl USER] [--tls] [--listener NAME] [-j]\n"
		"Rehearses an SMTP session: posthouse explain --client 192.0.2.1 --helo mail.example.net \\\n"
		"       --from sender@example.net --to user@example.com\n", stderr);
	return EX_USAGE;
}

/* An address with or without its brackets; NULL: nothing that a client could send in a line. */
static const char *
take_word(struct explain *explain, const char *text)
{
	size_t size = strlen(text);

	for (const char *at = text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			return NULL;
	if (size >= 2 && text[0] == '<' && text[size - 1] == '>')
		return ph_pool_copy(explain->story.pool, (ph_span){text + 1, size - 2});
	return text;
}

/* What a client with TLS and one with a login have, as far as restrictions can see it. */
static void
take_tls(struct rehearsal *rehearsal)
{
	rehearsal->tls = (struct session_tls){.protocol = "TLSv1.3",
		.cipher = "TLS_AES_256_GCM_SHA384",
		.cipher_bits = 256};
}

static void
take_login(struct rehearsal *rehearsal, const char *user)
{
	rehearsal->login = (struct session_login){.username = user, .method = "PLAIN"};
}

/* One option; 0 or -1. */
static int
take_option(struct explain *explain, struct options *options, int option, const char *value)
{
	struct script *script = &explain->script;

	switch (option) {
	case OPTION_CLIENT:
		options->client = value;
		break;
	case OPTION_CLIENT_NAME:
		script->rehearsal.client_name = value;
		break;
	case OPTION_REVERSE_NAME:
		script->rehearsal.reverse_name = value;
		break;
	case OPTION_HELO:
		script->helo = value;
		break;
	case OPTION_FROM:
		script->sender = value;
		break;
	case OPTION_TO:
		if (options->count == RECIPIENTS_MOST || value == NULL)
			return -1;
		options->recipients[options->count++] = value;
		break;
	case OPTION_SASL:
		take_login(&script->rehearsal, value);
		break;
	case OPTION_TLS:
		take_tls(&script->rehearsal);
		break;
	case OPTION_LISTENER:
		options->result->listener = value;
		break;
	case OPTION_SIZE:
		options->size = value;
		break;
	case OPTION_DATA:
		script->data = true;
		break;
	case OPTION_ETRN:
		script->etrn = value;
		break;
	case 'c':
		options->result->config = value;
		break;
	case 'j':
		explain->json = true;
		break;
	default:
		return -1;
	}
	return 0;
}

/* "192.0.2.1", "2001:db8::1", "[2001:db8::1]". 0 or -1. */
static int
take_client(struct explain *explain, const char *text)
{
	ph_address *client = &explain->script.rehearsal.client;
	size_t size = strlen(text);
	ph_span span = size > 2 && text[0] == '[' ? (ph_span){text + 1, size - 2}
		: ph_span_of(text);

	if (ph_address_parse(span, client) == -1)
		return -1;
	/* As the kernel's sockets show it. */
	if (client->family == AF_INET6 &&
		memcmp(client->bytes, "\0\0\0\0\0\0\0\0\0\0\377\377", 12) == 0) {
		client->family = AF_INET;
		memmove(client->bytes, client->bytes + 12, 4);
		memset(client->bytes + 4, 0, 12);
	}
	return 0;
}

/* What is missing, or makes no sense; NULL: nothing. */
static const char *
judge_options(struct explain *explain, const struct options *options)
{
	const struct script *script = &explain->script;
	const char *name = script->rehearsal.client_name, *reverse = script->rehearsal.reverse_name;
	ph_pool *pool = explain->story.pool;

	if (options->client == NULL)
		return "say who the client is: --client ADDRESS";
	if (take_client(explain, options->client) == -1)
		return ph_pool_printf(pool, "--client %s: not an IPv4 or IPv6 address",
			options->client);
	if (options->count > 0 && script->sender == NULL)
		return "--to needs a sender: --from ADDRESS (--from '' for the empty one)";
	if (script->data && options->count == 0)
		return "--data needs a recipient: --to ADDRESS";
	if (options->size != NULL && (script->sender == NULL ||
		ph_parse_int(ph_span_of(options->size), 0, INT64_MAX, &explain->script.size) == -1))
		return "--size takes a number of bytes, and needs --from";
	if (name != NULL && reverse != NULL && strcmp(name, "unknown") != 0 &&
		ph_strcasecmp(name, reverse) != 0)
		return "a name that is verified is the one that the address says: with --reverse-name give "
		       "--client-name unknown, or none";
	return NULL;
}

int
explain_read_options(struct explain *explain, struct explain_options *result, int argc, char **argv)
{
	struct options *options =
		memory_or_die(ph_pool_alloc(explain->story.pool, sizeof(*options)));
	struct script *script = &explain->script;
	const char *why;
	int option;

	options->result = result;
	script->size = -1;
	optind = 1;
	while ((option = getopt_long(argc, argv, "c:j", long_options, NULL)) != -1) {
		const char *value = optarg != NULL ? take_word(explain, optarg) : NULL;

		if (optarg != NULL && value == NULL)
			return usage("an argument holds control characters");
		if (take_option(explain, options, option, value) == -1)
			return usage("");
	}
	if (optind < argc)
		return usage(ph_pool_printf(explain->story.pool, "%s: unexpected argument",
			argv[optind]));
	why = judge_options(explain, options);
	if (why != NULL)
		return usage(why);
	script->recipients = (ph_strings){options->count, options->recipients};
	return 0;
}
