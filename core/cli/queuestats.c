/*
 * Statistics of the queue: see queuestats.h. The table is laid out as qshape's.
 */
#include "cli/queuestats.h"

#include <ctype.h>
#include <getopt.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/task.h>

#include "cli/queueprint.h"
#include "config/grow.h"
#include "queue/protocol.h"

#define MINUTE INT64_C(60000000) /* microseconds */

int
queuestats_options(struct queuestats *stats, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"deferred", no_argument, NULL, 'd'},
		{"senders", no_argument, NULL, 's'},
		{NULL, 0, NULL, 0},
	};
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "+j", long_options, NULL)) != -1) {
		stats->json |= option == 'j';
		stats->senders |= option == 's';
		stats->deferred |= option == 'd';
		if (option == '?')
			return -1;
	}
	return optind == argc ? 0 : -1;
}

/* ---- Counting -------------------------------------------------------------------------------- */

static int
compare_domains(const void *a, const void *b)
{
	const struct queuestats_row *left = a, *right = b;

	return strcmp(left->domain, right->domain);
}

/* The name of a row: the domain in lower case. The caller's. */
static char *
domain_of(const char *address)
{
	const char *domain = ph_address_domain(address);
	char *name = memory_or_die(strdup(*address == '\0' ? "MAILER-DAEMON"
		: *domain == '\0' ? "(no domain)" : domain));

	for (char *at = name; *address != '\0' && *at != '\0'; at++)
		*at = (char)tolower((unsigned char)*at);
	return name;
}

static struct queuestats_row *
row_of(struct queuestats *stats, const char *address)
{
	struct queuestats_row key = {.domain = domain_of(address)}, *row, **found;

	if ((found = tfind(&key, &stats->tree, compare_domains)) != NULL) {
		free(key.domain);
		return *found;
	}
	row = memory_or_die(malloc(sizeof(*row)));
	*row = key;
	memory_or_die(tsearch(row, &stats->tree, compare_domains));
	if (stats->count == stats->room) {
		stats->room = stats->room * 2 + 64;
		stats->rows = memory_or_die(realloc(stats->rows,
			stats->room * sizeof(struct queuestats_row *)));
	}
	stats->rows[stats->count++] = row;
	return row;
}

static void
count(void *context, const char *address, const char *reason)
{
	struct queuestats *stats = context;
	struct queuestats_row *row = row_of(stats, address);

	row->total++;
	row->ages[stats->age]++;
	stats->sum.total++;
	stats->sum.ages[stats->age]++;
}

/* The first column that is wide enough. */
static size_t
column_of(int64_t age)
{
	size_t column = 0;

	for (int64_t limit = 5 * MINUTE; column < QUEUESTATS_AGES - 1 && age > limit; limit *= 2)
		column++;
	return column;
}

void
queuestats_frame(void *context, unsigned type, ph_span payload, ph_pool *pool)
{
	struct queuestats *stats = context;
	struct queue_head head;

	if (type == CONTROL_RECIPIENTS && stats->counts && !stats->senders)
		queue_recipients_each(payload, pool, count, stats);
	if (type != CONTROL_MESSAGE || queue_head_read(&head, payload, pool) == -1)
		return;
	stats->counts = !stats->deferred || strcmp(head.queue, "deferred") == 0;
	stats->age = column_of(ph_wall_clock() - (int64_t)head.arrival);
	if (stats->counts && stats->senders)
		count(stats, head.sender, "");
}

/* ---- Printing -------------------------------------------------------------------------------- */

/* The most first, then by name. */
static int
compare_totals(const void *a, const void *b)
{
	const struct queuestats_row *left = *(struct queuestats_row *const *)a;
	const struct queuestats_row *right = *(struct queuestats_row *const *)b;

	if (left->total != right->total)
		return left->total < right->total ? 1 : -1;
	return strcmp(left->domain, right->domain);
}

static void
print_head(FILE *out)
{
	int64_t minutes = 5;
	char last[24] = "";

	fprintf(out, "%40s %6s", "", "T");
	for (size_t i = 0; i < QUEUESTATS_AGES - 1; i++, minutes *= 2) {
		fprintf(out, " %5" PRId64, minutes);
		snprintf(last, sizeof(last), "%" PRId64 "+", minutes);
	}
	fprintf(out, " %5s\n", last);
}

static void
print_row(const struct queuestats_row *row, const char *name, FILE *out)
{
	int padding = 40 - (int)strlen(name);

	fprintf(out, "%*s", padding > 0 ? padding : 0, "");
	queue_put_tame(out, name);
	fprintf(out, " %6" PRIu64, row->total);
	for (size_t i = 0; i < QUEUESTATS_AGES; i++)
		fprintf(out, " %5" PRIu64, row->ages[i]);
	fputc('\n', out);
}

static void
print_json(const struct queuestats_row *row, const char *kind, FILE *out)
{
	fprintf(out, "{\"%s\": ", kind);
	queue_put_json(out, row->domain);
	fprintf(out, ", \"total\": %" PRIu64 ", \"ages\": [", row->total);
	for (size_t i = 0; i < QUEUESTATS_AGES; i++)
		fprintf(out, i > 0 ? ", %" PRIu64 : "%" PRIu64, row->ages[i]);
	fputs("]}\n", out);
}

void
queuestats_print(struct queuestats *stats, FILE *out)
{
	if (stats->count > 0)
		qsort(stats->rows, stats->count, sizeof(struct queuestats_row *), compare_totals);
	if (!stats->json) {
		print_head(out);
		print_row(&stats->sum, "TOTAL", out);
	}
	for (size_t i = 0; i < stats->count; i++) {
		if (stats->json)
			print_json(stats->rows[i], stats->senders ? "sender_domain" : "destination",
				out);
		else
			print_row(stats->rows[i], stats->rows[i]->domain, out);
	}
}

void
queuestats_free(struct queuestats *stats)
{
	for (size_t i = 0; i < stats->count; i++) {
		tdelete(stats->rows[i], &stats->tree, compare_domains);
		free(stats->rows[i]->domain);
		free(stats->rows[i]);
	}
	free(stats->rows);
}
