/*
 * The world of a queue manager: see queue_world.h.
 */
#include "queue_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <posthouse/intake.h>
#include <posthouse/transport.h>

#include "config/template.h"
#include "ground/logger.h"
#include "ground/loop.h"
#include "queue/manager.h"
#include "queue/protocol.h"

/* ---- A storage ------------------------------------------------------------------------------- */

struct store store;

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

	if (store.refuse)
		return ph_error_set(error, "no space left");

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
	if (store.refuse)
		return ph_error_set(error, "no space left");
	assert_false(store.messages[handle].removed);
	store.messages[handle].removed = true;
	return 0;
}

static int
store_sync(void *self, ph_error *error)
{
	uint32_t notes = 0;

	for (size_t i = 0; i < 8; i++)
		notes += store.messages[i].note_count + store.messages[i].removed;
	store.syncing++;
	while (store.slow_sync)
		ph_sleep(ph_in(1));
	store.syncing--;
	if (store.refuse)
		return ph_error_set(error, "no space left");
	store.durable = notes;
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

	store.reading++;
	while (store.slow_read)
		ph_sleep(ph_in(1));
	store.reading--;
	if (m->removed)
		return PH_NOT_FOUND;
	if (store.unreadable) {
		ph_error_set(error, "input/output error");
		return PH_FAILED;
	}
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

void
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

struct report_letter report_letter;

ph_intake *
ph_intake_begin(const struct ph_intake_origin *origin, ph_error *error)
{
	assert_int_equal(origin->origin, PH_ORIGIN_INTERNAL);
	report_letter.size = 0;
	report_letter.to[0] = '\0';
	report_letter.again = origin->again;
	return (ph_intake *)&report_letter;
}

const char *
ph_intake_queue_id(const ph_intake *intake)
{
	return "REPORT1";
}

int
ph_intake_sender(ph_intake *intake, const char *address, const struct ph_mail_parameters *parameters)
{
	snprintf(report_letter.from, sizeof(report_letter.from), "%s", address);
	return 0;
}

int
ph_intake_recipient(ph_intake *intake, const char *address,
	const struct ph_rcpt_parameters *parameters)
{
	size_t size = strlen(report_letter.to);

	snprintf(report_letter.to + size, sizeof(report_letter.to) - size, "%s%s%s%s", size > 0 ? "," : "",
		address, parameters != NULL && parameters->original != NULL ? "<" : "",
		parameters != NULL && parameters->original != NULL ? parameters->original : "");
	return 0;
}

int
ph_intake_write(ph_intake *intake, ph_span bytes)
{
	assert_true(report_letter.size + bytes.size < sizeof(report_letter.text));
	memcpy(report_letter.text + report_letter.size, bytes.data, bytes.size);
	report_letter.size += bytes.size;
	report_letter.text[report_letter.size] = '\0';
	return 0;
}

ph_intake_result
ph_intake_commit(ph_intake *intake, ph_reply *reply)
{
	ph_yield();
	if (report_letter.fail) {
		*reply = (ph_reply){.code = report_letter.code, .status = "4.3.0"};
		snprintf(reply->text, sizeof(reply->text), "disk full");
		return PH_INTAKE_REFUSED;
	}
	report_letter.committed++;
	report_letter.removed_at_commit = store.messages[0].removed;
	return PH_INTAKE_QUEUED;
}

void
ph_intake_abort(ph_intake *intake)
{
}

/* ---- Surroundings ---------------------------------------------------------------------------- */

static const struct ph_transport_ops transport_ops = {.size = sizeof(transport_ops)};
static const struct instance transport = {.name = "smtp", .ops = &transport_ops};

static enum domain_class
classify(void *context, const char *domain, ph_error *error)
{
	while (slow_table)
		ph_sleep(ph_in(1));
	return DOMAIN_FOREIGN;
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

static struct templates templates;
static ph_pool *template_pool;

static const char *
template_value(void *context, ph_pool *pool, const char *name, ph_error *error)
{
	return strcmp(name, "myhostname") == 0 ? "mail.here.example" : "5";
}

static void
template_problem(void *context, int line, const char *text)
{
	fail_msg("line %d: %s", line, text);
}

static const struct settings settings = {.myhostname = "mail.here.example",
	.bounce_templates = &templates, .bounce_notice_recipient = "postmaster",
	.bounce2_notice_recipient = "postmaster", .delay_notice_recipient = "postmaster",
	.local_transport = "smtp", .relay_transport = "smtp", .default_transport = "smtp",
	.relayhost = "", .myorigin = "mail.here.example", .mail_name = "Posthouse",
	.double_bounce_sender = "double-bounce", .hopcount_limit = 50, .minimal_backoff_time = 300000,
	.maximal_backoff_time = 4000000, .maximal_queue_lifetime = 432000000,
	.bounce_queue_lifetime = 432000000, .bounce_size_limit = 50000,
	.default_destination_concurrency_limit = 20, .initial_destination_concurrency = 5,
	.local_destination_concurrency_limit = 2, .default_destination_recipient_limit = 50,
	.qmgr_message_active_limit = 100, .qmgr_message_recipient_limit = 1000,
	.address_verify_map = "", .address_verify_sender = "double-bounce", .address_verify_cache_limit = 100,
	.address_verify_positive_expire_time = 3600000, .address_verify_positive_refresh_time = 3600000,
	.address_verify_negative_expire_time = 3600000, .address_verify_negative_refresh_time = 3600000,
	.address_verify_negative_cache = true, .append_at_myorigin = true,
	.address_verify_local_transport = "smtp", .address_verify_relay_transport = "smtp",
	.address_verify_default_transport = "smtp:probes.example", .address_verify_relayhost = ""};

static const struct resolver resolver = {.settings = &settings, .classify = classify,
	.is_own_address = is_own, .find = find_transport};

char logged[65536];
bool slow_table;

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	size_t size = strlen(logged);

	snprintf(logged + size, sizeof(logged) - size, "%s: %s\n", component, line);
}

/* ---- A worker -------------------------------------------------------------------------------- */

static void
worker_frame(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct fake_worker *w = context;
	struct wire_reader reader = wire_reader_of(payload);

	if (type == FRAME_ACK) {
		for (uint32_t left = wire_get_u32(&reader); left > 0; left--)
			w->acks[w->ack_count++] = wire_get_u64(&reader);
	} else if (type == FRAME_VERIFIED) {
		struct got_answer *answer = &w->answers[w->answer_count++ % JOBS_MAX];

		answer->number = wire_get_u64(&reader);
		answer->status = wire_get_u8(&reader);
		snprintf(answer->text, sizeof(answer->text), "%s", wire_get_string(&reader, w->pool));
		assert_false(reader.failed);
	} else if (type == FRAME_JOB || type == FRAME_PROBE) {
		struct got_job *job = &w->jobs[w->job_count++];

		job->number = wire_get_u64(&reader);
		job->probe = type == FRAME_PROBE;
		snprintf(job->storage, sizeof(job->storage), "%s", wire_get_string(&reader, w->pool));
		wire_get_u64(&reader);
		snprintf(job->id, sizeof(job->id), "%s", wire_get_string(&reader, w->pool));
		wire_get_string(&reader, w->pool);
		snprintf(job->nexthop, sizeof(job->nexthop), "%s", wire_get_string(&reader, w->pool));
		snprintf(job->sender, sizeof(job->sender), "%s", wire_get_string(&reader, w->pool));
		wire_get_u64(&reader);
		wire_get_u64(&reader);
		job->attempt = wire_get_u32(&reader);
		job->flags = wire_get_u8(&reader);
		job->count = wire_get_u32(&reader);
		for (uint32_t i = 0; i < job->count; i++) {
			job->numbers[i] = wire_get_u32(&reader);
			snprintf(job->addresses[i], 64, "%s", wire_get_string(&reader, w->pool));
			snprintf(job->originals[i], 64, "%s", wire_get_string(&reader, w->pool));
			job->kinds[i] = wire_get_u8(&reader);
			if (job->kinds[i] < PH_TARGET_MAILBOX)
				continue;
			snprintf(job->whats[i], 64, "%s", wire_get_string(&reader, w->pool));
			wire_get_string(&reader, w->pool);
			wire_get_string(&reader, w->pool);
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

void
worker_connect(struct fake_worker *w, struct manager *to, const struct got_job *held)
{
	struct wire_writer writer;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	w->pool = w->pool == NULL ? ph_pool_new(0) : w->pool;
	w->job_count = w->ack_count = w->answer_count = 0;
	w->channel = channel_open("fake worker", fds[0], &worker_ops, w);
	assert_non_null(w->channel);
	assert_non_null(peer_accept(to, fds[1]));
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

void
put_head(struct wire_writer *writer, struct fake_worker *w, const struct got_job *job)
{
	wire_begin(writer, w->pool);
	wire_put_u64(writer, job->number);
	wire_put_string(writer, job->probe ? "" : "store");
	wire_put_string(writer, job->id);
	wire_put_u32(writer, job->attempt);
}

void
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

void
say_part(struct fake_worker *w, const struct got_job *job, const char *const *addresses, uint32_t part,
	bool last)
{
	struct wire_writer writer;
	uint32_t count = 0;

	while (addresses[count] != NULL)
		count++;
	put_head(&writer, w, job);
	wire_put_u32(&writer, job->numbers[0]);
	wire_put_u32(&writer, part);
	wire_put_u8(&writer, last);
	wire_put_u32(&writer, count);
	for (uint32_t i = 0; i < count; i++) {
		wire_put_string(&writer, addresses[i]);
		wire_put_u8(&writer, i == 0);
	}
	assert_int_equal(channel_send(w->channel, FRAME_EXPANSION, wire_span(&writer)), 0);
}

void
say_expansion(struct fake_worker *w, const struct got_job *job, const char *const *addresses)
{
	say_part(w, job, addresses, 0, true);
}

/* ---- Running --------------------------------------------------------------------------------- */

struct manager *manager;
struct fake_worker worker;

void
rounds(int count)
{
	while (count-- > 0) {
		manager_round(manager);
		ph_sleep(ph_in(1));
	}
}

void
begin(void)
{
	ph_error error = {""};
	struct template_reader reader = {.lookup = template_value, .problem = template_problem};

	logged[0] = '\0';
	reader.pool = template_pool = ph_pool_new(0);
	assert_int_equal(templates_default(&reader, &templates), 0);
	manager = manager_new(&settings, &resolver);
	assert_non_null(manager);
	assert_int_equal(manager_add_storage(manager, NULL, NULL, &store_ops, "store"), 0);
	assert_int_equal(manager_own(manager, &error), 0);
}

void
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
	ph_pool_free(template_pool);
}

static void
run_task(void *argument)
{
	void (**fn)(void) = argument;

	(*fn)();
	loop_stop();
}

void
in_loop(void (*fn)(void))
{
	ph_error error;

	store = (struct store){.pool = ph_pool_new(0)};
	memset(&report_letter, 0, sizeof(report_letter));
	assert_int_equal(loop_open(&error), 0);
	logger_capture(capture, NULL);
	assert_true(ph_task_alive(ph_task_spawn("test", run_task, &fn)));
	loop_run();
	logger_capture(NULL, NULL);
	loop_close();
	ph_pool_free(store.pool);
}
