/*
 * Talking to the queue role: see queuetalk.h.
 */
#include "cli/queuetalk.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "process/channel.h"
#include "queue/protocol.h"

/* How long a queue role that is just starting is waited for, and an answer. Milliseconds. */
#define PATIENCE 3000
#define PAUSE 100
#define ANSWER_TIME 120000

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
			dropped == 1 ? "" : "s", dropped == 1 ? "s" : "",
			settings->queue_directory);
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

/* Connects, waiting for a queue role that is on its way; *waited grows by how long. 0 or -1. */
static int
connect_patiently(struct talk *talk, int *waited, ph_error *error)
{
	const struct timespec pause = {.tv_nsec = PAUSE * 1000000};
	char path[512];

	snprintf(path, sizeof(path), "%s/control", talk->settings->run_directory);
	for (;; *waited += PAUSE) {
		talk->fd = channel_connect_blocking(path, error);
		if (talk->fd != -1)
			return 0;
		if (*waited >= PATIENCE || !is_running(talk->settings))
			return -1;
		nanosleep(&pause, NULL);
	}
}

int
talk_open(struct talk *talk, const char *option)
{
	ph_error error = {""};
	int result, waited = 0;

	*talk = (struct talk){.fd = -1};
	if ((talk->pool = ph_pool_new(0)) == NULL)
		return EX_OSERR;
	if ((result = load_config(talk, option)) != EX_OK)
		return result;
	return connect_patiently(talk, &waited, &error) == 0 ? EX_OK
		: say_down(talk->settings, &error);
}

void
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
send_request(const struct talk *talk, unsigned type, const char *argument, unsigned what)
{
	struct wire_writer writer;
	ph_error error;

	wire_begin(&writer, talk->pool);
	wire_put_string(&writer, argument);
	wire_put_u8(&writer, what);
	return channel_send_blocking(talk->fd, type, wire_span(&writer), NULL, 0, &error);
}

/* What came of a request: an answer, nothing at all, or a part of an answer. */
enum heard {
	HEARD_ALL,
	HEARD_NOTHING,
	HEARD_PART
};

/* Reads the answer; frames other than the end go to fn. count: how many messages it was about. */
static enum heard
read_answer(const struct talk *talk, const char *about, talk_frame_fn *fn, void *context,
	uint64_t *count, int *code, ph_error *error)
{
	for (enum heard heard = HEARD_NOTHING;; heard = HEARD_PART) {
		struct wire_reader reader;
		unsigned type;
		ph_span payload;
		const char *text;

		ph_pool_reset(talk->pool);
		if (channel_receive_blocking(talk->fd, talk->pool, &type, &payload, NULL, NULL,
			ANSWER_TIME, error) != 1)
			return heard;
		if (type != CONTROL_END) {
			fn(context, type, payload, talk->pool);
			continue;
		}
		reader = wire_reader_of(payload);
		*code = (int)wire_get_u32(&reader);
		text = wire_get_string(&reader, talk->pool);
		*count = wire_get_u64(&reader);
		if (*code != EX_OK)
			cli_error("%s%s%s", about, *about == '\0' ? "" : ": ", text);
		return HEARD_ALL;
	}
}

/* A queue role that is going away may still have been reached. To ask the next one the same does no
 * harm, unless this one did it. */
static bool
is_asked_again(const struct talk *talk, unsigned type, bool sent)
{
	bool harmless = type == CONTROL_LIST || type == CONTROL_SHOW || type == CONTROL_VERIFY_LIST;

	return (!sent || harmless) && is_running(talk->settings);
}

int
talk_ask(struct talk *talk, unsigned type, const char *argument, unsigned what, talk_frame_fn *fn,
	void *context, uint64_t *count)
{
	const struct timespec pause = {.tv_nsec = PAUSE * 1000000};
	time_t end = time(NULL) + PATIENCE / 1000;
	ph_error error;
	int code = EX_OK, waited = 0;

	*count = 0;
	for (;;) {
		bool sent = send_request(talk, type, argument, what) == 0;
		enum heard heard = HEARD_NOTHING;

		ph_error_set(&error, "the queue manager went away; try again");
		if (sent)
			heard = read_answer(talk, argument, fn, context, count, &code, &error);
		if (heard == HEARD_ALL)
			return code;
		if (heard == HEARD_PART || time(NULL) > end || !is_asked_again(talk, type, sent))
			break;
		close(talk->fd);
		nanosleep(&pause, NULL);
		waited += PAUSE;
		if (connect_patiently(talk, &waited, &error) == -1)
			break;
	}
	cli_error("%s", error.text);
	return EX_TEMPFAIL;
}
