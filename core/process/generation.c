#include "process/generation.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <netinet/in.h>
#include <unistd.h>

#include "ground/logger.h"
#include "process/process.h"
#include "process/protocol.h"
#include "process/rights.h"

enum {
	START_TIME = 30 * 1000,    /* for all roles to be ready */
	STOP_TIME = 7 * 1000,      /* for an orderly stop; then they are killed */
	ORPHAN_TIME = 700,         /* the same when the supervisor is gone */
	SOCKETS_TIME = 20 * 1000,  /* for the supervisor to open sockets */
	REPORT_TIME = 5 * 1000     /* for the supervisor to read our problems */
};

/* ---- To the supervisor ----------------------------------------------------------------------- */

/* A line about what is wrong, for whoever waits for this generation. */
static void
generation_problem(struct generation *generation, bool warning, const char *line)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;

	if (!pool)
		return;
	wire_begin(&writer, pool);
	wire_put_u8(&writer, warning);
	wire_put_string(&writer, line);
	conduit_send(&generation->supervisor, GENERATION_PROBLEM, wire_span(&writer), NULL, 0);
	ph_pool_free(pool);
}

static void
report_problem(void *context, bool warning, const char *line)
{
	generation_problem(context, warning, line);
}

/* Everything that was said arrives before we end. */
static void
drain_to_supervisor(struct generation *generation)
{
	int64_t until = process_clock() + REPORT_TIME;

	while (generation->supervisor.fd != -1 && frame_waiting(&generation->supervisor.out)) {
		struct pollfd entry = {.fd = generation->supervisor.fd, .events = POLLOUT};

		if (process_clock() >= until || (poll(&entry, 1, 100) == -1 && errno != EINTR) ||
			frame_flush(&generation->supervisor.out, generation->supervisor.fd) == FRAME_BROKEN)
			return;
	}
}

static int
register_generation(struct generation *generation)
{
	const struct settings *settings = generation->settings;
	struct wire_writer writer;

	wire_begin(&writer, generation->pool);
	wire_put_string(&writer, settings->run_directory);
	wire_put_string(&writer, settings->log_destination);
	wire_put_string(&writer, settings->syslog_name);
	wire_put_u8(&writer, settings->log_format != 0);
	wire_put_u64(&writer, (uint64_t)settings->reload_grace);
	return conduit_send(&generation->supervisor, GENERATION_REGISTER, wire_span(&writer), NULL,
		0);
}

static int
request_sockets(struct generation *generation)
{
	struct wire_writer writer;

	wire_begin(&writer, generation->pool);
	wire_put_u32(&writer, (uint32_t)generation->endpoints.count);
	for (size_t i = 0; i < generation->endpoints.count; i++) {
		const struct endpoint *endpoint = &generation->endpoints.items[i];
		bool ipv4 = endpoint->address.family == AF_INET;

		wire_put_u8(&writer, endpoint->is_unix);
		wire_put_u8(&writer, endpoint->optional);
		wire_put_string(&writer, endpoint->listener->name);
		wire_put_u8(&writer, ipv4 ? 4 : 6);
		wire_put_bytes(&writer,
			(ph_span){(const char *)endpoint->address.bytes, ipv4 ? 4 : 16});
		wire_put_u32(&writer, endpoint->address.port);
		wire_put_string(&writer, endpoint->path);
		wire_put_u32(&writer, endpoint->mode);
	}
	if (writer.failed)
		return -1;
	return conduit_send(&generation->supervisor, GENERATION_SOCKETS, wire_span(&writer), NULL,
		0);
}

/* ---- Listening sockets ----------------------------------------------------------------------- */

struct sockets_answer {
	struct generation *generation;
	size_t answered;
	bool failed, stopped;
	ph_error error;
};

static void
take_sockets(struct sockets_answer *answer, const struct frame *frame)
{
	struct generation *generation = answer->generation;
	struct wire_reader reader = wire_reader_of(frame->payload);
	size_t used = 0;

	if (wire_get_u32(&reader) != answer->answered)
		answer->failed = true;
	while (reader.rest.size && !answer->failed &&
		answer->answered < generation->endpoints.count) {
		const struct endpoint *endpoint = &generation->endpoints.items[answer->answered++];

		if (!wire_get_u8(&reader))
			continue;
		if (used == frame->fd_count)
			break;
		generation->sockets[generation->socket_count++] =
			(struct role_socket){.fd = frame->fds[used++],
			.listener = endpoint->listener};
	}
	for (size_t i = used; i < frame->fd_count; i++)
		close(frame->fds[i]);
}

