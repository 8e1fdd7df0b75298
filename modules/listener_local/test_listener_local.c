/*
 * listener_local: the protocol, line ends, users, and the way of a submission and of a dropped file
 * into a storage in memory.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fake_queue.h"
#include "config/template.h"
#include "drop.h"
#include "ground/logger.h"
#include "scene.h"
#include "submission.h"

/* ---- Frames ---------------------------------------------------------------------------------- */

static char heard[4096];

static void
hear(const char *text, size_t size)
{
	size_t used = strlen(heard);

	if (size == 0 || size >= sizeof(heard) - used)
		return;
	memcpy(heard + used, text, size);
	heard[used + size] = '\0';
}

static int
hear_line(void *context, ph_span keyword, ph_span value, ph_error *error)
{
	hear(keyword.data, keyword.size);
	hear("=", 1);
	hear(value.data, value.size);
	hear(";", 1);
	return ph_span_equal(keyword, ph_span_of("wrong")) ? -1 : 0;
}

static void
hear_data(void *context, ph_span bytes)
{
	hear(bytes.data, bytes.size);
}

static enum frames_result
feed_in_steps(const char *text, size_t size, size_t step)
{
	static const struct frames_ops ops = {.line = hear_line, .data = hear_data};
	struct frames *frames = calloc(1, sizeof(*frames));
	enum frames_result result = FRAMES_MORE;

	heard[0] = '\0';
	for (size_t at = 0; at < size && result == FRAMES_MORE; at += step) {
		size_t take = size - at < step ? size - at : step;
		char *copy = malloc(take);

		memcpy(copy, text + at, take);
		result = frames_feed(frames, (ph_span){copy, take}, &ops, NULL, NULL);
		free(copy);
	}
	free(frames);
	return result;
}

static void
frames(void **state)
{
	static const struct {
		const char *text;
		enum frames_result result;
		const char *heard;
	} cases[] = {
		{PH_SUBMIT_MAGIC "from a@b\nto c d\nname\ndata 5\na\nb\ncdata 0\ndata 1\n!end\n", FRAMES_END,
			"from=a@b;to=c d;name=;a\nb\nc!"},
		{PH_SUBMIT_MAGIC "data 5\nabc", FRAMES_MORE, "abc"},
		{PH_SUBMIT_MAGIC "end", FRAMES_MORE, ""},
		{PH_SUBMIT_MAGIC "end\nto x\n", FRAMES_END, ""},
		{PH_SUBMIT_MAGIC "wrong\nto x\n", FRAMES_BAD, "wrong=;"},
		{PH_SUBMIT_MAGIC "data x\n", FRAMES_BAD, ""},
		{PH_SUBMIT_MAGIC "data -1\n", FRAMES_BAD, ""},
		{PH_SUBMIT_MAGIC "data 18446744073709551616\n", FRAMES_BAD, ""},
		{PH_SUBMIT_MAGIC "to a\rb\n", FRAMES_BAD, ""},
		{"HELO x\n", FRAMES_BAD, ""},
		{"\n", FRAMES_BAD, ""},
		{"", FRAMES_MORE, ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t step = 1; step <= strlen(cases[i].text) + 1; step++) {
			assert_int_equal(feed_in_steps(cases[i].text, strlen(cases[i].text), step),
				cases[i].result);
			assert_string_equal(heard, cases[i].heard);
		}
	}
}

static void
long_lines(void **state)
{
	char text[PH_SUBMIT_LINE_MAX + 64];
	size_t start = strlen(PH_SUBMIT_MAGIC);

	memset(text, 'x', sizeof(text));
	memcpy(text, PH_SUBMIT_MAGIC, start);
	text[start + PH_SUBMIT_LINE_MAX - 1] = '\n';
	assert_int_equal(feed_in_steps(text, start + PH_SUBMIT_LINE_MAX, 100), FRAMES_MORE);
	text[start + PH_SUBMIT_LINE_MAX - 1] = 'x';
	assert_int_equal(feed_in_steps(text, start + PH_SUBMIT_LINE_MAX + 1, 100), FRAMES_BAD);
}

/* ---- Lines ----------------------------------------------------------------------------------- */

static void
collect(void *context, ph_span bytes)
{
	hear(bytes.data, bytes.size);
}

static void
line_ends(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"a\nb\n", "a\r\nb\r\n"},
		{"a\r\nb\r\n", "a\r\nb\r\n"},
		{"a\rb\n", "a b\r\n"},
		{"a\r\r\nb", "a \r\nb"},
		{"a\r", "a "},
		{"\r\r\r", "   "},
		{"\n\n\r\n", "\r\n\r\n\r\n"},
		{"a\n.\rb\n", "a\r\n. b\r\n"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = strlen(cases[i].in);

		for (size_t step = 1; step <= size + 1; step++) {
			struct lines *lines = calloc(1, sizeof(*lines));

			lines->put = collect;
			heard[0] = '\0';
			for (size_t at = 0; at < size; at += step)
				lines_feed(lines, (ph_span){cases[i].in + at, size - at < step ? size - at : step});
			lines_finish(lines);
			assert_string_equal(heard, cases[i].out);
			free(lines);
		}
	}
}

