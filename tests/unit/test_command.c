/* Commands: what they read, what is made of their end. */
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/command.h>

#include "process/convert.h"
#include "process/exits.h"
#include "process/process.h"

static const struct {
	const char *in;
	unsigned flags;
	const char *eol, *out;
} texts[] = {
	{"a\r\nb\r\n", 0, "\n", "a\nb\n"},
	{"a\r\n\r\nb", 0, "\r\n", "a\r\n\r\nb\r\n"},
	{"From a\r\nFrom\r\n.x\r\nFrom b\r\n", 0, "\n", "From a\nFrom\n.x\nFrom b\n"},
	{"From a\r\nFrom\r\n>From x\r\nFrom b\r\n", PH_COMMAND_QUOTE_FROM, "\n", ">From a\nFrom\n>From x\n>From b\n"},
	{"From ", PH_COMMAND_QUOTE_FROM, "\n", ">From \n"},
	{"Fro", PH_COMMAND_QUOTE_FROM, "\n", "Fro\n"},
	{".\r\n..\r\na.\r\nF.\r\n", PH_COMMAND_QUOTE_DOT | PH_COMMAND_QUOTE_FROM, "\n", "..\n...\na.\nF.\n"},
	{"a\rb\r\r\nc\r", 0, "\n", "a\rb\r\nc\r\n"},
	{"", 0, "\n", ""},
};

static void
converts(void **state)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		for (size_t piece = 1; piece <= strlen(texts[i].in) + 1; piece++) {
			struct convert convert = {.eol = texts[i].eol, .flags = texts[i].flags};
			size_t size = strlen(texts[i].in), used = 0;
			char out[256];

			for (size_t at = 0; at < size; at += piece)
				used += convert_put(&convert,
					(ph_span){texts[i].in + at, at + piece < size ? piece : size - at}, out + used);
			used += convert_end(&convert, out + used);
			out[used] = '\0';
			if (strcmp(out, texts[i].out) != 0)
				fail_msg("<%s> in pieces of %zu: <%s>", texts[i].in, piece, out);
		}
}

/* The bound holds for the worst that can come, with what an earlier piece left behind. */
static void
keeps_within_room(void **state)
{
	struct convert convert = {.eol = "12345678", .flags = PH_COMMAND_QUOTE_FROM};
	char out[4096];

	convert_put(&convert, ph_span_of("From"), out);
	for (size_t size = 1; size < 100; size++) {
		char in[100];

		memset(in, '\n', sizeof(in));
		assert_true(convert_put(&convert, (ph_span){in, size}, out) <= convert_room(size));
		convert_put(&convert, ph_span_of("From"), out);
	}
}

static void
knows_sysexits(void **state)
{
	assert_string_equal(exits_find(67)->status, "5.1.1");
	assert_null(exits_find(1));
	assert_null(exits_find(79));
}

/* Runs a shell's command line on a message. */
static struct ph_user_result
run(const char *line, int64_t time_limit)
{
	const char *const argv[] = {"/bin/sh", "-c", line, NULL};
	const char *const environment[] = {"GREETING=hello", NULL};
	struct ph_command command = {.size = sizeof(command), .argv = argv, .environment = environment,
		.title = "it", .eol = "\n", .head = "Head: 1\n", .tail = "\n", .offset = 3, .length = 9,
		.time_limit = time_limit};
	struct ph_user_result result;
	char path[] = "/tmp/test_command.XXXXXX";

	command.fd = mkstemp(path);
	assert_int_not_equal(command.fd, -1);
	unlink(path);
	assert_int_equal(write(command.fd, "xxxline\r\n.\r\nxxx", 15), 15);
	ph_command_run(&command, &result);
	close(command.fd);
	return result;
}

static const struct {
	const char *line;
	int outcome;
	const char *status, *text, *output;
} runs[] = {
	{"cat", 0, "2.0.0", "delivered to command: it", "Head: 1 line ."},
	{"echo $GREETING >&2", 0, "2.0.0", "delivered to command: it", "hello"},
	{"exit 75", 1, "4.3.0", "temporary failure", ""},
	{"echo why; exit 1", 2, "5.3.0", "Command died with status 1: \"it\"", "why"},
	{"echo 4.2.1 later; exit 1", 1, "4.2.1", "later", ""},
	{"echo 2.0.0 fine; exit 67", 2, "5.1.1", "user unknown", "2.0.0 fine"},
	{"kill -TERM $$", 1, "4.3.0", "Command died with signal 15: \"it\"", ""},
	{"sleep 100 & exit 0", 0, "2.0.0", "delivered to command: it", ""},
};

static void
judges_ends(void **state)
{
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		int64_t begun = process_clock();
		struct ph_user_result result = run(runs[i].line, 60000);

		assert_int_equal(result.outcome, runs[i].outcome);
		assert_string_equal(result.status, runs[i].status);
		assert_string_equal(result.text, runs[i].text);
		assert_string_equal(result.output, runs[i].output);
		assert_true(process_clock() - begun < 50000);
	}
}

static void
ends_what_takes_too_long(void **state)
{
	struct ph_user_result result = run("trap '' TERM HUP; echo begun; sleep 1000 & sleep 1000", 300);

	assert_int_equal(result.outcome, 2);
	assert_string_equal(result.status, "5.3.0");
	assert_string_equal(result.text, "Command time limit exceeded: \"it\"");
	assert_string_equal(result.output, "begun");
}

static void
tells_what_cannot_be_run(void **state)
{
	const char *const argv[] = {"/nowhere/at/all", NULL}, *const otherwise[] = {"/bin/true", NULL};
	struct ph_command command = {.size = sizeof(command), .argv = argv, .title = "it", .eol = "\n",
		.time_limit = 60000};
	struct ph_user_result result;

	ph_command_run(&command, &result);
	assert_int_equal(result.outcome, 1);
	assert_string_equal(result.text, "temporary failure");
	assert_string_equal(result.output, "cannot run /nowhere/at/all: No such file or directory");
	command.otherwise = otherwise;
	ph_command_run(&command, &result);
	assert_int_equal(result.outcome, 0);
	command.directory = "/nowhere";
	ph_command_run(&command, &result);
	assert_string_equal(result.status, "4.3.0");
	assert_non_null(strstr(result.output, "cannot change directory to \"/nowhere\""));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(converts),
		cmocka_unit_test(keeps_within_room),
		cmocka_unit_test(knows_sysexits),
		cmocka_unit_test(judges_ends),
		cmocka_unit_test(ends_what_takes_too_long),
		cmocka_unit_test(tells_what_cannot_be_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