static void
on_sockets(void *context, const struct frame *frame)
{
	struct sockets_answer *answer = context;
	struct wire_reader reader = wire_reader_of(frame->payload);

	switch (frame->type) {
	case SUPERVISOR_SOCKETS:
		take_sockets(answer, frame);
		return;
	case SUPERVISOR_NO_SOCKET:
		answer->failed = true;
		ph_error_set(&answer->error, "%s",
			wire_get_string(&reader, answer->generation->pool));
		break;
	case SUPERVISOR_STOP: /* it knows why */
		answer->failed = answer->stopped = true;
		break;
	default:
		break;
	}
	conduit_drop_fds(frame);
}

static int
get_sockets(struct generation *generation, ph_error *error)
{
	struct sockets_answer answer = {.generation = generation};
	int64_t until = process_clock() + SOCKETS_TIME;

	generation->sockets = ph_pool_array(generation->pool, generation->endpoints.count + 1,
		sizeof(*generation->sockets));
	if (!generation->sockets || request_sockets(generation) == -1)
		return ph_error_set(error, "the supervisor cannot be asked for sockets");
	while (!answer.failed && answer.answered < generation->endpoints.count) {
		struct pollfd entry = conduit_poll(&generation->supervisor);

		if (process_clock() >= until)
			return ph_error_set(error, "the supervisor did not answer");
		if (poll(&entry, 1, 1000) > 0 &&
			conduit_service(&generation->supervisor, entry.revents, on_sockets, &answer) == -1)
			return ph_error_set(error, "the supervisor is gone");
	}
	if (answer.failed && !answer.stopped && !answer.error.text[0])
		return ph_error_set(error, "the supervisor's answer is unreadable");
	return answer.failed ? ph_error_set(error, "%s", answer.error.text) : 0;
}

static int
write_port(const char *directory, const char *name, unsigned port, ph_error *error)
{
	char path[PATH_MAX], temporary[PATH_MAX], text[16];
	int length = snprintf(text, sizeof(text), "%u\n", port);

	if (strchr(name, '/') ||
		(size_t)snprintf(path, sizeof(path), "%s/%s.port", directory, name) >= sizeof(path) ||
		(size_t)snprintf(temporary, sizeof(temporary), "%s/.%s.port", directory, name) >= sizeof(temporary))
		return ph_error_set(error, "listener %s: no name for a file in run_directory",
			name);
	unlink(temporary);
	int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (fd == -1)
		return ph_error_set(error, "%s: %s", temporary, strerror(errno));
	bool ok = fchmod(fd, 0644) == 0 && write(fd, text, (size_t)length) == length;
	if (close(fd) == -1 || !ok || rename(temporary, path) == -1)
		return ph_error_set(error, "%s: %s", path, strerror(errno));
	return 0;
}

