/*
 * The supervisor, generations and roles together, with a configuration and roles of the test's own.
 * This program is its own daemon: the supervisor executes it again for each generation.
 */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config/files.h"
#include "ground/logger.h"
#include "ground/loop.h"
#include "process/generation.h"
#include "process/pidfile.h"
#include "process/status.h"
#include "process/supervisor.h"

/* ---- The configuration: a file with one word ---------------------------------------------------- */

struct config {
	char word[64];
	char directory[256];
};

struct problems {
	size_t count;
	char lines[8][256];
};

static struct config the_config;
static struct settings settings;
static const char *interfaces[] = {"127.0.0.1"};
static char run_directory[300], queue_directory[300], log_destination[300];

static int
listener_endpoints(void *self, ph_endpoints *endpoints, ph_error *error)
{
	return ph_endpoint_inet(endpoints, NULL, 0, error);
}

static const struct ph_listener_ops listener_ops = {.size = sizeof(listener_ops), .endpoints = listener_endpoints};
static struct instance listener = {.name = "smtp", .ops = &listener_ops};

struct problems *
problems_new(void)
{
	return calloc(1, sizeof(struct problems));
}

void
problems_add(struct problems *problems, const char *file, int line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(problems->lines[problems->count++], sizeof(problems->lines[0]), format, arguments);
	va_end(arguments);
}

void
problems_warn(struct problems *problems, const char *file, int line, const char *format, ...)
{
}

size_t
problems_count(const struct problems *problems)
{
	return problems->count;
}

void
problems_each(const struct problems *problems, void (*fn)(void *context, bool warning, const char *line), void *context)
{
	for (size_t i = 0; i < problems->count; i++)
		fn(context, false, problems->lines[i]);
}

void
problems_free(struct problems *problems)
{
	free(problems);
}

struct config *
config_load(const char *path, int snapshot_fd, struct problems *problems)
{
	int fd = snapshot_fd == -1 ? open(path, O_RDONLY | O_CLOEXEC) : snapshot_fd;
	ssize_t got = fd == -1 ? -1 : read(fd, the_config.word, sizeof(the_config.word) - 1);

	if (got < 0 || strncmp(the_config.word, "bad", 3) == 0) {
		problems_add(problems, path, 1, "%s:1: the first error", path);
		problems_add(problems, path, 2, "%s:2: the second error", path);
		return NULL;
	}
	snprintf(the_config.directory, sizeof(the_config.directory), "%.*s", (int)(strrchr(path, '/') - path), path);
	snprintf(run_directory, sizeof(run_directory), "%s/run", the_config.directory);
	snprintf(queue_directory, sizeof(queue_directory), "%s/queue", the_config.directory);
	snprintf(log_destination, sizeof(log_destination), "%s/log", the_config.directory);
	settings = (struct settings){.mail_owner = "nobody", .default_privs = "daemon", .run_directory = run_directory,
		.queue_directory = queue_directory, .log_destination = log_destination, .syslog_name = "test",
		.inet_interfaces = {1, interfaces}, .inet_protocols = 1, .smtpd_processes = 2,
		.reload_grace = 1000, .watchdog_warn_time = 10000, .watchdog_abort_time = 60000};
	return &the_config;
}

void
config_free(struct config *config)
{
}

const struct settings *
config_settings(const struct config *config)
{
	return &settings;
}

void
config_set_current(const struct config *config)
{
}

int
config_snapshot(const struct config *config, int fd, ph_error *error)
{
	return write(fd, config->word, strlen(config->word)) == (ssize_t)strlen(config->word) ? 0 : -1;
}

struct instance *
config_instance(const struct config *config, enum ph_class class_number, size_t i)
{
	return class_number == PH_CLASS_LISTENER && i == 0 ? &listener : NULL;
}

static files_reopen_fn *reopen;

void
files_set_reopen(files_reopen_fn *fn)
{
	reopen = fn;
}

bool
files_allowed(const struct config *config, const char *path)
{
	return strstr(path, "/configuration") != NULL;
}

