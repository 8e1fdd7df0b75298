/* The supervisor's parts: listening sockets, endpoints, the pid file, the status file. */
#include "test.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process/endpoints.h"
#include "process/notify.h"
#include "process/pidfile.h"
#include "process/sockets.h"
#include "process/status.h"

static char folder[] = "/tmp/test_supervision.XXXXXX";

static struct socket_request
inet(const char *listener, const char *address, uint16_t port)
{
	struct socket_request request = {.listener = listener};

	assert_int_equal(ph_address_parse(ph_span_of(address), &request.address), 0);
	request.address.port = port;
	return request;
}

static uint16_t
port_of(int fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)(void *)&address)->sin_port
			: ((struct sockaddr_in6 *)(void *)&address)->sin6_port);
}

static void
test_sockets(void **state)
{
	struct sockets sockets = {0};
	struct socket_request requests[3] = {inet("smtp", "127.0.0.1", 0), inet("smtp", "127.0.0.2", 0),
		inet("other", "127.0.0.1", 0)};
	int fds[3], again[3];
	ph_error error;

	assert_int_equal(sockets_acquire(&sockets, requests, 3, 1, fds, &error), 0);
	assert_int_equal(port_of(fds[0]), port_of(fds[1])); /* one listener, one port */
	assert_int_not_equal(port_of(fds[0]), port_of(fds[2]));
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	assert_true(fcntl(fds[0], F_GETFL) & O_NONBLOCK);
	sockets_keep(&sockets, 1);

	/* The next generation gets the same ones; a failing one takes nothing away. */
	assert_int_equal(sockets_acquire(&sockets, requests, 3, 2, again, &error), 0);
	assert_memory_equal(fds, again, sizeof(fds));
	int other = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
	assert_int_equal(bind(other, (const struct sockaddr *)(const void *)&loopback, sizeof(loopback)), 0);
	assert_int_equal(listen(other, 1), 0);
	struct socket_request taken = inet("third", "127.0.0.1", port_of(other));
	struct socket_request both[2] = {inet("fourth", "127.0.0.1", 0), taken};
	int none[2];
	assert_int_equal(sockets_acquire(&sockets, both, 2, 3, none, &error), -1);
	assert_non_null(strstr(error.text, "listener third: cannot listen on 127.0.0.1:"));
	assert_non_null(strstr(error.text, "in use"));
	assert_int_equal(sockets.count, 3);
	sockets_forget(&sockets, 3);
	sockets_forget(&sockets, 2);
	assert_int_equal(sockets.count, 3);

	close(other);

	/* The port that was picked, named: the same socket. */
	struct socket_request named = inet("smtp", "127.0.0.1", port_of(fds[0]));
	assert_int_equal(sockets_acquire(&sockets, &named, 1, 3, none, &error), 0);
	assert_int_equal(none[0], fds[0]);
	sockets_forget(&sockets, 3);

	/* A generation with fewer listeners serves: the others are closed. */
	assert_int_equal(sockets_acquire(&sockets, requests, 1, 4, again, &error), 0);
	sockets_keep(&sockets, 4);
	assert_int_equal(sockets.count, 1);
	assert_int_equal(fcntl(fds[2], F_GETFD), -1);

	/* One that fails: what was made for it alone is closed. */
	assert_int_equal(sockets_acquire(&sockets, requests, 3, 5, again, &error), 0);
	sockets_forget(&sockets, 5);
	assert_int_equal(sockets.count, 1);
	sockets_close(&sockets);
}

static void
test_optional_socket(void **state)
{
	struct sockets sockets = {0};
	struct socket_request request = inet("smtp", "192.0.2.77", 0); /* nobody has this address */
	ph_error error;
	int fd = 7;

	assert_int_equal(sockets_acquire(&sockets, &request, 1, 1, &fd, &error), -1);
	request.optional = true;
	assert_int_equal(sockets_acquire(&sockets, &request, 1, 1, &fd, &error), 0);
	assert_int_equal(fd, -1);
	sockets_close(&sockets);
}

