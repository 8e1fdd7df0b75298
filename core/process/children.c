/* The processes of a generation: forking them, talking to them, reaping them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config/files.h"
#include "ground/logger.h"
#include "process/generation.h"
#include "process/process.h"
#include "process/protocol.h"

enum {
	MAX_BACKOFF = 60 * 1000, /* between two forks of what dies again and again */
	HEALTHY = 60 * 1000,     /* who lived that long begins anew */
	STOP_LAST = 4000         /* so long the last ones wait for the others */
};

const char *
child_name(const struct child *child)
{
	return child->entry ? child->entry->ops->name : "spawner";
}

const char *
child_state_name(enum child_state state)
{
	switch (state) {
	case CHILD_NONE:
		return "dead";
	case CHILD_STARTING:
		return "starting";
	case CHILD_READY:
		return "ready";
	case CHILD_DRAINING:
		return "draining";
	case CHILD_STOPPING:
		return "stopping";
	}
	return "";
}

static void
set_state(struct generation *generation, struct child *child, enum child_state state)
{
	child->state = state;
	generation->status_changed = true;
}

static struct child *
find_queue(struct generation *generation)
{
	for (size_t i = 0; i < generation->child_count; i++)
		if (generation->children[i].entry && generation->children[i].entry->last)
			return &generation->children[i];
	return NULL;
}

static unsigned
entry_count(const struct roster_entry *entry, const struct settings *settings)
{
	return entry->count ? entry->count(settings) : 1;
}