int
files_open(const char *path, ph_error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd == -1 ? ph_error_set(error, "%s: %s", path, strerror(errno)) : fd;
}

int
map_open_tables(const ph_map *map, ph_error *error)
{
	return 0;
}

struct instance *
instance_of(const void *self)
{
	return NULL;
}

/* ---- Roles -------------------------------------------------------------------------------------- */

static int
role_open(struct role *role, ph_error *error)
{
	if (strncmp(role->config->word, "unopenable", 10) == 0 && strcmp(role->ops->name, "queue") == 0)
		return ph_error_set(error, "the storage cannot be opened");
	return 0;
}

/* A client that connects gets the generation's word, the role's number and its pid. */
static void
serve_task(void *argument)
{
	struct role *role = argument;
	int fd = role->sockets[0].fd;

	while (ph_wait_fd(fd, PH_READABLE, PH_NEVER) == PH_WAIT_OK) {
		int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
		char text[100];

		if (client == -1)
			continue;
		if (strncmp(role->config->word, "good-crash", 10) == 0) {
			struct task_context context = {.queue_id = "4FADF218FED8", .instance = "restriction_x"};

			task_set_context(&context);
			abort();
		}
		int length = snprintf(text, sizeof(text), "%.20s %ld\n", role->config->word, (long)getpid());
		(void)!write(client, text, (size_t)length);
		close(client);
	}
}

static ph_task server;

static int
smtpd_start(struct role *role, ph_error *error)
{
	char path[400];
	int fd;

	/* Privileges are gone: files come from the parent, and only those of the configuration. */
	snprintf(path, sizeof(path), "%s/configuration", role->config->directory);
	if ((fd = reopen(path, error)) == -1)
		return -1;
	close(fd);
	if ((fd = reopen("/etc/passwd", error)) != -1)
		return ph_error_set(error, "a free path was opened");
	if (strncmp(role->config->word, "unstartable", 11) == 0)
		return ph_error_set(error, "cannot be started");
	server = ph_task_spawn("serve", serve_task, role);
	return 0;
}

static void
smtpd_drain(struct role *role)
{
	ph_task_cancel(server);
	ph_task_join(server, PH_NEVER);
	ph_log(PH_LOG_INFO, "drained %.20s", role->config->word);
	role_done(role);
}

static void
role_stop(struct role *role)
{
	ph_log(PH_LOG_INFO, "stopped in order");
}

static const struct role_ops smtpd_ops = {
	.name = "smtpd", .component = "smtpd", .open = role_open, .start = smtpd_start, .drain = smtpd_drain, .stop = role_stop};
static const struct role_ops queue_ops = {.name = "queue", .component = "qmgr", .open = role_open, .stop = role_stop};
static const struct role_ops local_ops = {.name = "local", .component = "local", .open = role_open, .stop = role_stop};

static unsigned
two(const struct settings *unused)
{
	return 2;
}

static void
swept(void)
{
	ph_log(PH_LOG_INFO, "swept");
}

static void
blamed(const char *queue_id, const char *instance, const char *role)
{
	ph_log(PH_LOG_INFO, "blamed %s %s %s", queue_id, instance, role);
}

static const struct roster_entry entries[] = {
	{.ops = &queue_ops, .last = true},
	{.ops = &local_ops, .spawner = true},
	{.ops = &smtpd_ops, .count = two, .sockets = true, .limits = true},
};
static const struct roster roster = {
	.entries = entries, .count = 3, .limits_sweep = swept, .blame = blamed};

/* ---- The test's side ---------------------------------------------------------------------------- */

static char folder[64], config_file[128], run_path[128], log_path[128], program[512];
static pid_t supervisor;

static void
write_config(const char *word)
{
	int fd = open(config_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd != -1);
	assert_int_equal(write(fd, word, strlen(word)), (ssize_t)strlen(word));
	close(fd);
}

static const char *
read_log(void)
{
	static char text[65536];
	int fd = open(log_path, O_RDONLY | O_CLOEXEC);
	ssize_t got = fd == -1 ? 0 : read(fd, text, sizeof(text) - 1);

	if (fd != -1)
		close(fd);
	text[got > 0 ? got : 0] = '\0';
	return text;
}

