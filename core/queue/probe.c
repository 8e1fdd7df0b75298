/*
 * Probes of address verification: see probe.h.
 */
#include "queue/probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/address.h>
#include <posthouse/log.h>

#include "intake/message.h"
#include "intake/rewrite.h"
#include "intake/verify_sender.h"
#include "queue/protocol.h"
#include "queue/verify_cache.h"
#include "queue/verify_file.h"

/* Probes at the same time, and questions that wait for them. */
#define PROBES_MAX 1000
#define ASKERS_MAX 20000
/* How long one may wait for a worker, milliseconds. */
#define PROBE_TIME 1000000
/* How long an orderly stop waits for a table, milliseconds. */
#define STOP_TIME 5000
/* How often it is tried when processes die, or give it back. */
#define TRIES_MAX 3

struct asker {
	struct peer *peer;
	uint64_t number;
	TAILQ_ENTRY(asker) link;
};

struct probe {
	struct probes *probes;
	char *address;            /* as it is in the cache */
	int64_t begun;            /* monotonic, milliseconds */
	unsigned tries;
	ph_task task;             /* that rewrites the address */
	struct message *message;  /* the scheduler's; NULL: not yet, or no more */
	TAILQ_HEAD(, asker) askers;
	TAILQ_ENTRY(probe) link;
};

struct probes {
	struct manager *manager;
	struct verify_cache *cache;
	struct verify_file *file;
	struct settings settings; /* the configuration's, as they are for probes */
	struct resolver resolver;
	struct storage storage;   /* of messages that are in none */
	TAILQ_HEAD(, probe) list;
	size_t count, asker_count;
	unsigned working;         /* tasks that rewrite addresses */
	bool closing;
};

