/*
 * What workers say: hello with the jobs they have in hand, expansions, results. Everything is
 * idempotent: a result that is repeated, or comes to a queue role that knows nothing of the job,
 * changes only what is still open.
 */
#include <stdlib.h>
#include <string.h>

#include <posthouse/dsn.h>
#include <posthouse/log.h>
#include <posthouse/transport.h>

#include "queue/manager.h"
#include "queue/protocol.h"

/* Expansions of expansions; more is a loop. */
#define DEPTH_MAX 50
#define WORKER_JOBS_MAX 10000

/* ---- Hello ----------------------------------------------------------------------------------- */

/* Waits while another task reads the message's body. */
static void
wait_for_body(const struct message *message)
{
	while (message->state == MESSAGE_ACTIVE && message->body == NULL)
		if (ph_sleep(ph_in(1)) == PH_WAIT_CANCELLED)
			return;
}

/* Makes a message ready to have recipients in hand, as a worker says. The message is pinned. */
static bool
awaken(struct manager *manager, struct message *message)
{
	if (message->state == MESSAGE_WAITING)
		scheduler_activate(manager->scheduler, message);
	wait_for_body(message);
	return message->state == MESSAGE_ACTIVE && message->body != NULL;
}

static struct message *
find_pinned(struct manager *manager, const char *storage_name, const char *id)
{
	struct storage *storage = manager_storage(manager, storage_name);
	struct message *message =
		storage == NULL ? NULL : scheduler_find(manager->scheduler, storage, id);

	if (message != NULL)
		message->pins++;
	return message;
}

static void
adopt(struct peer *peer, struct wire_reader *reader, ph_pool *pool)
{
	struct manager *manager = peer->manager;
	uint64_t number = wire_get_u64(reader);
	const char *storage = wire_get_string(reader, pool);
	const char *id = wire_get_string(reader, pool);
	uint32_t attempt = wire_get_u32(reader);
	uint32_t count = wire_get_u32(reader);
	struct message *message;
	uint32_t *numbers;

	if (reader->failed || count > reader->rest.size / 4 ||
		(numbers = ph_pool_array(pool, count + 1u, sizeof(*numbers))) == NULL) {
		reader->failed = true;
		return;
	}
	for (uint32_t i = 0; i < count; i++)
		numbers[i] = wire_get_u32(reader);
	if ((message = find_pinned(manager, storage, id)) == NULL)
		return;
	if (awaken(manager, message)) {
		/* what waits for a destination could be what the worker has in hand */
		if (job_find(manager->scheduler, number) == NULL)
			scheduler_unqueue(manager->scheduler, message);
		job_adopt(manager->scheduler, peer->worker, message, number, attempt, numbers,
			count);
		scheduler_feed(manager->scheduler, message);
	}
	scheduler_unpin(manager->scheduler, message);
}

static void
add_routes(struct peer *peer, struct wire_reader *reader, ph_pool *pool)
{
	uint32_t count = wire_get_u32(reader);

	for (uint32_t i = 0; i < count && !reader->failed; i++) {
		const char *name = wire_get_string(reader, pool);
		struct manager *manager = peer->manager;
		const struct instance *instance = manager->resolver.find(manager->resolver.context,
			name);
		struct route *route = instance == NULL ? NULL
			: scheduler_route(manager->scheduler, instance, instance->name,
			manager_is_for_users(instance));

		/* a worker of another generation may have transports that we do not know */
		if (route != NULL)
			worker_serves(peer->worker, route);
	}
}

void
results_hello(struct peer *peer, ph_span payload)
{
	struct manager *manager = peer->manager;
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);
	const char *role;
	uint32_t limit, jobs;

	if (pool == NULL)
		return;
	role = wire_get_string(&reader, pool);
	limit = wire_get_u32(&reader);
	if (peer->worker != NULL || reader.failed || limit > WORKER_JOBS_MAX ||
		(peer->worker = worker_new(manager->scheduler, peer, limit)) == NULL) {
		ph_pool_free(pool);
		return;
	}
	peer->role = strdup(role);
	add_routes(peer, &reader, pool);
	jobs = wire_get_u32(&reader);
	for (uint32_t i = 0; i < jobs && !reader.failed; i++)
		adopt(peer, &reader, pool);
	if (reader.failed)
		ph_log(PH_LOG_WARNING, "a malformed hello from a %s process", role);
	ph_pool_free(pool);
	manager_wake(manager);
}

