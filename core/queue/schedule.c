/*
 * The scheduler: messages, their times, and feeding them to destinations. See schedule.h.
 */
#include "queue/schedule_inside.h"

#include <stdlib.h>
#include <string.h>

/* Recipients that are resolved before another message has its turn. */
#define FEED_BATCH 200
/* Messages that get their bodies before other tasks have their turn. */
#define ACTIVATE_BATCH 500

/* ---- The table by queue ID ------------------------------------------------------------------- */

static uint32_t
hash_id(const char *id)
{
	uint32_t hash = 2166136261u;

	for (; *id != '\0'; id++)
		hash = (hash ^ (unsigned char)*id) * 16777619u;
	return hash;
}

static void
table_put(struct message **table, size_t size, struct message *message)
{
	struct message **at = &table[hash_id(message->id) & (size - 1)];

	message->hash_next = *at;
	*at = message;
}

static void
table_grow(struct scheduler *scheduler)
{
	size_t size = scheduler->by_id_size * 2;
	struct message **table = calloc(size, sizeof(struct message *));

	if (table == NULL)
		return;
	for (size_t i = 0; i < scheduler->by_id_size; i++)
		while (scheduler->by_id[i] != NULL) {
			struct message *moved = scheduler->by_id[i];

			scheduler->by_id[i] = moved->hash_next;
			table_put(table, size, moved);
		}
	free(scheduler->by_id);
	scheduler->by_id = table;
	scheduler->by_id_size = size;
}

static void
table_take(struct scheduler *scheduler, struct message *message)
{
	struct message **at = &scheduler->by_id[hash_id(message->id) & (scheduler->by_id_size - 1)];

	while (*at != message)
		at = &(*at)->hash_next;
	*at = message->hash_next;
}

struct message *
scheduler_find(struct scheduler *scheduler, const struct storage *storage, const char *id)
{
	struct message *at = scheduler->by_id[hash_id(id) & (scheduler->by_id_size - 1)];

	for (; at != NULL; at = at->hash_next)
		if ((storage == NULL || at->storage == storage) && strcmp(at->id, id) == 0 &&
			at->state != MESSAGE_GONE)
			return at;
	return NULL;
}

/* ---- Life ------------------------------------------------------------------------------------ */

struct scheduler *
scheduler_new(const struct schedule_limits *limits, const struct schedule_ops *ops, void *context)
{
	struct scheduler *scheduler = calloc(1, sizeof(*scheduler));

	if (scheduler == NULL)
		return NULL;
	scheduler->limits = *limits;
	scheduler->ops = ops;
	scheduler->context = context;
	scheduler->by_id_size = scheduler->by_key_size = scheduler->by_number_size = 1024;
	scheduler->by_id = calloc(scheduler->by_id_size, sizeof(struct message *));
	scheduler->by_key = calloc(scheduler->by_key_size, sizeof(struct destination *));
	scheduler->by_number = calloc(scheduler->by_number_size, sizeof(struct job *));
	TAILQ_INIT(&scheduler->all);
	TAILQ_INIT(&scheduler->visiting);
	TAILQ_INIT(&scheduler->feed);
	TAILQ_INIT(&scheduler->routes);
	TAILQ_INIT(&scheduler->idle);
	TAILQ_INIT(&scheduler->workers);
	TAILQ_INIT(&scheduler->lost);
	if (scheduler->by_id == NULL || scheduler->by_key == NULL || scheduler->by_number == NULL) {
		scheduler_free(scheduler);
		return NULL;
	}
	return scheduler;
}

static void
drop_entries(struct scheduler *scheduler, struct message *message)
{
	struct entry *entry;

	while ((entry = TAILQ_FIRST(&message->body->entries)) != NULL)
		entry_free(entry);
}

