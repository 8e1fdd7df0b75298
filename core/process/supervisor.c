#include "process/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ground/logger.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/protocol.h"
#include "process/records.h"
#include "process/status.h"
#include "process/process.h"

enum {
	MAX_DRAINING = 2,
	DRAIN_EXTRA = 15 * 1000, /* what it may take beyond reload_grace */
	STOP_TIME = 9 * 1000,   /* for an orderly stop */
	CLOSE_TIME = 5 * 1000,  /* how long a reload waits until the old generation takes nothing new */
	HEALTHY = 60 * 1000
};

/* ---- Reloads and restarts -------------------------------------------------------------------- */

static void
begin_reload(struct supervisor *supervisor)
{
	if (supervisor->stopping)
		return;
	if (record_find(supervisor, RECORD_STARTING)) {
		supervisor->reload_again = true;
		return;
	}
	supervisor->reload_again = false;
	supervisor->closing = 0;
	supervisor->reloads++;
	supervisor->reload_time = time(NULL);
	supervisor->reload_result = "running";
	supervisor->reload_problem_count = 0;
	notify_reloading();
	ph_log(PH_LOG_INFO, "reload: reading %s", supervisor->options->config);
	if (record_start(supervisor, true, -1) == -1) {
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
		delay = supervisor->failures > 6 ? 60000
			: INT64_C(1000) << (supervisor->failures - 1);
	supervisor->failures++;
	supervisor->restart_at = process_clock() + (delay < 60000 ? delay : 60000);
}

/* ---- Judging generations --------------------------------------------------------------------- */

static void
stop_record(struct supervisor *supervisor, struct record *record)
{
	conduit_send(&record->link, SUPERVISOR_STOP, (ph_span){0}, NULL, 0);
	record->state = RECORD_STOPPING;
	record->kill_at = process_clock() + STOP_TIME;
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
		ph_log(PH_LOG_INFO, "generation %u is stopped: newer ones are draining",
			oldest->number);
		stop_record(supervisor, oldest);
	}
}

static void
drain_record(struct supervisor *supervisor, struct record *record)
{
	conduit_send(&record->link, SUPERVISOR_DRAIN, (ph_span){0}, NULL, 0);
	record->state = RECORD_DRAINING;
	record->kill_at = process_clock() + record->reload_grace + DRAIN_EXTRA;
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
	snprintf(supervisor->run_directory, sizeof(supervisor->run_directory), "%s",
		record->run_directory);
}

/* From here on nobody at the terminal waits for us. */
static void
leave_terminal(struct supervisor *supervisor, bool log_there)
{
	if (supervisor->options->ready_fd != -1) {
		(void)!write(supervisor->options->ready_fd, "R", 1);
		close(supervisor->options->ready_fd);
	}
	if (!supervisor->options->foreground)
		process_leave_terminal(log_there);
}

static void
end_reload(struct supervisor *supervisor)
{
	supervisor->closing = 0;
	supervisor->reload_result = "accepted";
	supervisor_write_status(supervisor);
	notify_send("READY=1\nSTATUS=serving");
}

void
supervisor_closed(struct supervisor *supervisor, const struct record *record)
{
	if (supervisor->closing == record->number)
		end_reload(supervisor);
}

/* Whoever asked for the reload may rely on what comes from now on being served by the new
 * generation. */
static void
await_close(struct supervisor *supervisor, const struct record *old)
{
	if (!old) {
		end_reload(supervisor);
		return;
	}
	supervisor->closing = old->number;
	supervisor->closing_until = process_clock() + CLOSE_TIME;
}

void
supervisor_accept(struct supervisor *supervisor, struct record *record, int snapshot_fd)
{
	struct record *old = record_find(supervisor, RECORD_SERVING);
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
	ph_log(PH_LOG_INFO, "%s: generation %u serves", record->reload ? "reload" : "start",
		record->number);
	supervisor_write_status(supervisor);
	if (record->reload)
		await_close(supervisor, old);
	else
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

/* ---- Deaths and signals ---------------------------------------------------------------------- */

static void
record_died(struct supervisor *supervisor, struct record *record, int status)
{
	enum record_state state;

	record_service(supervisor, record, POLLIN); /* what it said last */
	state = record->state;
	supervisor->status_changed = true;
	supervisor_closed(supervisor, record);
	if (state == RECORD_SERVING && !supervisor->stopping) {
		ph_log(PH_LOG_ERROR,
			"generation %u [%ld] %s %d: starting the last accepted configuration",
			record->number, (long)record->pid, WIFSIGNALED(status) ? "was killed by signal" : "ended with status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		schedule_restart(supervisor, process_clock() - record->began);
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
			if (supervisor->records[i].state != RECORD_FREE &&
				supervisor->records[i].pid == pid)
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
			conduit_send(&supervisor->records[i].link, SUPERVISOR_REOPEN, (ph_span){0},
				NULL, 0);
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

/* ---- The loop -------------------------------------------------------------------------------- */

static void
tick(struct supervisor *supervisor)
{
	int64_t now = process_clock();

	for (size_t i = 0; i < MAX_GENERATIONS; i++) {
		struct record *record = &supervisor->records[i];

		if (record->state == RECORD_FREE || !record->kill_at || now < record->kill_at)
			continue;
		if (record->state == RECORD_DRAINING) {
			stop_record(supervisor, record); /* its grace is over */
			continue;
		}
		if (record->state == RECORD_STARTING)
			record_problem(record, false,
				"a generation did not serve within 60 seconds");
		kill(record->pid, SIGKILL);
		record->kill_at = now + 1000;
	}
	if (supervisor->closing && now >= supervisor->closing_until)
		end_reload(supervisor);
	if (supervisor->restart_at && now >= supervisor->restart_at && !supervisor->stopping &&
		!record_find(supervisor, RECORD_STARTING)) {
		supervisor->restart_at = 0;
		if (record_start(supervisor, false, supervisor->snapshot_fd) == -1)
			schedule_restart(supervisor, 0);
	}
	if (supervisor->status_changed)
		supervisor_write_status(supervisor);
}

static int
poll_timeout(const struct supervisor *supervisor)
{
	int64_t now = process_clock(), until = now + 60 * 1000;

	for (size_t i = 0; i < MAX_GENERATIONS; i++) {
		const struct record *record = &supervisor->records[i];

		if (record->state != RECORD_FREE && record->kill_at && record->kill_at < until)
			until = record->kill_at;
	}
	if (supervisor->restart_at && supervisor->restart_at < until)
		until = supervisor->restart_at;
	if (supervisor->closing && supervisor->closing_until < until)
		until = supervisor->closing_until;
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
		entries[MAX_GENERATIONS] = (struct pollfd){.fd = supervisor->signal_fd,
			.events = POLLIN};
		if (poll(entries, MAX_GENERATIONS + 1, poll_timeout(supervisor)) <= 0)
			continue;
		for (size_t i = 0; i < MAX_GENERATIONS; i++)
			if (entries[i].revents)
				record_service(supervisor, &supervisor->records[i],
					entries[i].revents);
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
	if (supervisor->signal_fd == -1 || record_start(supervisor, false, -1) == -1) {
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
