/*
 * The queue manager with a storage in memory and a worker at the other end of a socket pair: what is
 * handed out, noted, reported and removed, and in which order.
 */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <posthouse/intake.h>
#include <posthouse/transport.h>

#include "ground/logger.h"
#include "ground/loop.h"
#include "queue/manager.h"
#include "queue/protocol.h"

/* ---- A storage ------------------------------------------------------------------------------- */

#define NOTES_MAX 64

struct stored {
	bool used, claimed, removed;
	char id[PH_QUEUE_ID_SIZE];
	int64_t arrival;
	ph_span envelope;
	ph_span notes[NOTES_MAX];
	uint32_t note_count;
};

static struct store {
	ph_pool *pool;
	struct stored messages[8];
	int syncs, owned;
} store;

static int
store_own(void *self, ph_error *error)
{
	store.owned++;
	for (size_t i = 0; i < 8; i++)
		store.messages[i].claimed = false;
	return 0;
}

static int
store_claim(void *self, struct ph_queue_item *items, size_t max, int64_t lease, ph_error *error)
{
	int count = 0;

	for (size_t i = 0; i < 8; i++) {
		struct stored *m = &store.messages[i];

		if (!m->used || m->claimed || m->removed)
			continue;
		m->claimed = true;
		items[count] = (struct ph_queue_item){.handle = i, .token = 7, .arrival = m->arrival,
			.content_size = 20, .envelope = m->envelope, .notes = m->notes,
			.note_count = m->note_count};
		memcpy(items[count++].id, m->id, PH_QUEUE_ID_SIZE);
	}
	return count;
}

static int
store_note(void *self, uint64_t handle, uint64_t token, ph_span note, ph_error *error)
{
	struct stored *m = &store.messages[handle];
	ph_span copy = {ph_pool_alloc(store.pool, note.size + 1), note.size};

	assert_int_equal(token, 7);
	assert_true(m->note_count < NOTES_MAX);
	memcpy((char *)(uintptr_t)copy.data, note.data, note.size);
	m->notes[m->note_count++] = copy;
	return 0;
}

static int
store_remove(void *self, uint64_t handle, uint64_t token, ph_error *error)
{
	assert_false(store.messages[handle].removed);
	store.messages[handle].removed = true;
	return 0;
}

static int
store_sync(void *self, ph_error *error)
{
	store.syncs++;
	return 0;
}

static int
store_disown(void *self, ph_error *error)
{
	store.owned--;
	return 0;
}

static ph_found
store_read(void *self, uint64_t handle, ph_pool *pool, struct ph_queue_content *content,
	ph_error *error)
{
	static const char text[] = "Subject: test\r\n\r\nHi\r\n";
	struct stored *m = &store.messages[handle];

	if (m->removed)
		return PH_NOT_FOUND;
	content->fd = memfd_create("content", MFD_CLOEXEC);
	assert_int_equal(write(content->fd, text, sizeof(text) - 1), sizeof(text) - 1);
	content->offset = 0;
	content->length = sizeof(text) - 1;
	content->arrival = m->arrival;
	content->envelope = m->envelope;
	memcpy(content->id, m->id, sizeof(content->id));
	return PH_FOUND;
}

static const struct ph_queue_ops store_ops = {.size = sizeof(store_ops), .own = store_own,
	.claim = store_claim, .note = store_note, .remove = store_remove, .sync = store_sync,
	.disown = store_disown, .read = store_read};

static void
put_message(size_t at, const char *id, const char *sender, int64_t age_ms, const char *const *to)
{
	struct recipient recipients[8];
	struct envelope envelope = {.sender = sender, .client_name = "", .client_address = "",
		.helo = "", .protocol = "", .sasl_username = "", .envid = "", .origin = PH_ORIGIN_LOCAL,
		.recipients = recipients, .arrival = ph_wall_clock() - age_ms * 1000};
	struct stored *m = &store.messages[at];

	for (; *to != NULL; to++)
		recipients[envelope.recipient_count++] =
			(struct recipient){.address = *to, .original = "", .orcpt = ""};
	snprintf(envelope.id, sizeof(envelope.id), "%s", id);
	*m = (struct stored){.used = true, .arrival = envelope.arrival};
	snprintf(m->id, sizeof(m->id), "%s", id);
	assert_int_equal(envelope_encode(&envelope, store.pool, &m->envelope), 0);
}

