/*
 * Connections of the smtpd role: from the accepted socket to its end, each in a task of its own.
 */
#include "session/connection.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <posthouse/log.h>

#include "ground/loop.h"
#include "session/rehearsal.h"
#include "session/session.h"
#include "session/sockaddress.h"
#include "session/usage.h"

enum {
	SPARE_TASKS = 64,      /* for the role's own work */
	DRAIN_ROUND = 250,     /* between two looks for idle connections, milliseconds */
	LAST_WORDS = 5 * 1000  /* for cancelled connections to end, milliseconds */
};

struct ph_connection {
	struct ph_connection *next, **link; /* of all connections */
	ph_stream *stream;
	const struct instance *listener;
	const struct rehearsal *rehearsal; /* NULL: the client is a real one */
	ph_task task;
	ph_address client, server;
	bool server_known;
	struct usage usage;
	char *refusal; /* what it is told that is over a limit; NULL: it is not, or was not told yet */
	bool idle;
	int64_t idle_since;
	struct task_context context;
};

/* The connections of this process. */
static struct {
	ph_connection *first;
	size_t count;
	bool draining; /* there will be no new ones */
	bool closing;  /* and those that are there have had their time */
	ph_task drainer; /* waits for the last one */
} all;

/* ---- One connection -------------------------------------------------------------------------- */

static void
link_connection(ph_connection *connection)
{
	connection->next = all.first;
	connection->link = &all.first;
	if (all.first != NULL)
		all.first->link = &connection->next;
	all.first = connection;
	all.count++;
}

static void
unlink_connection(ph_connection *connection)
{
	*connection->link = connection->next;
	if (connection->next != NULL)
		connection->next->link = connection->link;
	if (--all.count == 0)
		ph_unpark(all.drainer);
}

static void
connection_end(ph_connection *connection)
{
	usage_end(&connection->usage);
	free(connection->refusal);
	ph_stream_close(connection->stream);
	unlink_connection(connection);
	free(connection);
}

static void
count_client(ph_connection *connection)
{
	uint32_t uid;

	if (connection->rehearsal != NULL)
		return;
	if (connection->client.family != AF_UNIX)
		usage_begin(&connection->usage, connection->listener, &connection->client);
	else if (ph_connection_peer_uid(connection, &uid) == 0)
		usage_begin_user(&connection->usage, connection->listener, uid);
}

static void
run(void *argument)
{
	ph_connection *connection = argument;
	const struct ph_listener_ops *ops = connection->listener->ops;

	connection->context.instance = connection->listener->name;
	task_set_context(&connection->context);
	count_client(connection);
	ops->serve(connection->listener->self, connection);
	task_set_context(NULL);
	connection_end(connection);
}

/* Turned away without a task: one attempt to say why. */
static void
turn_away(int fd, const ph_address *client)
{
	static const char busy[] = "421 4.3.2 All server ports are busy\r\n";

	if (client->family != AF_UNIX)
		(void)send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void)close(fd);
}

/* NULL: no memory, or too many; fd is still the caller's. */
static ph_connection *
connection_new(int fd, const ph_address *client, const struct instance *listener)
{
	ph_connection *connection = NULL;

	if (all.draining || loop_task_count() + SPARE_TASKS >= loop_task_limit() ||
		(connection = calloc(1, sizeof(*connection))) == NULL ||
		(connection->stream = ph_stream_new(fd)) == NULL) {
		free(connection);
		return NULL;
	}
	connection->listener = listener;
	connection->client = *client;
	link_connection(connection);
	return connection;
}

/* 0, or -1: it is gone. */
static int
connection_begin(ph_connection *connection)
{
	connection->task = ph_task_spawn(connection->listener->name, run, connection);
	if (connection->task.generation != 0 || connection->task.slot != 0)
		return 0;
	connection_end(connection);
	return -1;
}

void
connection_accept(int fd, const ph_address *client, const struct instance *listener)
{
	ph_connection *connection = connection_new(fd, client, listener);

	if (connection == NULL)
		turn_away(fd, client);
	else
		(void)connection_begin(connection);
}

int
connection_rehearse(int fd, const struct rehearsal *rehearsal)
{
	ph_connection *connection = connection_new(fd, &rehearsal->client, rehearsal->listener);

	if (connection == NULL) {
		(void)close(fd);
		return -1;
	}
	connection->rehearsal = rehearsal;
	connection->server = rehearsal->server;
	connection->server_known = true;
	return connection_begin(connection);
}