static void
test_unix_socket(void **state)
{
	struct sockets sockets = {0};
	char path[100];
	struct socket_request request = {.is_unix = true, .listener = "local", .path = path, .mode = 0666};
	struct stat status;
	ph_error error;
	int fd;

	snprintf(path, sizeof(path), "%s/submit", folder);
	close(open(path, O_CREAT | O_WRONLY, 0600)); /* whatever lies there is replaced */
	assert_int_equal(sockets_acquire(&sockets, &request, 1, 1, &fd, &error), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 0777, 0666);
	sockets_close(&sockets);
	assert_int_equal(stat(path, &status), -1);
}

/* ---- A configuration with one listener --------------------------------------------------------- */

static int
refusing_endpoints(void *self, ph_endpoints *endpoints, ph_error *error)
{
	return ph_endpoint_unix(endpoints, "a/b", 0666, error);
}

static const struct ph_listener_ops refusing = {.size = sizeof(refusing), .endpoints = refusing_endpoints};
static struct settings the_settings = {.run_directory = "/run/posthouse"};
static char problem[300];

const struct settings *
config_settings(const struct config *config)
{
	return &the_settings;
}

struct instance *
config_instance(const struct config *config, enum ph_class class_number, size_t i)
{
	static struct instance listener = {.name = "local", .file = "posthouse.conf", .line = 7, .ops = &refusing};

	return class_number == PH_CLASS_LISTENER && i == 0 ? &listener : NULL;
}

void
problems_add(struct problems *problems, const char *file, int line, const char *format, ...)
{
	va_list arguments;
	int length = snprintf(problem, sizeof(problem), "%s:%d: ", file, line);

	va_start(arguments, format);
	vsnprintf(problem + length, sizeof(problem) - (size_t)length, format, arguments);
	va_end(arguments);
}

void
problems_warn(struct problems *problems, const char *file, int line, const char *format, ...)
{
	fail();
}

/* ---- Endpoints -------------------------------------------------------------------------------- */

struct endpoint_case {
	const char *interfaces[3];
	int protocols;
	const char *expected; /* addresses in order, "?" behind an optional one */
};

static void
test_endpoints(void **state)
{
	static const struct endpoint_case cases[] = {
		{{"all"}, 0, "0.0.0.0 ::? "},
		{{"all"}, 1, "0.0.0.0 "},
		{{"all"}, 2, ":: "},
		{{"loopback-only"}, 0, "127.0.0.1 ::1? "},
		{{"loopback-only"}, 2, "::1 "},
		{{"192.0.2.1", "127.0.0.1"}, 0, "192.0.2.1 127.0.0.1 "},
		{{"[2001:db8::1]", "2001:db8::2"}, 0, "2001:db8::1 2001:db8::2 "},
		{{"2001:db8::1", "127.0.0.1"}, 1, "127.0.0.1 "},
		{{"127.0.0.1", "127.0.0.1"}, 0, "127.0.0.1 "},
		{{"127.0.0.1", "localhost"}, 1, "127.0.0.1 "},
	};
	static const struct instance listener = {.name = "smtp"}, other = {.name = "other"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct settings settings = {.inet_protocols = cases[i].protocols,
			.inet_interfaces = {.items = cases[i].interfaces}};
		ph_pool *pool = ph_pool_new(0);
		struct ph_endpoints endpoints = {.pool = pool, .settings = &settings, .listener = &listener};
		char got[200] = "", address[PH_ADDRESS_TEXT];
		ph_error error = {""};

		while (settings.inet_interfaces.count < 3 && cases[i].interfaces[settings.inet_interfaces.count])
			settings.inet_interfaces.count++;
		assert_int_equal(ph_endpoint_inet(&endpoints, NULL, 25, &error), 0);
		for (size_t j = 0; j < endpoints.count; j++) {
			assert_int_equal(endpoints.items[j].address.port, 25);
			strcat(got, ph_address_text(&endpoints.items[j].address, address));
			strcat(got, endpoints.items[j].optional ? "? " : " ");
		}
		assert_string_equal(got, cases[i].expected);
		/* Nobody else may have the same. */
		endpoints.listener = &other;
		assert_int_equal(ph_endpoint_inet(&endpoints, NULL, 25, &error), -1);
		assert_non_null(strstr(error.text, "listener smtp has the same"));
		assert_int_equal(ph_endpoint_inet(&endpoints, NULL, 26, &error), 0);
		ph_pool_free(pool);
	}
}