int
children_make(struct generation *generation, ph_error *error)
{
	const struct roster *roster = generation->roster;
	size_t count = 1, at = 1;

	for (size_t i = 0; i < roster->count; i++)
		count += entry_count(&roster->entries[i], generation->settings);
	generation->children = ph_pool_array(generation->pool, count,
		sizeof(*generation->children));
	generation->blames = mmap(NULL, count * BLAME_ROOM, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (!generation->children || generation->blames == MAP_FAILED)
		return ph_error_set(error, "out of memory");
	generation->child_count = count;
	generation->children[0].count = 1;
	for (size_t i = 0; i < roster->count; i++) {
		unsigned of = entry_count(&roster->entries[i], generation->settings);

		for (unsigned number = 0; number < of; number++)
			generation->children[at++] = (struct child){
				.entry = &roster->entries[i], .number = number, .count = of};
	}
	for (size_t i = 0; i < count; i++) {
		generation->children[i].link.fd = -1;
		generation->children[i].blame = generation->blames + i * BLAME_ROOM;
	}
	return roster->limits_open ? roster->limits_open(generation->options->limits_fd, error) : 0;
}

/* ---- Forking --------------------------------------------------------------------------------- */

/* In the new process: everything of the parent's that is not for it. */
static void
close_parents(struct generation *generation, const struct child *self)
{
	close(generation->signal_fd);
	conduit_close(&generation->supervisor);
	for (size_t i = 0; i < generation->child_count; i++)
		conduit_close(&generation->children[i].link);
	if (generation->roster->limits_close && !(self->entry && self->entry->limits))
		generation->roster->limits_close();
	if (self->entry && self->entry->sockets)
		return;
	for (size_t i = 0; i < generation->socket_count; i++)
		close(generation->sockets[i].fd);
}

static noreturn void
child_run(struct generation *generation, struct child *child, int control_fd, int spawner_fd,
	pid_t parent)
{
	bool sockets = child->entry && child->entry->sockets;
	struct process_setup setup = {
		.ops = child->entry ? child->entry->ops : NULL,
		.number = child->number,
		.count = child->count,
		.config = generation->config,
		.owner = &generation->owner,
		.socket_count = sockets ? generation->socket_count : 0,
		.sockets = sockets ? generation->sockets : NULL,
		.control_fd = control_fd,
		.spawner_fd = spawner_fd,
		.parent = parent,
		.blame = child->blame,
		.blame_size = BLAME_ROOM,
		.blamed = generation->roster->blame,
	};

	close_parents(generation, child);
	if (child->entry)
		role_run(&setup);
	spawner_run(&setup);
}

/* A connection between the spawner and a role that uses it. The role's end, or -1. */
static int
spawner_connection(struct generation *generation)
{
	struct child *spawner = &generation->children[0];
	int pair[2];

	if (!spawner->pid || conduit_pair(pair, NULL) == -1)
		return -1;
	int sent = conduit_send(&spawner->link, PARENT_SPAWNER, (ph_span){0}, &pair[0], 1);
	close(pair[0]);
	if (sent == -1) {
		close(pair[1]);
		return -1;
	}
	return pair[1];
}

static int
child_fork(struct generation *generation, struct child *child, ph_error *error)
{
	int control[2], spawner_fd = -1;
	pid_t parent = getpid();

	if (conduit_pair(control, error) == -1)
		return -1;
	if (child->entry && child->entry->spawner)
		spawner_fd = spawner_connection(generation);
	memset(child->blame, 0, BLAME_ROOM);
	logger_flush();
	pid_t pid = fork();
	if (pid == 0) {
		close(control[0]);
		child_run(generation, child, control[1], spawner_fd, parent);
	}
	int failed = errno;
	close(control[1]);
	if (spawner_fd != -1)
		close(spawner_fd);
	if (pid == -1) {
		close(control[0]);
		return ph_error_set(error, "fork: %s", strerror(failed));
	}
	if (conduit_open(&child->link, control[0]) == -1) {
		kill(pid, SIGKILL);
		return ph_error_set(error, "fcntl: %s", strerror(errno));
	}
	child->pid = pid;
	child->started = process_clock();
	child->retry_at = 0;
	set_state(generation, child, CHILD_STARTING);
	return 0;
}

int
children_fork_all(struct generation *generation, ph_error *error)
{
	for (size_t i = 0; i < generation->child_count; i++)
		if (child_fork(generation, &generation->children[i], error) == -1)
			return -1;
	return 0;
}

/* Roles that were there before this spawner get their connection to it. */
static void
reconnect_spawner(struct generation *generation)
{
	for (size_t i = 1; i < generation->child_count; i++) {
		struct child *child = &generation->children[i];

		if (!child->pid || !child->entry->spawner)
			continue;
		int fd = spawner_connection(generation);
		if (fd == -1)
			continue;
		conduit_send(&child->link, PARENT_SPAWNER, (ph_span){0}, &fd, 1);
		close(fd);
	}
}

static void
schedule_retry(struct child *child)
{
	int64_t now = process_clock(), delay = 0;

	if (now - child->started >= HEALTHY)
		child->failures = 0;
	if (child->failures)
		delay = child->failures > 6 ? MAX_BACKOFF : INT64_C(1000) << (child->failures - 1);
	child->retry_at = now + (delay < MAX_BACKOFF ? delay : MAX_BACKOFF);
	child->failures++;
}

void
children_retry(struct generation *generation)
{
	int64_t now = process_clock();
	ph_error error;

	for (size_t i = 0; i < generation->child_count; i++) {
		struct child *child = &generation->children[i];

		if (!child->retry_at || child->retry_at > now)
			continue;
		if (child_fork(generation, child, &error) == 0) {
			if (!child->entry)
				reconnect_spawner(generation);
			continue;
		}
		ph_log(PH_LOG_ERROR, "%s: cannot be started again: %s", child_name(child),
			error.text);
		child->started = now;
		schedule_retry(child);
	}
}

int64_t
children_next_retry(const struct generation *generation)
{
	int64_t next = 0;

	for (size_t i = 0; i < generation->child_count; i++) {
		int64_t at = generation->children[i].retry_at;

		if (at && (!next || at < next))
			next = at;
	}
	return next;
}

/* ---- Blame ----------------------------------------------------------------------------------- */

/* Tells the queue role what is waiting for it, as soon as there is one that listens. */
static void
send_blames(struct generation *generation)
{
	struct child *queue = find_queue(generation);

	if (!queue || queue->state != CHILD_READY)
		return;
	for (size_t i = 0; i < generation->waiting_count; i++) {
		conduit_send(&queue->link, PARENT_BLAME, generation->waiting_blames[i], NULL, 0);
		free((void *)(uintptr_t)generation->waiting_blames[i].data);
	}
	generation->waiting_count = 0;
}

static void
keep_blame(struct generation *generation, ph_span payload)
{
	char *copy = malloc(payload.size);

	if (!copy || generation->waiting_count == MAX_BLAMES) {
		free(copy);
		return;
	}
	memcpy(copy, payload.data, payload.size);
	generation->waiting_blames[generation->waiting_count++] = (ph_span){copy, payload.size};
	send_blames(generation);
}

/* What the crash handler left: "QUEUE_ID INSTANCE". The process was not ours to trust. */
static void
collect_blame(struct generation *generation, const struct child *child)
{
	char text[BLAME_ROOM], *space;
	struct wire_writer writer;
	ph_pool *pool;

	memcpy(text, child->blame, sizeof(text));
	text[sizeof(text) - 1] = '\0';
	for (char *at = text; *at; at++)
		if (*at < ' ' || *at > '~')
			*at = '?';
	if (text[0] <= ' ' || !(pool = ph_pool_new(0)))
		return;
	space = strchr(text, ' ');
	if (space)
		*space++ = '\0';
	wire_begin(&writer, pool);
	wire_put_string(&writer, text);
	wire_put_string(&writer, space);
	wire_put_string(&writer, child_name(child));
	if (!writer.failed)
		keep_blame(generation, wire_span(&writer));
	ph_pool_free(pool);
}

/* ---- Reaping --------------------------------------------------------------------------------- */

static void
describe_death(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "was killed by signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(text, size, "ended with status %d", WEXITSTATUS(status));
}

/* A spawner that is to end, once nobody is left who asks it. */
static void
stop_spawner(struct generation *generation)
{
	struct child *spawner = &generation->children[0];

	if (generation->state < GENERATION_DRAINING || !spawner->pid ||
		spawner->state == CHILD_STOPPING)
		return;
	for (size_t i = 1; i < generation->child_count; i++)
		if (generation->children[i].pid && generation->children[i].entry->spawner)
			return;
	conduit_send(&spawner->link, PARENT_STOP, (ph_span){0}, NULL, 0);
	set_state(generation, spawner, CHILD_STOPPING);
}

static void
child_died(struct generation *generation, struct child *child, int status)
{
	pid_t pid = child->pid;
	char how[96];

	describe_death(status, how, sizeof(how));
	child->pid = 0;
	/* What it said last is still to be read: why it failed. */
	child_service(generation, child, POLLIN);
	conduit_close(&child->link);
	set_state(generation, child, CHILD_NONE);
	if (child->entry && child->entry->limits && generation->roster->limits_sweep)
		generation->roster->limits_sweep();
	if (WIFSIGNALED(status))
		collect_blame(generation, child);
	if (generation->state == GENERATION_STARTING && !generation->failed) {
		char text[160];

		snprintf(text, sizeof(text), "%s %s before it was ready", child_name(child), how);
		generation_fail(generation, text);
	} else if (generation->state == GENERATION_SERVING) {
		ph_log(PH_LOG_ERROR, "%s[%ld] %s", child_name(child), (long)pid, how);
		schedule_retry(child);
	} else if (status && !generation->kill_at) {
		ph_log(PH_LOG_WARNING, "%s[%ld] %s", child_name(child), (long)pid, how);
	}
	stop_spawner(generation);
}

void
children_reap(struct generation *generation)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < generation->child_count; i++)
			if (generation->children[i].pid == pid)
				child_died(generation, &generation->children[i], status);
}

