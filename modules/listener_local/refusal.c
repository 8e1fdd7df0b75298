#include "refusal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/dsn.h>
#include <posthouse/log.h>
#include <posthouse/task.h>

#include "frames.h"
#include "lines.h"

enum {
	PIECE = 32 * 1024,
	RECIPIENTS_MAX = 1000, /* of so many it is told; the file that is set aside has them all */
	CONTENT_MAX = 1024 * 1024 /* what is larger does not come back whole */
};

/* What the file says, on the heap. */
struct reading {
	struct frames frames;
	struct lines lines;
	ph_pool *pool;
	struct ph_refused refused;
	const char *recipients[RECIPIENTS_MAX];
	char *content;
	size_t size, room;
};

/* What is wrong in a line was said already: here it is taken as it is. */
static int
take_line(void *context, ph_span keyword, ph_span value, ph_error *error)
{
	struct reading *reading = context;
	size_t *count = &reading->refused.recipients.count;

	if (ph_span_equal(keyword, ph_span_of("to")) && *count < RECIPIENTS_MAX &&
		(reading->recipients[*count] = ph_pool_copy(reading->pool, value)) != NULL)
		++*count;
	else if (ph_span_equal(keyword, ph_span_of("envid")))
		reading->refused.envid = ph_pool_copy(reading->pool, value);
	else if (ph_span_equal(keyword, ph_span_of("ret")))
		(void)ph_dsn_ret_parse(value, &reading->refused.ret);
	return 0;
}

static void
take_data(void *context, ph_span bytes)
{
	struct reading *reading = context;

	if (reading->refused.whole)
		lines_feed(&reading->lines, bytes);
}

static void
keep(void *context, ph_span bytes)
{
	struct reading *reading = context;
	size_t room = reading->room > 0 ? reading->room : PIECE;
	char *content;

	while (room - reading->size < bytes.size)
		room *= 2;
	content = room <= CONTENT_MAX && room > reading->room ? realloc(reading->content, room)
							      : reading->content;
	reading->refused.whole &= content != NULL && room <= CONTENT_MAX;
	if (!reading->refused.whole)
		return;
	reading->content = content;
	reading->room = room;
	memcpy(content + reading->size, bytes.data, bytes.size);
	reading->size += bytes.size;
}

static void
read_file(struct reading *reading, int fd)
{
	static const struct frames_ops ops = {.line = take_line, .data = take_data};
	enum frames_result result = FRAMES_MORE;
	char *piece = ph_pool_alloc(reading->pool, PIECE);
	ph_error error;
	ssize_t got;

	reading->lines.put = keep;
	reading->lines.context = reading;
	reading->refused.whole = piece != NULL && lseek(fd, 0, SEEK_SET) == 0;
	while (reading->refused.whole && result == FRAMES_MORE &&
		(got = read(fd, piece, PIECE)) > 0) {
		result = frames_feed(
			&reading->frames, (ph_span){piece, (size_t)got}, &ops, reading, &error);
		if (ph_yield() != PH_WAIT_OK)
			break;
	}
	if (reading->refused.whole)
		lines_finish(&reading->lines);
	reading->refused.whole &= result == FRAMES_END;
}

void
refusal_report(int fd, const char *name, const char *sender, const ph_reply *reply)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	ph_error error = {"out of memory"};
	struct stat st;
	int result = -1;

	if (reading != NULL && (reading->pool = ph_pool_new(0)) != NULL) {
		reading->refused = (struct ph_refused){.size = sizeof(reading->refused),
			.name = name,
			.sender = sender,
			.recipients = {0, reading->recipients},
			.arrival = fstat(fd, &st) == 0 ? (int64_t)st.st_mtime * 1000000
						       : ph_wall_clock()};
		read_file(reading, fd);
		reading->refused.content = (ph_span){reading->content, reading->size};
		result = ph_report_refused(&reading->refused, reply, &error);
	}
	if (result == -1)
		ph_log_as("pickup", PH_LOG_WARNING, "drop/%s: cannot send a report to %s: %s", name,
			sender, error.text);
	if (reading != NULL) {
		ph_pool_free(reading->pool);
		free(reading->content);
	}
	free(reading);
}
