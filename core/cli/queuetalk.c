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

int
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
read_answer(struct talk *talk, const char *about, talk_frame_fn *fn, void *context, uint64_t *count)
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
			fn(context, type, payload, talk->pool);
			continue;
		}
		reader = wire_reader_of(payload);
		code = (int)wire_get_u32(&reader);
		text = wire_get_string(&reader, talk->pool);
		*count = wire_get_u64(&reader);
		if (code != EX_OK)
			cli_error("%s%s%s", about, *about == '\0' ? "" : ": ", text);
		return code;
	}
}

int
talk_ask(struct talk *talk, unsigned type, const char *argument, unsigned what, talk_frame_fn *fn,
	void *context, uint64_t *count)
{
	int result = send_request(talk, type, argument, what);

	*count = 0;
	return result != EX_OK ? result : read_answer(talk, argument, fn, context, count);
}
