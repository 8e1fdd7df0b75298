/*
 * posthouse verify: what address verification has found out, and forgetting it. Asks the queue role
 * over run_directory/control.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/queueprint.h"
#include "cli/queuetalk.h"
#include "process/channel.h"
#include "queue/protocol.h"
#include "queue/verify_record.h"

/* Of the text of a time. */
enum { SPAN_ROOM = 48 };

static const char usage_text[] =
	"usage: posthouse verify [-c FILE] list [-j] [ADDRESS | DOMAIN]\n"
	"       posthouse verify [-c FILE] delete ADDRESS ... | DOMAIN ... | ALL\n";

static int
usage(void)
{
	fputs(usage_text, stderr);
	return EX_USAGE;
}

/* ---- Listing --------------------------------------------------------------------------------- */

/* What the answer says of an address; times are seconds since 1970. */
struct known {
	const char *address, *status, *text;
	int64_t since, refresh, expire;
};

struct list {
	bool json;
	uint64_t count;
	int64_t now;
};

/* "3d4h", the two largest units; "0s" of what is over. */
static const char *
span_text(int64_t seconds, char text[SPAN_ROOM])
{
	static const struct {
		int64_t size;
		char unit;
	} units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
	size_t i = 0;

	if (seconds < 0)
		seconds = 0;
	while (i < 3 && seconds < units[i].size)
		i++;
	if (i == 3 || seconds % units[i].size < units[i + 1].size)
		snprintf(text, SPAN_ROOM, "%" PRId64 "%c", seconds / units[i].size, units[i].unit);
	else
		snprintf(text, SPAN_ROOM, "%" PRId64 "%c%" PRId64 "%c", seconds / units[i].size,
			units[i].unit, seconds % units[i].size / units[i + 1].size,
			units[i + 1].unit);
	return text;
}

static void
print_row(const struct list *list, const struct known *known)
{
	char age[SPAN_ROOM], left[SPAN_ROOM];

	if (list->count == 1)
		puts("-State------- ----Age --Expires -Address");
	printf("%-13s %7s %9s ", known->status, span_text(list->now - known->since, age),
		span_text(known->expire - list->now, left));
	queue_put_tame(stdout, known->address);
	if (*known->text != '\0') {
		fputs(" (", stdout);
		queue_put_tame(stdout, known->text);
		fputs(")", stdout);
	}
	putchar('\n');
}

static void
print_json(const struct list *list, const struct known *known)
{
	int64_t age = list->now - known->since;

	fputs("{\"address\": ", stdout);
	queue_put_json(stdout, known->address);
	printf(", \"status\": \"%s\", \"updated\": %" PRId64 ", \"age\": %" PRId64
	       ", \"refresh\": %" PRId64 ", \"expires\": %" PRId64 ", \"text\": ",
		known->status, known->since, age < 0 ? 0 : age, known->refresh, known->expire);
	queue_put_json(stdout, known->text);
	puts("}");
}

static const char *
status_text(unsigned status)
{
	return status == VERIFY_DELIVERABLE ? "deliverable" : status == VERIFY_DEFERRED ? "deferred"
		: "undeliverable";
}

static void
list_frame(void *context, unsigned type, ph_span payload, ph_pool *pool)
{
	struct wire_reader reader = wire_reader_of(payload);
	struct list *list = context;

	while (type == CONTROL_ADDRESSES && reader.rest.size > 0) {
		struct known known = {.address = wire_get_string(&reader, pool)};

		known.status = status_text(wire_get_u8(&reader));
		known.since = (int64_t)wire_get_u64(&reader);
		known.refresh = (int64_t)wire_get_u64(&reader);
		known.expire = (int64_t)wire_get_u64(&reader);
		known.text = wire_get_string(&reader, pool);
		if (reader.failed)
			return;
		list->count++;
		(list->json ? print_json : print_row)(list, &known);
	}
}

static int
verify_list(const char *config, int argc, char **argv)
{
	struct list list = {.now = (int64_t)time(NULL)};
	struct talk talk;
	uint64_t count;
	int option, result;

	optind = 0;
	while ((option = getopt(argc, argv, "+j")) != -1) {
		if (option != 'j')
			return usage();
		list.json = true;
	}
	if (argc - optind > 1)
		return usage();
	if ((result = talk_open(&talk, config)) == EX_OK)
		result = talk_ask(&talk, CONTROL_VERIFY_LIST, optind < argc ? argv[optind] : "", 0,
			list_frame, &list, &count);
	talk_close(&talk);
	if (result == EX_OK && !list.json)
		printf("%s%" PRIu64 " address%s\n", list.count > 0 ? "-- " : "", list.count,
			list.count == 1 ? "" : "es");
	return result;
}

/* ---- Forgetting ------------------------------------------------------------------------------ */

static void
no_frame(void *context, unsigned type, ph_span payload, ph_pool *pool)
{
}

static int
verify_delete(const char *config, int argc, char **argv)
{
	struct talk talk;
	uint64_t total = 0, count;
	int result, worst;

	optind = 0;
	if (getopt(argc, argv, "+") != -1 || optind == argc)
		return usage();
	worst = result = talk_open(&talk, config);
	for (int i = optind; result == EX_OK && i < argc; i++) {
		int one =
			talk_ask(&talk, CONTROL_VERIFY_DELETE, argv[i], 0, no_frame, NULL, &count);

		total += count;
		worst = one != EX_OK ? one : worst;
	}
	talk_close(&talk);
	if (result == EX_OK)
		printf("deleted: %" PRIu64 " address%s\n", total, total == 1 ? "" : "es");
	return worst;
}

int
command_verify(int argc, char **argv)
{
	const char *config = NULL;
	int option, first;

	optind = 0;
	while ((option = getopt(argc, argv, "+c:")) != -1) {
		if (option != 'c')
			return usage();
		config = optarg;
	}
	first = optind;
	if (first < argc && strcmp(argv[first], "list") == 0)
		return verify_list(config, argc - first, argv + first);
	if (first < argc && strcmp(argv[first], "delete") == 0)
		return verify_delete(config, argc - first, argv + first);
	return usage();
}
