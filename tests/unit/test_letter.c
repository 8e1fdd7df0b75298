/*
 * Letters on standard input: where they end, whom they go to, and how they are framed.
 */
#include "test.h"

#include "cli/letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
extend_in_steps(struct letter *letter, const char *text, size_t step, bool dot_ends)
{
	size_t size = strlen(text);

	*letter = (struct letter){.line = 0};
	for (size_t at = 0; at < size && !letter->ended; at += step) {
		size_t take = size - at < step ? size - at : step;
		char *room = buffer_reserve(&letter->bytes, take);

		assert_non_null(room);
		memcpy(room, text + at, take);
		letter_extend(letter, take, dot_ends);
	}
}

static void
ends_at_a_dot(void **state)
{
	static const struct {
		const char *text;
		bool dot_ends, ended;
		const char *content;
	} cases[] = {
		{"a\nb\n.\nc\n", true, true, "a\nb\n"},
		{"a\r\n.\r\nc\r\n", true, true, "a\r\n"},
		{"a\nb\n.\nc\n", false, false, "a\nb\n.\nc\n"},
		{".\n", true, true, ""},
		{"a\n..\n. \n.x\n", true, false, "a\n..\n. \n.x\n"},
		{"From joe Mon\na\n", true, false, "a\n"},
		{">From joe Mon\na\n", true, false, "a\n"},
		{"From: joe\na\n", true, false, "From: joe\na\n"},
		{"From joe", true, false, ""},
		{"", true, false, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step < 12; step++) {
			struct letter letter;

			extend_in_steps(&letter, cases[i].text, step, cases[i].dot_ends);
			assert_int_equal(letter.ended, cases[i].ended);
			assert_true(ph_span_equal(letter_content(&letter), ph_span_of(cases[i].content)));
			buffer_free(&letter.bytes);
		}
	}
}

static void
read_from_a_pipe(void **state)
{
	struct letter letter = {.line = 0};
	int fds[2];

	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], "a\n.", 3), 3);
	close(fds[1]);
	assert_int_equal(letter_read(&letter, fds[0], true, NULL), 0);
	assert_true(ph_span_equal(letter_content(&letter), ph_span_of("a\n")));
	close(fds[0]);
	buffer_free(&letter.bytes);
}

static void
recipients(void **state)
{
	static const struct {
		const char *content, *recipients, *remains; /* recipients NULL: refused */
	} cases[] = {
		{"To: a@b, c\nSubject: x\n\nTo: body@x\n", "a@b c ", NULL},
		{"to: a@b\nCC: c\nBcc: d,\n e\nX: y\n\nbody\n", "a@b c d e ", "to: a@b\nCC: c\nX: y\n\nbody\n"},
		{"To: a@b\nBcc: c", "a@b c ", "To: a@b\n"},
		{"To: a@b\nResent-To: c\nResent-Bcc: d\nBcc: e\n\nx\n", "c d ",
			"To: a@b\nResent-To: c\n\nx\n"},
		{"To: undisclosed-recipients:;\n\n", "", NULL},
		{"To: one two\n\n", NULL, NULL},
		{"no header\nTo: a@b\n", "", NULL},
		{"", "", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct outgoing outgoing = {.from = NULL};
		ph_span content = ph_span_of(cases[i].content);
		ph_error error = {""};
		char all[256] = "";
		int result = letter_take_recipients(pool, &content, &outgoing, &error);

		assert_int_equal(result, cases[i].recipients != NULL ? 0 : -1);
		for (size_t j = 0; j < outgoing.recipient_count; j++)
			snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s ", outgoing.recipients[j].address);
		if (result == 0) {
			assert_string_equal(all, cases[i].recipients);
			assert_true(ph_span_equal(content,
				ph_span_of(cases[i].remains != NULL ? cases[i].remains : cases[i].content)));
		} else {
			assert_non_null(strstr(error.text, "To: "));
		}
		outgoing_forget(&outgoing);
		ph_pool_free(pool);
	}
}

static void
framed(void **state)
{
	struct outgoing outgoing = {.from = "", .name = "J\nUser", .ret = "HDRS", .watch = true, .notify = 6,
		.content = {"abc", 3}};
	struct buffer head = {.data = NULL};

	outgoing_add_recipient(&outgoing, "a@b");
	outgoing_add_recipient(&outgoing, "c");
	outgoing_add(&outgoing, &(struct outgoing_recipient){.address = "d", .notify = 1, .orcpt = "rfc822;e"});
	outgoing_add_recipient(&outgoing, "f");
	assert_int_equal(outgoing_frame(&outgoing, &head), 0);
	assert_int_equal(buffer_add(&head, "", 1), 0);
	assert_string_equal(head.data,
		"posthouse-submit 1\nfrom \nname J User\nret HDRS\nwatch \nnotify 6\nto a@b\nto c\n"
		"notify 1\norcpt rfc822;e\nto d\nnotify 6\nto f\ndata 3\n");
	buffer_free(&head);
	outgoing_forget(&outgoing);
}

static void
dropped_or_not(void **state)
{
	struct outgoing outgoing = {.content = {"abc\n", 4}};
	char directory[] = "/tmp/test_letter.XXXXXX", command[128], drop[64], line[64] = "";
	ph_error error = {""};
	ph_reply reply;
	FILE *file;

	assert_non_null(mkdtemp(directory));
	outgoing_add_recipient(&outgoing, "a@b");
	assert_int_equal(submit_outgoing(&outgoing, directory, directory, &reply, &error), SUBMIT_FAILED);
	assert_non_null(strstr(error.text, "/drop: No such file or directory"));
	snprintf(drop, sizeof(drop), "%s/drop", directory);
	assert_int_equal(mkdir(drop, 0700), 0);
	assert_int_equal(submit_outgoing(&outgoing, directory, directory, &reply, &error), SUBMIT_DROPPED);
	snprintf(command, sizeof(command), "cat %s/[0-9A-F]*; rm -r %s", drop, directory);
	file = popen(command, "r");
	assert_non_null(file);
	assert_int_equal(fread(line, 1, sizeof(line) - 1, file), 41);
	assert_string_equal(line, "posthouse-submit 1\nto a@b\ndata 4\nabc\nend\n");
	assert_int_equal(pclose(file), 0);
	outgoing_forget(&outgoing);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_at_a_dot),
		cmocka_unit_test(read_from_a_pipe),
		cmocka_unit_test(recipients),
		cmocka_unit_test(framed),
		cmocka_unit_test(dropped_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