void
scheduler_free(struct scheduler *scheduler)
{
	struct message *message;

	if (scheduler == NULL)
		return;
	jobs_free(scheduler);
	TAILQ_CONCAT(&scheduler->all, &scheduler->visiting, all);
	while ((message = TAILQ_FIRST(&scheduler->all)) != NULL) {
		TAILQ_REMOVE(&scheduler->all, message, all);
		if (message->body != NULL)
			drop_entries(scheduler, message);
		message_free(message);
	}
	if (scheduler->by_key != NULL)
		destinations_free(scheduler);
	free(scheduler->by_id);
	free(scheduler->by_key);
	free(scheduler->by_number);
	free(scheduler->heap);
	free(scheduler);
}

int
scheduler_add(struct scheduler *scheduler, struct message *message, int64_t due)
{
	if (waiting_reserve(scheduler, scheduler->count + 1) == -1)
		return -1;
	if (scheduler->count >= scheduler->by_id_size)
		table_grow(scheduler);
	table_put(scheduler->by_id, scheduler->by_id_size, message);
	TAILQ_INSERT_TAIL(&scheduler->all, message, all);
	scheduler->count++;
	message->due = due;
	if (message->hold) {
		message->state = MESSAGE_HELD;
		return 0;
	}
	message->state = MESSAGE_WAITING;
	waiting_add(scheduler, message);
	return 0;
}

struct message *
scheduler_first(struct scheduler *scheduler)
{
	return TAILQ_FIRST(&scheduler->all);
}

size_t
scheduler_count(const struct scheduler *scheduler)
{
	return scheduler->count;
}

size_t
scheduler_active_count(const struct scheduler *scheduler)
{
	return scheduler->active;
}

static void
stop_feeding(struct scheduler *scheduler, struct message *message)
{
	if (message->body != NULL && message->body->feeding) {
		TAILQ_REMOVE(&scheduler->feed, message->body, feed);
		message->body->feeding = false;
	}
}

/* Out of whatever state it is in. */
static void
leave_state(struct scheduler *scheduler, struct message *message)
{
	waiting_take(scheduler, message);
	stop_feeding(scheduler, message);
	if (message->state == MESSAGE_ACTIVE || message->state == MESSAGE_REPORTING)
		scheduler->active--;
}

void
scheduler_wait(struct scheduler *scheduler, struct message *message, int64_t due)
{
	leave_state(scheduler, message);
	message->due = due;
	message->state = MESSAGE_WAITING;
	waiting_add(scheduler, message);
}

void
scheduler_hold(struct scheduler *scheduler, struct message *message)
{
	leave_state(scheduler, message);
	message->state = MESSAGE_HELD;
}

void
scheduler_unqueue(struct scheduler *scheduler, struct message *message)
{
	struct destination *destination;
	struct entry *entry;

	stop_feeding(scheduler, message);
	if (message->body == NULL)
		return;
	while ((entry = TAILQ_FIRST(&message->body->entries)) != NULL) {
		destination = entry->destination;
		for (; entry->head < entry->count; entry->head++)
			body_set_state(message->body, entry->numbers[entry->head], RCPT_TODO);
		entry_free(entry);
		destination_update(scheduler, destination);
	}
	message->body->cursor = 0;
}

static void
free_if_unused(struct scheduler *scheduler, struct message *message)
{
	if (message->state != MESSAGE_GONE || message->pins > 0 ||
		(message->body != NULL && !TAILQ_EMPTY(&message->body->jobs)))
		return;
	if (message->visiting) {
		TAILQ_REMOVE(&scheduler->visiting, message, all);
	} else {
		TAILQ_REMOVE(&scheduler->all, message, all);
		table_take(scheduler, message);
		scheduler->count--;
	}
	message_free(message);
}

void
scheduler_remove(struct scheduler *scheduler, struct message *message)
{
	scheduler_unqueue(scheduler, message);
	leave_state(scheduler, message);
	message->state = MESSAGE_GONE;
	free_if_unused(scheduler, message);
}

void
scheduler_unpin(struct scheduler *scheduler, struct message *message)
{
	message->pins--;
	free_if_unused(scheduler, message);
}

