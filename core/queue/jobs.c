/*
 * Jobs: what workers have in hand.
 */
#include "queue/schedule_inside.h"

#include <stdlib.h>
#include <string.h>

/* Addresses of one job, about: it must fit in one frame. */
#define JOB_BYTES ((size_t)256 << 10)

/* ---- Workers --------------------------------------------------------------------------------- */

struct worker *
worker_new(struct scheduler *scheduler, void *context, uint32_t limit)
{
	struct worker *worker = calloc(1, sizeof(*worker));

	if (worker == NULL)
		return NULL;
	worker->context = context;
	worker->limit = limit;
	TAILQ_INIT(&worker->jobs);
	TAILQ_INSERT_TAIL(&scheduler->workers, worker, link);
	return worker;
}

int
worker_serves(struct worker *worker, struct route *route)
{
	struct route **bigger =
		realloc(worker->routes, (worker->route_count + 1) * sizeof(struct route *));

	if (bigger == NULL)
		return -1;
	worker->routes = bigger;
	worker->routes[worker->route_count++] = route;
	return 0;
}

static bool
can_take(const struct worker *worker, const struct route *route)
{
	if (worker->draining || worker->busy >= worker->limit)
		return false;
	for (size_t i = 0; i < worker->route_count; i++)
		if (worker->routes[i] == route)
			return true;
	return false;
}

/* The worker that has this destination already, so that connections are used again; above a few
 * jobs at once the one with the least to do. */
static struct worker *
pick_worker(struct scheduler *scheduler, struct destination *destination)
{
	struct worker *worker, *best = NULL;

	if (destination->home != NULL && destination->busy < scheduler->limits.spread &&
		can_take(destination->home, destination->route))
		return destination->home;
	TAILQ_FOREACH(worker, &scheduler->workers, link)
		if (can_take(worker, destination->route) &&
			(best == NULL || worker->busy < best->busy))
			best = worker;
	if (best != NULL && (destination->home == NULL || destination->busy == 0))
		destination->home = best;
	return best;
}

static void
forget_home(struct scheduler *scheduler, const struct worker *worker)
{
	struct destination *at;

	for (size_t i = 0; i < scheduler->by_key_size; i++)
		for (at = scheduler->by_key[i]; at != NULL; at = at->hash_next)
			if (at->home == worker)
				at->home = NULL;
}

void
job_lost(struct scheduler *scheduler, struct job *job, int64_t now)
{
	job->worker->busy--;
	TAILQ_REMOVE(&job->worker->jobs, job, of_worker);
	job->worker = NULL;
	job->lost = now;
	TAILQ_INSERT_TAIL(&scheduler->lost, job, of_worker);
}

void
worker_lost(struct scheduler *scheduler, struct worker *worker, int64_t now)
{
	struct job *job;

	forget_home(scheduler, worker);
	while ((job = TAILQ_FIRST(&worker->jobs)) != NULL)
		job_lost(scheduler, job, now);
	TAILQ_REMOVE(&scheduler->workers, worker, link);
	free(worker->routes);
	free(worker);
}

/* ---- The table of jobs ----------------------------------------------------------------------- */

void
jobs_number_from(struct scheduler *scheduler, uint64_t number)
{
	scheduler->next_number = number;
}

struct job *
job_find(struct scheduler *scheduler, uint64_t number)
{
	struct job *job = scheduler->by_number[number & (scheduler->by_number_size - 1)];

	while (job != NULL && job->number != number)
		job = job->hash_next;
	return job;
}

static void
grow(struct scheduler *scheduler)
{
	size_t size = scheduler->by_number_size * 2;
	struct job **table = calloc(size, sizeof(struct job *));

	if (table == NULL)
		return;
	for (size_t i = 0; i < scheduler->by_number_size; i++)
		while (scheduler->by_number[i] != NULL) {
			struct job *moved = scheduler->by_number[i];

			scheduler->by_number[i] = moved->hash_next;
			moved->hash_next = table[moved->number & (size - 1)];
			table[moved->number & (size - 1)] = moved;
		}
	free(scheduler->by_number);
	scheduler->by_number = table;
	scheduler->by_number_size = size;
}

static struct job *
job_new(struct scheduler *scheduler, struct worker *worker, struct message *message,
	uint64_t number, uint32_t room)
{
	struct job *job = calloc(1, sizeof(*job) + room * sizeof(job->numbers[0]));
	struct job **at;

	if (job == NULL)
		return NULL;
	if (scheduler->job_count >= scheduler->by_number_size)
		grow(scheduler);
	job->number = number;
	job->message = message;
	job->worker = worker;
	job->attempt = message->attempts + 1u;
	at = &scheduler->by_number[number & (scheduler->by_number_size - 1)];
	job->hash_next = *at;
	*at = job;
	scheduler->job_count++;
	worker->busy++;
	TAILQ_INSERT_TAIL(&worker->jobs, job, of_worker);
	TAILQ_INSERT_TAIL(&message->body->jobs, job, of_message);
	return job;
}

