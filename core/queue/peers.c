/*
 * The other ends of run_directory/queue: workers and givers of hints.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/log.h>

#include "queue/manager.h"
#include "queue/probe.h"
#include "queue/protocol.h"
#include "queue/sweep.h"

static void
peer_free(struct peer *peer)
{
	struct manager *manager = peer->manager;

	TAILQ_REMOVE(&manager->peers, peer, link);
	probes_forget(peer);
	if (peer->worker != NULL)
		worker_lost(manager->scheduler, peer->worker, ph_now());
	free(peer->role);
	free(peer->acks);
	free(peer);
}

/* ---- Hints ----------------------------------------------------------------------------------- */

static void
take_hint(struct peer *peer, ph_span payload)
{
	struct manager *manager = peer->manager;
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);
	uint64_t sequence = wire_get_u64(&reader);
	struct storage *storage;
	struct wire_writer answer;
	ph_span hint;

	if (pool == NULL)
		return;
	storage = manager_storage(manager, wire_get_string(&reader, pool));
	hint = wire_get_bytes(&reader);
	/* one that comes too early is repeated by the other side until it is answered */
	if (!reader.failed && storage != NULL && storage->owned && !manager->stopping) {
		if (storage->ops->hinted != NULL)
			storage->ops->hinted(storage->self, hint);
		storage->more = true;
		manager_wake(manager);
		wire_begin(&answer, pool);
		wire_put_u64(&answer, sequence);
		channel_send(peer->channel, FRAME_HINT_TAKEN, wire_span(&answer));
	}
	ph_pool_free(pool);
}

static void
take_sweep(struct peer *peer, ph_span payload)
{
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);
	const char *domain = pool == NULL ? NULL : wire_get_string(&reader, pool);

	if (domain != NULL && !reader.failed)
		sweep_later(peer->manager, domain);
	ph_pool_free(pool);
}

/* ---- The channel ----------------------------------------------------------------------------- */

static void
take_frame(struct peer *peer, unsigned type, ph_span payload)
{
	switch (type) {
	case FRAME_HELLO:
		results_hello(peer, payload);
		break;
	case FRAME_DRAIN:
		if (peer->worker != NULL)
			peer->worker->draining = true;
		break;
	case FRAME_HINT:
		take_hint(peer, payload);
		break;
	case FRAME_SWEEP:
		take_sweep(peer, payload);
		break;
	case FRAME_VERIFY:
		probes_ask(peer, payload);
		break;
	case FRAME_EXPANSION:
		results_expansion(peer, payload);
		break;
	case FRAME_RESULT:
		results_result(peer, payload);
		break;
	default:
		ph_log(PH_LOG_WARNING, "a frame of unknown type %u from a %s process", type,
			peer->role == NULL ? "new" : peer->role);
		break;
	}
}

static void
frame(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct peer *peer = context;

	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	/* what is not taken up now is said again to the successor */
	if (peer->manager->stopping)
		return;
	peer->manager->busy++;
	take_frame(peer, type, payload);
	peer->manager->busy--;
}

/* A process that took mail in is gone: its last hint may have gone with it. */
static void
suspect_more(struct manager *manager)
{
	for (size_t i = 0; i < manager->storage_count; i++) {
		struct storage *storage = &manager->storages[i];

		if (storage->owned && storage->ops->hinted != NULL)
			storage->ops->hinted(storage->self, (ph_span){NULL, 0});
	}
}

static void
closed(struct channel *channel, void *context)
{
	struct peer *peer = context;
	struct manager *manager = peer->manager;

	if (peer->worker == NULL && !manager->stopping)
		suspect_more(manager);
	peer_free(peer);
	manager_wake(manager);
}

static const struct channel_ops ops = {.frame = frame, .closed = closed};

struct peer *
peer_accept(struct manager *manager, int fd)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	uid_t uid = (uid_t)-1;
	pid_t pid;

	if (peer == NULL || (peer->channel = channel_open("queue peer", fd, &ops, peer)) == NULL) {
		free(peer);
		close(fd);
		return NULL;
	}
	peer->manager = manager;
	TAILQ_INSERT_TAIL(&manager->peers, peer, link);
	if (channel_peer(peer->channel, &uid, &pid) == -1 || (uid != 0 && uid != geteuid())) {
		ph_log(PH_LOG_WARNING, "a process of uid %ld may not connect to the queue",
			(long)uid);
		channel_close(peer->channel);
		peer_free(peer);
		return NULL;
	}
	return peer;
}

