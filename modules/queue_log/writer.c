#include "writer.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "writing.h"

#define KEPT_BYTES_MAX (64u << 20)

/* ---- The thread ------------------------------------------------------------------------------ */

/* Room ahead of need. */
static void
writer_grow(struct writer *writer, bool idle)
{
	const struct storage *storage = writer->storage;
	const char *what;

	if (writer->segment.fd == -1 || writer->full)
		return;
	/* Where there is no room ahead, the write itself will tell. */
	if (segment_grow(storage, &writer->segment, idle) == -1)
		writer->full = true;
	if (idle && writer->next.fd == -1 &&
		writer->segment.tail > (uint64_t)storage->segment_size / 4 * 3 &&
		segment_create(storage, &writer->next, &what) == -1)
		writer->full = true;
}

/* When the thread has to wake up without being asked; 0: never. */
static int64_t
writer_alarm(const struct writer *writer)
{
	int64_t alarm = 0;

	if (writer->segment.fd != -1)
		alarm = writer->segment.opened + writer->seal_after;
	if ((writer->deferred != NULL || writer->abandoned != NULL) &&
		(alarm == 0 || writer->retry_at < alarm))
		alarm = writer->retry_at;
	return alarm;
}

/* Waits for requests; *stop: none will come. The mutex is held. */
static struct request *
writer_wait(struct writer *writer, bool *stop)
{
	struct request *list;

	while (writer->list == NULL && !writer->stopping) {
		int64_t alarm = writer_alarm(writer);
		struct timespec until = {.tv_sec = alarm / 1000, .tv_nsec = alarm % 1000 * 1000000};

		if (alarm == 0)
			pthread_cond_wait(&writer->more, &writer->mutex);
		else if (pthread_cond_timedwait(&writer->more, &writer->mutex, &until) == ETIMEDOUT)
			break;
	}
	list = writer->list;
	writer->list = NULL;
	writer->list_end = &writer->list;
	*stop = writer->stopping && list == NULL;
	return list;
}

static bool
writer_seal_due(const struct writer *writer)
{
	return writer->segment.fd != -1 &&
		writing_clock() >= writer->segment.opened + writer->seal_after;
}

static void *
writer_main(void *argument)
{
	struct writer *writer = argument;
	bool stop = false;

	while (!stop) {
		struct request *list;
		bool idle, seal;

		pthread_mutex_lock(&writer->mutex);
		idle = writer->list == NULL;
		pthread_mutex_unlock(&writer->mutex);
		writer_grow(writer, idle);
		pthread_mutex_lock(&writer->mutex);
		list = writer_wait(writer, &stop);
		seal = writer_seal_due(writer);
		pthread_mutex_unlock(&writer->mutex);
		if (list != NULL || writer->deferred != NULL)
			writing_run(writer, list);
		if (writer->abandoned != NULL && (stop || writing_clock() >= writer->retry_at))
			writing_disown(writer);
		if (seal)
			writing_seal(writer);
	}
	writing_seal(writer);
	segment_return(writer->storage, &writer->next);
	return NULL;
}

/* ---- For the loop ---------------------------------------------------------------------------- */

struct writer *
writer_new(struct storage *storage, ph_error *error)
{
	struct writer *writer = calloc(1, sizeof *writer);
	pthread_condattr_t attributes;

	if (writer == NULL) {
		ph_error_set(error, "out of memory");
		return NULL;
	}
	writer->storage = storage;
	writer->segment.fd = writer->next.fd = -1;
	writer->seal_after = storage->seal_after;
	writer->list_end = &writer->list;
	writer->deferred_end = &writer->deferred;
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->more, &attributes);
	pthread_condattr_destroy(&attributes);
	return writer;
}

void
writer_free(struct writer *writer)
{
	struct request *request, *next;
	struct abandoned *abandoned;

	if (writer == NULL)
		return;
	if (writer->running) {
		pthread_mutex_lock(&writer->mutex);
		writer->stopping = true;
		pthread_cond_signal(&writer->more);
		pthread_mutex_unlock(&writer->mutex);
		pthread_join(writer->thread, NULL);
	}
	for (request = writer->deferred; request != NULL; request = next) {
		next = request->next;
		free(request);
	}
	while ((abandoned = writer->abandoned) != NULL) {
		writer->abandoned = abandoned->next;
		if (abandoned->fd != -1)
			close(abandoned->fd);
		free(abandoned);
	}
	free(writer->parts);
	pthread_cond_destroy(&writer->more);
	pthread_mutex_destroy(&writer->mutex);
	free(writer);
}

struct request *
request_new(enum request_kind kind, int parts, size_t extra)
{
	struct request *request = calloc(1,
		sizeof *request + (size_t)parts * sizeof request->parts[0] + extra);

	if (request != NULL) {
		request->kind = kind;
		request->part_count = parts;
	}
	return request;
}

void *
request_extra(struct request *request)
{
	return request->parts + request->part_count;
}

static int
writer_start(struct writer *writer)
{
	sigset_t all, before;
	int result;

	if (writer->running)
		return 0;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	result = pthread_create(&writer->thread, NULL, writer_main, writer);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	writer->running = result == 0;
	return result == 0 ? 0 : -1;
}

int
writer_submit(struct writer *writer, struct request *request)
{
	bool accepted = true;

	if (writer_start(writer) == -1)
		return -1;
	request->next = NULL;
	waiter_prepare(&request->waiter);
	pthread_mutex_lock(&writer->mutex);
	if (request->kind == REQUEST_KEEP) {
		accepted = writer->kept_bytes + request_bytes(request) <= KEPT_BYTES_MAX;
		writer->kept_bytes += accepted ? request_bytes(request) : 0;
	}
	if (accepted) {
		*writer->list_end = request;
		writer->list_end = &request->next;
		pthread_cond_signal(&writer->more);
	}
	pthread_mutex_unlock(&writer->mutex);
	return accepted ? 0 : -1;
}

int
writer_barrier(struct writer *writer, enum request_kind kind, ph_error *error)
{
	struct request *request;
	int result;

	if (!writer->running)
		return 0;
	request = request_new(kind, 0, 0);
	if (request == NULL || writer_submit(writer, request) == -1) {
		free(request);
		return ph_error_set(error, "out of memory");
	}
	wake_wait(writer->storage->wake, &request->waiter);
	result = request->error == 0
		? 0
		: storage_error(writer->storage, error, request->what, request->error);
	free(request);
	return result;
}

unsigned
writer_places(struct writer *writer, struct place places[PLACES_MAX])
{
	unsigned count;

	pthread_mutex_lock(&writer->mutex);
	count = writer->place_count;
	memcpy(places, writer->places, count * sizeof *places);
	pthread_mutex_unlock(&writer->mutex);
	return count;
}

void
writer_seal_after(struct writer *writer, int64_t milliseconds)
{
	pthread_mutex_lock(&writer->mutex);
	writer->seal_after = milliseconds;
	pthread_cond_signal(&writer->more);
	pthread_mutex_unlock(&writer->mutex);
}
