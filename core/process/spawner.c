/*
 * The spawner: keeps root's rights for deliveries to users, and does next to nothing itself. For
 * each batch it forks a child (batch.c), which does everything that may block or needs a user, a
 * mailbox or a byte of a message. Here are only a poll loop, requests that are checked as hostile,
 * deadlines, and the removal of .lock files, for which a child has no rights any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ground/logger.h"
#include "ground/loop.h"
#include "process/conduit.h"
#include "process/protocol.h"
#include "process/rights.h"
#include "process/spawn.h"

enum {
	MAX_CLIENTS = 4,     /* the local role, and those that it replaced */
	MAX_CHILDREN = MAX_CLIENTS * SPAWN_UNDER_WAY
};

struct client {
	struct conduit link;
	int fds[PH_SPAWN_MAX]; /* of the request that is coming */
	size_t fd_count;
	unsigned serial;       /* tells it from another one in the same place */
};

/* A batch in hand. */
struct work {
	pid_t pid;         /* 0: free */
	unsigned client, serial;
	uint32_t number;   /* of the batch, to the client */
	size_t count;
	bool reads;        /* texts of files come behind the results */
	char user[64];
	int fd;            /* the child's pipe; -1: read to its end */
	bool dotlock, results_begun, reaped;
	int status;
	int64_t deadline;
	char *results;     /* count structs, and texts, as far as they came */
	size_t received, room;
};

struct spawner {
	const struct process_setup *setup;
	pid_t pid;
	struct conduit control;
	int signal_fd;
	struct client clients[MAX_CLIENTS];
	unsigned last_serial;
	struct work works[MAX_CHILDREN];
	bool stopping;
};

/* ---- Answers --------------------------------------------------------------------------------- */

/* texts: those of files, as the child sent them. */
static void
answer(struct client *client, uint32_t number, const char *error,
	const struct ph_user_result *results, size_t count, struct wire_reader *texts)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;

	if (!pool)
		return;
	wire_begin(&writer, pool);
	wire_put_u32(&writer, number);
	wire_put_string(&writer, error);
	wire_put_u32(&writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		wire_put_bytes(&writer, (ph_span){(const char *)&results[i], sizeof(results[i])});
		wire_put_bytes(&writer, wire_get_bytes(texts));
	}
	if (!writer.failed)
		conduit_send(&client->link, SPAWN_RESULT, wire_span(&writer), NULL, 0);
	ph_pool_free(pool);
}

/* What came from a process that ran as some user is taken for what it is worth. */
static bool
result_ok(const struct work *work, const struct ph_user_result *result)
{
	int32_t last = work->reads ? PH_READ_ABSENT : 2;

	if (result->size != sizeof(*result) || result->outcome < 0 || result->outcome > last)
		return false;
	return memchr(result->status, '\0', sizeof(result->status)) &&
		memchr(result->text, '\0', sizeof(result->text)) &&
		memchr(result->output, '\0', sizeof(result->output));
}

/* Did everything come that was to come, and nothing else? */
static bool
is_complete(const struct work *work)
{
	size_t head = work->count * sizeof(struct ph_user_result), total = 0;

	if (!work->results_begun || work->received < head)
		return false;
	if (!work->reads)
		return work->received == head;
	struct wire_reader texts =
		wire_reader_of((ph_span){work->results + head, work->received - head});
	for (size_t i = 0; i < work->count; i++)
		total += wire_get_bytes(&texts).size;
	return !texts.failed && texts.rest.size == 0 && total <= PH_SPAWN_TEXT_MAX;
}

static void
describe_end(const struct work *work, char *text, size_t size)
{
	if (work->deadline == 0)
		snprintf(text, size, "the delivery took too long");
	else if (WIFSIGNALED(work->status))
		snprintf(text, size, "the delivery process was killed by signal %d (%s)",
			WTERMSIG(work->status), strsignal(WTERMSIG(work->status)));
	else
		snprintf(text, size, "the delivery process ended with status %d",
			WEXITSTATUS(work->status));
}

