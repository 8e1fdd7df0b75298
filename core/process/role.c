#include "process/role.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/files.h"
#include "ground/dnsclient.h"
#include "ground/logger.h"
#include "ground/loop.h"
#include "process/channel.h"
#include "process/process.h"
#include "process/protocol.h"

enum { REOPEN_TIME = 10 * 1000 /* for the parent to open a file */ };

/* A file that a task waits for. Lies on the heap: the task may be cancelled before the answer. */
struct file_request {
	struct file_request *next;
	uint32_t number;
	ph_task task;
	bool answered;
	int fd;
	ph_error error;
};

/* The role of this process. */
static struct {
	bool running;
	struct role role;
	const struct process_setup *setup;
	struct channel *control;
	ph_task start;
	bool starting, stopping, draining, failed;
	struct file_request *requests;
	uint32_t last_request;
} process;

struct role *
role_current(void)
{
	return process.running ? &process.role : NULL;
}

/* ---- Stopping -------------------------------------------------------------------------------- */

static void
stop_task(void *argument)
{
	(void)argument;
	if (process.role.ops->stop)
		process.role.ops->stop(&process.role);
	loop_stop();
}

static void
begin_stop(void)
{
	if (process.stopping)
		return;
	process.stopping = true;
	if (process.starting)
		ph_task_cancel(process.start); /* it ends the loop */
	else if (!ph_task_alive(ph_task_spawn("stop", stop_task, NULL)))
		loop_stop();
}

static void
drain_task(void *argument)
{
	(void)argument;
	process.role.ops->drain(&process.role);
}

static void
begin_drain(void)
{
	if (process.draining || process.stopping)
		return;
	process.draining = true;
	if (process.starting || !process.role.ops->drain ||
		!ph_task_alive(ph_task_spawn("drain", drain_task, NULL)))
		begin_stop();
}

void
role_closed(struct role *role)
{
	(void)role;
	if (process.control)
		channel_send(process.control, ROLE_CLOSED, (ph_span){0});
}

void
role_done(struct role *role)
{
	(void)role;
	process.stopping = true;
	loop_stop();
}

/* ---- Files that the parent opens ------------------------------------------------------------- */

static void
request_unlink(struct file_request *request)
{
	struct file_request **link = &process.requests;

	while (*link && *link != request)
		link = &(*link)->next;
	if (*link)
		*link = request->next;
}

static int
request_send(const struct file_request *request, const char *path)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;
	int result = -1;

	if (!pool)
		return -1;
	wire_begin(&writer, pool);
	wire_put_u32(&writer, request->number);
	wire_put_string(&writer, path);
	if (!writer.failed && process.control)
		result = channel_send(process.control, ROLE_FILE_REQUEST, wire_span(&writer));
	ph_pool_free(pool);
	return result;
}

/* config/files.h: has the parent open a file of the configuration. Waits. */
static int
reopen_file(const char *path, ph_error *error)
{
	struct file_request *request = calloc(1, sizeof(*request));
	ph_deadline deadline = ph_in(REOPEN_TIME);

	if (!request)
		return ph_error_set(error, "out of memory");
	request->number = ++process.last_request;
	request->task = ph_task_self();
	request->fd = -1;
	if (!ph_task_alive(request->task) || request_send(request, path) == -1) {
		free(request);
		return ph_error_set(error, "%s: the parent process cannot be asked to open it",
			path);
	}
	request->next = process.requests;
	process.requests = request;
	while (!request->answered)
		if (ph_park(deadline) != PH_WAIT_OK)
			break;
	request_unlink(request);
	int fd = request->fd;
	if (!request->answered)
		ph_error_set(error, "%s: the parent process did not open it in time", path);
	else if (fd == -1)
		ph_error_set(error, "%s", request->error.text);
	free(request);
	return fd;
}

/* Returns whether the descriptor was taken. */
static bool
file_answer(ph_span payload, const int *fds, size_t fd_count)
{
	struct wire_reader reader = wire_reader_of(payload);
	uint32_t number = wire_get_u32(&reader);
	ph_span text = wire_get_bytes(&reader);

	for (struct file_request *request = process.requests; request; request = request->next) {
		if (request->number != number || request->answered)
			continue;
		request->answered = true;
		ph_error_set(&request->error, "%.*s", (int)text.size, text.data ? text.data : "");
		request->fd = fd_count == 1 ? fds[0] : -1;
		ph_unpark(request->task);
		return fd_count == 1;
	}
	return false;
}

/* ---- The parent's commands ------------------------------------------------------------------- */