void
peers_close(struct manager *manager)
{
	struct peer *peer;

	while ((peer = TAILQ_FIRST(&manager->peers)) != NULL) {
		if (peer->channel != NULL)
			channel_close(peer->channel);
		peer_free(peer);
	}
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static void
put_target(struct wire_writer *writer, const struct rcpt *rcpt)
{
	wire_put_u8(writer, rcpt->kind);
	if (rcpt->target == NULL)
		return;
	wire_put_string(writer, rcpt->target->what);
	wire_put_string(writer, rcpt->target->user);
	wire_put_string(writer, rcpt->target->sender);
}

static void
put_dsn(struct wire_writer *writer, const struct job *job)
{
	const struct body *body = job->message->body;

	wire_put_string(writer, body->envelope.envid);
	wire_put_u8(writer, body->envelope.ret);
	for (uint32_t i = 0; i < job->count; i++) {
		const struct rcpt *rcpt = &body->rcpts[job->numbers[i]];

		wire_put_u8(writer, rcpt->notify);
		wire_put_string(writer, rcpt->orcpt);
	}
}

static void
put_client(struct wire_writer *writer, const struct envelope *envelope)
{
	wire_put_string(writer, envelope->client_address);
	wire_put_string(writer, envelope->client_name);
	wire_put_string(writer, envelope->helo);
	wire_put_string(writer, envelope->protocol);
	wire_put_string(writer, envelope->sasl_username);
	wire_put_u32(writer, envelope->client_port);
	wire_put_string(writer, envelope->sasl_method);
	wire_put_string(writer, envelope->sasl_sender);
}

static void
put_job(struct wire_writer *writer, const struct job *job)
{
	const struct message *message = job->message;
	const struct body *body = message->body;

	wire_put_u64(writer, job->number);
	wire_put_string(writer, message->storage->name);
	wire_put_u64(writer, message->handle);
	wire_put_string(writer, message->id);
	wire_put_string(writer, job->destination->route->name);
	wire_put_string(writer, job->destination->nexthop);
	wire_put_string(writer, body->envelope.sender);
	wire_put_u64(writer, (uint64_t)message->arrival);
	wire_put_u64(writer, (uint64_t)body->active_since);
	wire_put_u32(writer, job->attempt);
	wire_put_u8(writer, (body->envelope.body_8bit ? JOB_8BIT : 0u) |
		(body->envelope.smtputf8 ? JOB_UTF8 : 0u));
	wire_put_u32(writer, job->count);
	for (uint32_t i = 0; i < job->count; i++) {
		const struct rcpt *rcpt = &body->rcpts[job->numbers[i]];

		wire_put_u32(writer, job->numbers[i]);
		wire_put_string(writer, rcpt->address);
		wire_put_string(writer, rcpt->original);
		put_target(writer, rcpt);
	}
	put_dsn(writer, job);
	put_client(writer, &body->envelope);
}

void
peer_send_job(struct manager *manager, struct job *job)
{
	struct peer *peer = job->worker->context;
	unsigned type = job->message->probe ? FRAME_PROBE : FRAME_JOB;
	struct wire_writer writer;

	wire_begin(&writer, manager->scratch);
	put_job(&writer, job);
	/* a worker that does not read is as good as gone */
	if (peer->channel == NULL || writer.failed ||
		channel_send(peer->channel, type, wire_span(&writer)) == -1) {
		ph_log(PH_LOG_WARNING, "%s: cannot be handed to a %s process", job->message->id,
			peer->role == NULL ? "new" : peer->role);
		job_lost(manager->scheduler, job, ph_now());
	}
	ph_pool_reset(manager->scratch);
}

void
peer_ack(struct peer *peer, uint64_t number)
{
	if (peer->ack_count == peer->ack_room) {
		size_t room = peer->ack_room * 2 + 64;
		uint64_t *bigger = realloc(peer->acks, room * sizeof(*bigger));

		if (bigger == NULL)
			return; /* it is repeated after a reconnect */
		peer->acks = bigger;
		peer->ack_room = room;
	}
	peer->acks[peer->ack_count++] = number;
	ph_unpark(peer->manager->syncer);
}

/* Numbers in one frame. */
#define ACK_BATCH 8192

static void
send_acks(struct peer *peer, ph_pool *pool)
{
	struct wire_writer writer;
	size_t sent = 0;

	while (sent < peer->syncing) {
		size_t count = peer->syncing - sent < ACK_BATCH ? peer->syncing - sent : ACK_BATCH;

		wire_begin(&writer, pool);
		wire_put_u32(&writer, (uint32_t)count);
		for (size_t i = 0; i < count; i++)
			wire_put_u64(&writer, peer->acks[sent + i]);
		if (peer->channel != NULL && !writer.failed)
			channel_send(peer->channel, FRAME_ACK, wire_span(&writer));
		sent += count;
	}
	memmove(peer->acks, peer->acks + sent, (peer->ack_count - sent) * sizeof(*peer->acks));
	peer->ack_count -= sent;
	peer->syncing = 0;
}

void
peers_send_acks(struct manager *manager)
{
	struct peer *peer;

	TAILQ_FOREACH(peer, &manager->peers, link)
		if (peer->syncing > 0)
			send_acks(peer, manager->scratch);
	ph_pool_reset(manager->scratch);
}
