/*
 * The segment that a writer has open; and what becomes of it when the disk fails.
 */
#include "writing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int64_t
writing_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Tells what is durable now, for hints. */
void
writing_publish(struct writer *writer)
{
	struct place *last;

	pthread_mutex_lock(&writer->mutex);
	last = writer->places + writer->place_count - 1;
	if (writer->place_count == 0 || last->number != writer->segment.number) {
		if (writer->place_count == PLACES_MAX) {
			memmove(writer->places, writer->places + 1,
				(PLACES_MAX - 1) * sizeof *writer->places);
			writer->place_count--;
		}
		last = writer->places + writer->place_count++;
	}
	*last = (struct place){writer->segment.number, writer->segment.durable};
	pthread_mutex_unlock(&writer->mutex);
}

/* Cuts off what a failed write may have left. 0, or -1. */
static int
segment_cut(const struct storage *storage, int fd, uint64_t size)
{
	if (storage->files->truncate(storage->files, fd, (int64_t)size) == -1)
		return -1;
	/* Should the sync fail: the record that disowns it does not depend on it. */
	storage->files->fdatasync(storage->files, fd);
	close(fd);
	return 0;
}

/* The first records of a fresh segment disown what an earlier one holds behind its failure. */
static int
writer_put_abandoned(struct writer *writer)
{
	const struct storage *storage = writer->storage;
	struct segment *segment = &writer->segment;
	struct abandoned *abandoned;

	while ((abandoned = writer->abandoned) != NULL) {
		unsigned char bytes[RECORD_HEADER];
		struct record record = {.type = RECORD_ABANDON, .identity = segment->identity,
			.offset = segment->tail, .durable = segment->durable,
			.place = abandoned->place};

		record_encode(&record, bytes);
		if (file_put(storage->files, segment->fd, bytes, sizeof bytes,
			    (int64_t)segment->tail, true) == -1)
			return -1;
		segment->tail += sizeof bytes;
		segment->durable = segment->tail;
		writing_publish(writer);
		/* Now that it is known, the owner may read the rest of it. */
		if (abandoned->fd != -1 &&
			segment_cut(storage, abandoned->fd, HANDLE_OFFSET(abandoned->place)) == -1)
			close(abandoned->fd);
		writer->abandoned = abandoned->next;
		free(abandoned);
	}
	return 0;
}

int
writing_failed(struct writer *writer, int error, const char *what)
{
	writer->error = error;
	writer->what = what;
	wake_say(writer->storage->wake, PH_LOG_ERROR, "%s: %s: %s", writer->storage->path, what,
		strerror(error));
	return -1;
}

/*
 * After an error the file is never acknowledged from again: what the kernel holds of it and what
 * the disk has may differ for good. What the failed batch may have left is cut off, which the page
 * cache shows at once, and disowned by a record, which holds when the power goes.
 */
void
writing_drop(struct writer *writer)
{
	struct segment *segment = &writer->segment;
	struct abandoned *abandoned = malloc(sizeof *abandoned);
	bool cut = segment_cut(writer->storage, segment->fd, segment->durable) == 0;

	if (abandoned != NULL) {
		*abandoned = (struct abandoned){.next = writer->abandoned,
			.place = HANDLE(segment->number, segment->durable),
			.fd = cut ? -1 : segment->fd};
		writer->abandoned = abandoned;
	}
	writer->retry_at = writing_clock() + RETRY_AFTER;
	segment->fd = -1;
}

/* Makes sure of an open segment. 0, or -1 with error and what set. */
int
writing_open(struct writer *writer)
{
	const char *what = NULL;

	if (writer->segment.fd != -1)
		return 0;
	if (writer->next.fd != -1) {
		writer->segment = writer->next;
		writer->next.fd = -1;
	} else if (segment_create(writer->storage, &writer->segment, &what) == -1) {
		return writing_failed(writer, errno, what);
	}
	writer->full = false;
	writer->segment.opened = writing_clock();
	if (writer_put_abandoned(writer) == 0)
		return 0;
	writing_failed(writer, errno, "cannot write to a new segment");
	writing_drop(writer);
	return -1;
}

/* Tries to write what is to be disowned, where no commit asks for a segment. */
void
writing_disown(struct writer *writer)
{
	writer->retry_at = writing_clock() + RETRY_AFTER;
	if (writer->segment.fd == -1)
		writing_open(writer);
	else if (writer_put_abandoned(writer) == -1)
		writing_drop(writer);
}

void
writing_seal(struct writer *writer)
{
	if (writer->segment.fd != -1)
		segment_seal(writer->storage, &writer->segment);
}