/* ---- What they say --------------------------------------------------------------------------- */

struct said {
	struct generation *generation;
	struct child *child;
};

static void
send_file(struct child *child, uint32_t number, int fd, const char *text)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;

	if (!pool)
		return;
	wire_begin(&writer, pool);
	wire_put_u32(&writer, number);
	wire_put_string(&writer, text);
	conduit_send(&child->link, PARENT_FILE, wire_span(&writer), &fd, fd == -1 ? 0 : 1);
	ph_pool_free(pool);
}

/* What a role gets is what the configuration names, and nothing else. */
static void
file_request(struct generation *generation, struct child *child, ph_span payload)
{
	ph_pool *pool = ph_pool_new(64 * 1024);
	struct wire_reader reader = wire_reader_of(payload);
	ph_error error = {""};
	int fd = -1;

	if (!pool)
		return;
	uint32_t number = wire_get_u32(&reader);
	const char *path = wire_get_string(&reader, pool);
	if (reader.failed || !files_allowed(generation->config, path))
		ph_error_set(&error, "%s: is no file of the configuration", path);
	else
		fd = files_open(path, &error);
	send_file(child, number, fd, fd == -1 ? error.text : "");
	if (fd != -1)
		close(fd);
	ph_pool_free(pool);
}

static void
on_child_frame(void *context, const struct frame *frame)
{
	struct said *said = context;
	struct child *child = said->child;
	char text[400];

	conduit_drop_fds(frame);
	switch (frame->type) {
	case ROLE_READY:
		if (child->state == CHILD_STARTING)
			set_state(said->generation, child, CHILD_READY);
		if (child->state == CHILD_READY)
			send_blames(said->generation);
		break;
	case ROLE_FAILED:
		snprintf(text, sizeof(text), "%s: %.*s", child_name(child),
			(int)(frame->payload.size < 300 ? frame->payload.size : 300),
			frame->payload.data);
		if (said->generation->state == GENERATION_STARTING)
			generation_fail(said->generation, text);
		else
			ph_log(PH_LOG_ERROR, "%s", text);
		break;
	case ROLE_FILE_REQUEST:
		file_request(said->generation, child, frame->payload);
		break;
	case ROLE_CLOSED:
		child->closed = true;
		break;
	default:
		ph_log(PH_LOG_ERROR, "%s: unknown message %u", child_name(child), frame->type);
		break;
	}
}