/* ---- An intake ------------------------------------------------------------------------------- */

static struct {
	char to[256], text[16384];
	size_t size;
	int committed;
	bool fail;
	int notes_at_commit, removed_at_commit;
} report;

ph_intake *
ph_intake_begin(const struct ph_intake_origin *origin, ph_error *error)
{
	assert_int_equal(origin->origin, PH_ORIGIN_INTERNAL);
	report.size = 0;
	return (ph_intake *)&report;
}

const char *
ph_intake_queue_id(const ph_intake *intake)
{
	return "REPORT1";
}

int
ph_intake_sender(ph_intake *intake, const char *address, const struct ph_mail_parameters *parameters)
{
	assert_string_equal(address, "");
	return 0;
}

int
ph_intake_recipient(ph_intake *intake, const char *address,
	const struct ph_rcpt_parameters *parameters)
{
	snprintf(report.to, sizeof(report.to), "%s", address);
	return 0;
}

int
ph_intake_write(ph_intake *intake, ph_span bytes)
{
	assert_true(report.size + bytes.size < sizeof(report.text));
	memcpy(report.text + report.size, bytes.data, bytes.size);
	report.size += bytes.size;
	report.text[report.size] = '\0';
	return 0;
}

ph_intake_result
ph_intake_commit(ph_intake *intake, ph_reply *reply)
{
	ph_yield();
	if (report.fail) {
		snprintf(reply->text, sizeof(reply->text), "disk full");
		return PH_INTAKE_REFUSED;
	}
	report.committed++;
	report.removed_at_commit = store.messages[0].removed;
	return PH_INTAKE_QUEUED;
}

void
ph_intake_abort(ph_intake *intake)
{
}

/* ---- Surroundings ---------------------------------------------------------------------------- */

static const struct ph_transport_ops transport_ops = {.size = sizeof(transport_ops)};
static const struct instance transport = {.name = "smtp", .ops = &transport_ops};

static ph_found
is_final(void *context, const char *domain, ph_error *error)
{
	return PH_NOT_FOUND;
}

static bool
is_own(void *context, const ph_address *address)
{
	return false;
}

static const struct instance *
find_transport(void *context, const char *name)
{
	return strcmp(name, "smtp") == 0 ? &transport : NULL;
}

static const struct resolver resolver = {.myhostname = "mail.here.example", .local_transport = "smtp",
	.relay_transport = "smtp", .default_transport = "smtp", .relayhost = "", .is_final = is_final,
	.is_relay = is_final, .is_own_address = is_own, .find = find_transport};

static const struct settings settings = {.myhostname = "mail.here.example", .mail_name = "Posthouse",
	.double_bounce_sender = "double-bounce", .hopcount_limit = 50, .minimal_backoff_time = 300000,
	.maximal_backoff_time = 4000000, .maximal_queue_lifetime = 432000000,
	.bounce_queue_lifetime = 432000000, .bounce_size_limit = 50000,
	.default_destination_concurrency_limit = 20, .initial_destination_concurrency = 5,
	.local_destination_concurrency_limit = 2, .default_destination_recipient_limit = 50,
	.qmgr_message_active_limit = 100, .qmgr_message_recipient_limit = 1000};

static char logged[65536];

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	size_t size = strlen(logged);

	snprintf(logged + size, sizeof(logged) - size, "%s: %s\n", component, line);
}

/* ---- A worker -------------------------------------------------------------------------------- */

#define JOBS_MAX 32

struct got_job {
	uint64_t number;
	char id[PH_QUEUE_ID_SIZE];
	uint32_t attempt, count;
	uint32_t numbers[8];
	char addresses[8][64];
	char originals[8][64];
};

struct fake_worker {
	struct channel *channel;
	struct got_job jobs[JOBS_MAX];
	size_t job_count;
	uint64_t acks[JOBS_MAX];
	size_t ack_count;
	ph_pool *pool;
};

