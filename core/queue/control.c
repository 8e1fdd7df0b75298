/*
 * run_directory/control: what mailq, postqueue and postsuper ask.
 *
 * A request is worked on in the task of its channel: while a list goes out nothing more is read
 * from that client, and no more than a little of it is in memory.
 */
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "queue/protocol.h"
#include "queue/sweep.h"
#include "queue/visitor.h"

/* Connections of one user at a time; operators have no limit. */
#define VISITS_MAX 50

/* More than this is not queued for a client that reads slowly. */
#define PENDING_MAX (256 * 1024)
#define SLOW_TIME 60000
#define RECIPIENTS_BATCH 100
/* Messages between two yields. */

/* ---- Answering ------------------------------------------------------------------------------- */

int
visitor_answer(struct visitor *visitor, unsigned type, ph_span payload)
{
	ph_deadline patience = ph_in(SLOW_TIME);

	visitor->gone |= visitor->manager->stopping;
	if (visitor->gone || channel_send(visitor->channel, type, payload) == -1)
		visitor->gone = true;
	while (!visitor->gone && channel_pending(visitor->channel) > PENDING_MAX)
		if (visitor->manager->stopping || ph_now() > patience ||
			ph_sleep(ph_in(10)) == PH_WAIT_CANCELLED)
			visitor->gone = true;
	return visitor->gone ? -1 : 0;
}

void
visitor_end(struct visitor *visitor, int code, const char *text, uint64_t count)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;

	if (pool == NULL)
		return;
	wire_begin(&writer, pool);
	wire_put_u32(&writer, (uint32_t)code);
	wire_put_string(&writer, text);
	wire_put_u64(&writer, count);
	visitor_answer(visitor, CONTROL_END, wire_span(&writer));
	ph_pool_free(pool);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

const char *
visitor_queue_name(const struct message *message)
{
	switch ((enum message_state)message->state) {
	case MESSAGE_WAITING:
		return message->attempts == 0 ? "incoming" : "deferred";
	case MESSAGE_ACTIVE:
	case MESSAGE_REPORTING:
		return "active";
	case MESSAGE_HELD:
		return "hold";
	case MESSAGE_GONE:
		break;
	}
	return "";
}

static int
list_recipients(struct visitor *visitor, const struct body *body, ph_pool *pool)
{
	uint32_t at = 0;

	while (at < body->count) {
		struct wire_writer writer, list;
		uint32_t count = 0;

		wire_begin(&list, pool);
		for (; at < body->count && count < RECIPIENTS_BATCH; at++) {
			const struct rcpt *rcpt = &body->rcpts[at];

			if (rcpt->state == RCPT_DONE || rcpt->state == RCPT_WAITING)
				continue;
			wire_put_string(&list, rcpt->address);
			wire_put_string(&list, rcpt->text == NULL ? "" : rcpt->text);
			count++;
		}
		wire_begin(&writer, pool);
		wire_put_u32(&writer, count);
		wire_put_bytes(&writer, wire_span(&list));
		/* after a wait the body may be another one, or none: the rest is left out */
		if (visitor_answer(visitor, CONTROL_RECIPIENTS, wire_span(&writer)) == -1)
			return -1;
	}
	return 0;
}

struct message *
visitor_picture(struct manager *manager, const struct message *message, ph_pool *pool)
{
	struct message *picture = calloc(1, sizeof(*picture));
	ph_span notes = memo_bytes(message->memo);

	if (picture == NULL)
		return NULL;
	*picture = *message;
	picture->body = NULL;
	picture->memo = NULL;
	if (message->body != NULL && message_encode(message, pool, &notes) == -1)
		notes = (ph_span){NULL, 0};
	if (notes.size > 0)
		picture->memo = memo_keep(notes);
	if (manager_load(picture, NULL) == -1) {
		message_free(picture);
		return NULL;
	}
	return picture;
}