static int64_t
now_seconds(void)
{
	return ph_wall_clock() / 1000000;
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void
answer(struct manager *manager, struct peer *peer, uint64_t number, enum verify_status status,
	const char *text)
{
	struct wire_writer writer;

	wire_begin(&writer, manager->scratch);
	wire_put_u64(&writer, number);
	wire_put_u8(&writer, status);
	wire_put_string(&writer, text);
	if (peer->channel != NULL && !writer.failed)
		channel_send(peer->channel, FRAME_VERIFIED, wire_span(&writer));
	ph_pool_reset(manager->scratch);
}

static void
drop_asker(struct probe *probe, struct asker *asker)
{
	TAILQ_REMOVE(&probe->askers, asker, link);
	probe->probes->asker_count--;
	free(asker);
}

static void
probe_free(struct probe *probe)
{
	struct asker *asker;

	while ((asker = TAILQ_FIRST(&probe->askers)) != NULL)
		drop_asker(probe, asker);
	TAILQ_REMOVE(&probe->probes->list, probe, link);
	probe->probes->count--;
	free(probe->address);
	free(probe);
}

/* It is known now: remembered, told to those who asked, and over. */
static void
finish(struct probe *probe, enum verify_status status, const char *text)
{
	struct probes *probes = probe->probes;
	char cut[VERIFY_TEXT_MAX + 1];
	struct verify_record record = {.status = status, .updated = now_seconds(),
		.address = ph_span_of(probe->address)};
	const struct asker *asker;

	snprintf(cut, sizeof(cut), "%s", text);
	record.text = ph_span_of(cut);
	if (verify_cache_put(probes->cache, &record, record.updated))
		verify_file_put(probes->file, &record);
	TAILQ_FOREACH(asker, &probe->askers, link)
		answer(probes->manager, asker->peer, asker->number, status, cut);
	probe_free(probe);
}

/* ---- The address ----------------------------------------------------------------------------- */

/* What became of it on the way in. */
struct rewriting {
	struct ph_filter_message filter;
	const char *address;
	size_t count;
};

static int
take_alias(void *context, const char *address)
{
	struct rewriting *rewriting = context;

	rewriting->address = address;
	rewriting->count++;
	return 0;
}

static int
rewrite(struct rewriting *rewriting, const char *address)
{
	const char *rewritten;

	if (rewrite_address(&rewriting->filter, REWRITE_ENVELOPE_RECIPIENT, address, &rewritten) == -1)
		return -1;
	return rewrite_expand(&rewriting->filter, rewritten, take_alias, rewriting);
}

/* Such an address needs SMTPUTF8 (RFC 6531), as mail to it would. */
static bool
has_utf8(const char *address)
{
	while (*address != '\0' && (unsigned char)*address < 0x80)
		address++;
	return *address != '\0';
}

/* The message for it: one that no storage has. NULL: no memory. */
static struct message *
make_message(struct probe *probe, const struct rewriting *rewriting)
{
	ph_pool *pool = rewriting->filter.pool;
	const char *sender = verify_sender(pool, probe->probes->manager->settings, now_seconds());
	struct recipient recipient = {.address = rewriting->address, .orcpt = "",
		.original = strcmp(rewriting->address, probe->address) == 0 ? "" : probe->address};
	struct envelope envelope = {.sender = sender, .client_name = "", .client_address = "",
		.helo = "", .protocol = "", .sasl_username = "", .sasl_method = "",
		.sasl_sender = "", .probe = true, .envid = "", .filter = "",
		.smtputf8 = has_utf8(rewriting->address), .origin = PH_ORIGIN_INTERNAL,
		.recipients = &recipient, .recipient_count = 1,
		.arrival = ph_wall_clock()};
	struct ph_queue_item item = {.arrival = envelope.arrival};
	struct message *message;
	ph_error error = {""};

	memcpy(envelope.id, rewriting->filter.envelope.id, sizeof(envelope.id));
	memcpy(item.id, envelope.id, sizeof(item.id));
	if (sender == NULL || envelope_encode(&envelope, pool, &item.envelope) == -1)
		return NULL;
	message = message_new(&probe->probes->storage, &item, &error);
	if (message == NULL || message->body == NULL) {
		message_free(message);
		return NULL;
	}
	message->asking = probe;
	return message;
}

static void
send_probe(struct probe *probe, const struct rewriting *rewriting)
{
	struct manager *manager = probe->probes->manager;

	if ((probe->message = make_message(probe, rewriting)) == NULL) {
		finish(probe, VERIFY_DEFERRED, "out of memory");
		return;
	}
	scheduler_visit(manager->scheduler, probe->message);
	manager_wake(manager);
}

static void
prepare(struct probe *probe, struct rewriting *rewriting)
{
	struct probes *probes = probe->probes;

	rewriting->filter.settings = probes->manager->settings;
	queue_id_make(rewriting->filter.envelope.id);
	if (rewrite(rewriting, probe->address) == -1) {
		if (!probes->closing)
			finish(probe, VERIFY_DEFERRED, "Temporary lookup failure");
	} else if (probes->closing) {
		return;
	} else if (rewriting->count != 1) {
		finish(probe, VERIFY_DELIVERABLE, "aliased to multiple recipients");
	} else {
		send_probe(probe, rewriting);
	}
}

static void
run(void *argument)
{
	struct probe *probe = argument;
	struct probes *probes = probe->probes;
	ph_pool *pool = ph_pool_new(0);
	struct rewriting *rewriting = pool == NULL ? NULL : ph_pool_alloc(pool, sizeof(*rewriting));

	if (rewriting != NULL) {
		rewriting->filter.pool = pool;
		prepare(probe, rewriting);
	} else if (!probes->closing) {
		finish(probe, VERIFY_DEFERRED, "out of memory");
	}
	ph_pool_free(pool);
	probes->working--;
}

/* ---- The end of a pass ----------------------------------------------------------------------- */

bool
probe_may_go(struct message *message)
{
	return ++message->asking->tries <= TRIES_MAX;
}

static enum verify_status
status_of(const struct rcpt *rcpt)
{
	return rcpt->state == RCPT_DONE ? VERIFY_DELIVERABLE
		: rcpt->state == RCPT_FAILED ? VERIFY_UNDELIVERABLE : VERIFY_DEFERRED;
}

void
probe_over(struct manager *manager, struct message *message)
{
	struct probe *probe = message->asking;
	const struct rcpt *rcpt = &message->body->rcpts[0];

	/* given back untried: somebody else gets it, a few times */
	if (message->body->back && rcpt->state == RCPT_DEFERRED && probe->tries < TRIES_MAX) {
		message->body->back = false;
		body_set_state(message->body, 0, RCPT_TODO);
		scheduler_feed(manager->scheduler, message);
		manager_wake(manager);
		return;
	}
	finish(probe, status_of(rcpt), rcpt->text == NULL ? "" : rcpt->text);
	message->asking = NULL;
	ph_log_as("qmgr", PH_LOG_INFO, "%s: removed", message->id);
	manager_logged(manager);
	scheduler_remove(manager->scheduler, message);
}

void
probes_expire(struct manager *manager)
{
	struct probe *probe, *next;

	if (manager->probes == NULL)
		return;
	for (probe = TAILQ_FIRST(&manager->probes->list); probe != NULL; probe = next) {
		struct message *message = probe->message;

		next = TAILQ_NEXT(probe, link);
		if (message == NULL || ph_now() - probe->begun < PROBE_TIME ||
			message->body->in_state[RCPT_QUEUED] == 0)
			continue;
		scheduler_unqueue(manager->scheduler, message);
		pass_defer(manager, message, 0, "4.3.0", "mail transport unavailable");
		probe_over(manager, message);
	}
}

/* ---- Asking ---------------------------------------------------------------------------------- */

static struct probe *
find(const struct probes *probes, const char *address)
{
	struct probe *probe;

	TAILQ_FOREACH(probe, &probes->list, link)
		if (strcmp(probe->address, address) == 0)
			return probe;
	return NULL;
}

/* NULL: no more of them now. */
static struct probe *
begin(struct probes *probes, const char *address)
{
	struct probe *probe = probes->count < PROBES_MAX ? calloc(1, sizeof(*probe)) : NULL;

	if (probe == NULL || (probe->address = strdup(address)) == NULL) {
		free(probe);
		return NULL;
	}
	probe->probes = probes;
	probe->begun = ph_now();
	TAILQ_INIT(&probe->askers);
	TAILQ_INSERT_TAIL(&probes->list, probe, link);
	probes->count++;
	probe->task = ph_task_spawn("probe", run, probe);
	if (!ph_task_alive(probe->task)) {
		probe_free(probe);
		return NULL;
	}
	probes->working++;
	return probe;
}

static void
add_asker(struct probe *probe, struct peer *peer, uint64_t number)
{
	struct probes *probes = probe->probes;
	struct asker *asker = probes->asker_count < ASKERS_MAX ? calloc(1, sizeof(*asker)) : NULL;

	if (asker == NULL)
		return; /* it was told that the probe is in progress */
	asker->peer = peer;
	asker->number = number;
	TAILQ_INSERT_TAIL(&probe->askers, asker, link);
	probes->asker_count++;
}

static void
take_question(struct probes *probes, struct peer *peer, uint64_t number, const char *address)
{
	struct verify_answer known;
	struct probe *probe = NULL;

	verify_cache_look(probes->cache, ph_span_of(address), now_seconds(), &known);
	answer(probes->manager, peer, number, known.status, known.text);
	if (known.probe && (probe = find(probes, address)) == NULL)
		probe = begin(probes, address);
	if (probe != NULL && known.status == VERIFY_IN_PROGRESS)
		add_asker(probe, peer, number);
}

/* Domains are the same in any case; of local parts we do not know. */
static void
fold_domain(char *address)
{
	char *at = address + (ph_address_domain(address) - address);

	for (; *at != '\0'; at++)
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + ('a' - 'A'));
}

