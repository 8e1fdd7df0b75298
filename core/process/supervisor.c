#include "process/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ground/logger.h"
#include "process/conduit.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/process.h"
#include "process/protocol.h"
#include "process/sockets.h"
#include "process/status.h"

#include "config.h"

enum {
	MAX_GENERATIONS = 8,
	MAX_DRAINING = 2,
	MAX_PROBLEMS = 200,
	MAX_REQUESTS = 1024,
	START_TIME = 60 * 1000, /* for a generation to serve or to fail */
	DRAIN_EXTRA = 15 * 1000, /* what it may take beyond reload_grace */
	STOP_TIME = 9 * 1000,   /* for an orderly stop */
	HEALTHY = 60 * 1000
};

enum record_state { RECORD_FREE, RECORD_STARTING, RECORD_SERVING, RECORD_DRAINING, RECORD_STOPPING };

/* A generation, as the supervisor sees it. Texts are in its pool. */
struct record {
	enum record_state state;
	unsigned number;
	pid_t pid;
	bool reload;          /* an administrator waits for it */
	struct conduit link;
	ph_pool *pool;
	bool registered;
	const char *run_directory, *log_destination, *syslog_name;
	bool json;
	int64_t reload_grace;
	int pid_fd;           /* of a pid file in a directory of its own; -1: the supervisor has it */
	int64_t began, kill_at;
	const char *problems[MAX_PROBLEMS];
	size_t problem_count, warning_count;
	ph_span status;       /* the last GENERATION_STATUS */
	ph_pool *status_pool;
};

struct supervisor {
	const struct supervisor_options *options;
	struct record records[MAX_GENERATIONS];
	struct sockets sockets;
	int signal_fd;
	int snapshot_fd;      /* of the last accepted configuration */
	unsigned last_number;
	char run_directory[256]; /* ""; where the pid file and the status are */
	int pid_fd;
	bool served;          /* the first generation came up */
	bool stopping;
	bool reload_again;    /* asked for while one was starting */
	int64_t started, restart_at;
	unsigned failures;    /* of generations that ended unasked */
	unsigned reloads;
	int64_t reload_time;
	const char *reload_result;
	ph_pool *reload_pool;
	const char *reload_problems[MAX_PROBLEMS];
	size_t reload_problem_count;
	bool status_changed;
	int exit_code;
};

static int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct record *
find_state(struct supervisor *supervisor, enum record_state state)
{
	for (size_t i = 0; i < MAX_GENERATIONS; i++)
		if (supervisor->records[i].state == state)
			return &supervisor->records[i];
	return NULL;
}

/* ---- The status file -------------------------------------------------------------------------- */

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
			fprintf(out, "role %u %s %u %u %s\n", record->number, name, number, pid, state);
	}
	ph_pool_free(pool);
}