static void
worker_frame(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct fake_worker *w = context;
	struct wire_reader reader = wire_reader_of(payload);

	if (type == FRAME_ACK) {
		for (uint32_t left = wire_get_u32(&reader); left > 0; left--)
			w->acks[w->ack_count++] = wire_get_u64(&reader);
	} else if (type == FRAME_JOB) {
		struct got_job *job = &w->jobs[w->job_count++];

		job->number = wire_get_u64(&reader);
		wire_get_string(&reader, w->pool);
		wire_get_u64(&reader);
		snprintf(job->id, sizeof(job->id), "%s", wire_get_string(&reader, w->pool));
		wire_get_string(&reader, w->pool);
		wire_get_string(&reader, w->pool);
		wire_get_string(&reader, w->pool);
		wire_get_u64(&reader);
		wire_get_u64(&reader);
		job->attempt = wire_get_u32(&reader);
		wire_get_u8(&reader);
		job->count = wire_get_u32(&reader);
		for (uint32_t i = 0; i < job->count; i++) {
			job->numbers[i] = wire_get_u32(&reader);
			snprintf(job->addresses[i], 64, "%s", wire_get_string(&reader, w->pool));
			snprintf(job->originals[i], 64, "%s", wire_get_string(&reader, w->pool));
			wire_get_u8(&reader);
		}
		assert_false(reader.failed);
	}
}

static void
worker_closed(struct channel *channel, void *context)
{
	((struct fake_worker *)context)->channel = NULL;
}

static const struct channel_ops worker_ops = {.frame = worker_frame, .closed = worker_closed};

static void
worker_connect(struct fake_worker *w, struct manager *manager, const struct got_job *held)
{
	struct wire_writer writer;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	w->pool = w->pool == NULL ? ph_pool_new(0) : w->pool;
	w->job_count = w->ack_count = 0;
	w->channel = channel_open("fake worker", fds[0], &worker_ops, w);
	assert_non_null(w->channel);
	assert_non_null(peer_accept(manager, fds[1]));
	wire_begin(&writer, w->pool);
	wire_put_string(&writer, "delivery");
	wire_put_u32(&writer, 100);
	wire_put_u32(&writer, 1);
	wire_put_string(&writer, "smtp");
	wire_put_u32(&writer, held != NULL);
	if (held != NULL) {
		wire_put_u64(&writer, held->number);
		wire_put_string(&writer, "store");
		wire_put_string(&writer, held->id);
		wire_put_u32(&writer, held->attempt);
		wire_put_u32(&writer, held->count);
		for (uint32_t i = 0; i < held->count; i++)
			wire_put_u32(&writer, held->numbers[i]);
	}
	assert_int_equal(channel_send(w->channel, FRAME_HELLO, wire_span(&writer)), 0);
}

static void
put_head(struct wire_writer *writer, struct fake_worker *w, const struct got_job *job)
{
	wire_begin(writer, w->pool);
	wire_put_u64(writer, job->number);
	wire_put_string(writer, "store");
	wire_put_string(writer, job->id);
	wire_put_u32(writer, job->attempt);
}

static void
say(struct fake_worker *w, const struct got_job *job, enum job_end end, enum outcome outcome,
	const char *status, const char *text)
{
	struct wire_writer writer;

	put_head(&writer, w, job);
	wire_put_u8(&writer, end);
	wire_put_string(&writer, status);
	wire_put_string(&writer, text);
	wire_put_u32(&writer, job->count);
	for (uint32_t i = 0; i < job->count; i++) {
		wire_put_u32(&writer, job->numbers[i]);
		wire_put_u8(&writer, outcome);
		wire_put_string(&writer, status);
		wire_put_string(&writer, text);
		wire_put_string(&writer, "mx.there.example[192.0.2.1]:25");
	}
	assert_int_equal(channel_send(w->channel, FRAME_RESULT, wire_span(&writer)), 0);
}

static void
say_expansion(struct fake_worker *w, const struct got_job *job, const char *const *addresses)
{
	struct wire_writer writer;
	uint32_t count = 0;

	while (addresses[count] != NULL)
		count++;
	put_head(&writer, w, job);
	wire_put_u32(&writer, job->numbers[0]);
	wire_put_u32(&writer, 0);
	wire_put_u8(&writer, 1);
	wire_put_u32(&writer, count);
	for (uint32_t i = 0; i < count; i++) {
		wire_put_string(&writer, addresses[i]);
		wire_put_u8(&writer, i == 0);
	}
	assert_int_equal(channel_send(w->channel, FRAME_EXPANSION, wire_span(&writer)), 0);
}

