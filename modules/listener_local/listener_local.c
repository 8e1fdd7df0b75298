/*
 * listener_local: mail from the sendmail command, through a Unix-domain socket, or through the drop
 * directory when no daemon was there to listen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/listener.h>
#include <posthouse/log.h>

#include "drop.h"
#include "submission.h"

enum { LOOKUP = 30 * 1000 };

struct listener_local {
	int64_t submit_timeout;
	/* From open() on. */
	char *drop_path;
	struct drop drop;
	ph_task watcher;
};

static const struct ph_param params[] = {
	{.name = "local_submit_timeout",
		.type = PH_TIME,
		.flags = PH_PER_SECTION,
		.offset = offsetof(struct listener_local, submit_timeout),
		.default_value = "300s",
		.min = 1000,
		.max = 24 * 60 * 60 * 1000,
		.doc = "How long a program that submits mail through the local socket may be silent."},
};

/* ---- The socket ------------------------------------------------------------------------------ */

static int
endpoints(void *self, ph_endpoints *list, ph_error *error)
{
	return ph_endpoint_unix(list, PH_SUBMIT_SOCKET, 0666, error);
}

static void
answer(ph_stream *stream, int64_t timeout, const ph_reply *reply)
{
	ph_deadline deadline = ph_in(timeout);

	if (ph_stream_printf(stream, deadline, "%d %s %s\n", reply->code, reply->status, reply->text) == 0)
		ph_stream_flush(stream, deadline);
}

/* Reads until the message is complete. 0, or -1: the client went away. */
static int
receive(struct submission *submission, ph_stream *stream, int64_t timeout)
{
	enum frames_result result = FRAMES_MORE;
	ph_span bytes;

	while (result == FRAMES_MORE) {
		if (ph_stream_peek(stream, &bytes, ph_in(timeout)) < 0)
			return -1;
		size_t size = bytes.size;

		result = submission_feed(submission, bytes);
		ph_stream_consume(stream, size);
	}
	return 0;
}

/* Who is there, and may it? 0 with user filled, or -1 with the reply. */
static int
admit(const struct listener_local *self, ph_connection *connection, struct user *user,
	ph_reply *reply)
{
	const char *refusal = ph_connection_refusal(connection);
	uint32_t uid;

	*reply = (ph_reply){.code = 421, .status = "4.3.2", .text = "Service not available"};
	if (*refusal != '\0') {
		snprintf(reply->text, sizeof(reply->text), "%s", refusal);
		return -1;
	}
	if (ph_connection_peer_uid(connection, &uid) == -1 ||
		user_lookup(uid, user, ph_in(LOOKUP)) != PH_WAIT_OK)
		return -1;
	if (user_is_authorized(user, self->drop.users, self->drop.owner))
		return 0;
	ph_log(PH_LOG_WARNING, "user %s(%u) is not in authorized_submit_users", user->name, uid);
	*reply = (ph_reply){.code = 550, .status = "5.7.1"};
	snprintf(reply->text, sizeof(reply->text), "User %s(%u) is not allowed to submit mail",
		user->name, uid);
	return -1;
}

static void
serve(void *instance, ph_connection *connection)
{
	const struct listener_local *self = instance;
	ph_stream *stream = ph_connection_stream(connection);
	struct submission *submission = NULL;
	struct user user;
	ph_reply reply;

	if (admit(self, connection, &user, &reply) == -1) {
		answer(stream, self->submit_timeout, &reply);
		return;
	}
	submission = submission_new(self, &user);
	if (submission == NULL)
		return;
	if (receive(submission, stream, self->submit_timeout) == 0) {
		submission_commit(submission, &reply);
		answer(stream, self->submit_timeout, &reply);
	}
	submission_free(submission);
}

/* ---- Life ------------------------------------------------------------------------------------ */

static int
local_open(void *instance, ph_error *error)
{
	struct listener_local *self = instance;
	const char *queue = ph_global("queue_directory");
	size_t size = strlen(queue) + sizeof("/" PH_SUBMIT_DROP);

	if ((self->drop_path = malloc(size)) == NULL)
		return ph_error_set(error, "out of memory");
	snprintf(self->drop_path, size, "%s/%s", queue, PH_SUBMIT_DROP);
	self->drop = (struct drop){.listener = self, .path = self->drop_path,
		.users = ph_global("authorized_submit_users"),
		.owner = ph_global("mail_owner")};
	return 0;
}

/* Without its directory the listener still serves the socket. */
static int
local_start(void *instance, ph_error *error)
{
	struct listener_local *self = instance;
	ph_error why;

	if (drop_prepare(&self->drop, &why) == -1) {
		ph_log(PH_LOG_WARNING, "mail submitted while no daemon runs is not picked up: %s",
			why.text);
		return 0;
	}
	self->watcher = ph_task_spawn("drop", drop_watch, &self->drop);
	return self->watcher.generation != 0 ? 0
		: ph_error_set(error, "no task for the drop directory");
}

static void
local_stop(void *instance)
{
	struct listener_local *self = instance;

	ph_task_cancel(self->watcher);
	ph_task_join(self->watcher, ph_in(5000));
}

static void
local_close(void *instance)
{
	struct listener_local *self = instance;

	free(self->drop_path);
}

PH_MODULE(listener_local, "1.0", "takes mail from the sendmail command",
	PH_INSTANCE(struct listener_local, params),
	PH_LIFE(.open = local_open, .start = local_start, .stop = local_stop, .close = local_close),
	PH_LISTENER(.endpoints = endpoints, .serve = serve));