static void
print_status(FILE *out, void *context)
{
	const struct supervisor *supervisor = context;
	const char *state = supervisor->stopping ? "stopping" : supervisor->served ? "serving" : "starting";

	fprintf(out, "supervisor %ld\nversion %s\nstate %s\nstarted %lld\n", (long)getpid(), PACKAGE_VERSION,
		state, (long long)supervisor->started);
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

static void
write_status(struct supervisor *supervisor)
{
	ph_error error;

	supervisor->status_changed = false;
	if (!supervisor->run_directory[0])
		return;
	if (status_replace(supervisor->run_directory, print_status, supervisor, &error) == -1)
		ph_log(PH_LOG_ERROR, "%s", error.text);
}

/* ---- Starting generations --------------------------------------------------------------------- */

static noreturn void
execute(struct supervisor *supervisor, const struct record *record, int fd, int snapshot_fd)
{
	char number[16], link[16], snapshot[16];
	const char *arguments[12] = {"posthoused", "--generation", number, "--supervisor-fd", link, "-c",
		supervisor->options->config};
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
	if (!supervisor->options->foreground)
		arguments[count++] = "--detach";
	arguments[count] = NULL;
	execv(supervisor->options->program, (char *const *)(uintptr_t)arguments);
	fprintf(stderr, "posthoused: %s: %s\n", supervisor->options->program, strerror(errno));
	_exit(127);
}

static void
record_free(struct record *record)
{
	conduit_close(&record->link);
	if (record->pid_fd != -1)
		pidfile_unlock(record->run_directory, record->pid_fd);
	ph_pool_free(record->pool);
	ph_pool_free(record->status_pool);
	*record = (struct record){.link = {.fd = -1}, .pid_fd = -1};
}

static int
start_generation(struct supervisor *supervisor, bool reload, int snapshot_fd)
{
	struct record *record = find_state(supervisor, RECORD_FREE);
	int pair[2];
	ph_error error;

	if (!record || conduit_pair(pair, &error) == -1)
		return -1;
	*record = (struct record){.number = ++supervisor->last_number, .reload = reload, .pid_fd = -1,
		.began = clock_ms(), .pool = ph_pool_new(1 << 20), .link = {.fd = -1}};
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

static void
begin_reload(struct supervisor *supervisor)
{
	if (supervisor->stopping)
		return;
	if (find_state(supervisor, RECORD_STARTING)) {
		supervisor->reload_again = true;
		return;
	}
	supervisor->reload_again = false;
	supervisor->reloads++;
	supervisor->reload_time = time(NULL);
	supervisor->reload_result = "running";
	supervisor->reload_problem_count = 0;
	notify_reloading();
	ph_log(PH_LOG_INFO, "reload: reading %s", supervisor->options->config);
	if (start_generation(supervisor, true, -1) == -1) {
		supervisor->reload_result = "failed";
		ph_log(PH_LOG_ERROR, "reload: a new generation cannot be started");
		notify_send("READY=1\nSTATUS=serving; the last reload failed");
	}
	supervisor->status_changed = true;
}

static void
schedule_restart(struct supervisor *supervisor, int64_t lived)
{
	int64_t delay = 0;

	if (lived >= HEALTHY)
		supervisor->failures = 0;
	if (supervisor->failures)
		delay = supervisor->failures > 6 ? 60000 : INT64_C(1000) << (supervisor->failures - 1);
	supervisor->failures++;
	supervisor->restart_at = clock_ms() + (delay < 60000 ? delay : 60000);
}

/* ---- Judging generations ---------------------------------------------------------------------- */

static void
stop_record(struct supervisor *supervisor, struct record *record)
{
	conduit_send(&record->link, SUPERVISOR_STOP, (ph_span){0}, NULL, 0);
	record->state = RECORD_STOPPING;
	record->kill_at = clock_ms() + STOP_TIME;
	supervisor->status_changed = true;
}

/* At most two old generations drain; the oldest has to go. */
static void
limit_draining(struct supervisor *supervisor)
{
	for (;;) {
		struct record *oldest = NULL;
		unsigned count = 0;

		for (size_t i = 0; i < MAX_GENERATIONS; i++) {
			struct record *record = &supervisor->records[i];

			if (record->state != RECORD_DRAINING)
				continue;
			count++;
			if (!oldest || record->number < oldest->number)
				oldest = record;
		}
		if (count <= MAX_DRAINING)
			return;
		ph_log(PH_LOG_INFO, "generation %u is stopped: newer ones are draining", oldest->number);
		stop_record(supervisor, oldest);
	}
}

static void
drain_record(struct supervisor *supervisor, struct record *record)
{
	conduit_send(&record->link, SUPERVISOR_DRAIN, (ph_span){0}, NULL, 0);
	record->state = RECORD_DRAINING;
	record->kill_at = clock_ms() + record->reload_grace + DRAIN_EXTRA;
	supervisor->status_changed = true;
}

/* The pid file and the status are where the serving configuration says. */
static void
move_files(struct supervisor *supervisor, struct record *record)
{
	if (record->pid_fd == -1)
		return;
	if (supervisor->pid_fd != -1) {
		status_remove(supervisor->run_directory);
		pidfile_unlock(supervisor->run_directory, supervisor->pid_fd);
	}
	supervisor->pid_fd = record->pid_fd;
	record->pid_fd = -1;
	snprintf(supervisor->run_directory, sizeof(supervisor->run_directory), "%s", record->run_directory);
}

/* From here on nobody at the terminal waits for us. */
static void
leave_terminal(struct supervisor *supervisor, bool log_there)
{
	if (supervisor->options->ready_fd != -1) {
		(void)!write(supervisor->options->ready_fd, "R", 1);
		close(supervisor->options->ready_fd);
	}
	if (supervisor->options->foreground)
		return;
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd == -1)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	if (!log_there)
		dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static void
accept_generation(struct supervisor *supervisor, struct record *record, int snapshot_fd)
{
	struct record *old = find_state(supervisor, RECORD_SERVING);
	bool first = !supervisor->served;

	record->state = RECORD_SERVING;
	record->kill_at = 0;
	supervisor->served = true;
	supervisor->restart_at = 0;
	if (supervisor->snapshot_fd != -1)
		close(supervisor->snapshot_fd);
	supervisor->snapshot_fd = snapshot_fd;
	move_files(supervisor, record);
	conduit_send(&record->link, SUPERVISOR_ACCEPTED, (ph_span){0}, NULL, 0);
	if (old)
		drain_record(supervisor, old);
	limit_draining(supervisor);
	sockets_keep(&supervisor->sockets, record->number);
	if (record->reload)
		supervisor->reload_result = "accepted";
	ph_log(PH_LOG_INFO, "%s: generation %u serves", record->reload ? "reload" : "start", record->number);
	write_status(supervisor);
	notify_send("READY=1\nSTATUS=serving");
	if (first)
		leave_terminal(supervisor, strcmp(record->log_destination, "stderr") == 0);
	if (supervisor->reload_again)
		begin_reload(supervisor);
}

static void
reject_reload(struct supervisor *supervisor, const struct record *record)
{
	ph_pool_free(supervisor->reload_pool);
	supervisor->reload_pool = ph_pool_new(0);
	supervisor->reload_problem_count = 0;
	for (size_t i = 0; i < record->problem_count && supervisor->reload_pool; i++) {
		char *line = ph_pool_strdup(supervisor->reload_pool, record->problems[i]);

		if (line)
			supervisor->reload_problems[supervisor->reload_problem_count++] = line;
		ph_log(PH_LOG_ERROR, "reload: %s", record->problems[i]);
	}
	supervisor->reload_result = "failed";
	ph_log(PH_LOG_ERROR, "reload failed: the previous configuration serves on");
	notify_send("READY=1\nSTATUS=serving; the last reload failed");
}

/* To whoever started us, and to the log where it is another place. */
static void
report_start(const struct record *record)
{
	bool log_too = logger_file() != -1;

	for (size_t i = 0; i < record->problem_count; i++) {
		fprintf(stderr, "posthoused: %s\n", record->problems[i]);
		if (log_too)
			ph_log(PH_LOG_ERROR, "%s", record->problems[i]);
	}
}

/* A generation ended before it served. */
static void
reject_generation(struct supervisor *supervisor, struct record *record)
{
	if (!record->problem_count && !supervisor->stopping)
		record->problems[record->problem_count++] = "a generation ended before it served";
	sockets_forget(&supervisor->sockets, record->number);
	if (supervisor->stopping)
		return;
	if (record->reload) {
		reject_reload(supervisor, record);
	} else if (!supervisor->served) {
		report_start(record);
		supervisor->exit_code = 1;
		supervisor->stopping = true;
	} else {
		for (size_t i = 0; i < record->problem_count; i++)
			ph_log(PH_LOG_ERROR, "restart: %s", record->problems[i]);
		schedule_restart(supervisor, 0);
	}
}

/* ---- What a generation says ------------------------------------------------------------------- */

struct said {
	struct supervisor *supervisor;
	struct record *record;
};

static void
add_problem(struct record *record, bool warning, const char *line)
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
			add_problem(record, false, error.text);
			conduit_send(&record->link, SUPERVISOR_STOP, (ph_span){0}, NULL, 0);
			return;
		}
	}
	/* The log of the first one is ours at once, that of a reload when it serves. */
	if (!supervisor->served &&
		logger_open(record->log_destination, record->syslog_name, "master", record->json, &error) == -1)
		add_problem(record, true, error.text);
}