/* How long what must come may take, on a machine that is busy with other things. */
enum { PATIENCE = 60 * 1000 };

/* Asks again and again, with a limit, until the condition holds: processes have no event for it. */
static void
until(bool (*holds)(const void *), const void *argument, const char *what)
{
	const struct timespec pause = {.tv_nsec = 10 * 1000000};

	for (int i = 0; i < PATIENCE / 10; i++) {
		if (holds(argument))
			return;
		nanosleep(&pause, NULL);
	}
	fail_msg("gave up waiting for %s; log:\n%s", what, read_log());
}

static bool
log_has(const void *text)
{
	return strstr(read_log(), text) != NULL;
}

static bool
log_has_twice(const void *text)
{
	const char *first = strstr(read_log(), text);

	return first != NULL && strstr(first + 1, text) != NULL;
}

static struct status
read_status(ph_pool *pool)
{
	struct status status = {0};
	ph_error error;

	if (status_read(run_path, pool, &status, &error) == -1)
		status.reload_result[0] = '\0';
	return status;
}

static bool
reload_over(const void *count)
{
	ph_pool *pool = ph_pool_new(0);
	struct status status = read_status(pool);
	bool over = status.reloads == *(const unsigned *)count && strcmp(status.reload_result, "running") != 0;

	ph_pool_free(pool);
	return over;
}

/* The word and the process of the generation that accepts. */
static pid_t
who_serves(char word[32])
{
	char path[160], text[100] = "";
	FILE *in;
	int port;
	struct sockaddr_storage room = {0};
	struct {
		uint16_t family, port;
		uint8_t address[4], rest[8];
	} address = {.family = AF_INET, .address = {127, 0, 0, 1}};

	snprintf(path, sizeof(path), "%s/smtp.port", run_path);
	in = fopen(path, "re");
	assert_non_null(in);
	assert_int_equal(fscanf(in, "%d", &port), 1);
	fclose(in);
	address.port = (uint16_t)((port & 0xff) << 8 | port >> 8);
	memcpy(&room, &address, sizeof(address));
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&room, sizeof(address)), 0);
	ssize_t got = read(fd, text, sizeof(text) - 1);
	close(fd);
	long pid = 0;
	if (got <= 0 || sscanf(text, "%31s %ld", word, &pid) != 2)
		return 0;
	return (pid_t)pid;
}

static bool
served_by(const void *expected)
{
	char word[32];

	return who_serves(word) && strcmp(word, expected) == 0;
}

static void
start(const char *word)
{
	struct supervisor_options options = {.program = program, .config = config_file, .foreground = true, .limits_fd = -1, .ready_fd = -1};
	int pipes[2];
	char mark = 0;

	snprintf(folder, sizeof(folder), "/tmp/test_daemon.XXXXXX");
	assert_non_null(mkdtemp(folder));
	assert_int_equal(chmod(folder, 0755), 0);
	snprintf(config_file, sizeof(config_file), "%s/configuration", folder);
	snprintf(run_path, sizeof(run_path), "%s/run", folder);
	snprintf(log_path, sizeof(log_path), "%s/log", folder);
	write_config(word);
	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	supervisor = fork();
	assert_true(supervisor != -1);
	if (supervisor == 0) {
		int null = open("/dev/null", O_WRONLY);

		prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
		dup2(null, STDERR_FILENO);
		options.ready_fd = pipes[1];
		close(pipes[0]);
		_exit(supervisor_main(&options));
	}
	close(pipes[1]);
	(void)!read(pipes[0], &mark, 1);
	close(pipes[0]);
	if (strncmp(word, "good", 4) == 0 && mark != 'R')
		fail_msg("did not start; log:\n%s", read_log());
}

static int
wait_supervisor(void)
{
	int status;

	assert_int_equal(waitpid(supervisor, &status, 0), supervisor);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
}

static void
remove_folder(void)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
}

