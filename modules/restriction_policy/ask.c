#include "ask.h"

#include <posthouse/log.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "connect.h"

enum outcome {
	ASK_ANSWERED,
	ASK_LOST,     /* the connection ended before a byte of an answer: a kept one may have been idle too long */
	ASK_FAILED
};

/* ---- One exchange ------------------------------------------------------------------------------ */

static enum outcome
fail(const struct link *link, int64_t result, ph_error *error)
{
	switch (result) {
	case PH_STREAM_TIMEOUT:
		ph_error_set(error, "no answer in time");
		return ASK_FAILED;
	case PH_STREAM_CANCELLED:
		ph_error_set(error, "interrupted");
		return ASK_FAILED;
	case PH_STREAM_TOO_LONG:
		ph_error_set(error, "a line of the answer is longer than %d bytes", ANSWER_LINE_MAX);
		return ASK_FAILED;
	case PH_STREAM_EOF:
		ph_error_set(error, "the connection was closed");
		return ASK_LOST;
	default:
		ph_error_set(error, "%s", strerror(ph_stream_error(link->stream)));
		return ASK_LOST;
	}
}

static enum outcome
read_answer(const struct question *question, struct link *link, ph_deadline deadline,
	const char **action, ph_error *error)
{
	struct answer answer = {0};
	int more = 1;

	while (more == 1) {
		ph_span line;
		int64_t got = ph_stream_read_line(link->stream, &line, ANSWER_LINE_MAX, deadline);
		bool begun = answer.lines > 0 || ph_stream_buffered(link->stream).size > 0;

		if (got < 0)
			return fail(link, got, error) == ASK_LOST && !begun ? ASK_LOST : ASK_FAILED;
		more = answer_line(&answer, question->pool, line, error);
	}
	if (more == -1)
		return ASK_FAILED;
	*action = answer.action;
	return ASK_ANSWERED;
}

static enum outcome
exchange(const struct question *question, struct link *link, const char **action, ph_error *error)
{
	ph_deadline deadline = ph_in(question->settings->timeout);
	int sent = ph_stream_write(link->stream, question->request.data, question->request.size, deadline);

	if (sent == 0)
		sent = ph_stream_flush(link->stream, deadline);
	if (sent != 0)
		return fail(link, sent, error);
	return read_answer(question, link, deadline, action, error);
}

/* ---- Connections ------------------------------------------------------------------------------- */

static struct link *
open_link(const struct question *question, ph_error *error)
{
	struct link *link = calloc(1, sizeof(*link));

	if (link == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	link->stream = service_connect(question->service, question->settings->timeout, error);
	if (link->stream == NULL) {
		free(link);
		return NULL;
	}
	link->end = ph_in(question->settings->max_ttl);
	return link;
}

/* One on which an answer came, and nothing behind it, may serve again. */
static void
put_back(const struct question *question, struct line *line, struct link *link)
{
	const struct service_settings *settings = question->settings;

	link->requests++;
	if (ph_stream_buffered(link->stream).size > 0 || ph_in(0) >= link->end ||
		(settings->request_limit > 0 && link->requests >= settings->request_limit)) {
		link_close(link);
		return;
	}
	link->idle_end = ph_in(settings->max_idle);
	line_give(line, link);
}

static enum outcome
ask_over(const struct question *question, struct line *line, struct link *link, const char **action,
	ph_error *error)
{
	enum outcome outcome = link != NULL ? exchange(question, link, action, error) : ASK_FAILED;

	if (outcome == ASK_ANSWERED)
		put_back(question, line, link);
	else
		link_close(link);
	return outcome;
}

/* A kept connection that has ended meanwhile is no failure of the server: a fresh one is tried at once. */
static enum outcome
ask_once(const struct question *question, struct line *line, const char **action, ph_error *error)
{
	struct link *link = line_take(line);

	if (link != NULL) {
		enum outcome outcome = ask_over(question, line, link, action, error);

		if (outcome != ASK_LOST)
			return outcome;
		line_forget(line);
	}
	return ask_over(question, line, open_link(question, error), action, error);
}

/* ---- All of it --------------------------------------------------------------------------------- */

static enum outcome
ask_in_turn(const struct question *question, struct line *line, const char **action, ph_error *error)
{
	enum outcome outcome;

	switch (line_enter(line, ph_in(question->settings->timeout))) {
	case PH_WAIT_OK:
		break;
	case PH_WAIT_TIMEOUT:
		ph_error_set(error, "all %d connections to it are busy", LINKS_MAX);
		return ASK_FAILED;
	case PH_WAIT_CANCELLED:
		ph_error_set(error, "interrupted");
		return ASK_FAILED;
	}
	outcome = ask_once(question, line, action, error);
	line_leave(line);
	return outcome;
}

const char *
question_ask(const struct question *question, ph_error *error)
{
	struct line *line = links_line(question->links, question->service->name);
	const char *action = NULL;

	if (line == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	for (int64_t i = 0; i < question->settings->try_limit; i++) {
		if (i > 0 && ph_sleep(ph_in(question->settings->retry_delay)) != PH_WAIT_OK)
			break;
		if (ask_in_turn(question, line, &action, error) == ASK_ANSWERED)
			return action;
		if (ph_task_cancelled())
			break;
		ph_log(PH_LOG_WARNING, "problem talking to server %s: %s", question->service->name,
			error->text);
	}
	return NULL;
}
