#include "links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/* One that waits for room; on the stack of its task. */
struct waiter {
	struct waiter *next;
	ph_task task;
	bool let_in;
};

struct line {
	struct line *next;
	struct links *links;
	char *server;
	struct link *kept;              /* most recently used first */
	size_t busy;
	struct waiter *first, **last;
};

struct links {
	struct line *lines;
	ph_task keeper;                 /* closes what expired; lives while something is kept */
	bool stopped;
};

/* ---- Life -------------------------------------------------------------------------------------- */

struct links *
links_new(void)
{
	return calloc(1, sizeof(struct links));
}

void
link_close(struct link *link)
{
	if (link == NULL)
		return;
	ph_stream_close(link->stream);
	free(link);
}

/* Closes kept ones that expire by then; returns when the next one does. */
static ph_deadline
close_expired(struct line *line, ph_deadline now)
{
	struct link **place = &line->kept;
	ph_deadline next = PH_NEVER;

	while (*place != NULL) {
		struct link *link = *place;

		if (link->idle_end > now) {
			next = link->idle_end < next ? link->idle_end : next;
			place = &link->next;
			continue;
		}
		*place = link->next;
		link_close(link);
	}
	return next;
}

static ph_deadline
close_all_expired(struct links *links, ph_deadline now)
{
	ph_deadline next = PH_NEVER;

	for (struct line *line = links->lines; line != NULL; line = line->next) {
		ph_deadline end = close_expired(line, now);

		next = end < next ? end : next;
	}
	return next;
}

/* Wakes up early when something is kept for a shorter time. */
static void
keep(void *argument)
{
	struct links *links = argument;
	ph_deadline next;

	while (!ph_task_cancelled() && (next = close_all_expired(links, ph_in(0))) != PH_NEVER)
		(void)ph_park(next);
	links->keeper = (ph_task){0, 0};
}

void
links_stop(struct links *links)
{
	if (links == NULL)
		return;
	links->stopped = true;
	ph_task_cancel(links->keeper);
	(void)ph_task_join(links->keeper, ph_in(1000));
	(void)close_all_expired(links, PH_NEVER);
}

void
links_free(struct links *links)
{
	if (links == NULL)
		return;
	(void)close_all_expired(links, PH_NEVER);
	while (links->lines != NULL) {
		struct line *line = links->lines;

		links->lines = line->next;
		free(line->server);
		free(line);
	}
	free(links);
}

struct line *
links_line(struct links *links, const char *server)
{
	struct line *line;

	for (line = links->lines; line != NULL; line = line->next)
		if (strcmp(line->server, server) == 0)
			return line;
	line = calloc(1, sizeof(*line));
	if (line == NULL || (line->server = strdup(server)) == NULL) {
		free(line);
		return NULL;
	}
	line->links = links;
	line->last = &line->first;
	line->next = links->lines;
	links->lines = line;
	return line;
}

/* ---- Room -------------------------------------------------------------------------------------- */

static void
forget_waiter(struct line *line, struct waiter *waiter)
{
	struct waiter **place = &line->first;

	while (*place != waiter)
		place = &(*place)->next;
	*place = waiter->next;
	if (line->last == &waiter->next)
		line->last = place;
}

/* Room that becomes free is handed to the first that waits, so that nobody overtakes. */
ph_wait
line_enter(struct line *line, ph_deadline deadline)
{
	struct waiter waiter = {.task = ph_task_self()};
	ph_wait result = PH_WAIT_OK;

	if (line->busy < LINKS_MAX) {
		line->busy++;
		return PH_WAIT_OK;
	}
	*line->last = &waiter;
	line->last = &waiter.next;
	while (!waiter.let_in && result == PH_WAIT_OK)
		result = ph_park(deadline);
	if (!waiter.let_in)
		forget_waiter(line, &waiter);
	else if (result != PH_WAIT_OK)
		line_leave(line);
	return result;
}

void
line_leave(struct line *line)
{
	struct waiter *waiter = line->first;

	if (waiter == NULL) {
		line->busy--;
		return;
	}
	line->first = waiter->next;
	if (line->first == NULL)
		line->last = &line->first;
	waiter->let_in = true;
	ph_unpark(waiter->task);
}

/* ---- What is kept ------------------------------------------------------------------------------ */

/* Nothing may have come that nobody asked for, the end of the connection included. */
static bool
is_quiet(const struct link *link)
{
	char byte;

	return ph_stream_buffered(link->stream).size == 0 &&
		recv(ph_stream_fd(link->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == -1 &&
		(errno == EAGAIN || errno == EWOULDBLOCK);
}

struct link *
line_take(struct line *line)
{
	ph_deadline now = ph_in(0);
	struct link *link;

	while ((link = line->kept) != NULL) {
		line->kept = link->next;
		link->next = NULL;
		if (link->idle_end > now && link->end > now && is_quiet(link))
			return link;
		link_close(link);
	}
	return NULL;
}

void
line_give(struct line *line, struct link *link)
{
	struct links *links = line->links;

	if (!ph_task_alive(links->keeper) && !links->stopped)
		links->keeper = ph_task_spawn("policy connections", keep, links);
	if (links->stopped || !ph_task_alive(links->keeper)) {
		link_close(link);
		return;
	}
	if (link->idle_end > link->end)
		link->idle_end = link->end;
	link->next = line->kept;
	line->kept = link;
	ph_unpark(links->keeper);
}

void
line_forget(struct line *line)
{
	(void)close_expired(line, PH_NEVER);
}