static int
list_message(struct visitor *visitor, struct message *message, ph_pool *pool)
{
	struct manager *manager = visitor->manager;
	struct message *picture = visitor_picture(manager, message, pool);
	struct wire_writer writer;
	int64_t ahead = message->due - ph_now();
	int result;

	wire_begin(&writer, pool);
	wire_put_string(&writer, message->id);
	wire_put_string(&writer, visitor_queue_name(message));
	wire_put_u64(&writer, (uint64_t)message->arrival);
	wire_put_u64(&writer, (uint64_t)message->size);
	wire_put_string(&writer, picture == NULL ? "" : picture->body->envelope.sender);
	wire_put_string(&writer, picture == NULL ? "(it cannot be read now)" : "");
	wire_put_u64(&writer, message->state != MESSAGE_WAITING || ahead <= 0 ? 0
		: (uint64_t)(ph_wall_clock() + ahead * 1000));
	result = visitor_answer(visitor, CONTROL_MESSAGE, wire_span(&writer));
	if (result == 0 && picture != NULL)
		result = list_recipients(visitor, picture->body, pool);
	message_free(picture);
	return result;
}

static int
list_one(void *context, struct message *message)
{
	struct visitor *visitor = context;
	ph_pool *pool = ph_pool_new(0);
	int result = pool == NULL ? -1 : list_message(visitor, message, pool);

	ph_pool_free(pool);
	return result == -1 ? -1 : 1;
}

static struct message *
find(struct visitor *visitor, const char *id)
{
	return scheduler_find(visitor->manager->scheduler, NULL, id);
}

static void
list(struct visitor *visitor, const char *id)
{
	struct message *message;
	uint64_t count = 0;

	if (!visitor_is_authorized(visitor, &visitor->manager->settings->authorized_mailq_users)) {
		visitor_end(visitor, EX_NOPERM, "you are not authorized to see the mail queue", 0);
		return;
	}
	if (*id == '\0') {
		count = sweep_each(visitor->manager, list_one, visitor);
	} else if ((message = find(visitor, id)) != NULL) {
		message->pins++;
		count = list_one(visitor, message) == 1;
		scheduler_unpin(visitor->manager->scheduler, message);
	}
	visitor_end(visitor, EX_OK, "", count);
}

/* ---- Flushing -------------------------------------------------------------------------------- */

static void
flush(struct visitor *visitor, const char *what)
{
	struct manager *manager = visitor->manager;
	struct message *message;
	uint64_t count;

	if (!visitor_is_authorized(visitor, &manager->settings->authorized_flush_users)) {
		visitor_end(visitor, EX_NOPERM, "you are not authorized to flush the mail queue",
			0);
		return;
	}
	if (*what == '\0') {
		scheduler_flush_all(manager->scheduler, manager_earliest(manager));
		count = scheduler_count(manager->scheduler);
	} else if ((message = find(visitor, what)) != NULL) {
		scheduler_revive(manager->scheduler, NULL);
		count = (uint64_t)sweep_one(manager, message);
	} else if (strchr(what, '.') == NULL && *what != '[') {
		visitor_end(visitor, EX_DATAERR, "no such message", 0);
		return;
	} else {
		scheduler_revive(manager->scheduler, NULL);
		count = sweep_domain(manager, what);
	}
	manager_wake(manager);
	visitor_end(visitor, EX_OK, "", count);
}

/* ---- Changing -------------------------------------------------------------------------------- */

static int
delete_one(void *context, struct message *message)
{
	struct visitor *visitor = context;

	ph_log(PH_LOG_INFO, "%s: removed by uid %ld", message->id, (long)visitor->uid);
	manager_remove(visitor->manager, message);
	return 1;
}

static int
hold_one(void *context, struct message *message)
{
	struct visitor *visitor = context;

	if (manager_hold(visitor->manager, message, "by an operator") == 0)
		return 0;
	ph_log(PH_LOG_INFO, "%s: placed on hold by uid %ld", message->id, (long)visitor->uid);
	return 1;
}

static int
release_one(void *context, struct message *message)
{
	struct visitor *visitor = context;

	if (!message->hold)
		return 0;
	ph_log(PH_LOG_INFO, "%s: released from hold by uid %ld", message->id, (long)visitor->uid);
	manager_release(visitor->manager, message);
	return 1;
}

static int
requeue_one(void *context, struct message *message)
{
	struct visitor *visitor = context;

	if (message->hold)
		release_one(visitor, message);
	return sweep_one(visitor->manager, message);
}

