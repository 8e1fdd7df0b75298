/*
 * The smtpd role: opens what sessions need, accepts connections, ends in order.
 *
 * All smtpd processes of a generation, and those of the next one, accept on the same sockets.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include <posthouse/log.h>

#include "ground/loop.h"
#include "process/role.h"
#include "queue/client.h"
#include "session/connection.h"
#include "session/interfaces.h"
#include "session/limits.h"
#include "session/sockaddress.h"

enum {
	ACCEPT_BATCH = 16,     /* connections of one socket, before others have their turn */
	SHORTAGE_WAIT = 500,   /* without descriptors or memory, milliseconds */
	RELOAD_PATIENCE = 5 * 1000, /* with idle sessions after a reload, milliseconds */
	STOP_GRACE = 3 * 1000  /* for transactions in hand when everything stops, milliseconds */
};

/* One listening socket, watched for as long as the role accepts. */
struct acceptor {
	int fd;
	const struct instance *listener;
	struct event *readable; /* level-triggered: what is left comes up again in the next round */
	struct event *recovery; /* the end of the wait after a shortage */
	bool short_of_something;
};

/* The role of this process. */
struct smtpd {
	struct acceptor *acceptors;
	size_t count;
	bool ended;
};

/* ---- Accepting ------------------------------------------------------------------------------- */

/* Takes up to a batch. 0, or -1 on shortage. */
static int
accept_batch(const struct acceptor *acceptor)
{
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct sockaddr_storage address;
		struct sockaddr *any = (struct sockaddr *)&address;
		socklen_t size = sizeof(address);
		ph_address client;
		int fd;

		any->sa_family = AF_UNIX;
		fd = accept4(acceptor->fd, any, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd == -1 && (errno == EAGAIN || errno == EWOULDBLOCK))
			return 0;
		if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			errno == ENOMEM))
			return -1;
		if (fd == -1)
			continue; /* that connection's own trouble */
		client = sockaddress_read(any);
		connection_accept(fd, &client, acceptor->listener);
	}
	return 0;
}

/* A shortage is told once, and again when it comes after a time without. */
static void
on_readable(evutil_socket_t fd, short what, void *argument)
{
	struct acceptor *acceptor = argument;
	const struct timeval wait = {.tv_usec = SHORTAGE_WAIT * 1000};

	if (accept_batch(acceptor) == 0) {
		acceptor->short_of_something = false;
		return;
	}
	if (!acceptor->short_of_something)
		ph_log(PH_LOG_WARNING, "%s: accept: %s", acceptor->listener->name, strerror(errno));
	acceptor->short_of_something = true;
	(void)event_del(acceptor->readable);
	(void)event_add(acceptor->recovery, &wait);
}

static void
on_recovery(evutil_socket_t fd, short what, void *argument)
{
	const struct acceptor *acceptor = argument;

	(void)event_add(acceptor->readable, NULL);
}

static int
acceptor_open(struct acceptor *acceptor, const struct role_socket *socket)
{
	acceptor->fd = socket->fd;
	acceptor->listener = socket->listener;
	acceptor->readable =
		event_new(loop_base(), socket->fd, EV_READ | EV_PERSIST, on_readable, acceptor);
	acceptor->recovery = event_new(loop_base(), -1, 0, on_recovery, acceptor);
	if (acceptor->readable == NULL || acceptor->recovery == NULL ||
		event_add(acceptor->readable, NULL) == -1)
		return -1;
	return 0;
}

/* The socket is closed so that a port which is no longer configured is refused, not left to fill
 * its backlog. */
static void
acceptor_close(struct acceptor *acceptor)
{
	if (acceptor->readable != NULL)
		event_free(acceptor->readable);
	if (acceptor->recovery != NULL)
		event_free(acceptor->recovery);
	(void)close(acceptor->fd);
}

/* ---- The life of the role -------------------------------------------------------------------- */

static int
open_class(const struct config *config, enum ph_class number, ph_error *error)
{
	struct instance *instance;

	for (size_t i = 0; (instance = config_instance(config, number, i)) != NULL; i++)
		if (!instance->opened && instance_open(instance, error) == -1)
			return -1;
	return 0;
}

