/*
 * Commands: a process with the message at its standard input, watched until it ends.
 */
#include <posthouse/command.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ground/statuscode.h"
#include "process/convert.h"
#include "process/exits.h"
#include "process/process.h"

enum { PIECE = 8192 };

/* What is still to be written to the command. */
struct feed {
	const struct ph_command *command;
	struct convert convert;
	enum { FEED_HEAD, FEED_CONTENT, FEED_TAIL, FEED_END } part;
	int64_t at;         /* in the content */
	char *piece, *out;  /* PIECE bytes; what they may become */
	size_t done, size;  /* of out */
	bool failed;        /* the content could not be read: errno is kept */
	int error;
};

/* A command that runs. */
struct running {
	pid_t pid;
	int in, out;   /* our ends of its pipes; -1: closed */
	char *output;
	size_t kept, room;
	int status;
	bool timed_out;
};

/* ---- The message ----------------------------------------------------------------------------- */

static void
feed_text(struct feed *feed, const char *text)
{
	struct convert plain = {.eol = feed->command->eol};

	feed->size = text ? convert_put(&plain, ph_span_of(text), feed->out) : 0;
}

static void
feed_content(struct feed *feed)
{
	const struct ph_command *command = feed->command;
	int64_t left = command->length - feed->at;
	ssize_t got;

	if (left == 0) {
		feed->size = convert_end(&feed->convert, feed->out);
		feed->part = FEED_TAIL;
		return;
	}
	do
		got = pread(command->fd, feed->piece, left < PIECE ? (size_t)left : PIECE,
			(off_t)(command->offset + feed->at));
	while (got == -1 && errno == EINTR);
	if (got <= 0) {
		feed->failed = true;
		feed->error = got == 0 ? ENODATA : errno;
		feed->part = FEED_END;
		return;
	}
	feed->at += got;
	feed->size = convert_put(&feed->convert, (ph_span){feed->piece, (size_t)got}, feed->out);
}

/* Is there something to write? */
static bool
feed_more(struct feed *feed)
{
	while (feed->done == feed->size && feed->part != FEED_END) {
		feed->done = feed->size = 0;
		if (feed->part == FEED_CONTENT)
			feed_content(feed);
		else if (feed->part == FEED_HEAD) {
			feed_text(feed, feed->command->head);
			feed->part = FEED_CONTENT;
		} else {
			feed_text(feed, feed->command->tail);
			feed->part = FEED_END;
		}
	}
	return feed->done < feed->size;
}

static int
feed_begin(struct feed *feed, const struct ph_command *command)
{
	size_t room = strlen(command->head ? command->head : ""),
		tail = strlen(command->tail ? command->tail : "");

	if (tail > room)
		room = tail;
	*feed = (struct feed){.command = command, .convert = {.eol = command->eol, .flags = command->flags}};
	feed->piece = malloc(PIECE);
	feed->out = malloc(convert_room(room > PIECE ? room : PIECE));
	return feed->piece && feed->out ? 0 : -1;
}

static void
feed_end(struct feed *feed)
{
	free(feed->piece);
	free(feed->out);
}

/* ---- The process ----------------------------------------------------------------------------- */

static void
set_environment(const struct ph_command *command)
{
	for (size_t i = 0; command->environment && command->environment[i]; i++)
		if (putenv((char *)(uintptr_t)command->environment[i]) != 0)
			_exit(EX_TEMPFAIL);
}

/* In the new process: its standard error is the output already. */
static noreturn void
become_command(const struct ph_command *command)
{
	if (command->directory && chdir(command->directory) == -1) {
		dprintf(STDERR_FILENO, "cannot change directory to \"%s\": %s\n",
			command->directory, strerror(errno));
		_exit(EX_TEMPFAIL);
	}
	set_environment(command);
	execvp(command->argv[0], (char *const *)(uintptr_t)command->argv);
	if (errno == ENOENT && command->otherwise)
		execvp(command->otherwise[0], (char *const *)(uintptr_t)command->otherwise);
	dprintf(STDERR_FILENO, "cannot run %s: %s\n", command->argv[0], strerror(errno));
	_exit(EX_TEMPFAIL);
}

static noreturn void
child(const struct ph_command *command, int in, int out, pid_t parent)
{
	process_signals();
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	/* The spawner ends us where it must: what we run goes along. */
	if (setsid() == -1 || prctl(PR_SET_PDEATHSIG, SIGKILL) == -1 || getppid() != parent)
		_exit(EX_TEMPFAIL);
	if (dup2(in, STDIN_FILENO) == -1 || dup2(out, STDOUT_FILENO) == -1 ||
		dup2(out, STDERR_FILENO) == -1)
		_exit(EX_TEMPFAIL);
	become_command(command);
}

static int
start(const struct ph_command *command, struct running *running)
{
	int in[2], out[2];
	pid_t self = getpid();

	if (pipe2(in, O_CLOEXEC) == -1)
		return -1;
	if (pipe2(out, O_CLOEXEC) == -1) {
		close(in[0]);
		close(in[1]);
		return -1;
	}
	running->pid = fork();
	if (running->pid == 0)
		child(command, in[0], out[1], self);
	int failed = errno;
	close(in[0]);
	close(out[1]);
	running->in = in[1];
	running->out = out[0];
	fcntl(running->in, F_SETFL, O_NONBLOCK);
	fcntl(running->out, F_SETFL, O_NONBLOCK);
	errno = failed;
	return running->pid == -1 ? -1 : 0;
}

static void
close_end(int *fd)
{
	if (*fd != -1)
		close(*fd);
	*fd = -1;
}