/* ---- Feeding --------------------------------------------------------------------------------- */

/* Below this a message with a large list is fed again. */
static bool
window_is_open(const struct scheduler *scheduler, const struct body *body)
{
	return body->in_state[RCPT_QUEUED] <= scheduler->limits.window / 2;
}

void
scheduler_feed(struct scheduler *scheduler, struct message *message)
{
	struct body *body = message->body;

	if (message->state != MESSAGE_ACTIVE || body == NULL || body->feeding || message->hold ||
		body->in_state[RCPT_TODO] == 0 || !window_is_open(scheduler, body))
		return;
	body->feeding = true;
	TAILQ_INSERT_TAIL(&scheduler->feed, body, feed);
}

void
message_check_over(struct scheduler *scheduler, struct message *message)
{
	if (message->state == MESSAGE_GONE) {
		free_if_unused(scheduler, message);
		return;
	}
	if (message->state != MESSAGE_ACTIVE || message->body == NULL)
		return;
	if (body_is_idle(message->body)) {
		stop_feeding(scheduler, message);
		scheduler->ops->pass_over(scheduler->context, message);
	} else {
		scheduler_feed(scheduler, message);
	}
}

static void
feed_recipient(struct scheduler *scheduler, struct message *message, uint32_t number)
{
	struct destination *destination = scheduler->ops->resolve(scheduler->context, message,
		number);
	struct body *body = message->body;

	/* resolving may have waited: is the message still here, the recipient still free? */
	if (destination == NULL)
		return;
	if (message->state != MESSAGE_ACTIVE || body == NULL || message->hold ||
		number >= body->count || body->rcpts[number].state != RCPT_TODO) {
		destination_update(scheduler, destination);
		return;
	}
	if (destination_is_dead(scheduler, destination)) {
		body_set_reason(body, number, destination->status, destination->reason, "none");
		body_set_state(body, number, RCPT_DEFERRED);
		scheduler->ops->suspended(scheduler->context, message, number);
		return;
	}
	if (destination_queue(scheduler, destination, message, number) == -1) {
		body_set_reason(body, number, "4.3.0", "out of memory", "none");
		body_set_state(body, number, RCPT_DEFERRED);
	}
}

/* A batch of one message's recipients. True: it has more, and there is room in its window. */
static bool
feed_message(struct scheduler *scheduler, struct message *message)
{
	struct body *body = message->body;

	for (unsigned i = 0; i < FEED_BATCH; body->cursor++) {
		if (message->state != MESSAGE_ACTIVE || message->hold ||
			body->in_state[RCPT_TODO] == 0 ||
			body->in_state[RCPT_QUEUED] >= scheduler->limits.window)
			return false;
		if (body->cursor >= body->count)
			body->cursor = 0;
		if (body->rcpts[body->cursor].state != RCPT_TODO)
			continue;
		feed_recipient(scheduler, message, body->cursor);
		/* while a table was asked it may have been held, and released again */
		if (message->body != body)
			return false;
		i++;
	}
	return body->in_state[RCPT_TODO] > 0;
}

static void
feed(struct scheduler *scheduler)
{
	struct body *body, *last = TAILQ_LAST(&scheduler->feed, feed_list);
	bool more = last != NULL;

	/* each has one turn; what is left has the next one in the next round */
	while (more && (body = TAILQ_FIRST(&scheduler->feed)) != NULL) {
		struct message *message = body->message;

		more = body != last;
		TAILQ_REMOVE(&scheduler->feed, body, feed);
		body->feeding = false;
		message->pins++;
		if (feed_message(scheduler, message))
			scheduler_feed(scheduler, message);
		else
			message_check_over(scheduler, message);
		scheduler_unpin(scheduler, message);
	}
}

/* ---- Running --------------------------------------------------------------------------------- */