static int
smtpd_open(struct role *role, ph_error *error)
{
	struct smtpd *smtpd = calloc(1, sizeof(*smtpd));

	if (smtpd == NULL)
		return ph_error_set(error, "out of memory");
	role->data = smtpd;
	if (config_open_maps(role->config, error) == -1 ||
		open_class(role->config, PH_CLASS_QUEUE, error) == -1 ||
		open_class(role->config, PH_CLASS_LISTENER, error) == -1)
		return -1;
	return 0;
}

/* What an instance uses is started before it, and stopped after it. */
static const enum ph_class start_order[] = {PH_CLASS_MAP, PH_CLASS_QUEUE, PH_CLASS_FILTER,
	PH_CLASS_RESTRICTION, PH_CLASS_LISTENER};
#define START_COUNT (sizeof(start_order) / sizeof(start_order[0]))

static int
start_instances(const struct config *config, ph_error *error)
{
	struct instance *instance;

	for (size_t c = 0; c < START_COUNT; c++)
		for (size_t i = 0; (instance = config_instance(config, start_order[c], i)) != NULL;
			i++)
			if (!instance->started && instance_start(instance, error) == -1)
				return -1;
	return 0;
}

static void
stop_instances(const struct config *config)
{
	struct instance *instance;

	for (size_t c = START_COUNT; c-- > 0;)
		for (size_t i = 0; (instance = config_instance(config, start_order[c], i)) != NULL;
			i++)
			if (instance->started)
				instance_stop(instance);
}

static int
learn_interfaces(const struct role *role, ph_error *error)
{
	int *fds = calloc(role->socket_count + 1, sizeof(*fds));
	int result;

	if (fds == NULL)
		return ph_error_set(error, "out of memory");
	for (size_t i = 0; i < role->socket_count; i++)
		fds[i] = role->sockets[i].fd;
	result = interfaces_open(fds, role->socket_count, error);
	free(fds);
	return result;
}

static int
start_accepting(struct role *role, ph_error *error)
{
	struct smtpd *smtpd = role->data;

	smtpd->acceptors = calloc(role->socket_count + 1, sizeof(*smtpd->acceptors));
	if (smtpd->acceptors == NULL)
		return ph_error_set(error, "out of memory");
	for (size_t i = 0; i < role->socket_count; i++) {
		smtpd->count++;
		if (acceptor_open(&smtpd->acceptors[i], &role->sockets[i]) == -1)
			return ph_error_set(error, "no memory to watch the listening sockets");
	}
	return 0;
}

static int
smtpd_start(struct role *role, ph_error *error)
{
	limits_attach();
	if (learn_interfaces(role, error) == -1 || start_instances(role->config, error) == -1 ||
		queue_client_start(role->config, error) == -1)
		return -1;
	return start_accepting(role, error);
}

static void
stop_accepting(struct smtpd *smtpd)
{
	for (size_t i = 0; i < smtpd->count; i++)
		acceptor_close(&smtpd->acceptors[i]);
	smtpd->count = 0;
}

/* A drain and a stop may come together: the one that is first ends the role. False: it was the
 * other. */
static bool
wind_down(struct role *role, int64_t grace, int64_t patience)
{
	struct smtpd *smtpd = role->data;

	stop_accepting(smtpd);
	role_closed(role);
	connections_drain(grace, patience);
	if (smtpd->ended)
		return false;
	smtpd->ended = true;
	stop_instances(role->config);
	queue_client_stop();
	return true;
}

static void
smtpd_drain(struct role *role)
{
	if (wind_down(role, role->settings->reload_grace, RELOAD_PATIENCE))
		role_done(role);
}

static void
smtpd_stop(struct role *role)
{
	(void)wind_down(role, STOP_GRACE, 0);
}

const struct role_ops smtpd_role = {
	.name = "smtpd",
	.component = "smtpd",
	.dns = true,
	.open = smtpd_open,
	.start = smtpd_start,
	.drain = smtpd_drain,
	.stop = smtpd_stop,
};
