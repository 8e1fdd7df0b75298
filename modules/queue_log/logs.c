#include "logs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "record.h"

/* Where a number is, or would be. */
static size_t
logs_place(const struct logs *logs, uint32_t number)
{
	size_t low = 0, high = logs->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (logs->items[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct log *
logs_find(const struct logs *logs, uint32_t number)
{
	size_t place = logs_place(logs, number);

	return place < logs->count && logs->items[place]->number == number ? logs->items[place]
									   : NULL;
}

void
log_close(struct log *log)
{
	if (log->fd != -1)
		close(log->fd);
	log->fd = -1;
}

static struct log
log_fresh(uint32_t number, uint64_t identity, uint32_t compactions)
{
	return (struct log){.number = number, .identity = identity, .compactions = compactions,
		.scanned = SEGMENT_HEADER, .limit = SEGMENT_HEADER, .abandoned_from = UINT64_MAX,
		.fd = -1};
}

void
log_forget(struct log *log)
{
	log_close(log);
	free(log->tombs);
	*log = log_fresh(log->number, log->identity, log->compactions);
}

struct log *
logs_add(struct logs *logs, uint32_t number, uint64_t identity, uint32_t compactions)
{
	size_t place = logs_place(logs, number);
	struct log *log;

	if (logs->count == logs->room) {
		size_t room = logs->room == 0 ? 64 : logs->room * 2;
		struct log **items = realloc(logs->items, room * sizeof *items);

		if (items == NULL)
			return NULL;
		logs->items = items;
		logs->room = room;
	}
	log = malloc(sizeof *log);
	if (log == NULL)
		return NULL;
	*log = log_fresh(number, identity, compactions);
	memmove(logs->items + place + 1, logs->items + place,
		(logs->count - place) * sizeof *logs->items);
	logs->items[place] = log;
	logs->count++;
	return log;
}

static void
log_free(struct log *log)
{
	log_close(log);
	free(log->tombs);
	free(log);
}

void
logs_remove(struct logs *logs, struct log *log)
{
	size_t place = logs_place(logs, log->number);

	logs->count--;
	memmove(logs->items + place, logs->items + place + 1,
		(logs->count - place) * sizeof *logs->items);
	log_free(log);
}

void
logs_clear(struct logs *logs)
{
	for (size_t i = 0; i < logs->count; i++)
		log_free(logs->items[i]);
	free(logs->items);
	*logs = (struct logs){0};
}

void
log_count(struct log *log, uint64_t size, bool alive)
{
	if (alive) {
		log->live++;
		log->live_bytes += size;
	} else if (log->live > 0) {
		log->live--;
		log->live_bytes -= size < log->live_bytes ? size : log->live_bytes;
	}
}

int
log_add_tombs(struct log *log, uint32_t holder, uint32_t count)
{
	for (size_t i = log->tomb_count; i-- > 0;)
		if (log->tombs[i].number == holder) {
			log->tombs[i].count += count;
			return 0;
		}
	if (log->tomb_count == log->tomb_room) {
		size_t room = log->tomb_room == 0 ? 4 : log->tomb_room * 2;
		struct tomb *tombs = realloc(log->tombs, room * sizeof *tombs);

		if (tombs == NULL)
			return -1;
		log->tombs = tombs;
		log->tomb_room = room;
	}
	log->tombs[log->tomb_count++] = (struct tomb){holder, count};
	return 0;
}

bool
log_needs(const struct log *log, uint32_t holder)
{
	for (size_t i = 0; i < log->tomb_count; i++)
		if (log->tombs[i].number == holder)
			return true;
	return false;
}

void
logs_release_tombs(struct logs *logs, struct tomb *tombs, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct log *holder = logs_find(logs, tombs[i].number);

		for (uint32_t n = 0; holder != NULL && n < tombs[i].count; n++)
			log_count(holder, RECORD_HEADER, false);
	}
}