/* ---- Users ----------------------------------------------------------------------------------- */

static void
users(void **state)
{
	static const struct {
		const char *list;
		bool joe, root, owner;
	} cases[] = {
		{"static:anyone", true, true, true},
		{"static:all", true, true, true},
		{"", false, true, true},
		{"alice, joe", true, true, true},
		{"!joe, static:anyone", false, true, true},
		{"{joey, !alice}", false, true, true},
	};
	const struct user joe = {.uid = 1000, .name = "joe"}, root = {.name = "root"},
			  owner = {.uid = 7, .name = "posthouse"};
	char name[16];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(user_is_authorized(&joe, cases[i].list, "posthouse"), cases[i].joe);
		assert_int_equal(user_is_authorized(&root, cases[i].list, "posthouse"), cases[i].root);
		assert_int_equal(user_is_authorized(&owner, cases[i].list, "posthouse"), cases[i].owner);
	}
	user_full_name("Joe User,Room 1,,", "joe", name, sizeof(name));
	assert_string_equal(name, "Joe User");
	user_full_name("& User", "joe", name, sizeof(name));
	assert_string_equal(name, "Joe User");
	user_full_name("A name that is too long for it", "joe", name, sizeof(name));
	assert_string_equal(name, "A name that is ");
}

/* ---- Submissions ----------------------------------------------------------------------------- */

static void
silent(const char *component, ph_log_level level, const char *line, void *context)
{
}

static void
run(void (*scene)(void))
{
	fake_reset();
	logger_capture(silent, NULL);
	scene_run(scene);
	logger_capture(NULL, NULL);
	fake_free();
}

static void
submit(const char *text, size_t step, ph_reply *reply)
{
	static const struct user joe = {.uid = 1000, .name = "joe", .full_name = "Joe (User)"};
	struct submission *submission = submission_new(NULL, &joe);
	enum frames_result result = FRAMES_MORE;

	for (size_t at = 0, size = strlen(text); at < size && result == FRAMES_MORE; at += step)
		result = submission_feed(submission,
			(ph_span){text + at, size - at < step ? size - at : step});
	if (result == FRAMES_MORE)
		print_error("not complete: %s\n", text);
	check(result != FRAMES_MORE);
	submission_commit(submission, reply);
	submission_free(submission);
}

static bool
stored_has(const char *text)
{
	return memmem(fake_queue.content, fake_queue.size, text, strlen(text)) != NULL;
}

static void
scene_submission(void)
{
	static const char text[] = PH_SUBMIT_MAGIC
		"name J. User\nbody 8BITMIME\nret HDRS\nenvid X1\nwatch\nnotify 2\norcpt rfc822;b+2Bb@x\nto bob@example.net\nto carol\n"
		"data 18\nSubject: x\n\nhello\nend\n";
	const struct envelope *e = &fake_queue.envelope;
	ph_reply reply;

	for (size_t step = 1; step <= sizeof(text); step += 7) {
		submit(text, step, &reply);
		check(reply.code == 250);
		check(strcmp(e->sender, "joe@example.com") == 0 && e->uid == 1000);
		check(e->origin == PH_ORIGIN_LOCAL && e->body_8bit && e->ret == 2);
		check(strcmp(e->envid, "X1") == 0 && e->watch && e->recipient_count == 2);
		check(strcmp(e->recipients[1].address, "carol@example.com") == 0);
		check(e->recipients[1].notify == 2 && e->recipients[1].orcpt[0] == '\0');
		check(strcmp(e->recipients[0].orcpt, "rfc822;b+b@x") == 0);
		check(stored_has("(Posthouse, from userid 1000)"));
		check(stored_has("Subject: x\r\n") && stored_has("\r\n\r\nhello\r\n"));
		check(stored_has("From: \"J. User\" <joe@example.com>\r\n"));
	}
	submit(PH_SUBMIT_MAGIC "from\nto a@b\nend\n", 100, &reply);
	check(reply.code == 250 && e->sender[0] == '\0');
	submit(PH_SUBMIT_MAGIC "from \"a b\"@x\nto a@b\nend\n", 100, &reply);
	check(reply.code == 250 && strcmp(e->sender, "\"a b\"@x") == 0);
	check(stored_has("From: \"Joe (User)\" <\"a b\"@x>\r\n"));
}

static void
submissions(void **state)
{
	run(scene_submission);
}

