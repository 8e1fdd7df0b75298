#include <posthouse/stream.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "ground/sockaddr.h"
#include "scene.h"

enum {
	BIG = 3 * 1024 * 1024 + 77
};

static ph_stream *near_end, *far_end;

static void
open_pair(void)
{
	int ends[2];

	check(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	near_end = ph_stream_new(ends[0]);
	far_end = ph_stream_new(ends[1]);
	check(near_end != NULL && far_end != NULL);
}

static void
close_pair(void)
{
	ph_stream_close(near_end);
	ph_stream_close(far_end);
	near_end = far_end = NULL;
}

static bool
next_line_is(const char *expected)
{
	ph_span line;

	return ph_stream_read_line(near_end, &line, 512, ph_in(5000)) > 0 &&
		ph_span_equal(line, ph_span_of(expected));
}

/* ---- Lines ------------------------------------------------------------------------------------ */

static void
type_slowly(void *argument)
{
	const char *text = argument;

	for (; *text != '\0'; text++) {
		check(ph_stream_write(far_end, text, 1, ph_in(5000)) == 0);
		check(ph_stream_flush(far_end, ph_in(5000)) == 0);
		check(ph_yield() == PH_WAIT_OK);
	}
}

static void
scene_slow(void)
{
	open_pair();
	ph_task_spawn("typist", type_slowly, (void *)(uintptr_t)"EHLO a\r\nMAIL\n\r\n");
	check(next_line_is("EHLO a\r\n"));
	check(next_line_is("MAIL\n"));
	check(next_line_is("\r\n"));
	close_pair();
}

static void
test_slow(void **state)
{
	scene_run(scene_slow);
}

static void
scene_pipelined(void)
{
	ph_span line, bytes;

	open_pair();
	check(write(ph_stream_fd(far_end), "a\nbb\nrest", 9) == 9);
	check(next_line_is("a\n"));
	check(ph_stream_buffered(near_end).size == 7);
	check(next_line_is("bb\n"));
	check(ph_stream_read_line(near_end, &line, 512, ph_in(5)) == PH_STREAM_TIMEOUT);
	check(ph_stream_peek(near_end, &bytes, ph_in(5)) == 4);
	check(ph_span_equal(bytes, ph_span_of("rest")));
	check(ph_stream_peek_more(near_end, &bytes, ph_in(5)) == PH_STREAM_TIMEOUT);
	check(write(ph_stream_fd(far_end), "!\n", 2) == 2);
	check(ph_stream_peek_more(near_end, &bytes, ph_in(5000)) == 6);
	ph_stream_consume(near_end, 2);
	check(next_line_is("st!\n"));
	check(ph_stream_buffered(near_end).size == 0);
	close_pair();
}

static void
test_pipelined(void **state)
{
	scene_run(scene_pipelined);
}

static void
scene_too_long(void)
{
	char large[600];
	ph_span line;

	memset(large, 'x', sizeof(large));
	large[511] = '\n';
	large[599] = '\n';
	open_pair();
	check(write(ph_stream_fd(far_end), large, 512) == 512);
	check(ph_stream_read_line(near_end, &line, 511, ph_in(5000)) == PH_STREAM_TOO_LONG);
	check(ph_stream_buffered(near_end).size == 512);
	check(ph_stream_read_line(near_end, &line, 512, ph_in(5000)) == 512);
	check(write(ph_stream_fd(far_end), large, 500) == 500);
	check(ph_stream_read_line(near_end, &line, 500, ph_in(5000)) == PH_STREAM_TOO_LONG);
	close_pair();
}

static void
test_too_long(void **state)
{
	scene_run(scene_too_long);
}

static void
scene_end(void)
{
	ph_span line;

	open_pair();
	check(write(ph_stream_fd(far_end), "last\npart", 9) == 9);
	ph_stream_close(far_end);
	far_end = NULL;
	check(next_line_is("last\n"));
	check(ph_stream_read_line(near_end, &line, 512, ph_in(5000)) == PH_STREAM_EOF);
	check(ph_stream_read_line(near_end, &line, 512, ph_in(5000)) == PH_STREAM_EOF);
	check(ph_stream_buffered(near_end).size == 4);
	ph_stream_write(near_end, "x", 1, ph_in(5000));
	check(ph_stream_flush(near_end, ph_in(5000)) == PH_STREAM_ERROR);
	check(ph_stream_error(near_end) == EPIPE);
	close_pair();
}

static void
test_end(void **state)
{
	scene_run(scene_end);
}

/* What the peer said before it went away is read, though the answer to it cannot be sent. */
static void
scene_last_words(void)
{
	ph_span line;

	open_pair();
	check(write(ph_stream_fd(far_end), "421 bye\r\n", 9) == 9);
	ph_stream_close(far_end);
	far_end = NULL;
	ph_stream_printf(near_end, ph_in(5000), "EHLO %s\r\n", "x");
	check(ph_stream_read_line(near_end, &line, 512, ph_in(5000)) == 9);
	check(ph_stream_read_line(near_end, &line, 512, ph_in(5000)) == PH_STREAM_EOF);
	close_pair();
}

static void
test_last_words(void **state)
{
	scene_run(scene_last_words);
}

/* ---- Output ----------------------------------------------------------------------------------- */

/* Answers collect, and leave before a read that waits. */
static void
scene_coalesce(void)
{
	char bytes[64];
	ph_span line;

	open_pair();
	ph_stream_write(near_end, "250 a\r\n", 7, ph_in(5000));
	ph_stream_printf(near_end, ph_in(5000), "250 %d\r\n", 2);
	check(recv(ph_stream_fd(far_end), bytes, sizeof(bytes), MSG_DONTWAIT) == -1);
	check(ph_stream_read_line(near_end, &line, 512, ph_in(5)) == PH_STREAM_TIMEOUT);
	check(recv(ph_stream_fd(far_end), bytes, sizeof(bytes), MSG_DONTWAIT) == 14);
	check(memcmp(bytes, "250 a\r\n250 2\r\n", 14) == 0);
	ph_stream_write(near_end, "421\r\n", 5, ph_in(5000));
	ph_stream_flush_now(near_end);
	ph_stream_flush_now(near_end);
	check(recv(ph_stream_fd(far_end), bytes, sizeof(bytes), MSG_DONTWAIT) == 5);
	close_pair();
}

static void
test_coalesce(void **state)
{
	scene_run(scene_coalesce);
}

static uint64_t received;
static bool content_is_right;

static char
pattern(uint64_t position)
{
	return (char)((position * 31 + position / 4096) & 0x7f);
}

static void
receive_all(void *argument)
{
	ph_span bytes;

	received = 0;
	content_is_right = true;
	while (ph_stream_peek(far_end, &bytes, ph_in(10000)) > 0) {
		for (size_t i = 0; i < bytes.size; i++, received++)
			content_is_right = content_is_right && bytes.data[i] == pattern(received);
		ph_stream_consume(far_end, bytes.size);
	}
}

static void
check_received(ph_task receiver, uint64_t expected)
{
	shutdown(ph_stream_fd(near_end), SHUT_WR);
	check(ph_task_join(receiver, ph_in(10000)) == PH_WAIT_OK);
	check(received == expected && content_is_right);
	close_pair();
}

static void
scene_big_write(void)
{
	char *data = malloc(BIG);
	ph_task receiver;

	check(data != NULL);
	for (size_t i = 0; i < BIG; i++)
		data[i] = pattern(i);
	open_pair();
	receiver = ph_task_spawn("receiver", receive_all, NULL);
	for (size_t at = 0, step = 1; at < BIG; at += step, step = step * 3 % 70001 + 1) {
		if (step > BIG - at)
			step = BIG - at;
		check(ph_stream_write(near_end, data + at, step, ph_in(10000)) == 0);
	}
	check(ph_stream_flush(near_end, ph_in(10000)) == 0);
	check_received(receiver, BIG);
	free(data);
}

static void
test_big_write(void **state)
{
	scene_run(scene_big_write);
}

static int
pattern_file(uint64_t first, size_t size)
{
	char name[] = "/tmp/posthouse-test-XXXXXX";
	int fd = mkstemp(name);
	char *data = malloc(size + 100);

	check(fd != -1 && data != NULL);
	unlink(name);
	for (size_t i = 0; i < size + 100; i++)
		data[i] = i < 100 ? 'h' : pattern(first + i - 100);
	check(write(fd, data, size + 100) == (ssize_t)size + 100);
	free(data);
	return fd;
}

/* Collected output, a part of a file and a tail arrive in this order. */
static void
send_file_of(size_t size)
{
	int fd = pattern_file(10, size);
	char around[20];
	ph_span tail = {.data = around + 10, .size = 5};
	ph_task receiver;

	for (size_t i = 0; i < 10; i++)
		around[i] = pattern(i);
	for (size_t i = 0; i < 10; i++)
		around[10 + i] = pattern(10 + size + i);
	open_pair();
	receiver = ph_task_spawn("receiver", receive_all, NULL);
	check(ph_stream_write(near_end, around, 10, ph_in(10000)) == 0);
	check(ph_stream_send_file(near_end, fd, 100, (int64_t)size, tail, ph_in(10000)) == 0);
	check_received(receiver, size + 15);
	close(fd);
}

static void
scene_send_file(void)
{
	const size_t sizes[] = {0, 1, 4096, 32768, 32769, 131072, 131073, BIG};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		send_file_of(sizes[i]);
}

static void
test_send_file(void **state)
{
	scene_run(scene_send_file);
}

static void
scene_short_file(void)
{
	int fd = pattern_file(0, 1000);

	open_pair();
	check(ph_stream_send_file(near_end, fd, 100, 2000, (ph_span){0}, ph_in(5000)) ==
		PH_STREAM_ERROR);
	check(ph_stream_error(near_end) == EIO);
	close_pair();
	close(fd);
}

static void
test_short_file(void **state)
{
	scene_run(scene_short_file);
}

/* A peer that does not read stops us at the deadline. */
static void
scene_stuck_peer(void)
{
	char *data = calloc(1, BIG);

	open_pair();
	check(ph_stream_write(near_end, data, BIG, ph_in(20)) == PH_STREAM_TIMEOUT);
	ph_task_cancel(ph_task_self());
	check(ph_stream_write(near_end, data, BIG, ph_in(20)) == PH_STREAM_CANCELLED);
	close_pair();
	free(data);
}

static void
test_stuck_peer(void **state)
{
	scene_run(scene_stuck_peer);
}

static void
scene_long_text(void)
{
	char *large = malloc(50001);
	ph_span bytes;

	check(large != NULL);
	memset(large, 'x', 50000);
	large[50000] = '\0';
	open_pair();
	check(ph_stream_printf(near_end, ph_in(5000), "first") == 0);
	check(ph_stream_printf(near_end, ph_in(5000), "%s\n", large) == 0);
	check(ph_stream_flush(near_end, ph_in(5000)) == 0);
	for (size_t left = 50006; left > 0; left -= bytes.size) {
		check(ph_stream_peek(far_end, &bytes, ph_in(5000)) > 0);
		ph_stream_consume(far_end, bytes.size);
	}
	close_pair();
	free(large);
}

static void
test_long_text(void **state)
{
	scene_run(scene_long_text);
}

/* ---- Cancellation, pipes, connections --------------------------------------------------------- */

static int read_result;

static void
read_for_ever(void *argument)
{
	ph_span bytes;

	read_result = (int)ph_stream_peek(near_end, &bytes, PH_NEVER);
}

static void
scene_cancelled(void)
{
	ph_task reader;

	open_pair();
	for (int i = 0; i < 10; i++) {
		reader = ph_task_spawn("reader", read_for_ever, NULL);
		ph_sleep(ph_in(1));
		ph_task_cancel(reader);
		ph_task_join(reader, PH_NEVER);
		check(read_result == PH_STREAM_CANCELLED);
	}
	check(write(ph_stream_fd(far_end), "still\n", 6) == 6);
	check(next_line_is("still\n"));
	close_pair();
}

static void
test_cancelled(void **state)
{
	scene_run(scene_cancelled);
}

static void
scene_pipe(void)
{
	int ends[2];
	ph_span bytes;

	check(pipe(ends) == 0);
	near_end = ph_stream_new(ends[0]);
	far_end = ph_stream_new(ends[1]);
	ph_stream_printf(far_end, ph_in(5000), "through\n");
	check(ph_stream_flush(far_end, ph_in(5000)) == 0);
	ph_stream_close(far_end);
	far_end = NULL;
	check(next_line_is("through\n"));
	check(ph_stream_peek(near_end, &bytes, ph_in(5000)) == PH_STREAM_EOF);
	close_pair();
}

static void
test_pipe(void **state)
{
	scene_run(scene_pipe);
}

static int
listen_on(const char *text, ph_address *address)
{
	struct sockaddr_storage storage;
	socklen_t size;
	int fd;

	check(ph_address_parse(ph_span_of(text), address) == 0);
	size = sockaddr_fill(&storage, address);
	fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd == -1 || bind(fd, (struct sockaddr *)&storage, size) == -1) {
		close(fd);
		return -1;
	}
	check(listen(fd, 8) == 0);
	check(getsockname(fd, (struct sockaddr *)&storage, &size) == 0);
	sockaddr_read(&storage, address);
	return fd;
}