void
child_service(struct generation *generation, struct child *child, short revents)
{
	struct said said = {generation, child};

	/* One that closed its socket is about to end, or must: without it it cannot be led. */
	if (child->link.fd != -1 &&
		conduit_service(&child->link, revents, on_child_frame, &said) == -1)
		conduit_close(&child->link);
}

/* ---- Commands -------------------------------------------------------------------------------- */

void
children_drain(struct generation *generation)
{
	for (size_t i = 1; i < generation->child_count; i++) {
		struct child *child = &generation->children[i];

		child->retry_at = 0;
		if (!child->pid || child->state >= CHILD_DRAINING)
			continue;
		conduit_send(&child->link, PARENT_DRAIN, (ph_span){0}, NULL, 0);
		set_state(generation, child, CHILD_DRAINING);
	}
	generation->children[0].retry_at = 0;
	stop_spawner(generation);
}

bool
children_closed(const struct generation *generation)
{
	for (size_t i = 1; i < generation->child_count; i++) {
		const struct child *child = &generation->children[i];

		if (child->pid && ((child->entry->sockets && !child->closed) || child->entry->last))
			return false;
	}
	return true;
}

/* Is one of those alive that stop before the last ones? */
static bool
others_alive(const struct generation *generation)
{
	for (size_t i = 1; i < generation->child_count; i++)
		if (generation->children[i].pid && !generation->children[i].entry->last)
			return true;
	return false;
}

void
children_stop(struct generation *generation)
{
	bool last_too = !others_alive(generation) ||
		process_clock() - generation->stop_began >= STOP_LAST;

	for (size_t i = 1; i < generation->child_count; i++) {
		struct child *child = &generation->children[i];

		child->retry_at = 0;
		if (!child->pid || child->state == CHILD_STOPPING ||
			(child->entry->last && !last_too))
			continue;
		conduit_send(&child->link, PARENT_STOP, (ph_span){0}, NULL, 0);
		set_state(generation, child, CHILD_STOPPING);
	}
	generation->children[0].retry_at = 0;
	stop_spawner(generation);
}

void
children_kill(struct generation *generation)
{
	for (size_t i = 0; i < generation->child_count; i++)
		if (generation->children[i].pid)
			kill(generation->children[i].pid, SIGKILL);
}

void
children_reopen(struct generation *generation)
{
	int fd = logger_file();

	for (size_t i = 0; i < generation->child_count; i++)
		if (generation->children[i].pid)
			conduit_send(&generation->children[i].link, PARENT_REOPEN, (ph_span){0},
				&fd, fd == -1 ? 0 : 1);
}

bool
children_all_ready(const struct generation *generation)
{
	for (size_t i = 0; i < generation->child_count; i++)
		if (generation->children[i].state != CHILD_READY)
			return false;
	return true;
}

size_t
children_alive(const struct generation *generation)
{
	size_t alive = 0;

	for (size_t i = 0; i < generation->child_count; i++)
		alive += generation->children[i].pid != 0;
	return alive;
}