/* ---- Running --------------------------------------------------------------------------------- */

static struct manager *manager;
static struct fake_worker worker;

/* Lets the others run, and the manager after them, until the condition holds. */
#define UNTIL(condition) \
	do { \
		ph_deadline patience_ = ph_in(5000); \
		while (!(condition)) { \
			assert_true(ph_now() < patience_); \
			manager_round(manager); \
			ph_sleep(ph_in(1)); \
		} \
	} while (0)

static void
rounds(int count)
{
	while (count-- > 0) {
		manager_round(manager);
		ph_sleep(ph_in(1));
	}
}

static void
begin(void)
{
	ph_error error = {""};

	logged[0] = '\0';
	manager = manager_new(&settings, &resolver);
	assert_non_null(manager);
	assert_int_equal(manager_add_storage(manager, NULL, NULL, &store_ops, "store"), 0);
	assert_int_equal(manager_own(manager, &error), 0);
}

static void
finish(void)
{
	assert_int_equal(manager_stop(manager), 0);
	assert_int_equal(store.owned, 0);
	manager_free(manager);
	if (worker.channel != NULL)
		channel_close(worker.channel);
	worker.channel = NULL;
	ph_pool_free(worker.pool);
	worker.pool = NULL;
}

static const char *const one[] = {"u@there.example", NULL};
static const char *const three[] = {"a@there.example", "b@there.example", "c@else.example", NULL};

static void
deliver_and_remove(void)
{
	put_message(0, "MSG1", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	assert_string_equal(worker.jobs[0].addresses[0], "u@there.example");
	assert_int_equal(worker.jobs[0].attempt, 1);
	assert_non_null(strstr(logged, "qmgr: MSG1: from=<s@here.example>, size=20, nrcpt=1 (queue active)\n"));
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	/* one record for the whole message, and no acknowledgement before it is durable */
	assert_int_equal(store.messages[0].note_count, 0);
	assert_int_equal(worker.ack_count, 0);
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 1);
	assert_int_equal(worker.acks[0], worker.jobs[0].number);
	assert_non_null(strstr(logged, "qmgr: MSG1: removed\n"));
	/* it is said again: nothing happens but another acknowledgement */
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	rounds(5);
	assert_int_equal(manager_sync(manager), 0);
	UNTIL(worker.ack_count == 2);
	finish();
}

static void
bounce_and_remove(void)
{
	put_message(0, "MSG2", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1",
		"host mx.there.example[192.0.2.1] said: 550 5.1.1 unknown");
	rounds(5);
	/* one report at the end of the pass */
	assert_int_equal(report.committed, 0);
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report.committed, 1);
	assert_false(report.removed_at_commit);
	assert_string_equal(report.to, "s@here.example");
	assert_non_null(strstr(report.text, "Final-Recipient: rfc822; a@there.example\r\n"));
	assert_non_null(strstr(report.text, "Final-Recipient: rfc822; b@there.example\r\n"));
	assert_null(strstr(report.text, "c@else.example"));
	assert_non_null(strstr(report.text, "\r\n\r\nSubject: test\r\n\r\nHi\r\n"));
	assert_non_null(strstr(logged, "bounce: MSG2: sender non-delivery notification: REPORT1\n"));
	finish();
}

static void
no_report_of_a_report(void)
{
	put_message(0, "MSG3", "", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1", "unknown");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report.committed, 0);
	assert_non_null(strstr(logged, "MSG3: undeliverable postmaster notification discarded\n"));
	finish();
}

static void
defer_then_restart(void)
{
	struct message *message;

	put_message(0, "MSG4", "s@here.example", 0, three);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 2);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_DEFERRED, "4.2.2", "mailbox full");
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	message = scheduler_find(manager->scheduler, NULL, "MSG4");
	UNTIL(message->state == MESSAGE_WAITING);
	assert_null(message->body);
	assert_int_equal(message->attempts, 1);
	assert_in_range(message->due - ph_now(), 290000, 400000);
	assert_int_equal(worker.job_count, 2);
	finish();
	/* another owner knows it all from the notes */
	begin();
	message = scheduler_find(manager->scheduler, NULL, "MSG4");
	assert_non_null(message);
	assert_int_equal(message->attempts, 1);
	assert_in_range(message->due - ph_now(), 280000, 400000);
	worker_connect(&worker, manager, NULL);
	scheduler_flush_all(manager->scheduler, ph_now());
	UNTIL(worker.job_count == 1);
	assert_int_equal(worker.jobs[0].count, 2);
	assert_int_equal(worker.jobs[0].attempt, 2);
	assert_string_equal(worker.jobs[0].addresses[1], "b@there.example");
	finish();
}

