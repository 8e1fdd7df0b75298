/* Messages on their way into mailboxes. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <posthouse/mailbox.h>

#include "mailbox/headers.h"
#include "mailbox/headerscan.h"
#include "mailbox/mbox.h"

/* ---- Headers ----------------------------------------------------------------------------------- */

static void
sees_that_it_was_here(void **unused)
{
	static const struct {
		const char *message;
		bool found;
	} cases[] = {
		{"", false},
		{"Delivered-To: joe@x.example\r\n\r\n", true},
		{"Subject: x\r\ndelivered-to:  JOE@x.example  \r\nTo: y\r\n\r\nbody", true},
		{"Delivered-To:\r\n joe@x.example\r\n\r\n", true},
		{"Delivered-To: joe@x.example", true},
		{"Delivered-To: sue@x.example\r\nDelivered-To: joe@x.example\n\n", true},
		{"Delivered-To: joe@x.example.org\r\n\r\n", false},
		{"X-Delivered-To: joe@x.example\r\n\r\n", false},
		{"Subject: a\r\n Delivered-To: joe@x.example\r\n\r\n", false},
		{"Subject: a\r\n\r\nDelivered-To: joe@x.example\r\n", false},
		{"\r\nDelivered-To: joe@x.example\r\n", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = strlen(cases[i].message);

		for (size_t piece = 1; piece <= size + 1; piece++) {
			struct header_scan scan;

			header_scan_begin(&scan, "joe@x.example");
			for (size_t at = 0; at < size; at += piece)
				if (header_scan_put(&scan, (ph_span){cases[i].message + at,
					at + piece < size ? piece : size - at}))
					break;
			if (header_scan_end(&scan) != cases[i].found)
				fail_msg("<%s> in pieces of %zu", cases[i].message, piece);
		}
	}
}

/* ---- The mailbox ------------------------------------------------------------------------------- */

struct box {
	char folder[64], path[80];
	int fd;
	char *content;
};

static void
box_open(struct box *box)
{
	*box = (struct box){.folder = "/tmp/ph-mbox-XXXXXX"};
	assert_non_null(mkdtemp(box->folder));
	snprintf(box->path, sizeof(box->path), "%s/joe", box->folder);
	box->fd = open(box->path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_int_not_equal(box->fd, -1);
}

static const char *
box_read(struct box *box)
{
	struct stat st;

	free(box->content);
	assert_int_equal(fstat(box->fd, &st), 0);
	box->content = calloc(1, (size_t)st.st_size + 1);
	assert_int_equal(pread(box->fd, box->content, (size_t)st.st_size, 0), st.st_size);
	return box->content;
}

static void
box_close(struct box *box)
{
	free(box->content);
	close(box->fd);
	unlink(box->path);
	rmdir(box->folder);
}

static const struct {
	const char *in, *out;
} texts[] = {
	{"", "\n"},
	{"a\r\n", "a\n\n"},
	{"a", "a\n\n"},
	{"a\r\n\r\nb\r\n", "a\n\nb\n\n"},
	{"From x\r\n", ">From x\n\n"},
	{"From: x\r\n\r\nFrom y\r\nFrom", "From: x\n\n>From y\nFrom\n\n"},
	{"From ", ">From \n\n"},
	{"From\r\n", "From\n\n"},
	{"Fro", "Fro\n\n"},
	{"FFrom x\r\n From y\r\nfrom z", "FFrom x\n From y\nfrom z\n\n"},
	{"FrFrom x", "FrFrom x\n\n"},
	{">From x", ">From x\n\n"},
	{"a\rb\r\r\nc\r", "a\rb\r\nc\r\n\n"},
	{"a\nb\n", "a\nb\n\n"},
	{"\r\n\r\n", "\n\n\n"},
	{"From\rx", "From\rx\n\n"},
};

static void
copies_text_however_it_is_cut(void **unused)
{
	static char buffer[MBOX_BUFFER];
	struct box box;

	box_open(&box);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		size_t size = strlen(texts[i].in);

		for (size_t piece = 1; piece <= size + 1; piece++) {
			struct mbox mbox;
			struct mbox_text text = {0};

			assert_int_equal(ftruncate(box.fd, 0), 0);
			assert_int_equal(mbox_open(&mbox, box.fd, 0, buffer), 0);
			for (size_t at = 0; at < size; at += piece)
				mbox_text_put(&text, &mbox, (ph_span){texts[i].in + at,
					at + piece < size ? piece : size - at});
			mbox_text_end(&text, &mbox);
			assert_int_equal(mbox_flush(&mbox), 0);
			if (strcmp(box_read(&box), texts[i].out) != 0)
				fail_msg("<%s> in pieces of %zu: <%s>", texts[i].in, piece, box.content);
			assert_int_equal(mbox.size, strlen(texts[i].out));
		}
	}
	box_close(&box);
}

static void
writes_the_head(void **unused)
{
	const struct ph_user_delivery plain = {.sender = "root@example.com", .recipient = "root@example.com"};
	const struct ph_user_delivery awkward = {.original = "a\nb", .recipient = "c"};
	ph_pool *pool = ph_pool_new(0);

	setenv("TZ", "EET-2", 1);
	tzset();
	assert_string_equal(headers_text(pool, &plain, false, 1518883689),
		"From root@example.com  Sat Feb 17 18:08:09 2018\n"
		"Return-Path: <root@example.com>\n"
		"X-Original-To: root@example.com\n"
		"Delivered-To: root@example.com\n");
	assert_string_equal(headers_text(pool, &awkward, false, 1518883689),
		"From MAILER-DAEMON  Sat Feb 17 18:08:09 2018\n"
		"Return-Path: <>\n"
		"X-Original-To: a?b\n"
		"Delivered-To: c\n");
	assert_string_equal(headers_trace(pool, &plain, true),
		"Return-Path: <root@example.com>\nX-Original-To: root@example.com\n");
	ph_pool_free(pool);
}

/* A batch of messages, each in a file with something before and behind it. */
struct batch {
	struct ph_mailbox box;
	struct ph_user_delivery requests[4];
	struct ph_user_result results[4];
	int fds[4];
	size_t count;
};

static void
batch_add(struct batch *batch, struct box *box, const char *message, int64_t length)
{
	struct ph_user_delivery *r = &batch->requests[batch->count];
	char path[] = "/tmp/ph-message-XXXXXX";
	int fd = mkstemp(path);

	assert_int_not_equal(fd, -1);
	unlink(path);
	dprintf(fd, "before%sbehind", message);
	*r = (struct ph_user_delivery){.size = sizeof(*r), .user = "joe", .sender = "s@x.example",
		.recipient = "joe@x.example", .offset = 6, .length = length};
	batch->fds[batch->count++] = fd;
	batch->box = (struct ph_mailbox){.size = sizeof(batch->box), .path = box->path, .user = "joe",
		.fd = box->fd};
}

static void
batch_run(struct batch *batch, int64_t limit)
{
	batch->box.limit = limit;
	ph_mailbox_write(&batch->box, batch->requests, batch->fds, batch->count, batch->results);
	for (size_t i = 0; i < batch->count; i++)
		close(batch->fds[i]);
}

static void
assert_result(const struct ph_user_result *result, int outcome, const char *status, const char *text)
{
	if (result->outcome != outcome || strcmp(result->status, status) != 0 ||
		strstr(result->text, text) == NULL)
		fail_msg("%d %s %s", result->outcome, result->status, result->text);
}

/* The body of a message after its From_ line, whose date is now. */
#define HEAD "Return-Path: <s@x.example>\nX-Original-To: joe@x.example\nDelivered-To: joe@x.example\n"

static void
delivers_a_batch(void **unused)
{
	struct batch batch = {.count = 0};
	struct box box;
	const char *at;

	box_open(&box);
	assert_int_equal(write(box.fd, "torn", 4), 4);
	batch_add(&batch, &box, "Received: a\r\n\r\nFrom b\r\n", 23);
	batch_add(&batch, &box, "Delivered-To: joe@x.example\r\n\r\n", 31);
	batch_add(&batch, &box, "x", 100); /* its file is too short */
	batch_add(&batch, &box, "Received: c\r\n", 13);
	batch_run(&batch, 0);
	assert_result(&batch.results[0], PH_USER_SENT, "2.0.0", "delivered to mailbox");
	assert_result(&batch.results[1], PH_USER_BOUNCED, "5.4.6", "mail forwarding loop for joe@x.example");
	assert_result(&batch.results[2], PH_USER_DEFERRED, "4.3.0", "cannot read the message");
	assert_result(&batch.results[3], PH_USER_SENT, "2.0.0", "delivered to mailbox");
	at = box_read(&box);
	assert_memory_equal(at, "torn\n\nFrom s@x.example  ", 24);
	at = strchr(at + 6, '\n') + 1;
	assert_memory_equal(at, HEAD "Received: a\n\n>From b\n\nFrom ",
		strlen(HEAD "Received: a\n\n>From b\n\nFrom "));
	at = strstr(at + strlen(HEAD) + 20, "\nFrom s@x.example  ");
	assert_non_null(at);
	assert_string_equal(strchr(at + 1, '\n') + 1, HEAD "Received: c\n\n");
	box_close(&box);
}

static void
goes_back_at_the_limit(void **unused)
{
	struct batch batch = {.count = 0};
	struct box box;
	size_t size;

	box_open(&box);
	batch_add(&batch, &box, "a\r\n", 3);
	batch_run(&batch, 0);
	size = strlen(box_read(&box));
	batch = (struct batch){.count = 0};
	batch_add(&batch, &box, "a\r\n", 3);
	batch_add(&batch, &box, "a lot more than would fit\r\n", 27);
	batch_add(&batch, &box, "b\r\n", 3);
	batch_run(&batch, (int64_t)(3 * size + 10));
	assert_result(&batch.results[0], PH_USER_SENT, "2.0.0", "");
	assert_result(&batch.results[1], PH_USER_BOUNCED, "5.2.2", "has reached its size limit");
	assert_result(&batch.results[2], PH_USER_SENT, "2.0.0", "");
	assert_int_equal(strlen(box_read(&box)), 3 * size);
	assert_null(strstr(box.content, "fit"));
	box_close(&box);
}

/* As on a full disk: write() takes a part and then fails. */
static void
goes_back_when_writing_fails(void **unused)
{
	static char large[200001];
	struct batch batch = {.count = 0};
	struct rlimit old, limit;
	struct box box;
	size_t size;

	memset(large, 'x', sizeof(large) - 1);
	box_open(&box);
	batch_add(&batch, &box, "a\r\n", 3);
	batch_add(&batch, &box, large, sizeof(large) - 1);
	batch_add(&batch, &box, "b\r\n", 3);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	limit = (struct rlimit){100000, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	batch_run(&batch, 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	signal(SIGXFSZ, SIG_DFL);
	assert_result(&batch.results[0], PH_USER_SENT, "2.0.0", "");
	assert_result(&batch.results[1], PH_USER_DEFERRED, "4.2.2", "error writing message: File too large");
	assert_result(&batch.results[2], PH_USER_DEFERRED, "4.2.2", "a message before this one did not fit");
	size = strlen(box_read(&box));
	assert_true(size < 1000);
	assert_string_equal(box.content + size - 3, "a\n\n");
	box_close(&box);
}

static void
says_why_there_is_no_mailbox(void **unused)
{
	struct batch batch = {.count = 0};
	struct box box;

	box_open(&box);
	batch_add(&batch, &box, "a\r\n", 3);
	batch.box.fd = -1;
	batch.box.failure = EACCES;
	batch_run(&batch, 0);
	assert_result(&batch.results[0], PH_USER_DEFERRED, "4.2.0", "cannot open mailbox /tmp/ph-mbox-");
	batch = (struct batch){.count = 0};
	batch_add(&batch, &box, "a\r\n", 3);
	batch.box.flags = PH_MAILBOX_FILE;
	batch.box.failure = EACCES;
	batch_run(&batch, 0);
	assert_result(&batch.results[0], PH_USER_BOUNCED, "5.2.0", "cannot open destination file /tmp/ph-mbox-");
	box_close(&box);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_that_it_was_here),
		cmocka_unit_test(copies_text_however_it_is_cut),
		cmocka_unit_test(writes_the_head),
		cmocka_unit_test(delivers_a_batch),
		cmocka_unit_test(goes_back_at_the_limit),
		cmocka_unit_test(goes_back_when_writing_fails),
		cmocka_unit_test(says_why_there_is_no_mailbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
