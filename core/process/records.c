#include "process/records.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/logger.h"
#include "process/pidfile.h"
#include "process/process.h"
#include "process/protocol.h"
#include "process/status.h"

#include "config.h"

enum { MAX_REQUESTS = 1024 };

struct record *
record_find(struct supervisor *supervisor, enum record_state state)
{
	for (size_t i = 0; i < MAX_GENERATIONS; i++)
		if (supervisor->records[i].state == state)
			return &supervisor->records[i];
	return NULL;
}

/* ---- The status file ------------------------------------------------------------------------- */

static const char *
state_name(enum record_state state)
{
	switch (state) {
	case RECORD_FREE:
		return "gone";
	case RECORD_STARTING:
		return "starting";
	case RECORD_SERVING:
		return "serving";
	case RECORD_DRAINING:
		return "draining";
	case RECORD_STOPPING:
		return "stopping";
	}
	return "";
}

static void
print_roles(FILE *out, const struct record *record)
{
	struct wire_reader reader = wire_reader_of(record->status);
	uint32_t count = wire_get_u32(&reader);
	ph_pool *pool = ph_pool_new(0);

	for (uint32_t i = 0; pool && i < count && !reader.failed; i++) {
		const char *name = wire_get_string(&reader, pool);
		uint32_t number = wire_get_u32(&reader), pid = wire_get_u32(&reader);
		const char *state = wire_get_string(&reader, pool);

		if (!reader.failed)
			fprintf(out, "role %u %s %u %u %s\n", record->number, name, number, pid,
				state);
	}
	ph_pool_free(pool);
}

static void
print_status(FILE *out, void *context)
{
	const struct supervisor *supervisor = context;
	const char *state = supervisor->stopping ? "stopping" : supervisor->served ? "serving"
		: "starting";

	fprintf(out, "supervisor %ld\nversion %s\nstate %s\nstarted %lld\n", (long)getpid(),
		PACKAGE_VERSION, state, (long long)supervisor->started);
	fprintf(out, "reload %u %lld %s\n", supervisor->reloads, (long long)supervisor->reload_time,
		supervisor->reload_result);
	for (size_t i = 0; i < supervisor->reload_problem_count; i++)
		fprintf(out, "problem %s\n", supervisor->reload_problems[i]);
	for (size_t i = 0; i < MAX_GENERATIONS; i++) {
		const struct record *record = &supervisor->records[i];

		if (record->state == RECORD_FREE)
			continue;
		fprintf(out, "generation %u %ld %s\n", record->number, (long)record->pid,
			state_name(record->state));
		print_roles(out, record);
	}
}

void
supervisor_write_status(struct supervisor *supervisor)
{
	ph_error error;

	supervisor->status_changed = false;
	if (!supervisor->run_directory[0])
		return;
	if (status_replace(supervisor->run_directory, print_status, supervisor, &error) == -1)
		ph_log(PH_LOG_ERROR, "%s", error.text);
}

/* ---- Starting generations -------------------------------------------------------------------- */

static noreturn void
execute(struct supervisor *supervisor, const struct record *record, int fd, int snapshot_fd)
{
	int limits_fd = supervisor->options->limits_fd;
	char number[16], link[16], snapshot[16], limits[16];
	const char *arguments[14] = {"posthoused", "--generation", number, "--supervisor-fd", link,
		"-c", supervisor->options->config};
	size_t count = 7;

	process_signals();
	snprintf(number, sizeof(number), "%u", record->number);
	snprintf(link, sizeof(link), "%d", fd);
	fcntl(fd, F_SETFD, 0);
	if (snapshot_fd != -1) {
		fcntl(snapshot_fd, F_SETFD, 0);
		lseek(snapshot_fd, 0, SEEK_SET);
		snprintf(snapshot, sizeof(snapshot), "%d", snapshot_fd);
		arguments[count++] = "--snapshot-fd";
		arguments[count++] = snapshot;
	}
	if (limits_fd != -1) {
		fcntl(limits_fd, F_SETFD, 0);
		snprintf(limits, sizeof(limits), "%d", limits_fd);
		arguments[count++] = "--limits-fd";
		arguments[count++] = limits;
	}
	if (!supervisor->options->foreground)
		arguments[count++] = "--detach";
	arguments[count] = NULL;
	execv(supervisor->options->program, (char *const *)(uintptr_t)arguments);
	fprintf(stderr, "posthoused: %s: %s\n", supervisor->options->program, strerror(errno));
	_exit(127);
}