/* Where the kernel picked a port: which one. All addresses of a listener have the same. */
static int
write_ports(struct generation *generation, ph_error *error)
{
	for (size_t i = 0; i < generation->endpoints.count; i++) {
		const struct endpoint *endpoint = &generation->endpoints.items[i];
		struct sockaddr_storage address = {0};
		socklen_t size = sizeof(address);
		size_t at = 0;

		if (endpoint->is_unix || endpoint->address.port)
			continue;
		while (at < generation->socket_count &&
			generation->sockets[at].listener != endpoint->listener)
			at++;
		if (at == generation->socket_count ||
			getsockname(generation->sockets[at].fd, (struct sockaddr *)&address, &size) == -1)
			continue;
		unsigned port = ntohs(address.ss_family == AF_INET
				? ((const struct sockaddr_in *)(const void *)&address)->sin_port
				: ((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
		if (write_port(generation->settings->run_directory, endpoint->listener->name, port, error) == -1)
			return -1;
	}
	return 0;
}

/* ---- Life ------------------------------------------------------------------------------------ */

void
generation_fail(struct generation *generation, const char *text)
{
	generation_problem(generation, false, text);
	generation->failed = true;
	generation->state = GENERATION_STOPPING;
	generation->stop_began = process_clock();
	generation->kill_at = generation->stop_began + 1000;
}

static void
begin_stop(struct generation *generation, int64_t time)
{
	int64_t kill_at = process_clock() + time;

	if (!generation->kill_at || kill_at < generation->kill_at)
		generation->kill_at = kill_at;
	if (generation->state == GENERATION_STOPPING)
		return;
	generation->state = GENERATION_STOPPING;
	generation->stop_began = process_clock();
}

static void
on_supervisor_frame(void *context, const struct frame *frame)
{
	struct generation *generation = context;

	conduit_drop_fds(frame);
	switch (frame->type) {
	case SUPERVISOR_DRAIN:
		if (generation->state == GENERATION_SERVING) {
			generation->state = GENERATION_DRAINING;
			children_drain(generation);
		}
		break;
	case SUPERVISOR_STOP:
		begin_stop(generation, STOP_TIME);
		break;
	case SUPERVISOR_REOPEN:
		logger_reopen();
		children_reopen(generation);
		break;
	default:
		break;
	}
}

/* All roles are ready: the supervisor gets what it may start us from again. */
static void
serve(struct generation *generation)
{
	ph_error error;
	int fd = memfd_create("posthouse-configuration", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1 || config_snapshot(generation->config, fd, &error) == -1) {
		generation_fail(generation, fd == -1 ? "memfd_create failed" : error.text);
	} else if (fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) == -1) {
		generation_fail(generation, "the snapshot of the configuration cannot be sealed");
	} else {
		generation->state = GENERATION_SERVING;
		conduit_send(&generation->supervisor, GENERATION_READY, (ph_span){0}, &fd, 1);
	}
	if (fd != -1)
		close(fd);
}

static void
send_status(struct generation *generation)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;

	generation->status_changed = false;
	if (!pool)
		return;
	wire_begin(&writer, pool);
	wire_put_u32(&writer, (uint32_t)generation->child_count);
	for (size_t i = 0; i < generation->child_count; i++) {
		const struct child *child = &generation->children[i];

		wire_put_string(&writer, child_name(child));
		wire_put_u32(&writer, child->number);
		wire_put_u32(&writer, (uint32_t)child->pid);
		wire_put_string(&writer, child_state_name(child->state));
	}
	if (!writer.failed)
		conduit_send(&generation->supervisor, GENERATION_STATUS, wire_span(&writer), NULL,
			0);
	ph_pool_free(pool);
}

static void
on_signals(struct generation *generation)
{
	struct signalfd_siginfo info;

	while (read(generation->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM)
			begin_stop(generation, STOP_TIME);
	}
	children_reap(generation);
}

/* What is due because of the time. */
static void
tick(struct generation *generation)
{
	int64_t now = process_clock();

	switch (generation->state) {
	case GENERATION_STARTING:
		if (children_all_ready(generation))
			serve(generation);
		else if (now >= generation->start_deadline)
			generation_fail(generation,
				"the processes were not ready within 30 seconds");
		break;
	case GENERATION_SERVING:
		children_retry(generation);
		break;
	case GENERATION_DRAINING:
		if (!generation->closed && children_closed(generation)) {
			generation->closed = true;
			conduit_send(&generation->supervisor, GENERATION_CLOSED, (ph_span){0}, NULL,
				0);
		}
		break;
	case GENERATION_STOPPING:
		children_stop(generation);
		break;
	}
	if (generation->kill_at && now >= generation->kill_at) {
		children_kill(generation);
		generation->kill_at = now + 1000;
	}
	if (generation->status_changed)
		send_status(generation);
}

static int
poll_timeout(const struct generation *generation)
{
	int64_t now = process_clock(), until = now + 60 * 1000;
	int64_t retry = children_next_retry(generation);

	if (retry && retry < until)
		until = retry;
	if (generation->state == GENERATION_STARTING && generation->start_deadline < until)
		until = generation->start_deadline;
	if (generation->kill_at && generation->kill_at < until)
		until = generation->kill_at;
	if (generation->state == GENERATION_STOPPING && now + 500 < until)
		until = now + 500;
	return until > now ? (int)(until - now) : 0;
}

static int
run(struct generation *generation)
{
	struct pollfd *entries = ph_pool_array(generation->pool, generation->child_count + 2,
		sizeof(*entries));

	if (!entries) {
		children_kill(generation);
		return 1;
	}
	generation->start_deadline = process_clock() + START_TIME;
	for (;;) {
		tick(generation);
		if (!children_alive(generation) && generation->state >= GENERATION_DRAINING)
			break;
		entries[0] = conduit_poll(&generation->supervisor);
		entries[1] = (struct pollfd){.fd = generation->signal_fd, .events = POLLIN};
		for (size_t i = 0; i < generation->child_count; i++)
			entries[2 + i] = conduit_poll(&generation->children[i].link);
		if (poll(entries, (nfds_t)(generation->child_count + 2), poll_timeout(generation)) <= 0)
			continue;
		for (size_t i = 0; i < generation->child_count; i++)
			if (entries[2 + i].revents)
				child_service(generation, &generation->children[i],
					entries[2 + i].revents);
		if (entries[1].revents)
			on_signals(generation);
		if (entries[0].revents && generation->supervisor.fd != -1 &&
			conduit_service(&generation->supervisor, entries[0].revents, on_supervisor_frame, generation) == -1) {
			conduit_close(&generation->supervisor);
			begin_stop(generation, ORPHAN_TIME);
		}
	}
	if (generation->status_changed)
		send_status(generation);
	return generation->failed ? 1 : 0;
}

/* Reads the configuration and everything that can be found wrong with it. 0 or -1, reported. */
static int
load(struct generation *generation)
{
	struct problems *problems = problems_new();
	ph_error error;
	int result = -1;

	if (!problems)
		return -1;
	generation->config = config_load(generation->options->path,
		generation->options->snapshot_fd, problems);
	/* Roles are forked: whatever is open here is open there. */
	if (generation->options->snapshot_fd != -1)
		close(generation->options->snapshot_fd);
	if (generation->config) {
		generation->settings = config_settings(generation->config);
		config_set_current(generation->config);
		endpoints_collect(&generation->endpoints, generation->pool, generation->config,
			problems);
		if (owner_find(generation->settings->mail_owner, &generation->owner, &error) == -1 ||
			owner_directories(&generation->owner, generation->settings, &error) == -1 ||
			logger_open(generation->settings->log_destination,
			generation->settings->syslog_name,
				"master", generation->settings->log_format != 0, &error) == -1)
			problems_add(problems, generation->options->path, 0, "%s", error.text);
		else
			rights_check(generation->config, generation->options->path,
				&generation->owner, problems);
		result = problems_count(problems) ? -1 : 0;
	}
	problems_each(problems, report_problem, generation);
	problems_free(problems);
	return result;
}

static int
prepare(struct generation *generation, ph_error *error)
{
	if (register_generation(generation) == -1)
		return ph_error_set(error, "the supervisor is gone");
	if (get_sockets(generation, error) == -1 || write_ports(generation, error) == -1 ||
		children_make(generation, error) == -1)
		return -1;
	if (generation->options->detach)
		process_leave_terminal(strcmp(generation->settings->log_destination, "stderr") == 0);
	return children_fork_all(generation, error);
}

static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) == -1)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Sessions need descriptors: as many as we may have. */
static void
raise_descriptors(void)
{
	struct rlimit limits;

	if (getrlimit(RLIMIT_NOFILE, &limits) == -1 || limits.rlim_cur >= limits.rlim_max)
		return;
	limits.rlim_cur = limits.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limits);
}