/* Puts "later" in the place of what cannot be read. */
static void
mend_results(const struct work *work, struct ph_user_result *results, bool complete,
	const char *why)
{
	for (size_t i = 0; i < work->count; i++) {
		if (complete && result_ok(work, &results[i]))
			continue;
		results[i] = (struct ph_user_result){.size = sizeof(results[i]), .outcome = 1,
			.status = "4.3.0"};
		snprintf(results[i].text, sizeof(results[i].text), "%s",
			complete ? "unreadable result" : why);
	}
}

/* A child is dead and its pipe empty: its results, or why there are none. */
static void
finish(struct spawner *spawner, struct work *work)
{
	struct client *client = &spawner->clients[work->client];
	struct ph_user_result *results = (void *)work->results;
	size_t head = work->count * sizeof(*results);
	bool complete = is_complete(work);
	struct wire_reader texts = {0};
	char text[128];

	if (work->dotlock)
		mailbox_unlock(config_settings(spawner->setup->config)->mail_spool_directory,
			work->user, work->pid);
	describe_end(work, text, sizeof(text));
	if (!complete)
		ph_log(PH_LOG_WARNING, "delivery to %s: %s",
			work->user[0] ? work->user : "a file or command", text);
	mend_results(work, results, complete, text);
	if (complete && work->reads)
		texts = wire_reader_of((ph_span){work->results + head, work->received - head});
	if (client->serial == work->serial && client->link.fd != -1)
		answer(client, work->number, "", results, work->count, &texts);
	free(work->results);
	*work = (struct work){.fd = -1};
}

static void
finish_if_done(struct spawner *spawner, struct work *work)
{
	if (work->reaped && work->fd == -1)
		finish(spawner, work);
}

/* ---- Children -------------------------------------------------------------------------------- */

/* The most that a child may say. */
static size_t
most(const struct work *work)
{
	size_t head = work->count * sizeof(struct ph_user_result);

	return work->reads ? head + work->count * sizeof(uint32_t) + PH_SPAWN_TEXT_MAX : head;
}

/* Room for some more; what there is no memory for is missing in the end. */
static bool
grow(struct work *work, size_t size)
{
	size_t room = work->room;
	char *results;

	while (room - work->received < size)
		room *= 2;
	results = room > work->room ? realloc(work->results, room) : work->results;
	if (!results)
		return false;
	work->results = results;
	work->room = room;
	return true;
}

static void
take_bytes(struct work *work, const char *data, size_t size)
{
	while (size && !work->results_begun) {
		work->dotlock |= *data == CHILD_DOTLOCK;
		work->results_begun = *data == CHILD_RESULTS;
		data++;
		size--;
	}
	if (size > most(work) - work->received)
		size = most(work) - work->received;
	if (!size || !grow(work, size))
		return;
	memcpy(work->results + work->received, data, size);
	work->received += size;
}

static void
read_results(struct spawner *spawner, struct work *work)
{
	char buffer[4096];
	ssize_t got;

	while ((got = read(work->fd, buffer, sizeof(buffer))) > 0)
		take_bytes(work, buffer, (size_t)got);
	if (got == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	close(work->fd);
	work->fd = -1;
	finish_if_done(spawner, work);
}

static void
reap(struct spawner *spawner)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < MAX_CHILDREN; i++) {
			struct work *work = &spawner->works[i];

			if (work->pid != pid || work->reaped)
				continue;
			work->reaped = true;
			work->status = status;
			if (work->fd != -1)
				read_results(spawner, work);
			/* A process that the delivery left behind may hold the pipe: it is not
			 * waited for. */
			if (work->reaped && work->fd != -1) {
				close(work->fd);
				work->fd = -1;
			}
			if (work->pid)
				finish_if_done(spawner, work);
		}
}

/* What other requests brought is mail of other users. */
static void
close_client(struct client *client, const struct batch *batch)
{
	for (size_t i = 0; i < client->fd_count; i++) {
		bool ours = false;

		for (size_t j = 0; j < batch->count; j++)
			ours |= batch->fds[j] == client->fds[i];
		if (!ours)
			close(client->fds[i]);
	}
	conduit_close(&client->link);
}