void
probes_ask(struct peer *peer, ph_span payload)
{
	struct probes *probes = peer->manager->probes;
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);
	uint64_t number = wire_get_u64(&reader);
	char *address = pool == NULL ? NULL : ph_pool_strdup(pool, wire_get_string(&reader, pool));
	bool sound = address != NULL && !reader.failed && reader.rest.size == 0 &&
		*address != '\0' && strlen(address) <= VERIFY_ADDRESS_MAX;

	if (address != NULL && !sound)
		ph_log(PH_LOG_WARNING, "a malformed question about an address");
	if (sound && probes != NULL && !probes->closing) {
		fold_domain(address);
		take_question(probes, peer, number, address);
	}
	ph_pool_free(pool);
}

void
probes_forget(struct peer *peer)
{
	struct probes *probes = peer->manager->probes;
	struct asker *asker, *next;
	struct probe *probe;

	if (probes == NULL || probes->asker_count == 0)
		return;
	TAILQ_FOREACH(probe, &probes->list, link)
		for (asker = TAILQ_FIRST(&probe->askers); asker != NULL; asker = next) {
			next = TAILQ_NEXT(asker, link);
			if (asker->peer == peer)
				drop_asker(probe, asker);
		}
}

/* ---- Life ------------------------------------------------------------------------------------ */