/* ---- What a result is about ------------------------------------------------------------------ */

struct subject {
	uint64_t number;
	struct job *job;         /* NULL: not known here */
	struct message *message; /* pinned; NULL: gone */
	uint32_t attempt;
	bool aside;              /* the message is in no pass that this could be a part of */
};

/* A result for a job that nobody knows: it comes late, again, or from before a handover. The
 * message is made active if this is about its next attempt. Otherwise (it is on hold, is being
 * reported, or was put off since) its body is brought in so that what was delivered is not
 * delivered again. -1: it cannot be read now: the result is not taken. */
static int
meet(struct manager *manager, struct subject *subject)
{
	struct message *message = subject->message;
	ph_error error = {""};

	for (;;) {
		wait_for_body(message);
		if (message->state == MESSAGE_GONE)
			return 0;
		if (message->state == MESSAGE_ACTIVE && message->body != NULL) {
			/* what waits for a destination could be part of it */
			scheduler_unqueue(manager->scheduler, message);
			return 0;
		}
		if (message->state == MESSAGE_WAITING && subject->attempt > message->attempts) {
			if (scheduler_activate(manager->scheduler, message) == -1 &&
				message->state == MESSAGE_WAITING)
				return -1;
		} else if (message->body != NULL) {
			subject->aside = true;
			return 0;
		} else if (manager_load(message, &error) == -1 &&
			message->state != MESSAGE_GONE) {
			ph_log(PH_LOG_WARNING, "%s: a result cannot be taken: %s", message->id,
				error.text);
			return -1;
		}
		if (ph_task_cancelled())
			return -1;
	}
}

static int
find_subject(struct peer *peer, struct wire_reader *reader, ph_pool *pool, struct subject *subject)
{
	struct manager *manager = peer->manager;
	const char *storage, *id;

	*subject = (struct subject){.number = wire_get_u64(reader)};
	storage = wire_get_string(reader, pool);
	id = wire_get_string(reader, pool);
	subject->attempt = wire_get_u32(reader);
	if (reader->failed)
		return -1;
	subject->job = job_find(manager->scheduler, subject->number);
	/* a number of an earlier life, when the clock was ahead */
	if (subject->job != NULL && strcmp(subject->job->message->id, id) != 0)
		subject->job = NULL;
	if (subject->job != NULL) {
		subject->message = subject->job->message;
		subject->message->pins++;
		return 0;
	}
	if ((subject->message = find_pinned(manager, storage, id)) == NULL)
		return 0;
	if (meet(manager, subject) == 0)
		return 0;
	scheduler_unpin(manager->scheduler, subject->message);
	return -1;
}

/* A message that was only visited sleeps on, unless nothing is left of it. */
static void
leave(struct manager *manager, struct message *message)
{
	if ((message->state != MESSAGE_WAITING && message->state != MESSAGE_HELD) ||
		message->body == NULL)
		return;
	if (body_is_finished(message->body)) {
		pass_finish(manager, message);
		return;
	}
	/* when only a report is missing, that is for its next pass */
	if (body_open_count(message->body) == 0 && message->state == MESSAGE_WAITING)
		scheduler_flush(manager->scheduler, message, ph_now());
	if (TAILQ_EMPTY(&message->body->jobs))
		message_close(message);
}

static void
end_subject(struct peer *peer, struct subject *subject)
{
	struct scheduler *scheduler = peer->manager->scheduler;

	if (subject->message == NULL)
		return;
	if (subject->aside)
		leave(peer->manager, subject->message);
	scheduler_feed(scheduler, subject->message);
	scheduler_unpin(scheduler, subject->message);
	manager_wake(peer->manager);
}

