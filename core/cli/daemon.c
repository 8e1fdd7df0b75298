/*
 * posthoused, and the commands that start, stop, reload and show it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/config.h"
#include "config/peek.h"
#include "process/generation.h"
#include "process/pidfile.h"
#include "process/status.h"
#include "process/supervisor.h"
#include "session/limits.h"

#include "config.h"

enum {
	STOP_PATIENCE = 12 * 1000,   /* the daemon itself takes 10 seconds at most */
	RELOAD_PATIENCE = 70 * 1000,
	EXIT_NOT_RUNNING = 3         /* of "status", as init scripts have it */
};

/* ---- posthoused ------------------------------------------------------------------------------ */

enum { OPTION_GENERATION = 256, OPTION_SUPERVISOR_FD, OPTION_SNAPSHOT_FD, OPTION_LIMITS_FD,
	OPTION_DETACH, OPTION_VERSION };

/* The long ones are internal: the supervisor executes a generation with them. */
static const struct option daemon_options[] = {
	{"generation", required_argument, NULL, OPTION_GENERATION},
	{"supervisor-fd", required_argument, NULL, OPTION_SUPERVISOR_FD},
	{"snapshot-fd", required_argument, NULL, OPTION_SNAPSHOT_FD},
	{"limits-fd", required_argument, NULL, OPTION_LIMITS_FD},
	{"detach", no_argument, NULL, OPTION_DETACH},
	{"version", no_argument, NULL, OPTION_VERSION},
	{0},
};

static int
number_option(const char *text, int *value)
{
	int64_t number;

	if (ph_parse_int(ph_span_of(text), 0, INT_MAX, &number) == -1) {
		cli_error("\"%s\" is no number", text);
		return -1;
	}
	*value = (int)number;
	return 0;
}

/* The daemon leaves the folder in which it was started. */
static int
absolute_path(const char *path, char absolute[PATH_MAX])
{
	char folder[PATH_MAX];
	int length = -1;

	if (path[0] == '/')
		length = snprintf(absolute, PATH_MAX, "%s", path);
	else if (getcwd(folder, sizeof(folder)))
		length = snprintf(absolute, PATH_MAX, "%s/%s", folder, path);
	if (length >= 0 && length < PATH_MAX)
		return 0;
	cli_error("%s: the path is too long", path);
	return -1;
}

/* The executable by its path, so that a reload finds an upgraded one in its place. */
static int
program_path(char program[PATH_MAX])
{
	static const char deleted[] = " (deleted)";
	ssize_t length = readlink("/proc/self/exe", program, PATH_MAX - 1);

	if (length == -1) {
		cli_error("/proc/self/exe: %s", strerror(errno));
		return -1;
	}
	program[length] = '\0';
	size_t tail = sizeof(deleted) - 1;
	if ((size_t)length > tail && strcmp(program + (size_t)length - tail, deleted) == 0)
		program[(size_t)length - tail] = '\0';
	return 0;
}

/* Whether the daemon behind the pipe serves; if not it has said why. */
static int
wait_ready(int fd, pid_t pid)
{
	char word = 0;
	ssize_t got;
	int status;

	do
		got = read(fd, &word, 1);
	while (got == -1 && errno == EINTR);
	close(fd);
	if (got == 1 && word == 'R')
		return 0;
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
		continue;
	return 1;
}

/* What whoever started us left open is not for us; and the first three are there, so that no socket
 * or file gets the number of standard error. */
static int
clean_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd == -1) {
		cli_error("/dev/null: %s", strerror(errno));
		return -1;
	}
	close_range(STDERR_FILENO + 1, ~0U, 0);
	return 0;
}

static int
start_daemon(const char *config, bool foreground)
{
	char absolute[PATH_MAX], program[PATH_MAX];
	struct supervisor_options options = {.program = program, .config = absolute,
		.foreground = foreground, .ready_fd = -1};
	ph_error error = {""};
	int pipes[2];

	if (absolute_path(config, absolute) == -1 || program_path(program) == -1 ||
		clean_descriptors() == -1)
		return 1;
	options.limits_fd = limits_make(&error);
	if (options.limits_fd == -1) {
		cli_error("%s", error.text);
		return 1;
	}
	if (foreground)
		return supervisor_main(&options);
	if (pipe2(pipes, O_CLOEXEC) == -1) {
		cli_error("pipe: %s", strerror(errno));
		return 1;
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == -1) {
		cli_error("fork: %s", strerror(errno));
		return 1;
	}
	if (pid > 0) {
		close(pipes[1]);
		return wait_ready(pipes[0], pid);
	}
	close(pipes[0]);
	setsid();
	if (chdir("/") == -1)
		_exit(1);
	options.ready_fd = pipes[1];
	_exit(supervisor_main(&options));
}