void
record_free(struct record *record)
{
	conduit_close(&record->link);
	if (record->pid_fd != -1)
		pidfile_unlock(record->run_directory, record->pid_fd);
	ph_pool_free(record->pool);
	ph_pool_free(record->status_pool);
	*record = (struct record){.link = {.fd = -1}, .pid_fd = -1};
}

int
record_start(struct supervisor *supervisor, bool reload, int snapshot_fd)
{
	struct record *record = record_find(supervisor, RECORD_FREE);
	int pair[2];
	ph_error error;

	if (!record || conduit_pair(pair, &error) == -1)
		return -1;
	*record = (struct record){.number = ++supervisor->last_number, .reload = reload, .pid_fd = -1,
		.began = process_clock(), .pool = ph_pool_new(1 << 20), .link = {.fd = -1}};
	record->kill_at = record->began + START_TIME;
	logger_flush();
	pid_t pid = record->pool ? fork() : -1;
	if (pid == 0) {
		close(pair[0]);
		execute(supervisor, record, pair[1], snapshot_fd);
	}
	close(pair[1]);
	if (pid == -1 || conduit_open(&record->link, pair[0]) == -1) {
		if (pid == -1)
			close(pair[0]);
		else
			kill(pid, SIGKILL);
		record_free(record);
		return -1;
	}
	record->pid = pid;
	record->state = RECORD_STARTING;
	supervisor->status_changed = true;
	return 0;
}

/* ---- What a generation says ------------------------------------------------------------------ */

struct said {
	struct supervisor *supervisor;
	struct record *record;
};

void
record_problem(struct record *record, bool warning, const char *line)
{
	char *copy = ph_pool_strdup(record->pool, line);

	/* A newline would be a line of its own in the status file. */
	for (char *at = copy; at && *at; at++)
		if (*at == '\n')
			*at = ' ';
	if (warning)
		ph_log(PH_LOG_WARNING, "%s", line);
	else if (copy && record->problem_count < MAX_PROBLEMS)
		record->problems[record->problem_count++] = copy;
}

static void
registered(struct said *said, struct wire_reader *reader)
{
	struct supervisor *supervisor = said->supervisor;
	struct record *record = said->record;
	ph_error error = {""};
	pid_t holder;

	record->run_directory = wire_get_string(reader, record->pool);
	record->log_destination = wire_get_string(reader, record->pool);
	record->syslog_name = wire_get_string(reader, record->pool);
	record->json = wire_get_u8(reader) != 0;
	record->reload_grace = (int64_t)wire_get_u64(reader);
	if (reader->failed || record->registered || !record->run_directory[0] ||
		strlen(record->run_directory) >= sizeof(supervisor->run_directory))
		return;
	record->registered = true;
	if (strcmp(record->run_directory, supervisor->run_directory) != 0) {
		record->pid_fd = pidfile_lock(record->run_directory, &holder, &error);
		if (record->pid_fd == -1) {
			record_problem(record, false, error.text);
			conduit_send(&record->link, SUPERVISOR_STOP, (ph_span){0}, NULL, 0);
			return;
		}
	}
	/* The log of the first one is ours at once, that of a reload when it serves. */
	if (!supervisor->served &&
		logger_open(record->log_destination, record->syslog_name, "master", record->json, &error) == -1)
		record_problem(record, true, error.text);
}

static int
read_requests(struct wire_reader *reader, ph_pool *pool, struct socket_request *requests,
	size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct socket_request *request = &requests[i];

		request->is_unix = wire_get_u8(reader) != 0;
		request->optional = wire_get_u8(reader) != 0;
		request->listener = wire_get_string(reader, pool);
		bool ipv4 = wire_get_u8(reader) == 4;
		ph_span bytes = wire_get_bytes(reader);
		request->address.family = ipv4 ? AF_INET : AF_INET6;
		request->address.port = (uint16_t)wire_get_u32(reader);
		request->path = wire_get_string(reader, pool);
		request->mode = wire_get_u32(reader);
		if (reader->failed || bytes.size != (ipv4 ? 4 : 16))
			return -1;
		memcpy(request->address.bytes, bytes.data, bytes.size);
	}
	return 0;
}

