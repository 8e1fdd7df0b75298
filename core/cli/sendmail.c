/*
 * sendmail: the command through which programs have posted mail since 1981. It takes the options of
 * its ancestor (LSB 5, and what is seen in the wild) and hands the message to the daemon; when
 * there is none, the message waits in the drop directory.
 */
#include "cli/sendmail.h"

#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <posthouse/dsn.h>

#include "cli/cli.h"
#include "cli/explain.h"
#include "cli/letter.h"
#include "config/peek.h"
#include "intake/mailbox_list.h"

struct options {
	char mode;             /* of -b: m, s, p, i, d, v; 0: none was given */
	bool flush;            /* -q, -qR…: now, not an interval */
	bool interval;         /* -q30m */
	bool from_headers;     /* -t */
	bool dots_are_text;    /* -i, -oi */
	bool verbose;          /* -v: what became of it is told, here and by a report */
	const char *config;    /* -C */
	const char *sender;    /* -f, -r */
	struct outgoing outgoing;
};

/* ---- Options --------------------------------------------------------------------------------- */

static int
usage(const char *text)
{
	cli_error("%s", text);
	return EX_USAGE;
}

static bool
is_plain_text(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || (unsigned char)*text > '~')
			return false;
	return true;
}

/* -o with a letter and a value: only i means something here. */
static int
option_o(struct options *options, const char *value)
{
	if (*value == 'i')
		options->dots_are_text = true;
	return 0;
}

static int
option_b(struct options *options, const char *value)
{
	if (strchr("mspidv", *value) == NULL || value[0] == '\0' || value[1] != '\0')
		return usage("-b: expected one of m, s, p, i, d, v");
	options->mode = *value;
	return 0;
}

static int
option_q(struct options *options, const char *value)
{
	if (value == NULL || !isdigit((unsigned char)*value))
		options->flush = true;
	else
		options->interval = true;
	return 0;
}

/* -R is RET; sendmail's older -R with a host name, to flush a site's mail, needs -q before it. */
static int
option_r(struct options *options, const char *value)
{
	uint32_t ret = 0;

	if (ph_dsn_ret_parse(ph_span_of(value), &ret) == -1)
		return usage("-R: expected full or hdrs");
	options->outgoing.ret = ret == PH_RET_FULL ? "FULL" : "HDRS";
	return 0;
}

static int
option_body(struct options *options, const char *value)
{
	if (ph_strcasecmp(value, "8BITMIME") == 0)
		options->outgoing.body = "8BITMIME";
	else if (ph_strcasecmp(value, "7BIT") != 0)
		return usage("-B: expected 7BIT or 8BITMIME");
	return 0;
}

static int
take_option(struct options *options, int letter, const char *value)
{
	switch (letter) {
	case 'B':
		return option_body(options, value);
	case 'C':
		options->config = value;
		return 0;
	case 'F':
		options->outgoing.name = value;
		return 0;
	case 'I':
		options->mode = 'i';
		return 0;
	case 'N':
		return ph_dsn_notify_parse(ph_span_of(value), &options->outgoing.notify) == 0
			       ? 0
			       : usage("-N: expected never, or a list of success, failure, delay");
	case 'R':
		return option_r(options, value);
	case 'V':
		options->outgoing.envid = value;
		return is_plain_text(value) && strlen(value) <= 100 ? 0
								    : usage("-V: expected up to 100 printable characters");
	case 'b':
		return option_b(options, value);
	case 'f':
	case 'r':
		options->sender = value;
		return 0;
	case 'i':
		options->dots_are_text = true;
		return 0;
	case 'o':
		return option_o(options, value);
	case 'q':
		return option_q(options, value);
	case 't':
		options->from_headers = true;
		return 0;
	case 'v':
		options->verbose = true;
		return 0;
	case '?':
	case ':':
		return EX_USAGE;
	}
	return 0; /* accepted for the sake of its callers */
}

/* Options end at the first word that is none: what follows are addresses, whatever they look
 * like. */
static int
parse_options(int argc, char **argv, struct options *options)
{
	static const char letters[] = "+A:B:C:D:F:GIL:M:N:O:R:UV:X:b:cd::e:f:h:imno:p:q::r:stvx";
	int letter, result;

	optind = 1;
	while ((letter = getopt(argc, argv, letters)) != -1) {
		result = take_option(options, letter, optarg);
		if (result != 0)
			return result;
	}
	return 0;
}

/* ---- Addresses ------------------------------------------------------------------------------- */

static int
add_recipient(void *outgoing, const char *address)
{
	return outgoing_add_recipient(outgoing, address) == 0 ? 0 : 1;
}