int
command_daemon(int argc, char **argv)
{
	struct generation_options generation = {.supervisor_fd = -1, .snapshot_fd = -1,
		.limits_fd = -1};
	const char *config = NULL;
	bool foreground = false;
	int option, number = 0;

	optind = 1;
	while ((option = getopt_long(argc, argv, "c:F", daemon_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			config = optarg;
			break;
		case 'F':
			foreground = true;
			break;
		case OPTION_GENERATION:
			if (number_option(optarg, &number) == -1)
				return 64;
			break;
		case OPTION_SUPERVISOR_FD:
			if (number_option(optarg, &generation.supervisor_fd) == -1)
				return 64;
			break;
		case OPTION_SNAPSHOT_FD:
			if (number_option(optarg, &generation.snapshot_fd) == -1)
				return 64;
			break;
		case OPTION_LIMITS_FD:
			if (number_option(optarg, &generation.limits_fd) == -1)
				return 64;
			break;
		case OPTION_DETACH:
			generation.detach = true;
			break;
		case OPTION_VERSION:
			puts(PACKAGE_STRING);
			return 0;
		default:
			fputs("usage: posthoused [-F] [-c file]\n", stderr);
			return 64;
		}
	}
	if (optind < argc) {
		fputs("usage: posthoused [-F] [-c file]\n", stderr);
		return 64;
	}
	config = cli_config_path(config);
	if (generation.supervisor_fd == -1)
		return start_daemon(config, foreground);
	generation.number = (unsigned)number;
	generation.path = config;
	return generation_main(&generation, &generation_roster);
}

/* ---- What the commands have in common -------------------------------------------------------- */

struct target {
	const char *config;
	char directory[PATH_MAX]; /* run_directory */
};

static void
print_problem(void *context, bool warning, const char *line)
{
	(void)context;
	if (!warning)
		cli_error("%s", line);
}

/* All that is wrong with it, printed. 0 or -1. */
static int
check_config(const char *path)
{
	struct problems *problems = problems_new();
	struct config *config = problems ? config_load(path, -1, problems) : NULL;

	if (config) {
		config_free(config);
	} else {
		problems_each(problems, print_problem, NULL);
		cli_error("%s has errors: nothing was changed", path);
	}
	problems_free(problems);
	return config ? 0 : -1;
}

static int
peek_directory(struct target *target)
{
	struct peek peek = {.name = "run_directory"};
	ph_pool *pool = ph_pool_new(0);
	ph_error error = {"out of memory"};
	int result = -1;

	if (pool && config_peek(target->config, pool, &peek, 1, &error) == 0 &&
		snprintf(target->directory, PATH_MAX, "%s", peek.value) < PATH_MAX)
		result = 0;
	else
		cli_error("%s; -r tells the run_directory", error.text);
	ph_pool_free(pool);
	return result;
}

/* The options, and where the daemon of this configuration has its files. A configuration that
 * cannot be read says nothing about that: -r does then. 0, or an exit code. */
static int
find_target(int argc, char **argv, struct target *target, bool must_load)
{
	const char *config = NULL, *directory = NULL;
	int option;

	optind = 1;
	while ((option = getopt(argc, argv, "c:r:")) != -1) {
		if (option == 'c')
			config = optarg;
		else if (option == 'r')
			directory = optarg;
		else
			return 64;
	}
	if (optind < argc) {
		cli_error("unexpected argument \"%s\"", argv[optind]);
		return 64;
	}
	target->config = cli_config_path(config);
	if (directory && !must_load)
		return snprintf(target->directory, PATH_MAX, "%s", directory) < PATH_MAX ? 0 : 64;
	if (must_load && check_config(target->config) == -1)
		return 1;
	if (peek_directory(target) == -1)
		return 1;
	if (directory)
		snprintf(target->directory, PATH_MAX, "%s", directory);
	return 0;
}

static int64_t
clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Waits until the process has ended or the time is over; true: it has ended. */
static bool
wait_end(pid_t pid, int milliseconds)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd entry = {.fd = fd, .events = POLLIN};

	if (fd == -1)
		return errno == ESRCH;
	int ready = poll(&entry, 1, milliseconds);
	close(fd);
	return ready == 1;
}

static int
send_signal(pid_t pid, int number)
{
	if (kill(pid, number) == 0)
		return 0;
	cli_error("process %ld: %s", (long)pid, strerror(errno));
	return -1;
}

/* ---- start, stop ----------------------------------------------------------------------------- */

int
command_start(int argc, char **argv)
{
	return command_daemon(argc, argv);
}

static int
stop(int argc, char **argv, bool at_once)
{
	struct target target;
	int result = find_target(argc, argv, &target, false);

	if (result)
		return result;
	pid_t pid = pidfile_holder(target.directory);
	if (!pid) {
		cli_error("not running");
		return 1;
	}
	if (send_signal(pid, at_once ? SIGKILL : SIGTERM) == -1)
		return 1;
	if (wait_end(pid, STOP_PATIENCE))
		return 0;
	cli_error("process %ld has not ended after %d seconds", (long)pid, STOP_PATIENCE / 1000);
	return 1;
}

int
command_stop(int argc, char **argv)
{
	return stop(argc, argv, false);
}

/* ---- reload ---------------------------------------------------------------------------------- */

static int
reload_outcome(const struct status *status)
{
	if (strcmp(status->reload_result, "accepted") == 0) {
		puts("reloaded: the new configuration serves");
		return 0;
	}
	for (size_t i = 0; i < status->problem_count; i++)
		cli_error("%s", status->problems[i]);
	cli_error("the reload failed: the previous configuration serves on");
	return 1;
}