static void
stop(void)
{
	assert_int_equal(kill(supervisor, SIGTERM), 0);
	assert_int_equal(wait_supervisor(), 0);
	assert_int_equal(pidfile_holder(run_path), 0);
	remove_folder();
}

static void
test_start_stop(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	char word[32];

	start("good");
	assert_int_equal(pidfile_holder(run_path), supervisor);
	assert_true(who_serves(word) != 0);
	assert_string_equal(word, "good");
	struct status status = read_status(pool);
	assert_int_equal(status.supervisor, supervisor);
	assert_int_equal(status.generation_count, 1);
	assert_string_equal(status.generations[0].state, "serving");
	ph_pool_free(pool);
	kill(supervisor, SIGTERM);
	assert_int_equal(wait_supervisor(), 0);
	/* Every role, and the queue's the last one. */
	const char *log = read_log();
	assert_non_null(strstr(log, "/smtpd"));
	assert_non_null(strstr(log, "/local"));
	const char *last = strstr(log, "/qmgr");
	assert_non_null(last);
	assert_null(strstr(last, "/smtpd"));
	assert_null(strstr(log, "killed"));
	remove_folder();
}

static void
test_bad_start(void **state)
{
	static const char *const words[] = {"bad", "unopenable", "unstartable"};

	for (size_t i = 0; i < 3; i++) {
		start(words[i]);
		assert_int_equal(wait_supervisor(), 1);
		remove_folder();
	}
}

static void
test_second_start(void **state)
{
	pid_t first;
	char path[128], text[2000] = "";

	start("good");
	first = supervisor;
	snprintf(path, sizeof(path), "%s/stderr", folder);
	struct supervisor_options options = {.program = program, .config = config_file, .foreground = true, .limits_fd = -1, .ready_fd = -1};
	pid_t second = fork();
	if (second == 0) {
		dup2(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), STDERR_FILENO);
		_exit(supervisor_main(&options));
	}
	supervisor = second;
	assert_int_equal(wait_supervisor(), 1);
	supervisor = first;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	if (!strstr(text, "posthoused: already running, pid "))
		fail_msg("%s", text);
	assert_int_equal(pidfile_holder(run_path), first);
	stop();
}

static void
test_reload(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	unsigned reloads = 0;

	start("good-1");
	for (int i = 2; i < 7; i++) {
		char word[32];

		/* A bad one between: the old one serves on, and all errors are told. */
		write_config(i % 2 ? "bad" : "unopenable");
		reloads++;
		kill(supervisor, SIGHUP);
		until(reload_over, &reloads, "the bad reload");
		struct status status = read_status(pool);
		assert_string_equal(status.reload_result, "failed");
		assert_true(status.problem_count >= 1);
		if (i % 2)
			assert_non_null(strstr(status.problems[1], "the second error"));
		snprintf(word, sizeof(word), "good-%d", i - 1);
		assert_true(served_by(word));

		snprintf(word, sizeof(word), "good-%d", i);
		write_config(word);
		reloads++;
		kill(supervisor, SIGHUP);
		until(reload_over, &reloads, "the reload");
		assert_string_equal(read_status(pool).reload_result, "accepted");
		until(served_by, word, "the new generation");
		/* Both smtpd roles of the old one have stopped accepting. */
		snprintf(word, sizeof(word), "drained good-%d", i - 1);
		until(log_has_twice, word, "the end of the old roles");
	}
	ph_pool_free(pool);
	stop();
}

static pid_t
role_pid(const char *name)
{
	ph_pool *pool = ph_pool_new(0);
	struct status status = read_status(pool);
	pid_t pid = 0;

	for (size_t i = 0; i < status.role_count && !pid; i++)
		if (strcmp(status.roles[i].name, name) == 0)
			pid = (pid_t)status.roles[i].pid;
	ph_pool_free(pool);
	return pid;
}

static bool
replaced(const void *argument)
{
	const struct {
		const char *name;
		pid_t old;
	} *role = argument;
	pid_t now = role_pid(role->name);

	return now && now != role->old;
}