static int
read_requests(struct wire_reader *reader, ph_pool *pool, struct socket_request *requests, size_t count)
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

		add_problem(said->record, warning, wire_get_string(&reader, said->record->pool));
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
			logger_open(said->record->log_destination, said->record->syslog_name, "master",
				said->record->json, NULL);
			accept_generation(said->supervisor, said->record, frame->fds[0]);
			taken = true;
		}
		break;
	case GENERATION_STATUS:
		new_status(said, frame->payload);
		break;
	default:
		ph_log(PH_LOG_ERROR, "generation %u: unknown message %u", said->record->number, frame->type);
		break;
	}
	if (!taken)
		conduit_drop_fds(frame);
}

static void
service_record(struct supervisor *supervisor, struct record *record, short revents)
{
	struct said said = {supervisor, record};

	if (record->link.fd != -1 && conduit_service(&record->link, revents, on_generation_frame, &said) == -1)
		conduit_close(&record->link);
}

/* ---- Deaths and signals ----------------------------------------------------------------------- */

static void
record_died(struct supervisor *supervisor, struct record *record, int status)
{
	enum record_state state;

	service_record(supervisor, record, POLLIN); /* what it said last */
	state = record->state;
	supervisor->status_changed = true;
	if (state == RECORD_SERVING && !supervisor->stopping) {
		ph_log(PH_LOG_ERROR, "generation %u [%ld] %s %d: starting the last accepted configuration",
			record->number, (long)record->pid, WIFSIGNALED(status) ? "was killed by signal" : "ended with status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		schedule_restart(supervisor, clock_ms() - record->began);
	} else if (state == RECORD_STARTING) {
		reject_generation(supervisor, record);
	} else if (state == RECORD_DRAINING && !supervisor->stopping) {
		ph_log(PH_LOG_INFO, "generation %u has ended", record->number);
	}
	record_free(record);
	if (state == RECORD_STARTING && supervisor->reload_again)
		begin_reload(supervisor);
}

static void
reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < MAX_GENERATIONS; i++)
			if (supervisor->records[i].state != RECORD_FREE && supervisor->records[i].pid == pid)
				record_died(supervisor, &supervisor->records[i], status);
}