static void
expired(void)
{
	put_message(0, "MSG5", "s@here.example", 432000001, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_DEAD, OUTCOME_DEFERRED, "4.4.1", "connect: refused");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report.committed, 1);
	assert_non_null(strstr(report.text, "Status: 4.4.7\r\n"));
	assert_non_null(strstr(logged,
		"qmgr: MSG5: from=<s@here.example>, status=expired, returned to sender\n"));
	finish();
}

static void
report_cannot_be_written(void)
{
	struct message *message;

	report.fail = true;
	put_message(0, "MSG6", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_BOUNCED, "5.1.1", "unknown");
	message = scheduler_find(manager->scheduler, NULL, "MSG6");
	UNTIL(message->state == MESSAGE_WAITING);
	assert_false(store.messages[0].removed);
	assert_non_null(strstr(logged, "disk full"));
	finish();
}

static void
expansion(void)
{
	static const char *const addresses[] = {"x@here.example", "y@there.example", NULL};
	static const char *const loop[] = {"z@here.example", "u@there.example", NULL};

	put_message(0, "MSG7", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	/* it comes twice, as after a reconnect */
	say_expansion(&worker, &worker.jobs[0], addresses);
	say_expansion(&worker, &worker.jobs[0], addresses);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_EXPANDED, "", "");
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_EXPANDED, "", "");
	UNTIL(worker.job_count == 3);
	assert_int_equal(store.messages[0].note_count, 1);
	assert_string_equal(worker.jobs[1].addresses[0], "x@here.example");
	assert_string_equal(worker.jobs[1].originals[0], "u@there.example");
	assert_int_equal(worker.jobs[1].numbers[0], 1);
	/* the second expands to its own ancestor: that is a loop, and fails */
	say_expansion(&worker, &worker.jobs[2], loop);
	say(&worker, &worker.jobs[2], JOB_ANSWERED, OUTCOME_EXPANDED, "", "");
	say(&worker, &worker.jobs[1], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report.committed, 1);
	assert_non_null(strstr(report.text, "Final-Recipient: rfc822; y@there.example\r\n"));
	assert_non_null(strstr(report.text, "Status: 5.4.6\r\n"));
	finish();
}

