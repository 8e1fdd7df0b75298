/* Channels on the loop. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ground/loop.h"
#include "process/channel.h"

/* What a test saw. */
struct seen {
	unsigned frames, closed;
	size_t bytes, fds;
	unsigned last_type;
	struct channel *peer; /* to be closed at the end */
	unsigned wanted;
	bool slow;
};

static void
on_frame(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct seen *seen = context;

	assert_int_equal(type, seen->last_type + 1);
	seen->last_type = type;
	seen->bytes += payload.size;
	seen->fds += fd_count;
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	if (seen->slow && seen->frames % 10 == 0) {
		char first = payload.size ? payload.data[0] : 0;

		ph_sleep(ph_in(1));
		assert_int_equal(payload.size ? payload.data[0] : 0, first);
	}
	if (++seen->frames == seen->wanted) {
		channel_close(channel);
		channel_close(seen->peer);
		loop_stop();
	}
}

static void
on_closed(struct channel *channel, void *context)
{
	struct seen *seen = context;

	(void)channel;
	seen->closed++;
	loop_stop();
}

static const struct channel_ops ops = {.frame = on_frame, .closed = on_closed};

static struct channel *ends[2];
static struct seen seen[2];

static void
open_both(void)
{
	int pair[2];
	ph_error error;

	assert_int_equal(loop_open(&error), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	memset(seen, 0, sizeof(seen));
	for (int i = 0; i < 2; i++) {
		ends[i] = channel_open("test", pair[i], &ops, &seen[i]);
		assert_non_null(ends[i]);
	}
	seen[1].peer = ends[0];
	seen[0].peer = ends[1];
}

static void
send_many(void *argument)
{
	unsigned *count = argument;
	char data[1000];

	memset(data, 'x', sizeof(data));
	for (unsigned i = 0; i < *count; i++) {
		while (channel_pending(ends[0]) > 1 << 20)
			if (ph_yield() != PH_WAIT_OK)
				return;
		assert_int_equal(channel_send(ends[0], i + 1, (ph_span){data, i % sizeof(data)}), 0);
	}
}

static void
run_many(bool slow, unsigned count)
{
	open_both();
	seen[1].wanted = count;
	seen[1].slow = slow;
	ph_task_spawn("sender", send_many, &count);
	assert_int_equal(loop_run(), 0);
	assert_int_equal(seen[1].frames, count);
	assert_int_equal(seen[1].closed, 0);
	loop_close();
}

static void
test_many_frames(void **state)
{
	run_many(false, 20000);
}

/* The callee waits: nothing more is read meanwhile, and its payload holds. */
static void
test_callee_waits(void **state)
{
	run_many(true, 500);
}

static void
send_fds(void *argument)
{
	int file = open("/dev/null", O_RDONLY | O_CLOEXEC), two[2] = {file, file};

	(void)argument;
	assert_int_equal(channel_send(ends[0], 1, (ph_span){"a", 1}), 0);
	assert_int_equal(channel_send_fds(ends[0], 2, (ph_span){"b", 1}, two, 2), 0);
	close(file); /* they were duplicated */
	assert_int_equal(channel_send(ends[0], 3, (ph_span){0}), 0);
}

static void
test_descriptors(void **state)
{
	open_both();
	seen[1].wanted = 3;
	ph_task_spawn("sender", send_fds, NULL);
	loop_run();
	assert_int_equal(seen[1].fds, 2);
	loop_close();
}

static void
close_peer(void *argument)
{
	channel_send(ends[0], 1, (ph_span){"last", 4});
	channel_close(ends[0]);
}

/* What was sent before the end arrives, then the end; the end is told once. */
static void
test_end(void **state)
{
	uid_t uid;
	pid_t pid;

	open_both();
	assert_int_equal(channel_peer(ends[1], &uid, &pid), 0);
	assert_int_equal(uid, geteuid());
	assert_int_equal(pid, getpid());
	ph_task_spawn("closer", close_peer, NULL);
	loop_run();
	assert_int_equal(seen[1].frames, 1);
	assert_int_equal(seen[1].closed, 1);
	assert_int_equal(seen[0].closed, 0);
	loop_close();
}

/* A peer that dies with our frames unread (the socket is reset) is noticed too. */
static void
test_reset(void **state)
{
	int pair[2];
	ph_error error;
	struct seen one = {0};

	assert_int_equal(loop_open(&error), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(write(pair[0], "unread", 6), 6);
	struct channel *channel = channel_open("test", pair[0], &ops, &one);
	assert_non_null(channel);
	close(pair[1]);
	loop_run();
	assert_int_equal(one.closed, 1);
	loop_close();
}

/* Nonsense closes the channel. */
static void
test_nonsense(void **state)
{
	int pair[2];
	ph_error error;
	struct seen one = {0};

	assert_int_equal(loop_open(&error), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	struct channel *channel = channel_open("test", pair[0], &ops, &one);
	assert_non_null(channel);
	assert_int_equal(write(pair[1], "\xff\xff\xff\xff\xff\xff\xff\xff", 8), 8);
	loop_run();
	assert_int_equal(one.closed, 1);
	assert_int_equal(one.frames, 0);
	close(pair[1]);
	loop_close();
}

static struct channel_listener *listener;
static struct seen accepted;

static void
on_accept(int fd, void *context)
{
	accepted.wanted = 1;
	accepted.peer = NULL;
	assert_non_null(channel_open("accepted", fd, &ops, &accepted));
	channel_unlisten(listener);
}

static void
test_listen(void **state)
{
	char folder[] = "/tmp/test_channel.XXXXXX", path[64], long_path[200];
	ph_error error;
	struct stat status;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/socket", folder);
	memset(long_path, 'x', sizeof(long_path));
	long_path[sizeof(long_path) - 1] = '\0';
	assert_int_equal(loop_open(&error), 0);
	assert_null(channel_listen(long_path, 0600, on_accept, NULL, &error));
	assert_int_equal(channel_connect_blocking(path, &error), -1);
	for (int round = 0; round < 2; round++) { /* the second replaces the socket of the first */
		memset(&accepted, 0, sizeof(accepted));
		listener = channel_listen(path, 0620, on_accept, NULL, &error);
		assert_non_null(listener);
		assert_int_equal(stat(path, &status), 0);
		assert_int_equal(status.st_mode & 0777, 0620);
		int fd = channel_connect_blocking(path, &error);
		assert_true(fd != -1);
		assert_int_equal(channel_send_blocking(fd, 1, (ph_span){"hi", 2}, NULL, 0, &error), 0);
		loop_run();
		assert_int_equal(accepted.frames, 1);
		close(fd);
	}
	loop_close();
	unlink(path);
	rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_frames),
		cmocka_unit_test(test_callee_waits),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_listen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