static void
begin_stop(struct supervisor *supervisor)
{
	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	supervisor->restart_at = 0;
	notify_send("STOPPING=1\nSTATUS=stopping");
	ph_log(PH_LOG_INFO, "stopping");
	for (size_t i = 0; i < MAX_GENERATIONS; i++)
		if (supervisor->records[i].state != RECORD_FREE)
			stop_record(supervisor, &supervisor->records[i]);
	supervisor->status_changed = true;
}

static void
reopen_logs(struct supervisor *supervisor)
{
	logger_reopen();
	for (size_t i = 0; i < MAX_GENERATIONS; i++)
		if (supervisor->records[i].state > RECORD_STARTING)
			conduit_send(&supervisor->records[i].link, SUPERVISOR_REOPEN, (ph_span){0}, NULL, 0);
}

static void
on_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		switch (info.ssi_signo) {
		case SIGTERM:
		case SIGINT:
			begin_stop(supervisor);
			break;
		case SIGHUP:
			if (supervisor->served)
				begin_reload(supervisor);
			break;
		case SIGUSR1:
			reopen_logs(supervisor);
			break;
		default:
			break;
		}
	}
	reap(supervisor);
}

/* ---- The loop --------------------------------------------------------------------------------- */

static void
tick(struct supervisor *supervisor)
{
	int64_t now = clock_ms();

	for (size_t i = 0; i < MAX_GENERATIONS; i++) {
		struct record *record = &supervisor->records[i];

		if (record->state == RECORD_FREE || !record->kill_at || now < record->kill_at)
			continue;
		if (record->state == RECORD_DRAINING) {
			stop_record(supervisor, record); /* its grace is over */
			continue;
		}
		if (record->state == RECORD_STARTING)
			add_problem(record, false, "a generation did not serve within 60 seconds");
		kill(record->pid, SIGKILL);
		record->kill_at = now + 1000;
	}
	if (supervisor->restart_at && now >= supervisor->restart_at && !supervisor->stopping &&
		!find_state(supervisor, RECORD_STARTING)) {
		supervisor->restart_at = 0;
		if (start_generation(supervisor, false, supervisor->snapshot_fd) == -1)
			schedule_restart(supervisor, 0);
	}
	if (supervisor->status_changed)
		write_status(supervisor);
}

