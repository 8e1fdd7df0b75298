/*
 * posthouse queue, and under their old names mailq, postqueue, postcat and postsuper: they ask the
 * queue role over run_directory/control.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/queueprint.h"
#include "cli/queueselect.h"
#include "cli/queuestats.h"
#include "cli/queuetalk.h"
#include "queue/protocol.h"

/* ---- Asking ---------------------------------------------------------------------------------- */

static void
print_frame(void *context, unsigned type, ph_span payload, ph_pool *pool)
{
	queueprint_frame(context, type, payload, pool);
}

static int
print_answer(struct talk *talk, unsigned type, const char *argument, unsigned what,
	struct queueprint *print, uint64_t *count)
{
	int result = talk_ask(talk, type, argument, what, print_frame, print, count);

	queueprint_end(print);
	return result;
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
		result = print_answer(&talk, type, argument, what, &print, &count);
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
			result = print_answer(talk, type, id, 0, &print, &count);
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
	"       posthouse queue [-c FILE] delete | hold | release | requeue ID ... | ALL | -\n"
	"       posthouse queue [-c FILE] delete | hold | release | requeue [-n] [--from ADDRESS]\n"
	"                       [--to ADDRESS] [--destination DOMAIN] [--older TIME]\n"
	"       posthouse queue [-c FILE] stats [-j] [--senders] [--deferred]\n";

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

/* What is done to messages, and what is said then. */
struct deed {
	unsigned type;
	const char *done, *would;
};

/* The messages of a selection: what is done to each, or with -n only who they are. */
static int
change_selected(struct talk *talk, const struct deed *deed, struct selection *selection,
	uint64_t *total)
{
	uint64_t count;
	int result = talk_ask(talk, CONTROL_LIST, "", 0, selection_frame, selection, &count), worst;

	selection_end(selection);
	worst = result;
	for (size_t i = 0; result == EX_OK && !selection->dry && i < selection->count; i++) {
		char *id = selection->ids[i];
		int one = ask_each(talk, deed->type, &id, 1, total);

		worst = one == EX_OK ? worst : one;
	}
	if (selection->dry)
		*total = selection->count;
	return worst;
}

static int
change(const char *config, int argc, char **argv, const struct deed *deed)
{
	struct selection selection;
	struct talk talk;
	uint64_t total = 0;
	int first = selection_options(&selection, argc, argv), result;
	bool named = first < argc;

	if (first == -1 || named == selection.any || (selection.dry && named))
		return usage(usage_text);
	if ((result = talk_open(&talk, config)) == EX_OK) {
		result = named ? ask_each(&talk, deed->type, argv + first, argc - first, &total)
			: change_selected(&talk, deed, &selection, &total);
		printf("%s: %" PRIu64 " message%s\n", selection.dry ? deed->would : deed->done,
			total, total == 1 ? "" : "s");
	}
	selection_free(&selection);
	talk_close(&talk);
	return result;
}

static int
queue_delete(const char *config, int argc, char **argv)
{
	return change(config, argc, argv,
		&(struct deed){CONTROL_DELETE, "deleted", "would be deleted"});
}

static int
queue_hold(const char *config, int argc, char **argv)
{
	return change(config, argc, argv, &(struct deed){CONTROL_HOLD, "held", "would be held"});
}

static int
queue_release(const char *config, int argc, char **argv)
{
	return change(config, argc, argv,
		&(struct deed){CONTROL_RELEASE, "released", "would be released"});
}

static int
queue_requeue(const char *config, int argc, char **argv)
{
	return change(config, argc, argv,
		&(struct deed){CONTROL_REQUEUE, "requeued", "would be requeued"});
}

static int
queue_stats(const char *config, int argc, char **argv)
{
	struct queuestats stats = {0};
	struct talk talk;
	uint64_t count;
	int result;

	if (queuestats_options(&stats, argc, argv) == -1)
		return usage(usage_text);
	if ((result = talk_open(&talk, config)) == EX_OK)
		result = talk_ask(&talk, CONTROL_LIST, "", 0, queuestats_frame, &stats, &count);
	if (result == EX_OK)
		queuestats_print(&stats, stdout);
	queuestats_free(&stats);
	talk_close(&talk);
	return result;
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
	{"stats", queue_stats},
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
				int one = ask_each(&talk, supers[i].type, &optarg, 1,
					&supers[i].total);

				worst = one != EX_OK ? one : worst;
			}
	talk_close(&talk);
	return worst;
}

int
command_postsuper(int argc, char **argv)
{
	static const char help[] =
		"usage: postsuper [-c FILE] [-psv] [-d ID] [-h ID] [-H ID] [-r ID]"
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