/* Is this recipient one that a result can change? */
static bool
is_open(const struct subject *subject, uint32_t number)
{
	const struct body *body = subject->message->body;

	if (subject->message->state == MESSAGE_GONE || body == NULL || number >= body->count)
		return false;
	if (subject->job != NULL)
		return body->rcpts[number].state == RCPT_BUSY;
	return !subject->aside && subject->attempt > subject->message->attempts &&
		body->rcpts[number].state == RCPT_TODO;
}

/* A delivery counts whenever it was made, if nobody else has the recipient in hand. */
static bool
is_undelivered(const struct subject *subject, uint32_t number)
{
	const struct body *body = subject->message->body;

	if (subject->message->state == MESSAGE_GONE || body == NULL || number >= body->count ||
		subject->job != NULL)
		return false;
	return body->rcpts[number].state == RCPT_TODO ||
		body->rcpts[number].state == RCPT_DEFERRED ||
		body->rcpts[number].state == RCPT_FAILED;
}

/* ---- Expansions ------------------------------------------------------------------------------ */

static bool
is_ancestor(const struct body *body, uint32_t number, const char *address)
{
	for (;;) {
		if (ph_strcasecmp(body->rcpts[number].address, address) == 0)
			return true;
		if (body->rcpts[number].parent >= number)
			return false;
		number = body->rcpts[number].parent;
	}
}

static void
read_target(struct wire_reader *reader, ph_pool *pool, struct note_address *target)
{
	target->address = wire_get_string(reader, pool);
	target->kind = wire_get_u8(reader);
	target->what = target->user = target->sender = "";
	if (target->kind < PH_TARGET_MAILBOX)
		return;
	target->what = wire_get_string(reader, pool);
	target->user = wire_get_string(reader, pool);
	target->sender = wire_get_string(reader, pool);
}

/* Did an expansion bring anything so far, apart from what leads back? */
static bool
has_children(const struct body *body, uint32_t parent)
{
	for (uint32_t i = parent + 1; i < body->count; i++)
		if (body->rcpts[i].parent == parent && body->rcpts[i].state == RCPT_WAITING)
			return true;
	return false;
}

/* Twice in one part? */
static bool
has_target(const struct note_address *list, size_t count, const struct note_address *target)
{
	for (size_t i = 0; i < count; i++)
		if (target_is_same(&list[i], target))
			return true;
	return false;
}

/* The addresses of one part, each that is wanted. -1: malformed; one that leads back to where it
 * comes from is left out, and sets *loop. */
static int
read_addresses(struct wire_reader *reader, ph_pool *pool, const struct body *body, uint32_t parent,
	struct note *note, bool *loop)
{
	uint32_t count = wire_get_u32(reader);
	struct note_address *list;

	if (reader->failed || count > reader->rest.size / 5 ||
		(list = ph_pool_array(pool, count + 1u, sizeof(*list))) == NULL)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		struct note_address target = {0};

		read_target(reader, pool, &target);
		if (reader->failed || target.kind >= PH_TARGET_KINDS)
			return -1;
		if (*target.address == '\0')
			continue;
		/* before it is taken for one that has the message anyway: it may be this very
		 * recipient, of whom nothing would be left */
		if (target.kind == PH_TARGET_ADDRESS && is_ancestor(body, parent, target.address))
			*loop = true;
		else if (!body_has_expanded(body, &target) &&
			!has_target(list, note->address_count, &target))
			list[note->address_count++] = target;
	}
	note->addresses = list;
	return 0;
}