static int
poll_timeout(const struct supervisor *supervisor)
{
	int64_t now = clock_ms(), until = now + 60 * 1000;

	for (size_t i = 0; i < MAX_GENERATIONS; i++) {
		const struct record *record = &supervisor->records[i];

		if (record->state != RECORD_FREE && record->kill_at && record->kill_at < until)
			until = record->kill_at;
	}
	if (supervisor->restart_at && supervisor->restart_at < until)
		until = supervisor->restart_at;
	return until > now ? (int)(until - now) : 0;
}

static bool
anyone_left(const struct supervisor *supervisor)
{
	for (size_t i = 0; i < MAX_GENERATIONS; i++)
		if (supervisor->records[i].state != RECORD_FREE)
			return true;
	return false;
}

static void
run(struct supervisor *supervisor)
{
	for (;;) {
		struct pollfd entries[MAX_GENERATIONS + 1];

		tick(supervisor);
		if (supervisor->stopping && !anyone_left(supervisor))
			return;
		for (size_t i = 0; i < MAX_GENERATIONS; i++)
			entries[i] = conduit_poll(&supervisor->records[i].link);
		entries[MAX_GENERATIONS] = (struct pollfd){.fd = supervisor->signal_fd, .events = POLLIN};
		if (poll(entries, MAX_GENERATIONS + 1, poll_timeout(supervisor)) <= 0)
			continue;
		for (size_t i = 0; i < MAX_GENERATIONS; i++)
			if (entries[i].revents)
				service_record(supervisor, &supervisor->records[i], entries[i].revents);
		if (entries[MAX_GENERATIONS].revents)
			on_signals(supervisor);
	}
}

static int
open_signals(void)
{
	static const int wanted[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP, SIGUSR1};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		sigaddset(&set, wanted[i]);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &set, NULL) == -1)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
clean_up(struct supervisor *supervisor)
{
	sockets_close(&supervisor->sockets);
	if (supervisor->pid_fd != -1) {
		status_remove(supervisor->run_directory);
		pidfile_unlock(supervisor->run_directory, supervisor->pid_fd);
	}
	if (supervisor->snapshot_fd != -1)
		close(supervisor->snapshot_fd);
	ph_pool_free(supervisor->reload_pool);
	close(supervisor->signal_fd);
	logger_flush();
}

int
supervisor_main(const struct supervisor_options *options)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	int exit_code;

	if (!supervisor)
		return 1;
	*supervisor = (struct supervisor){.options = options, .pid_fd = -1, .snapshot_fd = -1,
		.reload_result = "none", .started = time(NULL)};
	for (size_t i = 0; i < MAX_GENERATIONS; i++)
		supervisor->records[i] = (struct record){.link = {.fd = -1}, .pid_fd = -1};
	umask(022);
	supervisor->signal_fd = open_signals();
	if (supervisor->signal_fd == -1 || start_generation(supervisor, false, -1) == -1) {
		fprintf(stderr, "posthoused: cannot start: %s\n", strerror(errno));
		free(supervisor);
		return 1;
	}
	run(supervisor);
	clean_up(supervisor);
	exit_code = supervisor->exit_code;
	free(supervisor);
	return exit_code;
}