const struct rehearsal *
connection_rehearsal(const ph_connection *connection)
{
	return connection->rehearsal;
}

/* ---- For listeners --------------------------------------------------------------------------- */

const ph_address *
ph_connection_client(const ph_connection *connection)
{
	return &connection->client;
}

/* Asked of the kernel only when somebody wants to know. */
const ph_address *
ph_connection_server(const ph_connection *connection)
{
	ph_connection *changed = (ph_connection *)connection;
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (!connection->server_known) {
		memset(&address, 0, sizeof(address));
		if (getsockname(ph_stream_fd(connection->stream), (struct sockaddr *)&address, &size) == 0)
			changed->server = sockaddress_read((struct sockaddr *)&address);
		changed->server_known = true;
	}
	return &connection->server;
}

int
ph_connection_peer_uid(const ph_connection *connection, uint32_t *uid)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	if (connection->client.family != AF_UNIX ||
		getsockopt(ph_stream_fd(connection->stream), SOL_SOCKET, SO_PEERCRED, &credentials,
			&size) == -1)
		return -1;
	*uid = credentials.uid;
	return 0;
}

ph_stream *
ph_connection_stream(ph_connection *connection)
{
	return connection->stream;
}

bool
ph_connection_draining(const ph_connection *connection)
{
	return all.closing;
}

/* Logged when somebody asks for the first time: by then the client may have a name. */
static void
refuse(ph_connection *connection)
{
	char client[PH_ADDRESS_TEXT] = "your user", who[PH_ADDRESS_TEXT + 16];
	uint32_t uid;

	if (ph_connection_peer_uid(connection, &uid) == 0)
		snprintf(who, sizeof(who), "uid %lu", (unsigned long)uid);
	else
		snprintf(who, sizeof(who), "unknown[%s]",
			ph_address_text(&connection->client, client));
	usage_log(&connection->usage, connection->listener,
		connection->context.session != NULL ? connection->context.session : who);
	if (asprintf(&connection->refusal, "Error: too many connections from %s", client) == -1)
		connection->refusal = NULL;
}

const char *
ph_connection_refusal(const ph_connection *connection)
{
	if (connection->usage.excess == NULL)
		return "";
	if (connection->refusal == NULL)
		refuse((ph_connection *)connection);
	return connection->refusal != NULL ? connection->refusal : "Error: too many connections";
}

const struct usage *
connection_usage(const ph_connection *connection)
{
	return connection != NULL ? &connection->usage : NULL;
}

const struct instance *
connection_listener(const ph_connection *connection)
{
	return connection->listener;
}

void
connection_attach(ph_connection *connection, ph_session *session)
{
	if (connection != NULL)
		connection->context.session = session != NULL ? ph_client_label(session) : NULL;
}

void
connection_set_idle(ph_connection *connection, bool idle)
{
	if (connection == NULL)
		return;
	connection->idle = idle;
	connection->idle_since = ph_now();
}

/* ---- The end of the process ------------------------------------------------------------------ */

size_t
connections_count(void)
{
	return all.count;
}

/* Cancels those that have been idle for that long; with a negative time, all. */
static void
cancel(int64_t patience)
{
	for (ph_connection *c = all.first; c != NULL; c = c->next)
		if (patience < 0 || (c->idle && ph_now() - c->idle_since >= patience))
			ph_task_cancel(c->task);
}

static void
wait_for_last(ph_deadline deadline)
{
	while (all.count > 0 && ph_park(deadline) == PH_WAIT_OK)
		continue;
}

void
connections_drain(int64_t grace, int64_t patience)
{
	ph_deadline end = ph_in(grace);

	all.draining = true;
	all.drainer = ph_task_self();
	all.closing = patience == 0;
	while (all.count > 0 && ph_now() < end && !ph_task_cancelled()) {
		ph_deadline next = ph_in(DRAIN_ROUND);

		cancel(patience);
		wait_for_last(next < end ? next : end);
	}
	all.closing = true;
	cancel(-1);
	wait_for_last(ph_in(LAST_WORDS));
	if (all.count > 0)
		ph_log(PH_LOG_WARNING, "%zu connections did not end", all.count);
}