static void
test_unix_endpoints(void **state)
{
	static const struct instance listener = {.name = "local"};
	static const char *const bad[] = {"", ".", "..", "a/b", "/etc/passwd", ".hidden"};
	struct settings settings = {.run_directory = "/run/posthouse"};
	ph_pool *pool = ph_pool_new(0);
	struct ph_endpoints endpoints = {.pool = pool, .settings = &settings, .listener = &listener};
	ph_error error;
	char name[200];

	assert_int_equal(ph_endpoint_unix(&endpoints, "submit", 0666, &error), 0);
	assert_string_equal(endpoints.items[0].path, "/run/posthouse/submit");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(ph_endpoint_unix(&endpoints, bad[i], 0666, &error), -1);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(ph_endpoint_unix(&endpoints, name, 0666, &error), -1);
	ph_pool_free(pool);
}

static void
test_unknown_interface(void **state)
{
	static const struct instance listener = {.name = "smtp"};
	const char *const interfaces[] = {"no-such-host.invalid"};
	struct settings settings = {.inet_interfaces = {1, interfaces}};
	ph_pool *pool = ph_pool_new(0);
	struct ph_endpoints endpoints = {.pool = pool, .settings = &settings, .listener = &listener};
	ph_error error;

	assert_int_equal(ph_endpoint_inet(&endpoints, NULL, 25, &error), -1);
	assert_non_null(strstr(error.text, "no-such-host.invalid"));
	ph_pool_free(pool);
}

static void
test_collect(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	struct ph_endpoints endpoints;

	endpoints_collect(&endpoints, pool, NULL, NULL);
	assert_int_equal(endpoints.count, 0);
	assert_string_equal(problem,
		"posthouse.conf:7: listener local: \"a/b\" is no name for a socket in run_directory");
	ph_pool_free(pool);
}

/* ---- The pid file ----------------------------------------------------------------------------- */