/* The queue role is another one; the worker still has the job in hand, and says so. */
static void
handover(void)
{
	struct got_job held;

	put_message(0, "MSG8", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	held = worker.jobs[0];
	finish();
	begin();
	manager_announce(manager);
	worker_connect(&worker, manager, &held);
	rounds(5);
	/* the time of announcing is over: it is not given out again */
	scheduler_flush_all(manager->scheduler, ph_now());
	rounds(5);
	assert_int_equal(worker.job_count, 0);
	say(&worker, &held, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	finish();
}

/* A result of an earlier life, for a job that nobody announced. */
static void
late_result(void)
{
	struct got_job held;

	put_message(0, "MSG9", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	held = worker.jobs[0];
	finish();
	begin();
	manager_announce(manager);
	worker_connect(&worker, manager, NULL);
	say(&worker, &held, JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(worker.job_count, 0);
	finish();
}

static void
deaths(void)
{
	struct message *message;

	put_message(0, "MSGA", "s@here.example", 0, one);
	begin();
	for (int i = 0; i < 2; i++)
		manager_blame(manager, "MSGA", "smtp", "delivery");
	finish();
	begin();
	message = scheduler_find(manager->scheduler, NULL, "MSGA");
	assert_int_equal(message->deaths, 2);
	assert_false(message->hold);
	manager_blame(manager, "MSGA", "smtp", "delivery");
	assert_int_equal(message->state, MESSAGE_HELD);
	assert_non_null(strstr(logged, "MSGA: held:"));
	finish();
	begin();
	message = scheduler_find(manager->scheduler, NULL, "MSGA");
	assert_int_equal(message->state, MESSAGE_HELD);
	manager_release(manager, message);
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	/* on hold while in hand: it ends its pass and stays */
	manager_hold(manager, message, "by an operator");
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_DEFERRED, "4.0.0", "later");
	UNTIL(message->state == MESSAGE_HELD);
	finish();
}

static void
unresolvable(void)
{
	static const char *const to[] = {"u@", "v@there.example", NULL};

	put_message(0, "MSGB", "s@here.example", 0, to);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	say(&worker, &worker.jobs[0], JOB_ANSWERED, OUTCOME_SENT, "2.0.0", "ok");
	UNTIL(store.messages[0].removed);
	assert_int_equal(report.committed, 1);
	assert_non_null(strstr(logged, "error: MSGB: to=<u@>, relay=none, delay="));
	assert_non_null(strstr(logged, "dsn=5.1.3, status=bounced (bad address syntax)\n"));
	finish();
}

/* A worker that dies with a job in hand: after a while somebody else gets it. */
static void
worker_dies(void)
{
	put_message(0, "MSGC", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	channel_close(worker.channel);
	rounds(5);
	worker_connect(&worker, manager, NULL);
	rounds(5);
	assert_int_equal(worker.job_count, 0);
	jobs_expire(manager->scheduler, ph_now(), ph_now());
	UNTIL(worker.job_count == 1);
	finish();
}

/* Random frames. */
static void
hostile(void)
{
	uint32_t random = 12345;

	put_message(0, "MSGD", "s@here.example", 0, one);
	begin();
	worker_connect(&worker, manager, NULL);
	UNTIL(worker.job_count == 1);
	for (int i = 0; i < 3000; i++) {
		char bytes[80];
		struct wire_writer writer;
		size_t size;

		put_head(&writer, &worker, &worker.jobs[0]);
		size = wire_span(&writer).size;
		assert_true(size < sizeof(bytes));
		memcpy(bytes, wire_span(&writer).data, size);
		for (size_t k = i % 2 == 0 ? 0 : size; k < sizeof(bytes); k++) {
			random = random * 1664525u + 1013904223u;
			bytes[k] = (char)(random >> 24 & (i % 3 == 0 ? 0xff : 0x03));
		}
		channel_send(worker.channel, 1 + random % 9, (ph_span){bytes, (random >> 8) % 81});
		ph_pool_reset(worker.pool);
		worker.job_count = worker.job_count > 8 ? 1 : worker.job_count;
		worker.ack_count = 0;
		if (i % 50 == 0)
			rounds(1);
	}
	rounds(5);
	finish();
}

/* ---- cmocka ---------------------------------------------------------------------------------- */

static void
run_task(void *argument)
{
	void (**fn)(void) = argument;

	(*fn)();
	loop_stop();
}

static void
in_loop(void (*fn)(void))
{
	ph_error error;

	store = (struct store){.pool = ph_pool_new(0)};
	memset(&report, 0, sizeof(report));
	assert_int_equal(loop_open(&error), 0);
	logger_capture(capture, NULL);
	assert_true(ph_task_alive(ph_task_spawn("test", run_task, &fn)));
	loop_run();
	logger_capture(NULL, NULL);
	loop_close();
	ph_pool_free(store.pool);
}

#define TEST(name) \
	static void test_##name(void **state) \
	{ \
		in_loop(name); \
	}

TEST(deliver_and_remove)
TEST(bounce_and_remove)
TEST(no_report_of_a_report)
TEST(defer_then_restart)
TEST(expired)
TEST(report_cannot_be_written)
TEST(expansion)
TEST(handover)
TEST(late_result)
TEST(deaths)
TEST(unresolvable)
TEST(worker_dies)
TEST(hostile)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_deliver_and_remove),
		cmocka_unit_test(test_bounce_and_remove),
		cmocka_unit_test(test_no_report_of_a_report),
		cmocka_unit_test(test_defer_then_restart),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_report_cannot_be_written),
		cmocka_unit_test(test_expansion),
		cmocka_unit_test(test_handover),
		cmocka_unit_test(test_late_result),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_unresolvable),
		cmocka_unit_test(test_worker_dies),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