/* A reset behind data is seen, and the data before it. */
static void
reset_after_data(int listener, const ph_address *address)
{
	const struct linger linger = {.l_onoff = 1};
	ph_error error;
	ph_span bytes;
	int64_t result;
	int peer;

	near_end = ph_stream_connect(address, NULL, ph_in(5000), &error);
	check(near_end != NULL);
	peer = accept(listener, NULL, NULL);
	check(ph_stream_peek(near_end, &bytes, ph_in(2)) == PH_STREAM_TIMEOUT);
	check(write(peer, "ab\n", 3) == 3);
	setsockopt(peer, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	close(peer);
	result = ph_stream_peek(near_end, &bytes, ph_in(5000));
	if (result == 3)
		result = ph_stream_peek_more(near_end, &bytes, ph_in(5000));
	check(result == PH_STREAM_ERROR && ph_stream_error(near_end) == ECONNRESET);
	ph_stream_close(near_end);
}

static void
connect_over(const char *text)
{
	ph_address address, source;
	int listener = listen_on(text, &address);
	ph_error error;
	int peer;

	if (listener == -1)
		return; /* no IPv6 here */
	check(ph_address_parse(ph_span_of(text), &source) == 0);
	near_end = ph_stream_connect(&address, &source, ph_in(5000), &error);
	check(near_end != NULL);
	peer = accept(listener, NULL, NULL);
	check(write(peer, "220 hi\r\n", 8) == 8);
	check(next_line_is("220 hi\r\n"));
	close(peer);
	ph_stream_close(near_end);
	reset_after_data(listener, &address);
	close(listener);
	check(ph_stream_connect(&address, NULL, ph_in(5000), &error) == NULL);
	check(strcmp(error.text, "Connection refused") == 0);
	near_end = NULL;
}

static void
scene_connect(void)
{
	ph_error error;
	ph_address nowhere = {0};

	connect_over("127.0.0.1");
	connect_over("::1");
	check(ph_stream_connect(&nowhere, NULL, ph_in(5000), &error) == NULL);
	check(ph_stream_connect_unix("/nowhere/at/all", ph_in(5000), &error) == NULL);
	check(strcmp(error.text, "No such file or directory") == 0);
}

static void
test_connect(void **state)
{
	scene_run(scene_connect);
}

static void
scene_connect_unix(void)
{
	char folder[] = "/tmp/posthouse-test-XXXXXX";
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ph_error error;

	check(mkdtemp(folder) != NULL);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", folder);
	check(bind(listener, (struct sockaddr *)&name, sizeof(name)) == 0 && listen(listener, 0) == 0);
	near_end = ph_stream_connect_unix(name.sun_path, ph_in(5000), &error);
	check(near_end != NULL);
	/* The backlog is full. */
	check(ph_stream_connect_unix(name.sun_path, ph_in(30), &error) == NULL);
	check(strcmp(error.text, "Connection timed out") == 0);
	ph_stream_close(near_end);
	close(listener);
	unlink(name.sun_path);
	rmdir(folder);
}

static void
test_connect_unix(void **state)
{
	scene_run(scene_connect_unix);
}

/* A command has no loop; the same code works there. */
static void
test_no_loop(void **state)
{
	open_pair();
	ph_stream_printf(far_end, ph_in(5000), "hello\n");
	assert_int_equal(ph_stream_flush(far_end, ph_in(5000)), 0);
	assert_true(next_line_is("hello\n"));
	close_pair();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_slow),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_last_words),
		cmocka_unit_test(test_coalesce),
		cmocka_unit_test(test_big_write),
		cmocka_unit_test(test_send_file),
		cmocka_unit_test(test_short_file),
		cmocka_unit_test(test_stuck_peer),
		cmocka_unit_test(test_long_text),
		cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_pipe),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_connect_unix),
		cmocka_unit_test(test_no_loop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