static int
exit_code(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_pid_lock(void **state)
{
	pid_t holder, mine = getpid();
	ph_error error;

	assert_int_equal(pidfile_holder(folder), 0);
	int fd = pidfile_lock(folder, &holder, &error);
	assert_true(fd != -1);
	pid_t pid = fork();
	if (pid == 0) {
		/* Locks are not inherited: this is another process. */
		bool refused = pidfile_lock(folder, &holder, &error) == -1 && holder == mine &&
			strstr(error.text, "already running, pid ");
		_exit(refused && pidfile_holder(folder) == mine ? 0 : 1);
	}
	assert_int_equal(exit_code(pid), 0);
	pidfile_unlock(folder, fd);
	assert_int_equal(pidfile_holder(folder), 0);
	fd = pidfile_lock(folder, &holder, &error);
	assert_true(fd != -1);
	pidfile_unlock(folder, fd);
}

/* A number that somebody wrote there is no evidence; nor is a link followed. */
static void
test_pid_forged(void **state)
{
	char path[100];
	struct stat status;
	pid_t holder;
	ph_error error;

	snprintf(path, sizeof(path), "%s/master.pid", folder);
	int fd = open(path, O_CREAT | O_WRONLY, 0644);
	assert_int_equal(write(fd, "1\n", 2), 2);
	close(fd);
	assert_int_equal(pidfile_holder(folder), 0);
	unlink(path);
	assert_int_equal(symlink("/etc/hostname", path), 0);
	/* A link is replaced, and what it led to is left alone. */
	fd = pidfile_lock(folder, &holder, &error);
	assert_int_not_equal(fd, -1);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	pidfile_unlock(folder, fd);
}

/* Whoever may read the file may lock it for reading, and makes it nobody's so. */
static void
test_pid_read_lock(void **state)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	int ready[2], fd;
	char path[100];
	pid_t holder;
	ph_error error;

	snprintf(path, sizeof(path), "%s/master.pid", folder);
	close(open(path, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		fd = open(path, O_RDONLY);
		(void)!write(ready[1], fcntl(fd, F_SETLK, &lock) == 0 ? "L" : "-", 1);
		pause();
		_exit(0);
	}
	char word;
	assert_int_equal(read(ready[0], &word, 1), 1);
	assert_int_equal(word, 'L');
	assert_int_equal(pidfile_holder(folder), 0);
	fd = pidfile_lock(folder, &holder, &error);
	assert_int_not_equal(fd, -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(ready[0]);
	close(ready[1]);
	pidfile_unlock(folder, fd);
}

/* ---- The status file -------------------------------------------------------------------------- */

static void
write_status(FILE *out, void *context)
{
	fputs(context, out);
}

static void
test_status(void **state)
{
	static char text[] = "supervisor 42\nversion 0.1.0\nstate serving\nstarted 1000\n"
			     "reload 3 2000 failed\nproblem /etc/posthouse.conf:3: no such parameter\n"
			     "problem another one\ngeneration 2 77 serving\nrole 2 smtpd 0 78 ready\n"
			     "role 2 queue 0 0 dead\nunknown line\n\n";
	ph_pool *pool = ph_pool_new(0);
	struct status status;
	ph_error error;

	assert_int_equal(status_read(folder, pool, &status, &error), -1);
	assert_int_equal(status_replace(folder, write_status, text, &error), 0);
	assert_int_equal(status_replace(folder, write_status, text, &error), 0);
	assert_int_equal(status_read(folder, pool, &status, &error), 0);
	assert_int_equal(status.supervisor, 42);
	assert_int_equal(status.reloads, 3);
	assert_string_equal(status.reload_result, "failed");
	assert_int_equal(status.problem_count, 2);
	assert_string_equal(status.problems[0], "/etc/posthouse.conf:3: no such parameter");
	assert_int_equal(status.generation_count, 1);
	assert_int_equal(status.generations[0].pid, 77);
	assert_int_equal(status.role_count, 2);
	assert_string_equal(status.roles[0].name, "smtpd");
	assert_string_equal(status.roles[1].state, "dead");
	status_remove(folder);
	ph_pool_free(pool);
}

static void
test_notify(void **state)
{
	struct sockaddr_un_room {
		sa_family_t family;
		char path[108];
	} address = {.family = AF_UNIX};
	char got[200] = "";
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.path, sizeof(address.path), "%s/notify", folder);
	assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&address, sizeof(address)), 0);
	setenv("NOTIFY_SOCKET", address.path, 1);
	notify_send("READY=1");
	assert_int_equal(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT), 7);
	assert_string_equal(got, "READY=1");
	notify_reloading();
	assert_true(recv(fd, got, sizeof(got) - 1, MSG_DONTWAIT) > 20);
	assert_non_null(strstr(got, "RELOADING=1\nMONOTONIC_USEC="));
	unsetenv("NOTIFY_SOCKET");
	notify_send("READY=1");
	close(fd);
	unlink(address.path);
}

static int
make_folder(void **state)
{
	return mkdtemp(folder) ? 0 : -1;
}

static int
remove_folder(void **state)
{
	return rmdir(folder); /* nothing is left in it */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_optional_socket),
		cmocka_unit_test(test_unix_socket),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_unix_endpoints),
		cmocka_unit_test(test_unknown_interface),
		cmocka_unit_test(test_collect),
		cmocka_unit_test(test_pid_lock),
		cmocka_unit_test(test_pid_forged),
		cmocka_unit_test(test_pid_read_lock),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_notify),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