static void
write_some(struct running *running, struct feed *feed)
{
	ssize_t written;

	if (!feed_more(feed)) {
		close_end(&running->in);
		return;
	}
	written = write(running->in, feed->out + feed->done, feed->size - feed->done);
	if (written > 0)
		feed->done += (size_t)written;
	else if (written == -1 && errno != EAGAIN && errno != EINTR)
		close_end(&running->in); /* it does not want to read more */
}

/* Everything that is there now; a flood only as long as it is not endless. */
static void
read_some(struct running *running)
{
	char buffer[PIECE];
	ssize_t got = 1;

	for (int i = 0; i < 64 && got > 0; i++) {
		got = read(running->out, buffer, sizeof(buffer));
		for (ssize_t k = 0; k < got && running->kept < running->room; k++)
			running->output[running->kept++] = buffer[k];
	}
	if (got == 0 || (got == -1 && errno != EAGAIN && errno != EINTR))
		close_end(&running->out);
}

/* It has ended, but is still there as a zombie. */
static bool
has_ended(const struct running *running)
{
	siginfo_t info = {.si_pid = 0};

	return waitid(P_PID, (id_t)running->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		info.si_pid != 0;
}

static void
wake(int signal_number)
{
	(void)signal_number;
}

static void
watch(struct running *running, struct feed *feed, const sigset_t *mask, int64_t deadline)
{
	while (!has_ended(running)) {
		int64_t left = deadline - process_clock();
		struct pollfd fds[] = {{.fd = running->in, .events = POLLOUT},
			{.fd = running->out, .events = POLLIN}};

		if (left <= 0 && !running->timed_out) {
			running->timed_out = true;
			kill(-running->pid, SIGKILL);
			kill(running->pid, SIGKILL);
		}
		if (left < 0 || left > 60 * 1000)
			left = left < 0 ? 1000 : 60 * 1000;
		struct timespec time = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000};
		if (ppoll(fds, 2, &time, mask) <= 0)
			continue;
		if (running->in != -1 && fds[0].revents)
			write_some(running, feed);
		if (running->out != -1 && fds[1].revents)
			read_some(running);
	}
}

/* Runs it to its end. 0, or -1 with errno when it was not started. */
static int
run(const struct ph_command *command, struct running *running, struct feed *feed)
{
	struct sigaction action = {.sa_handler = wake}, old;
	sigset_t blocked, before;
	int result;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	sigaction(SIGCHLD, &action, &old);
	signal(SIGPIPE, SIG_IGN);
	sigset_t open = before;
	sigdelset(&open, SIGCHLD);
	result = start(command, running);
	if (result == 0) {
		watch(running, feed, &open, process_clock() + command->time_limit);
		if (running->out != -1)
			read_some(running);
		/* Those that it left behind: while its number cannot be anybody else's. */
		kill(-running->pid, SIGKILL);
		waitpid(running->pid, &running->status, 0);
	}
	int failed = errno;
	close_end(&running->in);
	close_end(&running->out);
	sigaction(SIGCHLD, &old, NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = failed;
	return result;
}

/* ---- What to say of it ----------------------------------------------------------------------- */

static void set(struct ph_user_result *result, int outcome, const char *status, const char *format,
	...) PH_PRINTF(4, 5);

static void
set(struct ph_user_result *result, int outcome, const char *status, const char *format, ...)
{
	va_list arguments;

	result->outcome = outcome;
	snprintf(result->status, sizeof(result->status), "%s", status);
	va_start(arguments, format);
	vsnprintf(result->text, sizeof(result->text), format, arguments);
	va_end(arguments);
}

static int
outcome_of(const char *status)
{
	return status[0] == '4' ? 1 : 2;
}

/* "5.7.1 text" at the start of the output is the command's own word on the matter. */
static bool
take_status(struct ph_user_result *result)
{
	char status[sizeof(result->status)];
	size_t size = statuscode_read(result->output, status, sizeof(status));

	if (!size)
		return false;
	set(result, outcome_of(status), status, "%s", result->output + size);
	result->output[0] = '\0';
	return true;
}

static void
judge(const struct ph_command *command, const struct running *running, const struct feed *feed,
	struct ph_user_result *result)
{
	int code = WIFEXITED(running->status) ? WEXITSTATUS(running->status) : 0;
	const struct exit_meaning *meaning;

	if (running->timed_out)
		set(result, 2, "5.3.0", "Command time limit exceeded: \"%s\"", command->title);
	else if (WIFSIGNALED(running->status))
		set(result, 1, "4.3.0", "Command died with signal %d: \"%s\"",
			WTERMSIG(running->status), command->title);
	else if (feed->failed)
		set(result, 1, "4.3.0", "cannot read the message: %s", strerror(feed->error));
	else if (code == 0)
		set(result, 0, "2.0.0", "delivered to command: %s", command->title);
	else if (take_status(result))
		return;
	else if ((meaning = exits_find(code)) != NULL)
		set(result, outcome_of(meaning->status), meaning->status, "%s", meaning->text);
	else
		set(result, 2, "5.3.0", "Command died with status %d: \"%s\"", code,
			command->title);
}

void
ph_command_run(const struct ph_command *command, struct ph_user_result *result)
{
	struct running running = {.in = -1, .out = -1, .output = result->output,
		.room = sizeof(result->output) - 1};
	struct feed feed;

	*result = (struct ph_user_result){.size = sizeof(*result)};
	if (feed_begin(&feed, command) == -1)
		set(result, 1, "4.3.0", "no memory");
	else if (run(command, &running, &feed) == -1)
		set(result, 1, "4.3.0", "Delivery failed: %s", strerror(errno));
	else {
		exits_clean(result->output);
		judge(command, &running, &feed, result);
	}
	feed_end(&feed);
}
