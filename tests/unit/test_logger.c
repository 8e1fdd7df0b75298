#include "ground/logger.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ground/escape.h"
#include "ground/ring.h"
#include "scene.h"

static char folder[] = "/tmp/posthouse-test-XXXXXX";
static char path[64];
static char captured[8192];

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	snprintf(captured, sizeof(captured), "%s %d %s", component, (int)level, line);
}

static char *
contents(void)
{
	static char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t size = read(fd, text, sizeof(text) - 1);

	close(fd);
	assert_true(size >= 0);
	text[size] = '\0';
	return text;
}

static void
test_escape(void **state)
{
	static const struct {
		const char *text, *line, *json;
	} cases[] = {
		{"plain", "plain", "plain"}, {"a\r\nb", "a\\015\\012b", "a\\u000d\\u000ab"},
		{"\x7f", "\\177", "\\u007f"}, {"\xc3\xa4", "\xc3\xa4", "\xc3\xa4"},
		{"\xc2\x9b", "\\302\\233", "\\u009b"}, {"\xff", "\\377", "\\ufffd"},
		{"\xc3", "\\303", "\\ufffd"}, {"\xe2\x82", "\\342\\202", "\\ufffd\\ufffd"},
		{"\xe2\x82\xac", "\xe2\x82\xac", "\xe2\x82\xac"}, {"\xed\xa0\x80", "\\355\\240\\200",
			"\\ufffd\\ufffd\\ufffd"},
		{"\xc0\xaf", "\\300\\257", "\\ufffd\\ufffd"},
		{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
		{"\"\\", "\"\\", "\\\"\\\\"},
	};
	char buffer[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct escape_out out = {.at = buffer, .end = buffer + sizeof(buffer) - 1};

		escape_line(&out, cases[i].text, strlen(cases[i].text));
		*out.at = '\0';
		assert_string_equal(buffer, cases[i].line);
		out = (struct escape_out){.at = buffer, .end = buffer + sizeof(buffer) - 1};
		escape_json(&out, cases[i].text, strlen(cases[i].text));
		*out.at = '\0';
		assert_string_equal(buffer, cases[i].json);
	}
}

static void
test_capture(void **state)
{
	logger_capture(capture, NULL);
	logger_set_component("smtpd");
	ph_log(PH_LOG_INFO, "connect from %s", "x\ny");
	assert_string_equal(captured, "smtpd 3 connect from x\\012y");
	ph_log_as("cleanup", PH_LOG_WARNING, "%s", "hm");
	assert_string_equal(captured, "cleanup 2 hm");
	logger_capture(NULL, NULL);
}

static void
test_file(void **state)
{
	ph_error error;
	char expected[128];
	const char *text;

	assert_int_equal(logger_open("nowhere", "x", "y", false, &error), -1);
	assert_int_equal(logger_open("/nowhere/at/all", "x", "y", false, &error), -1);
	assert_int_equal(logger_open(path, "postfix", "smtpd", false, &error), 0);
	ph_log(PH_LOG_INFO, "one");
	ph_log(PH_LOG_WARNING, "two");
	ph_log(PH_LOG_DEBUG, "not seen");
	ph_log_as("qmgr", PH_LOG_INFO, "three");
	text = contents();
	snprintf(expected, sizeof(expected), " postfix/smtpd[%ld]: one\n", (long)getpid());
	assert_non_null(strstr(text, expected));
	snprintf(expected, sizeof(expected), " postfix/smtpd[%ld]: warning: two\n", (long)getpid());
	assert_non_null(strstr(text, expected));
	snprintf(expected, sizeof(expected), " postfix/qmgr[%ld]: three\n", (long)getpid());
	assert_non_null(strstr(text, expected));
	assert_null(strstr(text, "not seen"));
	assert_int_equal(text[3], ' ');
	assert_int_equal(text[9], ':');
	unlink(path);
	logger_reopen();
	ph_log(PH_LOG_INFO, "four");
	assert_non_null(strstr(contents(), "four"));
	logger_close();
}

static void
test_json(void **state)
{
	const char *text;

	unlink(path);
	assert_int_equal(logger_open(path, "posthouse", "smtpd", true, NULL), 0);
	ph_log(PH_LOG_ERROR, "say \"hi\"");
	text = contents();
	assert_int_equal(strncmp(text, "{\"time\":\"2", 10), 0);
	assert_non_null(strstr(text, ",\"component\":\"smtpd\",\"pid\":"));
	assert_non_null(strstr(text, ",\"level\":\"error\""));
	assert_non_null(strstr(text, ",\"text\":\"say \\\"hi\\\"\"}\n"));
	logger_close();
}

static void
test_long_line(void **state)
{
	char large[6000];

	memset(large, '\1', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	for (int json = 0; json < 2; json++) {
		const char *text;

		unlink(path);
		assert_int_equal(logger_open(path, "posthouse", "smtpd", json, NULL), 0);
		ph_log(PH_LOG_INFO, "%s", large);
		text = contents();
		assert_true(strlen(text) < 8193 && strlen(text) > 8100);
		assert_string_equal(text + strlen(text) - (json ? 3 : 1), json ? "\"}\n" : "\n");
		logger_close();
	}
}

/* A pipe that nobody reads: lines wait, then are dropped and counted. */
static void
test_ring(void **state)
{
	static struct ring ring = {.kind = RING_PIPE};
	char line[1000];
	int ends[2];
	int lines = 0;

	memset(line, 'x', sizeof(line));
	assert_int_equal(pipe(ends), 0);
	ring.fd = ends[1];
	while (ring_put(&ring, line, sizeof(line)) || ring_drain(&ring) || ring.used < 250000)
		lines++;
	assert_true(lines >= 262 && ring.dropped > 0);
	while (!ring_drain(&ring))
		assert_true(read(ends[0], line, sizeof(line)) > 0);
	close(ends[0]);
	close(ends[1]);
}

/* Lines become datagrams of their own, without the newline. */
static void
test_datagrams(void **state)
{
	static struct ring ring = {.kind = RING_SYSLOG};
	char text[16];
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, ends), 0);
	ring.fd = ends[1];
	assert_true(ring_put(&ring, "<22>one\n<22>three\n", 18));
	assert_true(ring_drain(&ring));
	assert_int_equal(recv(ends[0], text, sizeof(text), MSG_DONTWAIT), 7);
	assert_int_equal(recv(ends[0], text, sizeof(text), MSG_DONTWAIT), 9);
	for (int i = 0; i < 1000; i++)
		assert_true(ring_put(&ring, "<22>line\n", 9));
	while (!ring_drain(&ring))
		assert_int_equal(recv(ends[0], text, sizeof(text), MSG_DONTWAIT), 8);
	close(ends[0]);
	close(ends[1]);
}