static void
start_pass(struct scheduler *scheduler, struct message *message)
{
	struct body *body = message->body;

	for (uint32_t i = 0; i < body->count; i++)
		if (body->rcpts[i].state != RCPT_DONE && body->rcpts[i].state != RCPT_WAITING)
			body_set_state(body, i, RCPT_TODO);
	body->cursor = 0;
	scheduler->ops->active(scheduler->context, message);
}

void
scheduler_visit(struct scheduler *scheduler, struct message *message)
{
	message->visiting = true;
	message->state = MESSAGE_ACTIVE;
	TAILQ_INSERT_TAIL(&scheduler->visiting, message, all);
	scheduler->active++;
	start_pass(scheduler, message);
	scheduler_feed(scheduler, message);
}

int
scheduler_activate(struct scheduler *scheduler, struct message *message)
{
	int result = 0;

	if (message->state != MESSAGE_WAITING)
		return message->state == MESSAGE_ACTIVE ? 0 : -1;
	leave_state(scheduler, message);
	message->state = MESSAGE_ACTIVE;
	scheduler->active++;
	message->pins++;
	if (message->body == NULL)
		result = scheduler->ops->load(scheduler->context, message);
	if (message->state == MESSAGE_ACTIVE && (result == -1 || message->body == NULL)) {
		scheduler_wait(scheduler, message, scheduler->now + 60000);
		result = -1;
	} else if (message->state == MESSAGE_ACTIVE) {
		start_pass(scheduler, message);
	} else {
		result = -1; /* it was removed or held meanwhile */
	}
	scheduler_unpin(scheduler, message);
	return result;
}

static bool
has_due(const struct scheduler *scheduler)
{
	return scheduler->heap_count > 0 && scheduler->active < scheduler->limits.active_messages &&
		scheduler->heap[0]->due <= scheduler->now;
}

static void
activate_due(struct scheduler *scheduler)
{
	for (unsigned i = 0; i < ACTIVATE_BATCH && has_due(scheduler); i++) {
		struct message *message = scheduler->heap[0];

		message->pins++;
		if (scheduler_activate(scheduler, message) == 0) {
			scheduler_feed(scheduler, message);
			message_check_over(scheduler, message);
		}
		scheduler_unpin(scheduler, message);
	}
}

/* The transports take turns, too. */
static void
dispatch(struct scheduler *scheduler)
{
	struct route *route;
	bool progress = true;

	while (progress) {
		progress = false;
		TAILQ_FOREACH(route, &scheduler->routes, link)
			progress |= route_dispatch(scheduler, route);
	}
}

int64_t
scheduler_run(struct scheduler *scheduler, int64_t now)
{
	scheduler->now = now;
	activate_due(scheduler);
	feed(scheduler);
	dispatch(scheduler);
	if (!TAILQ_EMPTY(&scheduler->feed))
		return now;
	if (scheduler->heap_count == 0 || scheduler->active >= scheduler->limits.active_messages)
		return INT64_MAX;
	return scheduler->heap[0]->due;
}

void
scheduler_flush(struct scheduler *scheduler, struct message *message, int64_t now)
{
	if (message->state != MESSAGE_WAITING)
		return;
	message->flushed = true;
	scheduler_wait(scheduler, message, now);
}

int64_t
backoff(const struct schedule_limits *limits, unsigned attempts,
	uint32_t (*random)(void *context, uint32_t bound), void *context)
{
	int64_t base = limits->minimal_backoff, low, high;

	for (unsigned i = 1; i < attempts && base < limits->maximal_backoff; i++)
		base *= 2;
	if (base > limits->maximal_backoff)
		base = limits->maximal_backoff;
	low = base - base / 4;
	high = base + base / 4;
	if (low < limits->minimal_backoff)
		low = limits->minimal_backoff;
	if (high > limits->maximal_backoff)
		high = limits->maximal_backoff;
	if (high <= low)
		return low;
	if (high - low >= INT32_MAX)
		high = low + INT32_MAX - 1;
	return low + (int64_t)random(context, (uint32_t)(high - low + 1));
}
