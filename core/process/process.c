#include "process/process.h"

#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { AFTER_PARENT = 1 /* seconds that a process outlives its parent at most */ };

static void
set_handler(int signal_number, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};

	sigaction(signal_number, &action, NULL);
}

void
process_signals(void)
{
	static const int ignored[] = {SIGPIPE, SIGINT, SIGHUP, SIGUSR1};
	sigset_t none;

	for (int i = 1; i < NSIG; i++)
		if (i != SIGKILL && i != SIGSTOP)
			set_handler(i, SIG_DFL);
	/* A terminal's interrupt and a service manager's reload are for the supervisor. */
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		set_handler(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

void
process_title(const char *name)
{
	char title[16]; /* the kernel keeps 15 characters */

	snprintf(title, sizeof(title), "posthouse-%s", name);
	prctl(PR_SET_NAME, title, 0, 0, 0);
}

/* Where the kernel shows the arguments of this process from; the field after the name in brackets
 * is the third. */
static bool
argument_room(char **start, size_t *size)
{
	char text[1024] = "";
	unsigned long from = 0, to = 0;
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	ssize_t got = fd == -1 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd != -1)
		close(fd);
	char *at = got > 0 ? strrchr(text, ')') : NULL;
	for (int field = 3; at && field <= 48; field++)
		at = strchr(at + 1, ' ');
	if (!at || sscanf(at, "%lu %lu", &from, &to) != 2 || !from || to <= from)
		return false;
	*start = (char *)(uintptr_t)from;
	*size = to - from;
	return true;
}

void
process_arguments(const char *name)
{
	char *room;
	size_t size;

	if (!argument_room(&room, &size) || size < 16)
		return;
	memset(room, 0, size);
	snprintf(room, size, "posthoused: %s", name);
}

/* The orderly end begins when the control socket closes; this is for a process that does not
 * look. */
static void
on_parent_death(int signal_number)
{
	(void)signal_number;
	alarm(AFTER_PARENT);
}

void
process_follow(pid_t parent)
{
	set_handler(SIGUSR2, on_parent_death);
	prctl(PR_SET_PDEATHSIG, SIGUSR2, 0, 0, 0);
	if (getppid() != parent)
		_exit(1);
}

int64_t
process_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void
process_leave_terminal(bool log_there)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (fd == -1)
		return;
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	if (!log_there)
		dup2(fd, STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}