static noreturn void
child(struct spawner *spawner, const struct batch *batch, int result_fd)
{
	struct process_setup setup = *spawner->setup;

	/* The spawner is the parent of this process, and nothing else of it goes on here. */
	setup.parent = spawner->pid;
	process_signals();
	close(spawner->signal_fd);
	conduit_close(&spawner->control);
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		close_client(&spawner->clients[i], batch);
	for (size_t i = 0; i < MAX_CHILDREN; i++)
		if (spawner->works[i].pid && spawner->works[i].fd != -1)
			close(spawner->works[i].fd);
	batch_run(batch, &setup, result_fd);
}

static int
start(struct spawner *spawner, unsigned client, uint32_t number, const struct batch *batch,
	ph_error *error)
{
	struct work *work = NULL;
	int pipes[2];

	for (size_t i = 0; i < MAX_CHILDREN && !work; i++)
		if (!spawner->works[i].pid)
			work = &spawner->works[i];
	if (!work)
		return ph_error_set(error, "too many deliveries at once");
	size_t room = batch->count * sizeof(struct ph_user_result);
	char *results = calloc(1, room);
	if (!results || pipe2(pipes, O_CLOEXEC) == -1) {
		free(results);
		return ph_error_set(error, "%s", strerror(errno));
	}
	fcntl(pipes[0], F_SETFL, O_NONBLOCK);
	logger_flush();
	pid_t pid = fork();
	if (pid == 0) {
		close(pipes[0]);
		child(spawner, batch, pipes[1]);
	}
	int failed = errno;
	close(pipes[1]);
	if (pid != -1)
		setpgid(pid, pid); /* as the child does: whoever comes first */
	if (pid == -1) {
		close(pipes[0]);
		free(results);
		return ph_error_set(error, "fork: %s", strerror(failed));
	}
	*work = (struct work){.pid = pid, .client = client, .serial = spawner->clients[client].serial,
		.number = number, .count = batch->count, .reads = batch->kind == PH_USER_READ,
		.fd = pipes[0],
		.results = results, .room = room,
		.deadline = process_clock() + batch->timeout};
	memcpy(work->user, batch->requests[0].user, sizeof(work->user));
	return 0;
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void
drop_fds(struct client *client)
{
	for (size_t i = 0; i < client->fd_count; i++)
		close(client->fds[i]);
	client->fd_count = 0;
}

struct said {
	struct spawner *spawner;
	unsigned client;
};

static void
on_request(struct said *said, ph_span payload)
{
	struct client *client = &said->spawner->clients[said->client];
	struct wire_reader reader = wire_reader_of(payload);
	uint32_t number = wire_get_u32(&reader);
	struct batch *batch = calloc(1, sizeof(*batch));
	ph_error error = {"out of memory"};

	if (!batch || batch_read(&reader, said->spawner->setup->config, client->fds,
		client->fd_count, batch,
			&error) == -1 ||
		start(said->spawner, said->client, number, batch, &error) == -1)
		answer(client, number, error.text, NULL, 0, NULL);
	drop_fds(client);
	free(batch);
}

static void
on_client_frame(void *context, const struct frame *frame)
{
	struct said *said = context;
	struct client *client = &said->spawner->clients[said->client];

	switch (frame->type) {
	case SPAWN_DESCRIPTORS:
		for (size_t i = 0; i < frame->fd_count; i++) {
			if (client->fd_count < PH_SPAWN_MAX)
				client->fds[client->fd_count++] = frame->fds[i];
			else
				close(frame->fds[i]);
		}
		break;
	case SPAWN_REQUEST:
		conduit_drop_fds(frame);
		on_request(said, frame->payload);
		break;
	default:
		conduit_drop_fds(frame);
		break;
	}
}

static void
client_close(struct client *client)
{
	drop_fds(client);
	conduit_close(&client->link);
}

static void
client_add(struct spawner *spawner, int fd)
{
	for (size_t i = 0; i < MAX_CLIENTS; i++) {
		struct client *client = &spawner->clients[i];

		if (client->link.fd != -1)
			continue;
		if (conduit_open(&client->link, fd) == 0)
			client->serial = ++spawner->last_serial;
		return;
	}
	close(fd);
}

static void
on_control_frame(void *context, const struct frame *frame)
{
	struct spawner *spawner = context;

	switch (frame->type) {
	case PARENT_SPAWNER:
		if (frame->fd_count == 1) {
			client_add(spawner, frame->fds[0]);
			return;
		}
		break;
	case PARENT_STOP:
		spawner->stopping = true;
		break;
	case PARENT_REOPEN:
		if (frame->fd_count == 1)
			logger_replace_file(frame->fds[0]);
		break;
	default:
		break;
	}
	conduit_drop_fds(frame);
}

/* ---- The loop -------------------------------------------------------------------------------- */

static size_t
works_left(const struct spawner *spawner)
{
	size_t count = 0;

	for (size_t i = 0; i < MAX_CHILDREN; i++)
		count += spawner->works[i].pid != 0;
	return count;
}

/* Kills what took too long; returns how long to sleep. */
static int
check_deadlines(struct spawner *spawner)
{
	int64_t now = process_clock(), until = now + 60 * 1000;

	for (size_t i = 0; i < MAX_CHILDREN; i++) {
		struct work *work = &spawner->works[i];

		if (!work->pid || work->reaped || !work->deadline)
			continue;
		if (now >= work->deadline) {
			kill(-work->pid, SIGKILL);
			work->deadline = 0;
		} else if (work->deadline < until) {
			until = work->deadline;
		}
	}
	return (int)(until - now);
}

static void
service(struct spawner *spawner, struct pollfd *entries)
{
	struct signalfd_siginfo info;

	for (unsigned i = 0; i < MAX_CLIENTS; i++) {
		struct said said = {spawner, i};

		if (entries[2 + i].revents && spawner->clients[i].link.fd == entries[2 + i].fd &&
			conduit_service(&spawner->clients[i].link, entries[2 + i].revents, on_client_frame, &said) == -1)
			client_close(&spawner->clients[i]);
	}
	for (size_t i = 0; i < MAX_CHILDREN; i++)
		if (entries[2 + MAX_CLIENTS + i].revents && spawner->works[i].pid &&
			spawner->works[i].fd != -1)
			read_results(spawner, &spawner->works[i]);
	while (entries[1].revents &&
		read(spawner->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info))
		if (info.ssi_signo == SIGTERM)
			spawner->stopping = true;
	reap(spawner);
	/* The parent is gone: what is in hand has its second (process_follow), we have nothing to
	 * do. */
	if (entries[0].revents &&
		conduit_service(&spawner->control, entries[0].revents, on_control_frame, spawner) == -1) {
		logger_flush();
		_exit(1);
	}
}

static void
run(struct spawner *spawner)
{
	static struct pollfd entries[2 + MAX_CLIENTS + MAX_CHILDREN];

	while (!spawner->stopping || works_left(spawner)) {
		int timeout = check_deadlines(spawner);

		entries[0] = conduit_poll(&spawner->control);
		entries[1] = (struct pollfd){.fd = spawner->signal_fd, .events = POLLIN};
		for (size_t i = 0; i < MAX_CLIENTS; i++)
			entries[2 + i] = conduit_poll(&spawner->clients[i].link);
		for (size_t i = 0; i < MAX_CHILDREN; i++)
			entries[2 + MAX_CLIENTS + i] = (struct pollfd){
				.fd = spawner->works[i].pid ? spawner->works[i].fd : -1,
					.events = POLLIN};
		if (poll(entries, sizeof(entries) / sizeof(entries[0]), timeout) > 0)
			service(spawner, entries);
	}
}

static int
open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL) == -1)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

void
spawner_run(const struct process_setup *setup)
{
	struct spawner *spawner = calloc(1, sizeof(*spawner));

	process_signals();
	process_title("spawner");
	process_arguments("spawner");
	logger_set_component("local");
	crash_install("spawner", NULL, 0);
	process_follow(setup->parent);
	if (!spawner)
		_exit(1);
	spawner->setup = setup;
	spawner->pid = getpid();
	spawner->signal_fd = open_signals();
	for (size_t i = 0; i < MAX_CLIENTS; i++)
		spawner->clients[i].link.fd = -1;
	for (size_t i = 0; i < MAX_CHILDREN; i++)
		spawner->works[i].fd = -1;
	if (spawner->signal_fd == -1 || conduit_open(&spawner->control, setup->control_fd) == -1 ||
		conduit_send(&spawner->control, ROLE_READY, (ph_span){0}, NULL, 0) == -1)
		_exit(1);
	run(spawner);
	logger_flush();
	_exit(0);
}