/* On a loop the lines of a round leave together. */
static void
scene_round(void)
{
	struct task_context context = {.session = "x[192.0.2.1]", .queue_id = "4FADF"};

	check(logger_open(path, "posthouse", "smtpd", true, NULL) == 0);
	task_set_context(&context);
	ph_log(PH_LOG_INFO, "one");
	ph_log(PH_LOG_INFO, "two");
	check(contents()[0] == '\0');
	ph_yield();
	check(strstr(contents(), "\"queue_id\":\"4FADF\",\"session\":\"x[192.0.2.1]\"") != NULL);
	check(strstr(contents(), "\"text\":\"two\"") != NULL);
	task_set_context(NULL);
	logger_close();
}

static void
test_round(void **state)
{
	unlink(path);
	scene_run(scene_round);
}

/* A log that does not take lines: what was lost is counted, and said when it does again. */
static void
test_dropped(void **state)
{
	char text[4096];
	bool told = false;
	int kept = dup(STDERR_FILENO);
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], STDERR_FILENO);
	close(ends[1]);
	logger_open("stderr", "posthouse", "smtpd", false, NULL);
	memset(text, 'x', 900);
	text[900] = '\0';
	for (int i = 0; i < 500; i++)
		ph_log(PH_LOG_INFO, "%s", text);
	fcntl(ends[0], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 1000 && !told; i++) {
		/* what the last read ended with stays in front: the words may be cut in two */
		size_t carry = strlen(text) < 32 ? 0 : 32;
		ssize_t got;

		memmove(text, text + strlen(text) - carry, carry);
		got = read(ends[0], text + carry, sizeof(text) - 1 - carry);
		text[carry + (got > 0 ? (size_t)got : 0)] = '\0';
		told = strstr(text, "log lines were dropped") != NULL;
		logger_flush();
	}
	dup2(kept, STDERR_FILENO);
	close(kept);
	close(ends[0]);
	logger_close();
	assert_true(told);
}

/* The stamp is that of the C library. */
static void
test_stamp(void **state)
{
	char before[32], after[32];
	time_t now = time(NULL);

	unlink(path);
	assert_int_equal(logger_open(path, "posthouse", "smtpd", false, NULL), 0);
	strftime(before, sizeof(before), "%b %e %H:%M:%S ", localtime(&now));
	ph_log(PH_LOG_INFO, "now");
	now = time(NULL);
	strftime(after, sizeof(after), "%b %e %H:%M:%S ", localtime(&now));
	assert_true(strncmp(contents(), before, 16) == 0 || strncmp(contents(), after, 16) == 0);
	logger_close();
}

/* What the parent has collected is not sent again by its child. */
static void
test_fork(void **state)
{
	pid_t child;
	int status;

	unlink(path);
	assert_int_equal(logger_open(path, "posthouse", "parent", false, NULL), 0);
	ph_log(PH_LOG_INFO, "from the parent");
	child = fork();
	if (child == 0) {
		logger_open(path, "posthouse", "child", false, NULL);
		ph_log(PH_LOG_INFO, "from the child");
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_non_null(strstr(contents(), "/child["));
	assert_null(strstr(strstr(contents(), "parent") + 40, "from the parent"));
	logger_close();
}

static int
setup(void **state)
{
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/log", folder);
	return 0;
}

static int
teardown(void **state)
{
	unlink(path);
	return rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_capture),
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_datagrams),
		cmocka_unit_test(test_dropped),
		cmocka_unit_test(test_round),
		cmocka_unit_test(test_stamp),
		cmocka_unit_test(test_fork),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