int
command_reload(int argc, char **argv)
{
	struct target target;
	struct status status;
	int result = find_target(argc, argv, &target, true);

	if (result)
		return result;
	pid_t pid = pidfile_holder(target.directory);
	ph_pool *pool = ph_pool_new(0);
	if (!pid || !pool) {
		cli_error("not running");
		return 1;
	}
	status_read(target.directory, pool, &status, NULL);
	unsigned before = status.reloads;
	if (send_signal(pid, SIGHUP) == -1)
		return 1;
	for (int64_t until = clock_ms() + RELOAD_PATIENCE; clock_ms() < until;) {
		if (wait_end(pid, 30)) {
			cli_error("the daemon has ended");
			return 1;
		}
		ph_pool_reset(pool);
		if (status_read(target.directory, pool, &status, NULL) == -1 ||
			status.reloads <= before || strcmp(status.reload_result, "running") == 0)
			continue;
		result = reload_outcome(&status);
		ph_pool_free(pool);
		return result;
	}
	cli_error("no outcome after %d seconds", RELOAD_PATIENCE / 1000);
	ph_pool_free(pool);
	return 1;
}

/* ---- status ---------------------------------------------------------------------------------- */

static void
print_time(const char *before, int64_t seconds, const char *after)
{
	time_t moment = (time_t)seconds;
	struct tm local;
	char text[64] = "";

	if (localtime_r(&moment, &local))
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &local);
	printf("%s%s%s\n", before, text, after);
}

static void
print_status(const struct status *status, pid_t pid)
{
	printf("posthouse %s is running: supervisor pid %ld, %s\n", status->version, (long)pid,
		status->state);
	print_time("started: ", status->started, "");
	for (size_t i = 0; i < status->generation_count; i++) {
		const struct status_generation *generation = &status->generations[i];

		printf("generation %u: pid %ld, %s\n", generation->number, generation->pid,
			generation->state);
		for (size_t j = 0; j < status->role_count; j++) {
			const struct status_role *role = &status->roles[j];

			if (role->generation != generation->number)
				continue;
			if (role->pid)
				printf("  %s %u: pid %ld, %s\n", role->name, role->number,
					role->pid, role->state);
			else
				printf("  %s %u: %s\n", role->name, role->number, role->state);
		}
	}
	if (!status->reloads)
		return;
	printf("last reload: %s, ", status->reload_result);
	print_time("", status->reload_time, "");
	for (size_t i = 0; i < status->problem_count; i++)
		printf("  %s\n", status->problems[i]);
}

int
command_status(int argc, char **argv)
{
	struct target target;
	struct status status;
	ph_error error;
	int result = find_target(argc, argv, &target, false);

	if (result)
		return result;
	pid_t pid = pidfile_holder(target.directory);
	if (!pid) {
		puts("posthouse is not running");
		return EXIT_NOT_RUNNING;
	}
	ph_pool *pool = ph_pool_new(0);
	if (!pool)
		return 1;
	if (status_read(target.directory, pool, &status, &error) == -1)
		printf("posthouse is running: supervisor pid %ld; %s\n", (long)pid, error.text);
	else
		print_status(&status, pid);
	ph_pool_free(pool);
	return 0;
}

/* ---- postfix --------------------------------------------------------------------------------- */

static int
postfix_abort(int argc, char **argv)
{
	return stop(argc, argv, true);
}

static int
postfix_foreground(int argc, char **argv)
{
	char *arguments[] = {argv[0], (char[]){"-F"}, argc > 1 ? argv[1] : NULL,
		argc > 2 ? argv[2] : NULL, NULL};

	return command_daemon(argc > 2 ? 4 : 2, arguments);
}

static int
postfix_flush(int argc, char **argv)
{
	char *arguments[] = {argv[0], (char[]){"flush"}, argc > 1 ? argv[1] : NULL,
		argc > 2 ? argv[2] : NULL, NULL};

	return command_queue(argc > 2 ? 4 : 2, arguments);
}

int
command_postfix(int argc, char **argv)
{
	static const struct {
		const char *name;
		command_fn *run;
	} commands[] = {
		{"abort", postfix_abort},
		{"check", command_check},
		{"flush", postfix_flush},
		{"reload", command_reload},
		{"start", command_start},
		{"start-fg", postfix_foreground},
		{"status", command_status},
		{"stop", command_stop},
	};
	char *config = NULL;
	int option;

	optind = 1;
	while ((option = getopt(argc, argv, "+c:v")) != -1) {
		if (option == 'c')
			config = optarg;
		else if (option != 'v')
			return 64;
	}
	const char *word = optind + 1 == argc ? argv[optind] : "";
	char *arguments[] = {argv[0], (char[]){"-c"}, config, NULL};
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(commands[i].name, word) == 0) {
			if (!config)
				arguments[1] = NULL;
			return commands[i].run(config ? 3 : 1, arguments);
		}
	fputs("usage: postfix [-c folder] start | stop | reload | check | flush | status | abort | start-fg\n", stderr);
	return 64;
}
