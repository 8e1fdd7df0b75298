#include "process/process.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
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

/* The orderly end begins when the control socket closes; this is for a process that does not look. */
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