static void
scene_bad_submission(void)
{
	static const struct {
		const char *text;
		int code;
	} cases[] = {
		{"nonsense\n", 501},
		{PH_SUBMIT_MAGIC "to a b@c\n", 501},
		{PH_SUBMIT_MAGIC "to <a@b>\n", 501},
		{PH_SUBMIT_MAGIC "to a@b SIZE=1\n", 501},
		{PH_SUBMIT_MAGIC "from a b@c\n", 501},
		{PH_SUBMIT_MAGIC "to a@b\nfrom c@d\n", 501},
		{PH_SUBMIT_MAGIC "notify 3\n", 501},
		{PH_SUBMIT_MAGIC "notify 16\n", 501},
		{PH_SUBMIT_MAGIC "ret ALL\n", 501},
		{PH_SUBMIT_MAGIC "orcpt rfc822\n", 501},
		{PH_SUBMIT_MAGIC "colour red\n", 501},
		{PH_SUBMIT_MAGIC "end\n", 554},
		{PH_SUBMIT_MAGIC "data 3\nabcend\n", 554},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_reply reply;

		submit(cases[i].text, 100, &reply);
		if (reply.code != cases[i].code)
			print_error("%s: %d %s\n", cases[i].text, reply.code, reply.text);
		check(reply.code == cases[i].code && reply.status[0] == '5');
	}
	check(fake_queue.committed == 0);
}

static void
bad_submissions(void **state)
{
	run(scene_bad_submission);
}

/* ---- The drop directory ---------------------------------------------------------------------- */

static char directory[64];

static void
path_in(char path[128], const char *name)
{
	snprintf(path, 128, "%s/drop/%s", directory, name);
}

static void
drop_file(const char *name, const char *text)
{
	char temporary[128], path[128];
	int fd;

	path_in(temporary, ".tmp1");
	path_in(path, name);
	fd = open(temporary, O_CREAT | O_EXCL | O_WRONLY, 0640);
	check(fd != -1 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	check(rename(temporary, path) == 0);
}

static bool
exists(const char *name)
{
	char path[128];
	struct stat st;

	path_in(path, name);
	return lstat(path, &st) == 0;
}

#define GOOD PH_SUBMIT_MAGIC "to a@b\ndata 5\nhelloend\n"

/* The watcher acts on its own; the scene gives way until the sign appears. */
static void
await(const char *gone)
{
	while (exists(gone))
		check(ph_sleep(ph_in(1)) == PH_WAIT_OK);
}

static void
scene_drop(void)
{
	char path[128], target[128];
	static const struct templates templates = {
		.items = {[TEMPLATE_FAILURE] = {"us-ascii", "me", "Bad", "", ""}}};
	struct drop drop = {.path = target, .users = "static:anyone", .owner = "nobody"};
	ph_task watcher;
	ph_error error;

	fake_settings.bounce_templates = &templates;
	path_in(target, "");
	target[strlen(target) - 1] = '\0';
	check(drop_prepare(&drop, &error) == 0 && drop_prepare(&drop, &error) == 0);
	drop_file("GOOD1", GOOD);
	drop_file("CUT", PH_SUBMIT_MAGIC "to a@b\ndata 5\nhell");
	drop_file("MAGIC", "From: nobody in particular\n\nhello\n");
	drop_file("SHORT", "x");
	drop_file("REFUSED", PH_SUBMIT_MAGIC "from a@b\nenvid E1\nto c d\nto e@f\n"
		"data 12\nX: 1\n\nhello\nend\n");
	path_in(path, "LINK");
	check(symlink("/etc/passwd", path) == 0);
	path_in(path, "DIRECTORY");
	check(mkdir(path, 0700) == 0);
	path_in(path, "FIFO");
	check(mkfifo(path, 0600) == 0);
	drop_file("TWICE", GOOD);
	path_in(target, "TWICE");
	path_in(path, ".other");
	check(link(target, path) == 0);
	path_in(target, "");
	target[strlen(target) - 1] = '\0';
	watcher = ph_task_spawn("drop", drop_watch, &drop);
	static const char *const names[] = {
		"GOOD1", "CUT", "MAGIC", "SHORT", "REFUSED", "LINK", "DIRECTORY", "FIFO", "TWICE"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char bad[32];

		await(names[i]);
		snprintf(bad, sizeof(bad), "%s.bad", names[i]);
		check(exists(bad) == (i > 0));
	}
	/* One message, and a report of the file that was refused. */
	check(fake_queue.committed == 2);
	drop_file("GOOD2", GOOD);
	await("GOOD2");
	check(fake_queue.committed == 3 && fake_queue.envelope.uid == getuid());
	check(fake_queue.envelope.origin == PH_ORIGIN_LOCAL && stored_has("hello\r\n"));
	ph_task_cancel(watcher);
	ph_task_join(watcher, PH_NEVER);
}

static void
drop(void **state)
{
	char command[128];

	snprintf(directory, sizeof(directory), "/tmp/test_local.XXXXXX");
	assert_non_null(mkdtemp(directory));
	run(scene_drop);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	assert_int_equal(system(command), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(line_ends),
		cmocka_unit_test(users),
		cmocka_unit_test(submissions),
		cmocka_unit_test(bad_submissions),
		cmocka_unit_test(drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