static int
keep_address(void *kept, const char *address)
{
	const char **one = kept;

	if (*one != NULL)
		return 1;
	*one = address;
	return 0;
}

/* "" and "<>" are the sender of reports. */
static int
parse_sender(ph_pool *pool, const char *text, const char **sender)
{
	ph_error error = {""};

	*sender = NULL;
	if (strcmp(text, "") == 0 || strcmp(text, "<>") == 0) {
		*sender = "";
		return 0;
	}
	if (mailbox_list_parse(pool, ph_span_of(text), keep_address, sender, &error) != 0 ||
		*sender == NULL) {
		cli_error("-f %s: expected one address", text);
		return EX_USAGE;
	}
	return 0;
}

static int
add_arguments(ph_pool *pool, char **arguments, struct outgoing *outgoing)
{
	for (; *arguments != NULL; arguments++) {
		ph_error error = {"out of memory"};

		if (mailbox_list_parse(pool, mailbox_list_commas(pool, *arguments), add_recipient, outgoing,
			&error) != 0) {
			cli_error("%s", error.text);
			return EX_USAGE;
		}
	}
	return 0;
}

/* The passwd entry's name: up to the comma, "&" is the login name. */
const char *
sendmail_full_name(ph_pool *pool)
{
	const struct passwd *entry = getpwuid(getuid());
	const char *gecos = entry != NULL && entry->pw_gecos != NULL ? entry->pw_gecos : "";
	size_t size = strcspn(gecos, ","), before = strcspn(gecos, "&,");

	if (size == 0)
		return NULL;
	if (before == size)
		return ph_pool_copy(pool, (ph_span){gecos, size});
	return ph_pool_printf(pool, "%.*s%c%s%.*s", (int)before, gecos,
		toupper((unsigned char)entry->pw_name[0]),
		entry->pw_name + (entry->pw_name[0] != '\0'),
		(int)(size - before - 1), gecos + before + 1);
}

static const char *
choose_name(ph_pool *pool, const char *given)
{
	const char *environment = getenv("NAME");

	if (given != NULL)
		return given;
	if (environment != NULL && *environment != '\0')
		return ph_pool_strdup(pool, environment);
	return sendmail_full_name(pool);
}

/* ---- Submission ------------------------------------------------------------------------------ */

void
sendmail_submit(const struct sendmail_site *site, const struct outgoing *outgoing, ph_reply *reply)
{
	ph_error error = {""};

	switch (submit_outgoing(outgoing, site->run_directory, site->queue_directory, reply,
		&error)) {
	case SUBMIT_ANSWERED:
		return;
	case SUBMIT_DROPPED:
		*reply = (ph_reply){.code = 250, .status = "2.0.0",
			.text = "Ok: waits for the mail system to be started"};
		return;
	case SUBMIT_FAILED:
		*reply = (ph_reply){.code = 451, .status = "4.3.0"};
		snprintf(reply->text, sizeof(reply->text), "%s", error.text);
		return;
	}
}

static int
exit_code(const ph_reply *reply)
{
	if (reply->code < 300)
		return EX_OK;
	if (reply->code < 500)
		return EX_TEMPFAIL;
	if (strcmp(reply->status, "5.7.1") == 0)
		return EX_NOPERM;
	if (strcmp(reply->status, "5.1.3") == 0 || strcmp(reply->status, "5.1.7") == 0)
		return EX_DATAERR;
	return EX_UNAVAILABLE;
}

static int
submit_letter(const struct sendmail_site *site, struct options *options, char **arguments,
	struct letter *letter)
{
	struct outgoing *outgoing = &options->outgoing;
	ph_error error = {""};
	ph_reply reply;
	int result;

	if (options->sender != NULL &&
		(result = parse_sender(site->pool, options->sender, &outgoing->from)) != 0)
		return result;
	if ((result = add_arguments(site->pool, arguments, outgoing)) != 0)
		return result;
	if (!options->from_headers && outgoing->recipient_count == 0)
		return usage("recipients must be given on the command line, or in the headers with -t");
	outgoing->name = choose_name(site->pool, outgoing->name);
	if (letter_read(letter, STDIN_FILENO, !options->dots_are_text, &error) == -1) {
		cli_error("%s", error.text);
		return EX_IOERR;
	}
	outgoing->content = letter_content(letter);
	if (options->from_headers &&
		letter_take_recipients(site->pool, &outgoing->content, outgoing, &error) == -1) {
		cli_error("%s", error.text);
		return EX_DATAERR;
	}
	if (outgoing->recipient_count == 0)
		return usage("no recipients: the headers To, Cc and Bcc name nobody");
	sendmail_submit(site, outgoing, &reply);
	if (reply.code >= 300)
		cli_error("%d %s %s", reply.code, reply.status, reply.text);
	else if (options->verbose)
		printf("%d %s %s\n", reply.code, reply.status, reply.text);
	return exit_code(&reply);
}

