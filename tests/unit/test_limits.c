/* What clients use up, over processes that come, go and die. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/logger.h"
#include "session/limits.h"

enum {
	MANY = 1000 * 1000,
	RATES = 4 * 1024 * 1024,  /* bytes: the table of rates, and a page before it */
	COLUMN = 256 * 1024,      /* of a process */
	PAGE = 4096
};

static char last_line[300];

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	if (level <= PH_LOG_WARNING)
		snprintf(last_line, sizeof(last_line), "%s", line);
}

static int
setup(void **state)
{
	last_line[0] = '\0';
	logger_capture(capture, NULL);
	return limits_open(-1, NULL);
}

static int
teardown(void **state)
{
	limits_close();
	logger_capture(NULL, NULL);
	return last_line[0] == '\0' ? 0 : -1;
}

static uint64_t
client(const char *text, unsigned prefix)
{
	ph_address address;

	assert_int_equal(ph_address_parse(ph_span_of(text), &address), 0);
	return limits_client("smtp", &address, prefix);
}

static uint64_t
number(unsigned i)
{
	ph_address address = {.family = AF_INET, .bytes = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};

	return limits_client("smtp", &address, 32);
}

/* ---- Another process that counts -------------------------------------------------------------- */

struct process {
	pid_t pid;
	int to, from;
};

struct order {
	char what; /* e: enter, l: leave, c: count a message, q: end */
	uint64_t client;
	int64_t limit;
};

static void
obey(int in, int out)
{
	struct order order;

	limits_attach();
	(void)!write(out, "", 1);
	while (read(in, &order, sizeof(order)) == sizeof(order) && order.what != 'q') {
		uint32_t result = 0;

		if (order.what == 'e')
			result = limits_enter(order.client, order.limit);
		else if (order.what == 'c')
			result = limits_count(order.client, RATE_MESSAGE, order.limit, 60000);
		else
			limits_leave(order.client);
		(void)!write(out, &result, sizeof(result));
	}
	_exit(0);
}