static void
send_sockets(struct record *record, ph_pool *pool, const int *fds, size_t count)
{
	for (size_t first = 0; first < count;) {
		struct wire_writer writer;
		int batch[CHANNEL_MAX_FDS];
		size_t used = 0, i = first;

		wire_begin(&writer, pool);
		wire_put_u32(&writer, (uint32_t)first);
		for (; i < count && used < CHANNEL_MAX_FDS; i++) {
			wire_put_u8(&writer, fds[i] != -1);
			if (fds[i] != -1)
				batch[used++] = fds[i];
		}
		conduit_send(&record->link, SUPERVISOR_SOCKETS, wire_span(&writer), batch, used);
		first = i;
	}
}

static void
asked_for_sockets(struct said *said, struct wire_reader *reader)
{
	struct record *record = said->record;
	ph_pool *pool = ph_pool_new(0);
	uint32_t count = wire_get_u32(reader);
	struct socket_request *requests = NULL;
	int *fds = NULL;
	ph_error error = {"the request for sockets is unreadable"};

	if (pool && count <= MAX_REQUESTS) {
		requests = ph_pool_array(pool, count + 1, sizeof(*requests));
		fds = ph_pool_array(pool, count + 1, sizeof(*fds));
	}
	if (requests && fds && read_requests(reader, pool, requests, count) == 0 &&
		sockets_acquire(&said->supervisor->sockets, requests, count, record->number, fds, &error) == 0) {
		send_sockets(record, pool, fds, count);
	} else if (pool) {
		struct wire_writer writer;

		wire_begin(&writer, pool);
		wire_put_string(&writer, error.text);
		conduit_send(&record->link, SUPERVISOR_NO_SOCKET, wire_span(&writer), NULL, 0);
	}
	ph_pool_free(pool);
}

static void
new_status(struct said *said, ph_span payload)
{
	struct record *record = said->record;
	ph_pool *pool = ph_pool_new(0);
	char *copy = pool ? ph_pool_copy(pool, payload) : NULL;

	if (!copy) {
		ph_pool_free(pool);
		return;
	}
	ph_pool_free(record->status_pool);
	record->status_pool = pool;
	record->status = (ph_span){copy, payload.size};
	said->supervisor->status_changed = true;
}

static void
on_generation_frame(void *context, const struct frame *frame)
{
	struct said *said = context;
	struct wire_reader reader = wire_reader_of(frame->payload);
	bool taken = false;

	switch (frame->type) {
	case GENERATION_PROBLEM: {
		bool warning = wire_get_u8(&reader) != 0;

		record_problem(said->record, warning, wire_get_string(&reader, said->record->pool));
		break;
	}
	case GENERATION_REGISTER:
		registered(said, &reader);
		break;
	case GENERATION_SOCKETS:
		if (said->record->state == RECORD_STARTING && said->record->registered &&
			!said->record->problem_count)
			asked_for_sockets(said, &reader);
		break;
	case GENERATION_READY:
		if (said->record->state == RECORD_STARTING && frame->fd_count == 1 &&
			said->record->registered && !said->supervisor->stopping) {
			logger_open(said->record->log_destination, said->record->syslog_name,
				"master", said->record->json, NULL);
			supervisor_accept(said->supervisor, said->record, frame->fds[0]);
			taken = true;
		}
		break;
	case GENERATION_STATUS:
		new_status(said, frame->payload);
		break;
	case GENERATION_CLOSED:
		supervisor_closed(said->supervisor, said->record);
		break;
	default:
		ph_log(PH_LOG_ERROR, "generation %u: unknown message %u", said->record->number,
			frame->type);
		break;
	}
	if (!taken)
		conduit_drop_fds(frame);
}

void
record_service(struct supervisor *supervisor, struct record *record, short revents)
{
	struct said said = {supervisor, record};

	if (record->link.fd != -1 &&
		conduit_service(&record->link, revents, on_generation_frame, &said) == -1)
		conduit_close(&record->link);
}
