/*
 * posthouse queue, and under their old names mailq, postqueue, postcat and postsuper: they ask the
 * queue role over run_directory/control.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/queueprint.h"
#include "config/config.h"
#include "process/channel.h"
#include "queue/protocol.h"

/* How long a queue role that is just starting is waited for, and an answer. Milliseconds. */
#define PATIENCE 3000
#define ANSWER_TIME 120000

/* The connection of one command. */
struct talk {
	struct config *config;
	const struct settings *settings;
	ph_pool *pool;
	int fd;
};

/* ---- Connecting ------------------------------------------------------------------------------ */

/* The supervisor's process lives: the queue role may be on its way. */
static bool
is_running(const struct settings *settings)
{
	char path[512], text[32] = "";
	int64_t pid = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/master.pid", settings->run_directory);
	if ((file = fopen(path, "re")) == NULL)
		return false;
	if (fgets(text, sizeof(text), file) == NULL)
		text[0] = '\0';
	fclose(file);
	text[strcspn(text, "\n ")] = '\0';
	if (ph_parse_int(ph_span_of(text), 1, INT32_MAX, &pid) == -1)
		return false;
	return kill((pid_t)pid, 0) == 0 || errno == EPERM;
}

/* Letters that the sendmail command left; -1: we may not look. */
static long
count_dropped(const struct settings *settings)
{
	char path[512];
	const struct dirent *entry;
	long count = 0;
	DIR *folder;

	snprintf(path, sizeof(path), "%s/drop", settings->queue_directory);
	if ((folder = opendir(path)) == NULL)
		return -1;
	while ((entry = readdir(folder)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(folder);
	return count;
}

static int
say_down(const struct settings *settings, const ph_error *error)
{
	long dropped = count_dropped(settings);

	cli_error("the mail system is down (%s)", error->text);
	if (dropped > 0)
		cli_error("%ld message%s wait%s in %s/drop for it to be started", dropped,
			dropped == 1 ? "" : "s", dropped == 1 ? "s" : "", settings->queue_directory);
	return EX_UNAVAILABLE;
}

static int
load_config(struct talk *talk, const char *option)
{
	struct problems *problems = problems_new();

	talk->config = config_load(cli_config_path(option), -1, problems);
	if (talk->config == NULL)
		problems_print(problems, stderr);
	problems_free(problems);
	if (talk->config == NULL)
		return EX_CONFIG;
	talk->settings = config_settings(talk->config);
	return EX_OK;
}

static int
talk_open(struct talk *talk, const char *option)
{
	const struct timespec pause = {.tv_nsec = 100 * 1000000};
	ph_error error = {""};
	char path[512];
	int result;

	*talk = (struct talk){.fd = -1};
	if ((talk->pool = ph_pool_new(0)) == NULL)
		return EX_OSERR;
	if ((result = load_config(talk, option)) != EX_OK)
		return result;
	snprintf(path, sizeof(path), "%s/control", talk->settings->run_directory);
	for (int waited = 0; talk->fd == -1; waited += 100) {
		talk->fd = channel_connect_blocking(path, &error);
		if (talk->fd != -1 || waited >= PATIENCE || !is_running(talk->settings))
			break;
		nanosleep(&pause, NULL);
	}
	return talk->fd == -1 ? say_down(talk->settings, &error) : EX_OK;
}

static void
talk_close(struct talk *talk)
{
	if (talk->fd != -1)
		close(talk->fd);
	if (talk->config != NULL)
		config_free(talk->config);
	ph_pool_free(talk->pool);
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static int
send_request(struct talk *talk, unsigned type, const char *argument, unsigned what)
{
	struct wire_writer writer;
	ph_error error;

	wire_begin(&writer, talk->pool);
	wire_put_string(&writer, argument);
	wire_put_u8(&writer, what);
	if (channel_send_blocking(talk->fd, type, wire_span(&writer), NULL, 0, &error) == 0)
		return EX_OK;
	cli_error("%s", error.text);
	return EX_TEMPFAIL;
}

/* Reads the answer; frames other than the end go to fn. count: how many messages it was about. */
static int
read_answer(struct talk *talk, struct queueprint *print, const char *about, uint64_t *count)
{
	for (;;) {
		struct wire_reader reader;
		ph_error error = {"the queue manager went away; try again"};
		unsigned type;
		ph_span payload;
		const char *text;
		int code;

		ph_pool_reset(talk->pool);
		if (channel_receive_blocking(talk->fd, talk->pool, &type, &payload, NULL, NULL,
			ANSWER_TIME, &error) != 1) {
			cli_error("%s", error.text);
			return EX_TEMPFAIL;
		}
		if (type != CONTROL_END) {
			queueprint_frame(print, type, payload, talk->pool);
			continue;
		}
		reader = wire_reader_of(payload);
		code = (int)wire_get_u32(&reader);
		text = wire_get_string(&reader, talk->pool);
		*count = wire_get_u64(&reader);
		queueprint_end(print);
		if (code != EX_OK)
			cli_error("%s%s%s", about, *about == '\0' ? "" : ": ", text);
		return code;
	}
}

static int
ask(struct talk *talk, unsigned type, const char *argument, unsigned what, struct queueprint *print,
	uint64_t *count)
{
	int result = send_request(talk, type, argument, what);

	*count = 0;
	return result != EX_OK ? result : read_answer(talk, print, argument, count);
}

/* One request on a connection of its own. */
static int
ask_once(const char *config, unsigned type, const char *argument, unsigned what, bool json)
{
	struct queueprint print;
	struct talk talk;
	uint64_t count;
	int result = talk_open(&talk, config);

	if (result == EX_OK) {
		queueprint_begin(&print, stdout, json);
		result = ask(&talk, type, argument, what, &print, &count);
		if (result == EX_OK && type == CONTROL_LIST)
			queueprint_total(&print);
	}
	talk_close(&talk);
	return result;
}

/* A request for each of several IDs; "-" reads them from standard input. Says how many. */
static int
ask_each(struct talk *talk, unsigned type, char **ids, int id_count, uint64_t *total)
{
	struct queueprint print;
	int worst = EX_OK;
	char line[256];

	queueprint_begin(&print, stdout, false);
	for (int i = 0; i < id_count; i++) {
		bool from_input = strcmp(ids[i], "-") == 0;
		const char *id = ids[i];

		do {
			uint64_t count;
			int result;

			if (from_input) {
				if (fgets(line, sizeof(line), stdin) == NULL)
					break;
				line[strcspn(line, " \t\r\n*!")] = '\0';
				id = line;
			}
			if (*id == '\0')
				continue;
			result = ask(talk, type, id, 0, &print, &count);
			*total += count;
			if (result != EX_OK)
				worst = result;
		} while (from_input);
	}
	return worst;
}

/* ---- posthouse queue ------------------------------------------------------------------------- */

static const char usage_text[] =
	"usage: posthouse queue [-c FILE] list [-j] [ID]\n"
	"       posthouse queue [-c FILE] flush [ID | DOMAIN]\n"
	"       posthouse queue [-c FILE] show [-e] [-h] [-b] ID ...\n"
	"       posthouse queue [-c FILE] delete | hold | release | requeue ID ... | ALL | -\n";

static int
usage(const char *text)
{
	fputs(text, stderr);
	return EX_USAGE;
}

static int
queue_list(const char *config, int argc, char **argv)
{
	bool json = false;
	int option;

	optind = 0;
	while ((option = getopt(argc, argv, "+j")) != -1) {
		if (option != 'j')
			return usage(usage_text);
		json = true;
	}
	if (argc - optind > 1)
		return usage(usage_text);
	return ask_once(config, CONTROL_LIST, optind < argc ? argv[optind] : "", 0, json);
}

static int
queue_flush(const char *config, int argc, char **argv)
{
	return argc > 2 ? usage(usage_text)
		: ask_once(config, CONTROL_FLUSH, argc == 2 ? argv[1] : "", 0, false);
}

/* -e, -h, -b and -q as postcat has them. */
static int
show(const char *config, int argc, char **argv, const char *help, bool named_q)
{
	unsigned what = 0;
	bool queued = !named_q;
	int option, worst = EX_OK;

	optind = 0;
	while ((option = getopt(argc, argv, named_q ? "+c:ehbqov" : "+ehb")) != -1) {
		switch (option) {
		case 'c':
			config = optarg;
			break;
		case 'e':
			what |= SHOW_ENVELOPE;
			break;
		case 'h':
			what |= SHOW_HEADER;
			break;
		case 'b':
			what |= SHOW_BODY;
			break;
		case 'q':
			queued = true;
			break;
		case 'o':
		case 'v':
			break;
		default:
			return usage(help);
		}
	}
	if (optind == argc)
		return usage(help);
	if (!queued) {
		cli_error("messages have no files of their own here: name them by queue ID, with -q");
		return EX_USAGE;
	}
	for (; optind < argc; optind++) {
		int result = ask_once(config, CONTROL_SHOW, argv[optind],
			what != 0 ? what : SHOW_ENVELOPE | SHOW_HEADER | SHOW_BODY, false);

		worst = result != EX_OK ? result : worst;
	}
	return worst;
}

static int
queue_show(const char *config, int argc, char **argv)
{
	return show(config, argc, argv, usage_text, false);
}

static int
change(const char *config, int argc, char **argv, unsigned type, const char *word)
{
	struct talk talk;
	uint64_t total = 0;
	int result;

	if (argc < 2)
		return usage(usage_text);
	if ((result = talk_open(&talk, config)) == EX_OK) {
		result = ask_each(&talk, type, argv + 1, argc - 1, &total);
		printf("%s: %" PRIu64 " message%s\n", word, total, total == 1 ? "" : "s");
	}
	talk_close(&talk);
	return result;
}

static int
queue_delete(const char *config, int argc, char **argv)
{
	return change(config, argc, argv, CONTROL_DELETE, "deleted");
}

static int
queue_hold(const char *config, int argc, char **argv)
{
	return change(config, argc, argv, CONTROL_HOLD, "held");
}

static int
queue_release(const char *config, int argc, char **argv)
{
	return change(config, argc, argv, CONTROL_RELEASE, "released");
}

static int
queue_requeue(const char *config, int argc, char **argv)
{
	return change(config, argc, argv, CONTROL_REQUEUE, "requeued");
}

static const struct {
	const char *name;
	int (*run)(const char *config, int argc, char **argv);
} subcommands[] = {
	{"delete", queue_delete},
	{"flush", queue_flush},
	{"hold", queue_hold},
	{"list", queue_list},
	{"release", queue_release},
	{"requeue", queue_requeue},
	{"show", queue_show},
};

int
command_queue(int argc, char **argv)
{
	const char *config = NULL;
	int option;

	optind = 0;
	while ((option = getopt(argc, argv, "+c:")) != -1) {
		if (option != 'c')
			return usage(usage_text);
		config = optarg;
	}
	for (size_t i = 0; optind < argc && i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (strcmp(argv[optind], subcommands[i].name) == 0) {
			int first = optind;

			return subcommands[i].run(config, argc - first, argv + first);
		}
	return usage(usage_text);
}

/* ---- The traditional names ------------------------------------------------------------------- */

int
command_mailq(int argc, char **argv)
{
	const char *config = NULL;
	bool json = false;
	int option;

	/* what sendmail's mailq took besides means nothing here */
	optind = 0;
	while ((option = getopt(argc, argv, "+C:c:jqvA:L:O:o:")) != -1) {
		if (option == 'c' || option == 'C')
			config = optarg;
		else if (option == 'j')
			json = true;
		else if (option == '?')
			return usage("usage: mailq [-c FILE] [-j]\n");
	}
	return ask_once(config, CONTROL_LIST, "", 0, json);
}

int
command_postqueue(int argc, char **argv)
{
	static const char help[] =
		"usage: postqueue [-c FILE] -p | -j | -f | -i ID | -s SITE\n";
	const char *config = NULL, *argument = "";
	unsigned type = 0;
	bool json = false;
	int option;

	optind = 0;
	while ((option = getopt(argc, argv, "+c:fi:jps:v")) != -1) {
		switch (option) {
		case 'c':
			config = optarg;
			continue;
		case 'v':
			continue;
		case 'p':
		case 'j':
			type = type != 0 ? UINT32_MAX : CONTROL_LIST;
			json = option == 'j';
			continue;
		case 'i':
		case 's':
			argument = optarg;
			type = type != 0 ? UINT32_MAX : CONTROL_FLUSH;
			continue;
		case 'f':
			type = type != 0 ? UINT32_MAX : CONTROL_FLUSH;
			continue;
		default:
			return usage(help);
		}
	}
	if (type == 0 || type == UINT32_MAX || optind != argc)
		return usage(help);
	return ask_once(config, type, argument, 0, json);
}

int
command_postcat(int argc, char **argv)
{
	return show(NULL, argc, argv, "usage: postcat [-c FILE] [-ehb] -q ID ...\n", true);
}

/* What postsuper does to messages, in the order in which it says so. */
struct super {
	int option;
	unsigned type;
	const char *word;
	uint64_t total;
};

static int
super_run(const char *config, struct super *supers, size_t count, int argc, char **argv)
{
	struct talk talk;
	int option, result = talk_open(&talk, config), worst = result;

	optind = 0;
	while (result == EX_OK && (option = getopt(argc, argv, "+c:d:h:H:pr:sv")) != -1)
		for (size_t i = 0; i < count; i++)
			if (supers[i].option == option) {
				int one = ask_each(&talk, supers[i].type, &optarg, 1, &supers[i].total);

				worst = one != EX_OK ? one : worst;
			}
	talk_close(&talk);
	return worst;
}

int
command_postsuper(int argc, char **argv)
{
	static const char help[] = "usage: postsuper [-c FILE] [-psv] [-d ID] [-h ID] [-H ID] [-r ID]"
		" (ID: a queue ID, ALL, or - for a list on standard input)\n";
	struct super supers[] = {
		{'d', CONTROL_DELETE, "Deleted", 0},
		{'h', CONTROL_HOLD, "Placed on hold", 0},
		{'H', CONTROL_RELEASE, "Released from hold", 0},
		{'r', CONTROL_REQUEUE, "Requeued", 0},
	};
	const size_t count = sizeof(supers) / sizeof(supers[0]);
	const char *config = NULL;
	bool work = false;
	int option, result;

	optind = 0;
	while ((option = getopt(argc, argv, "+c:d:h:H:pr:sv")) != -1) {
		if (option == '?')
			return usage(help);
		if (option == 'c')
			config = optarg;
		work |= strchr("dhHr", option) != NULL;
	}
	if (optind != argc)
		return usage(help);
	/* -s and -p mend a queue of files; this storage mends itself when it is opened */
	if (!work)
		return EX_OK;
	result = super_run(config, supers, count, argc, argv);
	for (size_t i = 0; i < count; i++)
		if (supers[i].total > 0)
			cli_error("%s: %" PRIu64 " message%s", supers[i].word, supers[i].total,
				supers[i].total == 1 ? "" : "s");
	return result;
}