static struct process
start(void)
{
	struct process process;
	int in[2], out[2];
	char attached;

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	process = (struct process){.pid = fork(), .to = in[1], .from = out[0]};
	assert_true(process.pid != -1);
	if (process.pid == 0) {
		close(in[1]);
		close(out[0]);
		obey(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	assert_int_equal(read(out[0], &attached, 1), 1);
	return process;
}

static uint32_t
tell(const struct process *process, char what, uint64_t of, int64_t limit)
{
	struct order order = {.what = what, .client = of, .limit = limit};
	uint32_t result = 0;

	assert_int_equal(write(process->to, &order, sizeof(order)), sizeof(order));
	if (what != 'q')
		assert_int_equal(read(process->from, &result, sizeof(result)), sizeof(result));
	return result;
}

static void
end(struct process *process, int signal_number)
{
	if (signal_number != 0)
		kill(process->pid, signal_number);
	else
		tell(process, 'q', 0, 0);
	assert_int_equal(waitpid(process->pid, NULL, 0), process->pid);
	close(process->to);
	close(process->from);
}

/* ---- Connections ------------------------------------------------------------------------------ */

static void
test_counts(void **state)
{
	uint64_t a = client("192.0.2.1", 32), b = client("192.0.2.2", 32);
	struct process one = start(), two = start();

	assert_int_equal(tell(&one, 'e', a, 50), 1);
	assert_int_equal(tell(&one, 'e', a, 50), 2);
	assert_int_equal(tell(&one, 'e', b, 50), 1);
	assert_int_equal(tell(&two, 'e', a, 50), 3);
	tell(&two, 'l', a, 0);
	tell(&one, 'l', a, 0);
	assert_int_equal(tell(&one, 'e', a, 50), 2);
	tell(&one, 'l', a, 0);
	tell(&one, 'l', a, 0);
	tell(&one, 'l', a, 0); /* one too many does no harm */
	assert_int_equal(tell(&two, 'e', a, 50), 1);
	end(&one, 0);
	end(&two, 0);
}

/* A process died: what it had counted is gone when the parent has swept, or a limit is reached. */
static void
test_death(void **state)
{
	uint64_t a = client("192.0.2.1", 32);
	struct process one = start(), two = start(), three;

	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(tell(&one, 'e', a, 50), i);
	assert_int_equal(tell(&two, 'e', a, 50), 6);
	end(&one, SIGKILL);
	assert_int_equal(tell(&two, 'e', a, 50), 7);
	assert_int_equal(tell(&two, 'e', a, 7), 3);
	end(&two, SIGKILL);
	three = start(); /* in the column of the first one */
	assert_int_equal(tell(&three, 'e', a, 50), 4);
	limits_sweep();
	assert_int_equal(tell(&three, 'e', a, 50), 2);
	end(&three, 0);
}

/* The next generation, with the same memory, while the first one lives; and one with another. */
static void
test_generations(void **state)
{
	uint64_t a;
	struct process old, new, other;
	int fd = limits_make(NULL), none;

	assert_true(fd != -1);
	assert_int_equal(limits_open(dup(fd), NULL), 0);
	a = client("192.0.2.1", 32);
	old = start();
	assert_int_equal(tell(&old, 'e', a, 50), 1);
	assert_int_equal(tell(&old, 'c', a, 50), 1);
	assert_int_equal(limits_open(dup(fd), NULL), 0);
	assert_int_equal(client("192.0.2.1", 32), a); /* the secret is the same */
	new = start();
	assert_int_equal(tell(&new, 'e', a, 50), 2);
	assert_int_equal(tell(&new, 'c', a, 50), 2);
	end(&old, 0);
	assert_int_equal(tell(&new, 'e', a, 2), 2);
	close(fd);

	none = memfd_create("something", MFD_CLOEXEC);
	assert_int_equal(limits_open(none, NULL), 0);
	assert_string_equal(last_line, "another version began to count clients: counting anew");
	last_line[0] = '\0';
	other = start();
	assert_int_equal(tell(&other, 'e', a, 50), 1);
	end(&new, 0);
	end(&other, 0);
}

/* The memory cannot be made smaller under those who read it. */
static void
test_sealed(void **state)
{
	int fd = limits_make(NULL);

	assert_int_equal(ftruncate(fd, 0), -1);
	assert_int_equal(ftruncate(fd, (off_t)1 << 40), -1);
	close(fd);
}

/* Processes that are killed anywhere while they enter and leave: nothing stays. */
static void
test_killed_in_the_middle(void **state)
{
	uint64_t a = client("192.0.2.1", 32);
	struct process last;
	int ready[2];

	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	for (unsigned i = 0; i < 100; i++) {
		pid_t pids[2];
		char byte;

		for (size_t p = 0; p < 2; p++) {
			pids[p] = fork();
			assert_true(pids[p] != -1);
			if (pids[p] != 0)
				continue;
			limits_attach();
			for (unsigned n = 0;; n++) {
				(void)limits_enter(n % 2 ? a : number(n), n % 3);
				if (n % 5 == 0)
					limits_leave(a);
				if (n == i * 10)
					(void)!write(ready[1], "", 1);
			}
		}
		for (size_t p = 0; p < 2; p++)
			assert_int_equal(read(ready[0], &byte, 1), 1);
		for (size_t p = 0; p < 2; p++) {
			kill(pids[p], SIGKILL);
			assert_int_equal(waitpid(pids[p], NULL, 0), pids[p]);
		}
	}
	last = start();
	assert_int_equal(tell(&last, 'e', a, 1), 1);
	end(&last, 0);
	close(ready[0]);
	close(ready[1]);
}

static void
test_without(void **state)
{
	uint64_t a = client("192.0.2.1", 32);

	/* A process that does not count. */
	assert_int_equal(limits_enter(a, 1), 0);
	assert_int_equal(limits_count(a, RATE_MESSAGE, 1, 60000), 0);
	limits_leave(a);
	limits_close();
	assert_int_equal(client("192.0.2.1", 32), 0);
	assert_int_equal(limits_enter(a, 1), 0);
	limits_attach();
	limits_sweep();
	assert_int_equal(limits_memory(), 0);
	assert_int_equal(setup(NULL), 0);
	/* No client, no limit. */
	limits_attach();
	assert_int_equal(limits_enter(0, 1), 0);
	assert_int_equal(limits_count(0, RATE_MESSAGE, 1, 60000), 0);
	assert_int_equal(limits_count(a, RATE_MESSAGE, 0, 60000), 0);
}

/* ---- Who a client is -------------------------------------------------------------------------- */

static void
test_networks(void **state)
{
	static const struct {
		const char *one, *other;
		unsigned prefix;
		bool same;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", 32, true},
		{"192.0.2.1", "192.0.2.2", 32, false},
		{"192.0.2.1", "192.0.2.2", 31, false},
		{"192.0.2.2", "192.0.2.3", 31, true},
		{"192.0.2.1", "192.0.3.1", 23, true},
		{"2001:db8::1", "2001:db8::ffff:0:0:2", 64, true},
		{"2001:db8::1", "2001:db8:0:1::1", 64, false},
		{"2001:db8::1", "2001:db8::2", 128, false},
		{"2001:db8::fff:0:1", "2001:db8::1", 84, true},
		{"2001:db8::1:fff:0:1", "2001:db8::1", 84, false},
		{"2001:db8::1000:0:1", "2001:db8::1", 84, false},
		{"::1", "::2", 64, false},
		{"::1", "0:0:0:1::1", 64, false},
		{"1.0.0.0", "100::", 32, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if ((client(cases[i].one, cases[i].prefix) == client(cases[i].other, cases[i].prefix)) !=
			cases[i].same)
			fail_msg("%s, %s", cases[i].one, cases[i].other);
}

static void
test_services(void **state)
{
	ph_address address = {.family = AF_INET}, none = {0};

	assert_int_not_equal(limits_client("smtp", &address, 32), limits_client("submission", &address, 32));
	assert_int_equal(limits_client("smtp", &none, 32), 0);
}

/* ---- Bounds ----------------------------------------------------------------------------------- */

/* A process is full at some point: what does not fit is not counted, what is counted is counted right. */
static void
test_full_column(void **state)
{
	unsigned counted = 0;

	limits_attach();
	for (unsigned i = 0; i < 100000; i++) {
		unsigned n = limits_enter(number(i), 50);

		assert_in_range(n, 0, 1);
		counted += n;
	}
	assert_in_range(counted, 25000, 32768);
	for (unsigned i = 0; i < 100000; i++)
		limits_leave(number(i));
	assert_int_equal(limits_enter(number(1), 50), 1);
}

/* A million addresses connect, ask for something and go, in two processes; one that is over its limits
 * is among them. */
static void
test_flood(void **state)
{
	struct process two = start();
	uint64_t limited = client("192.0.2.1", 32);

	limits_attach();
	assert_int_equal(tell(&two, 'e', limited, 1), 1);
	assert_int_equal(limits_enter(limited, 1), 2);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(limits_count(limited, RATE_MESSAGE, 5, 3600 * 1000), i);
	for (unsigned i = 0; i < MANY; i++) {
		uint64_t one = number(i);

		assert_int_equal(limits_enter(one, 1), 1);
		assert_int_not_equal(limits_count(one, RATE_CONNECTION, 5, 3600 * 1000), 0);
		limits_leave(one);
		if (i % 10000 == 0) {
			assert_int_equal(limits_count(limited, RATE_MESSAGE, 5, 3600 * 1000), 6 + i / 10000);
			assert_in_range(limits_memory(), PAGE, RATES + 2 * COLUMN + PAGE);
		}
	}
	assert_int_equal(limits_memory(), RATES + 2 * COLUMN + PAGE);
	assert_int_equal(tell(&two, 'e', limited, 1), 3);
	end(&two, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_counts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_death, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generations, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_in_the_middle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_without, setup, teardown),
		cmocka_unit_test_setup_teardown(test_networks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_services, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full_column, setup, teardown),
		cmocka_unit_test_setup_teardown(test_flood, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