static void
expand(struct peer *peer, struct subject *subject, struct wire_reader *reader, ph_pool *pool)
{
	struct manager *manager = peer->manager;
	struct message *message = subject->message;
	struct note note = {.type = NOTE_EXPANDED, .attempt = subject->attempt};
	struct note_writer writer;
	bool loop = false;

	note.parent = wire_get_u32(reader);
	note.part = wire_get_u32(reader);
	note.last = wire_get_u8(reader) != 0;
	if (reader->failed || !is_open(subject, note.parent))
		return;
	/* it begins again: what came of it before is not wanted twice, but not missing either */
	if (note.part == 0)
		body_drop_expansion(message->body, note.parent);
	if (read_addresses(reader, pool, message->body, note.parent, &note, &loop) == -1)
		return;
	if (body_depth(message->body, note.parent) >= DEPTH_MAX || (loop && note.last &&
		note.address_count == 0 && !has_children(message->body, note.parent))) {
		pass_fail(manager, message, note.parent, "5.4.6", "alias expansion loop");
		return;
	}
	if (loop)
		ph_log(PH_LOG_WARNING, "%s: the expansion of <%s> leads back to itself",
			message->id, message->body->rcpts[note.parent].address);
	note.first = message->body->count;
	note_writer_begin(&writer, pool);
	note_put(&writer, &note);
	if (writer.failed || message_apply(message, &note) == -1)
		return;
	manager_note(manager, message, note_bytes(&writer));
}

void
results_expansion(struct peer *peer, ph_span payload)
{
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);
	struct subject subject;

	if (pool != NULL && find_subject(peer, &reader, pool, &subject) == 0 &&
		subject.message != NULL) {
		if (subject.message->body != NULL && !subject.aside && !subject.message->visiting)
			expand(peer, &subject, &reader, pool);
		end_subject(peer, &subject);
	}
	ph_pool_free(pool);
}

/* ---- Results --------------------------------------------------------------------------------- */

struct outcome_line {
	uint32_t number;
	enum outcome outcome;
	const char *status, *text, *relay;
	enum dsn_action action;
	const char *final; /* "" */
};

static void
get_line(struct wire_reader *reader, ph_pool *pool, struct outcome_line *line)
{
	line->number = wire_get_u32(reader);
	line->outcome = (enum outcome)wire_get_u8(reader);
	line->status = wire_get_string(reader, pool);
	line->text = wire_get_string(reader, pool);
	line->relay = wire_get_string(reader, pool);
	line->action = DSN_DELIVERED;
	line->final = "";
}

/* An older worker says nothing of it. */
static void
get_action(struct wire_reader *reader, ph_pool *pool, struct outcome_line *line)
{
	if (reader->failed || reader->rest.size == 0)
		return;
	line->action = (enum dsn_action)wire_get_u8(reader);
	line->final = wire_get_string(reader, pool);
	reader->failed |= line->action < DSN_DELIVERED || line->action > DSN_PASSED_ON;
}

/* The sender may want to hear of it. */
static void
owe(struct message *message, const struct outcome_line *line)
{
	struct body *body = message->body;

	if ((body->rcpts[line->number].notify & PH_NOTIFY_SUCCESS) == 0 || message->probe ||
		line->action == DSN_PASSED_ON)
		return;
	body_set_reason(body, line->number, *line->status == '\0' ? "2.0.0" : line->status,
		line->text, line->relay);
	body_set_owed(body, line->number, line->action);
}

/* True: it is done, for good. */
static bool
apply_line(const struct subject *subject, const struct outcome_line *line)
{
	struct body *body = subject->message->body;
	bool delivered = line->outcome == OUTCOME_SENT || line->outcome == OUTCOME_DISCARDED;

	if (!is_open(subject, line->number) &&
		!(delivered && is_undelivered(subject, line->number)))
		return false;
	body_set_final(body, line->number, line->final);
	switch (line->outcome) {
	case OUTCOME_SENT:
	case OUTCOME_DISCARDED:
		/* why mail went well is not kept, but it is what a probe asks */
		if (subject->message->probe)
			body_set_reason(body, line->number, line->status, line->text, line->relay);
		owe(subject->message, line);
		body_set_done(body, line->number, line->outcome);
		return true;
	case OUTCOME_BOUNCED:
		body_set_reason(body, line->number, line->status, line->text, line->relay);
		body_set_state(body, line->number, RCPT_FAILED);
		return false;
	case OUTCOME_DEFERRED:
		body_set_reason(body, line->number, line->status, line->text, line->relay);
		body_set_state(body, line->number, RCPT_DEFERRED);
		return false;
	case OUTCOME_BACK:
		body->back = true;
		body_set_state(body, line->number, RCPT_DEFERRED);
		return false;
	case OUTCOME_NONE:
	case OUTCOME_EXPANDED:
		/* an expansion that did not come through is done again */
		break;
	}
	return false;
}