static void
generation_free(struct generation *generation)
{
	for (size_t i = 0; i < generation->child_count; i++)
		conduit_close(&generation->children[i].link);
	for (size_t i = 0; i < generation->waiting_count; i++)
		free((void *)(uintptr_t)generation->waiting_blames[i].data);
	conduit_close(&generation->supervisor);
	ph_pool_free(generation->pool);
	if (generation->config)
		config_free(generation->config);
	free(generation);
}

int
generation_main(const struct generation_options *options, const struct roster *roster)
{
	struct generation *generation = calloc(1, sizeof(*generation));
	ph_error error = {""};
	int result = 1;

	if (!generation)
		return 1;
	generation->options = options;
	generation->roster = roster;
	generation->pool = ph_pool_new(0);
	generation->signal_fd = open_signals();
	fcntl(options->supervisor_fd, F_SETFD, FD_CLOEXEC);
	unsetenv("NOTIFY_SOCKET"); /* the supervisor alone talks to the service manager */
	raise_descriptors();
	process_title("gen");
	prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
	if (!generation->pool || generation->signal_fd == -1 ||
		conduit_open(&generation->supervisor, options->supervisor_fd) == -1)
		return 1;
	if (load(generation) == 0) {
		if (prepare(generation, &error) == -1) {
			if (error.text[0])
				generation_problem(generation, false, error.text);
			generation->failed = true;
			begin_stop(generation, 1000);
			if (generation->children)
				children_kill(generation);
		}
		if (!generation->failed || generation->children)
			result = run(generation);
	}
	drain_to_supervisor(generation);
	logger_flush();
	generation_free(generation);
	return result;
}