static void
job_free(struct scheduler *scheduler, struct job *job)
{
	struct job **at = &scheduler->by_number[job->number & (scheduler->by_number_size - 1)];

	while (*at != job)
		at = &(*at)->hash_next;
	*at = job->hash_next;
	scheduler->job_count--;
	if (job->worker != NULL) {
		job->worker->busy--;
		TAILQ_REMOVE(&job->worker->jobs, job, of_worker);
	} else {
		TAILQ_REMOVE(&scheduler->lost, job, of_worker);
	}
	TAILQ_REMOVE(&job->message->body->jobs, job, of_message);
	free(job);
}

void
jobs_free(struct scheduler *scheduler)
{
	struct worker *worker;
	struct job *job;

	while ((worker = TAILQ_FIRST(&scheduler->workers)) != NULL)
		worker_lost(scheduler, worker, 0);
	while ((job = TAILQ_FIRST(&scheduler->lost)) != NULL)
		job_free(scheduler, job);
}

/* ---- Giving out ------------------------------------------------------------------------------ */

/* Moves recipients from the entry to the job: as many as it has room for, and one frame. */
static void
fill_job(struct job *job, struct entry *entry, uint32_t room)
{
	struct body *body = entry->message->body;

	for (size_t bytes = 0; job->count < room && bytes < JOB_BYTES; job->count++) {
		uint32_t number = entry->numbers[entry->head++];

		job->numbers[job->count] = number;
		bytes += strlen(body->rcpts[number].address) + strlen(body->rcpts[number].original);
		body_set_state(body, number, RCPT_BUSY);
	}
}

bool
route_dispatch(struct scheduler *scheduler, struct route *route)
{
	struct destination *destination = TAILQ_FIRST(&route->ready);
	struct worker *worker;
	struct entry *entry;
	struct job *job;
	uint32_t count;

	if (destination == NULL || (worker = pick_worker(scheduler, destination)) == NULL)
		return false;
	entry = TAILQ_FIRST(&destination->entries);
	count = entry->count - entry->head;
	if (count > scheduler->limits.job_recipients)
		count = scheduler->limits.job_recipients;
	if ((job = job_new(scheduler, worker, entry->message, scheduler->next_number, count)) == NULL)
		return false;
	scheduler->next_number++;
	job->destination = destination;
	destination->busy++;
	fill_job(job, entry, count);
	TAILQ_REMOVE(&destination->entries, entry, of_destination);
	TAILQ_INSERT_TAIL(&destination->entries, entry, of_destination);
	if (entry->head == entry->count)
		entry_free(entry);
	destination_rotate(scheduler, destination);
	scheduler->ops->send(scheduler->context, job);
	scheduler_feed(scheduler, job->message);
	return true;
}

/* ---- Coming back ----------------------------------------------------------------------------- */

/* A worker is back with a job of its old connection, whether we have seen that end or not. */
static struct job *
adopt_lost(struct scheduler *scheduler, struct job *job, struct worker *worker,
	const struct message *message)
{
	if (job->message != message)
		return NULL;
	if (job->worker != NULL) {
		job->worker->busy--;
		TAILQ_REMOVE(&job->worker->jobs, job, of_worker);
	} else {
		TAILQ_REMOVE(&scheduler->lost, job, of_worker);
	}
	job->worker = worker;
	worker->busy++;
	TAILQ_INSERT_TAIL(&worker->jobs, job, of_worker);
	return job;
}

struct job *
job_adopt(struct scheduler *scheduler, struct worker *worker, struct message *message,
	uint64_t number, uint32_t attempt, const uint32_t *numbers, uint32_t count)
{
	struct job *job = job_find(scheduler, number);
	struct body *body = message->body;

	if (job != NULL)
		return adopt_lost(scheduler, job, worker, message);
	if (message->state != MESSAGE_ACTIVE || body == NULL ||
		(job = job_new(scheduler, worker, message, number, count)) == NULL)
		return NULL;
	job->attempt = attempt;
	for (uint32_t i = 0; i < count; i++)
		if (numbers[i] < body->count && body->rcpts[numbers[i]].state == RCPT_TODO) {
			job->numbers[job->count++] = numbers[i];
			body_set_state(body, numbers[i], RCPT_BUSY);
		}
	return job;
}

static void
give_back(struct job *job)
{
	struct body *body = job->message->body;

	for (uint32_t i = 0; i < job->count; i++)
		if (body->rcpts[job->numbers[i]].state == RCPT_BUSY)
			body_set_state(body, job->numbers[i], RCPT_TODO);
}

void
job_done(struct scheduler *scheduler, struct job *job, enum job_end end, const char *status,
	const char *reason, int64_t now)
{
	struct message *message = job->message;
	struct destination *destination = job->destination;

	scheduler->now = now;
	message->pins++;
	give_back(job);
	job_free(scheduler, job);
	if (destination != NULL) {
		destination->busy--;
		if (end == JOB_ANSWERED)
			destination_answered(destination);
		if (end == JOB_DEAD)
			destination_failed(scheduler, destination, status, reason);
		destination_update(scheduler, destination);
	}
	message_check_over(scheduler, message);
	scheduler_unpin(scheduler, message);
}

void
jobs_expire(struct scheduler *scheduler, int64_t before, int64_t now)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&scheduler->lost)) != NULL && job->lost <= before)
		job_done(scheduler, job, JOB_BACK, NULL, NULL, now);
}