static void
blame(ph_span payload)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_reader reader = wire_reader_of(payload);

	if (!pool)
		return;
	const char *queue_id = wire_get_string(&reader, pool);
	const char *instance = wire_get_string(&reader, pool);
	const char *role = wire_get_string(&reader, pool);
	if (!reader.failed && process.setup->blamed)
		process.setup->blamed(queue_id, instance, role);
	ph_pool_free(pool);
}

static void
on_command(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	bool taken = false;

	(void)channel, (void)context;
	switch (type) {
	case PARENT_DRAIN:
		begin_drain();
		break;
	case PARENT_STOP:
		begin_stop();
		break;
	case PARENT_REOPEN:
		/* A role may not open the log file itself. */
		if (fd_count == 1)
			logger_replace_file(fds[0]);
		break;
	case PARENT_BLAME:
		blame(payload);
		break;
	case PARENT_FILE:
		taken = file_answer(payload, fds, fd_count);
		break;
	case PARENT_SPAWNER:
		if (fd_count == 1) {
			process.role.spawner_fd = fds[0];
			spawn_client_connect(fds[0]);
			taken = true;
		}
		break;
	default:
		ph_log(PH_LOG_ERROR, "the parent process sent an unknown command, %u", type);
	}
	for (size_t i = taken ? 1 : 0; i < fd_count; i++)
		close(fds[i]);
}

/* The parent is gone: nobody would restart us, and another generation comes. */
static void
on_parent_gone(struct channel *channel, void *context)
{
	(void)channel, (void)context;
	process.control = NULL;
	alarm(1);
	begin_stop();
}

static const struct channel_ops control_ops = {.frame = on_command, .closed = on_parent_gone};

static void
on_terminate(int signal_number, void *argument)
{
	(void)signal_number, (void)argument;
	begin_stop();
}

/* ---- Life ------------------------------------------------------------------------------------ */

static void
start_task(void *argument)
{
	ph_error error = {""};

	(void)argument;
	int result = process.role.ops->start ? process.role.ops->start(&process.role, &error) : 0;
	process.starting = false;
	if (process.stopping) {
		loop_stop();
	} else if (result == -1) {
		process.failed = process.stopping = true;
		channel_send(process.control, ROLE_FAILED, ph_span_of(error.text));
		channel_close(process.control);
		process.control = NULL;
		loop_stop();
	} else {
		channel_send(process.control, ROLE_READY, (ph_span){0});
	}
}

/* Before the loop: the parent is told, and the process ends. */
static noreturn void
give_up(const struct process_setup *setup, const ph_error *error)
{
	channel_send_blocking(setup->control_fd, ROLE_FAILED, ph_span_of(error->text), NULL, 0,
		NULL);
	logger_flush();
	_exit(1);
}

static int
open_services(const struct process_setup *setup, ph_error *error)
{
	const struct settings *settings = config_settings(setup->config);

	if (loop_open(error) == -1)
		return -1;
	if (setup->ops->dns && dnsclient_open(&settings->dns_servers, settings->dns_timeout,
			settings->dns_trust_anchor, error) == -1)
		return -1;
	if (watchdog_start(settings->watchdog_warn_time, settings->watchdog_abort_time) == -1)
		return ph_error_set(error, "the watchdog cannot be started");
	if (loop_on_signal(SIGTERM, on_terminate, NULL) == -1)
		return ph_error_set(error, "signals cannot be caught");
	process.control = channel_open("control", setup->control_fd, &control_ops, NULL);
	if (!process.control)
		return ph_error_set(error, "out of memory");
	process.starting = true;
	process.start = ph_task_spawn("start", start_task, NULL);
	return ph_task_alive(process.start) ? 0 : ph_error_set(error, "out of memory");
}

static void
role_begin(const struct process_setup *setup)
{
	process.running = true;
	process.setup = setup;
	process.role = (struct role){
		.ops = setup->ops,
		.number = setup->number,
		.count = setup->count,
		.config = setup->config,
		.settings = config_settings(setup->config),
		.socket_count = setup->socket_count,
		.sockets = setup->sockets,
		.spawner_fd = setup->spawner_fd,
	};
	process_signals();
	process_title(setup->ops->name);
	process_arguments(setup->ops->name);
	logger_set_component(setup->ops->component);
	crash_install(setup->ops->name, setup->blame, setup->blame_size);
}

void
role_run(const struct process_setup *setup)
{
	ph_error error = {""};

	role_begin(setup);
	if (setup->ops->open && setup->ops->open(&process.role, &error) == -1)
		give_up(setup, &error);
	if (owner_become(setup->owner, &error) == -1)
		give_up(setup, &error);
	files_set_reopen(reopen_file);
	process_follow(setup->parent); /* after the change of rights, which cancels it */
	if (open_services(setup, &error) == -1)
		give_up(setup, &error);
	loop_run();
	logger_flush();
	_exit(process.failed ? 1 : 0);
}