static void
test_dead_roles(void **state)
{
	struct {
		const char *name;
		pid_t old;
	} roles[] = {{"smtpd", 0}, {"queue", 0}, {"local", 0}, {"spawner", 0}};

	start("good");
	for (size_t i = 0; i < 4; i++) {
		roles[i].old = role_pid(roles[i].name);
		assert_true(roles[i].old > 0);
		kill(roles[i].old, SIGKILL);
		until(replaced, &roles[i], roles[i].name);
	}
	until(log_has, "swept", "the sweep");
	until(log_has, "was killed by signal 9", "the death of a role");
	until(served_by, "good", "a new smtpd role");
	stop();
}

/* A role dies of a message: the queue role hears of which, and of which module. */
static void
test_blame(void **state)
{
	char word[32];

	start("good-crash");
	assert_int_equal(who_serves(word), 0);
	until(log_has, "blamed 4FADF218FED8 restriction_x smtpd", "the blame");
	until(log_has, "was killed by signal 6", "the death of the role");
	stop();
}

static pid_t
generation_pid(void)
{
	ph_pool *pool = ph_pool_new(0);
	struct status status = read_status(pool);
	pid_t pid = 0;

	for (size_t i = 0; i < status.generation_count; i++)
		if (strcmp(status.generations[i].state, "serving") == 0)
			pid = (pid_t)status.generations[i].pid;
	ph_pool_free(pool);
	return pid;
}

static bool
other_generation(const void *old)
{
	pid_t now = generation_pid();

	return now && now != *(const pid_t *)old;
}

/* The generation's parent dies: what was accepted last comes back, not what the file has now. */
static void
test_dead_generation(void **state)
{
	start("good-accepted");
	write_config("bad");
	pid_t old = generation_pid(), smtpd = role_pid("smtpd");
	assert_true(old > 0);
	int fd = (int)syscall(SYS_pidfd_open, smtpd, 0);
	kill(old, SIGKILL);
	struct pollfd gone = {.fd = fd, .events = POLLIN};
	assert_int_equal(poll(&gone, 1, PATIENCE), 1); /* its roles go with it */
	close(fd);
	until(other_generation, &old, "a new generation");
	until(served_by, "good-accepted", "its roles");
	stop();
}

/* The supervisor dies: nothing is left. */
static void
test_dead_supervisor(void **state)
{
	static const char *const names[] = {"smtpd", "queue", "local", "spawner"};
	struct pollfd gone[5];

	start("good");
	for (size_t i = 0; i < 4; i++)
		gone[i].fd = (int)syscall(SYS_pidfd_open, role_pid(names[i]), 0);
	gone[4].fd = (int)syscall(SYS_pidfd_open, generation_pid(), 0);
	kill(supervisor, SIGKILL);
	wait_supervisor();
	for (size_t i = 0; i < 5; i++) {
		gone[i].events = POLLIN;
		assert_true(gone[i].fd != -1);
		assert_int_equal(poll(&gone[i], 1, PATIENCE), 1);
		close(gone[i].fd);
	}
	remove_folder();
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start_stop),
		cmocka_unit_test(test_bad_start),
		cmocka_unit_test(test_second_start),
		cmocka_unit_test(test_reload),
		cmocka_unit_test(test_dead_roles),
		cmocka_unit_test(test_blame),
		cmocka_unit_test(test_dead_generation),
		cmocka_unit_test(test_dead_supervisor),
	};
	struct generation_options options = {.snapshot_fd = -1, .limits_fd = -1};

	/* posthoused --generation N --supervisor-fd K -c FILE [--snapshot-fd S] */
	if (argc >= 7) {
		options.number = (unsigned)strtoul(argv[2], NULL, 10);
		options.supervisor_fd = (int)strtol(argv[4], NULL, 10);
		options.path = argv[6];
		if (argc >= 9)
			options.snapshot_fd = (int)strtol(argv[8], NULL, 10);
		return generation_main(&options, &roster);
	}
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (length <= 0)
		return 1;
	program[length] = '\0';
	return cmocka_run_group_tests(tests, NULL, NULL);
}