const struct resolver *
probe_resolver(const struct manager *manager)
{
	return &manager->probes->resolver;
}

static void
route_probes(struct settings *settings)
{
	settings->local_transport = settings->address_verify_local_transport;
	settings->virtual_transport = settings->address_verify_virtual_transport;
	settings->relay_transport = settings->address_verify_relay_transport;
	settings->default_transport = settings->address_verify_default_transport;
	settings->relayhost = settings->address_verify_relayhost;
	settings->transport_maps = settings->address_verify_transport_maps;
	settings->sender_dependent_default_transport_maps =
		settings->address_verify_sender_dependent_default_transport_maps;
	settings->sender_dependent_relayhost_maps =
		settings->address_verify_sender_dependent_relayhost_maps;
}

struct probes *
probes_open(struct manager *manager)
{
	struct verify_limits limits = verify_limits_of(manager->settings);
	struct probes *probes = calloc(1, sizeof(*probes));

	if (probes == NULL)
		return NULL;
	TAILQ_INIT(&probes->list);
	probes->manager = manager;
	probes->storage.name = "";
	probes->settings = *manager->settings;
	route_probes(&probes->settings);
	probes->resolver = manager->resolver;
	probes->resolver.settings = &probes->settings;
	probes->cache = verify_cache_new(&limits);
	if (probes->cache != NULL)
		probes->file = verify_file_open(manager->settings->address_verify_map,
			probes->cache, now_seconds());
	if (probes->file != NULL)
		return probes;
	probes_free(probes);
	return NULL;
}

const struct verify_cache *
probes_cache(const struct probes *probes)
{
	return probes->cache;
}

size_t
probes_remove(struct probes *probes, const char *what)
{
	size_t count = verify_cache_remove(probes->cache, what);

	if (count > 0 && probes->file != NULL)
		verify_file_renew(probes->file);
	return count;
}

int
probes_close(struct probes *probes)
{
	struct probe *probe;

	if (probes == NULL)
		return 0;
	/* none of them ends by itself any more: the list stays as it is */
	probes->closing = true;
	TAILQ_FOREACH(probe, &probes->list, link)
		ph_task_cancel(probe->task);
	TAILQ_FOREACH(probe, &probes->list, link)
		ph_task_join(probe->task, ph_in(STOP_TIME));
	verify_file_close(probes->file);
	probes->file = NULL;
	return probes->working > 0 ? -1 : 0;
}

void
probes_free(struct probes *probes)
{
	struct probe *probe;

	if (probes == NULL)
		return;
	while ((probe = TAILQ_FIRST(&probes->list)) != NULL)
		probe_free(probe);
	verify_cache_free(probes->cache);
	free(probes);
}