static int
run_submission(const struct sendmail_site *site, struct options *options, char **arguments)
{
	struct letter letter = {.line = 0};
	int result = submit_letter(site, options, arguments, &letter);

	buffer_free(&letter.bytes);
	outgoing_forget(&options->outgoing);
	return result;
}

/* ---- Other modes ----------------------------------------------------------------------------- */

/* -bv: as the tables and the transports say now; nothing is sent. */
static int
verify(ph_pool *pool, const struct options *options, char **arguments)
{
	struct outgoing outgoing = {.from = NULL};
	const char *sender = NULL, **addresses = NULL;
	int result = 0;

	if (options->sender != NULL)
		result = parse_sender(pool, options->sender, &sender);
	if (result == 0 && add_arguments(pool, arguments, &outgoing) != 0)
		result = EX_DATAERR;
	if (result == 0 && outgoing.recipient_count == 0)
		result = usage("-bv: the addresses are given on the command line");
	if (result == 0 && (addresses = ph_pool_array(pool, outgoing.recipient_count, sizeof(*addresses))) == NULL)
		result = EX_OSERR;
	for (size_t i = 0; result == 0 && i < outgoing.recipient_count; i++)
		addresses[i] = outgoing.recipients[i].address;
	if (result == 0)
		result = explain_addresses(options->config, sender,
			&(ph_strings){outgoing.recipient_count, addresses});
	outgoing_forget(&outgoing);
	return result;
}

static int
daemon_mode(void)
{
	cli_error("the daemon is started by the system's service manager, or by \"posthouse start\"; "
		  "nothing was done");
	return EX_OK;
}

static int
run_as(command_fn *command, const char *name, const char *option)
{
	char first[32], second[8];
	char *argv[] = {first, option != NULL ? second : NULL, NULL};

	snprintf(first, sizeof(first), "%s", name);
	snprintf(second, sizeof(second), "%s", option != NULL ? option : "");
	optind = 1;
	return command(option != NULL ? 2 : 1, argv);
}

static int
find_site(const struct options *options, struct sendmail_site *site)
{
	struct peek peeks[] = {{.name = "run_directory"}, {.name = "queue_directory"}};
	ph_error error = {""};

	if (config_peek(cli_config_path(options->config), site->pool, peeks, 2, &error) == -1) {
		cli_error("%s", error.text);
		return EX_CONFIG;
	}
	site->run_directory = peeks[0].value;
	site->queue_directory = peeks[1].value;
	return 0;
}

static int
run_at_site(struct sendmail_site *site, struct options *options, char **arguments)
{
	const char *sender = NULL;
	int result = find_site(options, site);

	if (result != 0)
		return result;
	if (options->mode != 's')
		return run_submission(site, options, arguments);
	if (options->sender != NULL &&
		(result = parse_sender(site->pool, options->sender, &sender)) != 0)
		return result;
	return sendmail_dialogue(site, sender);
}

/* The other commands find the same configuration. */
static void
pass_config_on(const struct options *options)
{
	if (options->config != NULL)
		setenv("POSTHOUSE_CONFIG", options->config, 1);
}

int
command_sendmail(int argc, char **argv)
{
	struct options options = {.mode = 0};
	struct sendmail_site site = {.pool = NULL};
	int result = parse_options(argc, argv, &options);

	if (result != 0)
		return result;
	pass_config_on(&options);
	options.outgoing.watch = options.verbose;
	if (options.verbose && options.outgoing.notify == 0)
		options.outgoing.notify = PH_NOTIFY_SUCCESS | PH_NOTIFY_FAILURE | PH_NOTIFY_DELAY;
	if (options.mode == 'd' || (options.mode == 0 && options.interval))
		return daemon_mode();
	if (options.mode == 'p')
		return run_as(command_mailq, "mailq", NULL);
	if (options.mode == 'i')
		return run_as(command_newaliases, "newaliases", NULL);
	if (options.mode == 0 && options.flush)
		return run_as(command_postqueue, "postqueue", "-f");
	site.pool = ph_pool_new(0);
	if (site.pool == NULL)
		return EX_OSERR;
	if (options.mode == 'v')
		result = verify(site.pool, &options, argv + optind);
	else
		result = run_at_site(&site, &options, argv + optind);
	ph_pool_free(site.pool);
	return result;
}