static int
compare_numbers(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static void
note_done(struct manager *manager, struct subject *subject, uint32_t *numbers, size_t count,
	ph_pool *pool)
{
	struct note note = {.type = NOTE_RESULT, .attempt = subject->attempt,
		.outcome = OUTCOME_SENT};
	const struct body *body = subject->message->body;
	struct note_writer writer;
	struct note_range *ranges;

	/* when nothing is left the message goes as a whole */
	if (count == 0 || body_is_finished(subject->message->body))
		return;
	qsort(numbers, count, sizeof(*numbers), compare_numbers);
	note.range_count = note_ranges(pool, numbers, count, &ranges);
	note.ranges = ranges;
	note_writer_begin(&writer, pool);
	/* whoever counts as served is reported: in this order nobody is forgotten */
	for (size_t i = 0; i < count; i++)
		if (body->rcpts[numbers[i]].owed != 0 &&
			body->rcpts[numbers[i]].owed != DSN_REPORTED)
			body_note_owed(body, numbers[i], subject->attempt, &writer);
	if (note.range_count > 0)
		note_put(&writer, &note);
	manager_note(manager, subject->message, note_bytes(&writer));
}

static int
apply_lines(struct peer *peer, struct subject *subject, struct wire_reader *reader, ph_pool *pool)
{
	uint32_t count = wire_get_u32(reader);
	struct outcome_line *lines;
	uint32_t *done;
	size_t done_count = 0;

	if (reader->failed || count > reader->rest.size / 17 ||
		(done = ph_pool_array(pool, count + 1u, sizeof(*done))) == NULL ||
		(lines = ph_pool_array(pool, count + 1u, sizeof(*lines))) == NULL)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		get_line(reader, pool, &lines[i]);
	for (uint32_t i = 0; i < count; i++)
		get_action(reader, pool, &lines[i]);
	if (reader->failed)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		if (apply_line(subject, &lines[i]))
			done[done_count++] = lines[i].number;
	if (subject->message->state != MESSAGE_GONE && subject->message->body != NULL)
		note_done(peer->manager, subject, done, done_count, pool);
	return 0;
}

static void
apply_result(struct peer *peer, struct subject *subject, struct wire_reader *reader, ph_pool *pool)
{
	struct manager *manager = peer->manager;
	unsigned end = wire_get_u8(reader);
	const char *status = wire_get_string(reader, pool);
	const char *reason = wire_get_string(reader, pool);

	if (apply_lines(peer, subject, reader, pool) == -1)
		ph_log(PH_LOG_WARNING, "a malformed result from a %s process",
			peer->role == NULL ? "new" : peer->role);
	if (subject->job != NULL)
		job_done(manager->scheduler, subject->job, end == JOB_DEAD ? JOB_DEAD
			: end == JOB_ANSWERED ? JOB_ANSWERED : JOB_BACK, status, reason, ph_now());
	else if (subject->message->state == MESSAGE_ACTIVE && subject->message->body != NULL &&
		body_is_idle(subject->message->body))
		pass_over(manager, subject->message);
}

void
results_result(struct peer *peer, ph_span payload)
{
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);
	struct subject subject;

	if (pool != NULL && find_subject(peer, &reader, pool, &subject) == 0) {
		if (subject.message != NULL)
			apply_result(peer, &subject, &reader, pool);
		end_subject(peer, &subject);
		peer_ack(peer, subject.number);
	}
	ph_pool_free(pool);
}