static void
change(struct visitor *visitor, const char *id,
	sweep_fn *fn)
{
	struct message *message;
	uint64_t count = 0;

	if (!visitor_is_operator(visitor)) {
		visitor_end(visitor, EX_NOPERM,
			"only root and mail_owner may change the mail queue", 0);
		return;
	}
	if (ph_strcasecmp(id, "ALL") == 0) {
		count = sweep_each(visitor->manager, fn, visitor);
	} else if ((message = find(visitor, id)) != NULL) {
		message->pins++;
		count = (uint64_t)fn(visitor, message);
		scheduler_unpin(visitor->manager->scheduler, message);
	} else {
		visitor_end(visitor, EX_DATAERR, "no such message", 0);
		return;
	}
	/* whoever asked wants to rely on it */
	if (manager_sync(visitor->manager) == -1)
		visitor_end(visitor, EX_TEMPFAIL, "it cannot be made durable now: see the log",
			count);
	else
		visitor_end(visitor, EX_OK, "", count);
	manager_wake(visitor->manager);
}

static void
show(struct visitor *visitor, const char *id, unsigned what)
{
	struct message *message = find(visitor, id);

	if (!visitor_is_operator(visitor))
		visitor_end(visitor, EX_NOPERM, "only root and mail_owner may see messages", 0);
	else if (message == NULL)
		visitor_end(visitor, EX_DATAERR, "no such message", 0);
	else
		visitor_show(visitor, message, what);
}

/* ---- The channel ----------------------------------------------------------------------------- */

static void
request(struct visitor *visitor, unsigned type, struct wire_reader *reader, ph_pool *pool)
{
	const char *argument = wire_get_string(reader, pool);

	switch (type) {
	case CONTROL_LIST:
		list(visitor, argument);
		break;
	case CONTROL_FLUSH:
		flush(visitor, argument);
		break;
	case CONTROL_SHOW:
		show(visitor, argument, wire_get_u8(reader));
		break;
	case CONTROL_DELETE:
		change(visitor, argument, delete_one);
		break;
	case CONTROL_HOLD:
		change(visitor, argument, hold_one);
		break;
	case CONTROL_RELEASE:
		change(visitor, argument, release_one);
		break;
	case CONTROL_REQUEUE:
		change(visitor, argument, requeue_one);
		break;
	case CONTROL_VERIFY_LIST:
		visitor_list_verified(visitor, argument);
		break;
	case CONTROL_VERIFY_DELETE:
		visitor_delete_verified(visitor, argument);
		break;
	default:
		visitor_end(visitor, EX_PROTOCOL, "unknown request", 0);
		break;
	}
}

static void
frame(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct visitor *visitor = context;
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	if (pool != NULL && !visitor->manager->stopping) {
		visitor->manager->busy++;
		request(visitor, type, &reader, pool);
		visitor->manager->busy--;
	}
	ph_pool_free(pool);
}

static void
closed(struct channel *channel, void *context)
{
	struct visitor *visitor = context;

	TAILQ_REMOVE(&visitor->manager->visitors, visitor, link);
	free(visitor);
}

static const struct channel_ops ops = {.frame = frame, .closed = closed};

/* How many connections the user has, this one not counted. */
static size_t
count_of(const struct manager *manager, uid_t uid)
{
	const struct visitor *visitor;
	size_t count = 0;

	TAILQ_FOREACH(visitor, &manager->visitors, link)
		count += visitor->uid == uid;
	return count;
}

void
control_accept(int fd, void *context)
{
	struct visitor *visitor = calloc(1, sizeof(*visitor));
	pid_t pid;

	if (visitor == NULL ||
		(visitor->channel = channel_open("control", fd, &ops, visitor)) == NULL) {
		free(visitor);
		close(fd);
		return;
	}
	visitor->manager = context;
	if (channel_peer(visitor->channel, &visitor->uid, &pid) == -1)
		visitor->uid = (uid_t)-1;
	if (!visitor_is_operator(visitor) &&
		count_of(visitor->manager, visitor->uid) >= VISITS_MAX) {
		channel_close(visitor->channel);
		free(visitor);
		return;
	}
	TAILQ_INSERT_TAIL(&visitor->manager->visitors, visitor, link);
}

void
visitors_close(struct manager *manager)
{
	struct visitor *visitor;

	while ((visitor = TAILQ_FIRST(&manager->visitors)) != NULL) {
		TAILQ_REMOVE(&manager->visitors, visitor, link);
		channel_close(visitor->channel);
		free(visitor);
	}
}
