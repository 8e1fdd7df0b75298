/*
 * Telling the queue role that there is new mail. Hints are cumulative: only the last one of each
 * storage matters, and it is repeated until it is acknowledged.
 */
#include "queue/client.h"

#include <posthouse/queue.h>
#include <posthouse/task.h>
#include <stdio.h>
#include <stdlib.h>

#include "ground/loop.h"
#include "process/channel.h"
#include "queue/uplink.h"
#include "queue/protocol.h"
#include "queue/verify_client.h"

#define HINT_MAX 512
#define REPEAT 1000

struct told {
	const struct instance *queue;
	uint64_t sequence;     /* of the last hint; */
	uint64_t acknowledged; /* of the last that was taken up */
	bool fresh;            /* to be sent in this round */
};

struct client {
	struct uplink *link;
	ph_task repeater;
	ph_pool *pool;
	struct told *told;
	size_t count;
	uint64_t sequence;
	char path[512];
};

/* One for each process that takes mail in. */
static struct client *client;
/* In the queue role itself: nobody needs to be connected to. */
static void (*local_announce)(void *context, const struct instance *queue);
static void *local_context;

void
queue_client_set_local(void (*announce)(void *context, const struct instance *queue), void *context)
{
	local_announce = announce;
	local_context = context;
}

static void
send_hint(struct client *c, struct told *told)
{
	const struct ph_queue_ops *ops = told->queue->ops;
	struct wire_writer writer;
	char hint[HINT_MAX];
	size_t size = ops->hint == NULL ? 0 : ops->hint(told->queue->self, hint, sizeof(hint));

	told->fresh = false;
	wire_begin(&writer, c->pool);
	wire_put_u64(&writer, told->sequence);
	wire_put_string(&writer, told->queue->name);
	wire_put_bytes(&writer, (ph_span){hint, size});
	if (!writer.failed)
		uplink_send(c->link, FRAME_HINT, wire_span(&writer));
	ph_pool_reset(c->pool);
}

static void
send_fresh(void *argument)
{
	struct client *c = argument;

	for (size_t i = 0; i < c->count; i++)
		if (c->told[i].fresh)
			send_hint(c, &c->told[i]);
}

static void
repeat(void *argument)
{
	struct client *c = argument;

	for (size_t i = 0; i < c->count; i++)
		if (c->told[i].acknowledged != c->told[i].sequence)
			send_hint(c, &c->told[i]);
}

static void
repeater(void *argument)
{
	while (ph_sleep(ph_in(REPEAT)) == PH_WAIT_OK)
		repeat(argument);
}

/* Who is there now knows nothing of what a predecessor took up: the end of a segment that is still written
 * to can be told from a write under way by a hint only. */
static void
up(void *context)
{
	struct client *c = context;

	for (size_t i = 0; i < c->count; i++)
		send_hint(c, &c->told[i]);
	verify_client_repeat();
}

static void
frame(void *context, unsigned type, ph_span payload)
{
	struct client *c = context;
	struct wire_reader reader = wire_reader_of(payload);
	uint64_t sequence = wire_get_u64(&reader);

	if (type == FRAME_VERIFIED)
		verify_client_take(payload);
	if (type != FRAME_HINT_TAKEN || reader.failed)
		return;
	for (size_t i = 0; i < c->count; i++)
		if (c->told[i].sequence == sequence)
			c->told[i].acknowledged = sequence;
}

static const struct uplink_ops ops = {.up = up, .frame = frame};

void
queue_client_stop(void)
{
	struct client *c = client;

	if (c == NULL)
		return;
	client = NULL;
	loop_forget_round_end(send_fresh, c);
	ph_task_cancel(c->repeater);
	ph_task_join(c->repeater, ph_in(1000));
	uplink_close(c->link);
	ph_pool_free(c->pool);
	free(c->told);
	free(c);
}

int
queue_client_start(const struct config *config, ph_error *error)
{
	struct client *c = calloc(1, sizeof(*c));

	if (c == NULL || (c->pool = ph_pool_new(0)) == NULL) {
		free(c);
		return ph_error_set(error, "no memory");
	}
	client = c;
	snprintf(c->path, sizeof(c->path), "%s/queue", config_settings(config)->run_directory);
	c->repeater = ph_task_spawn("hints", repeater, c);
	c->link = uplink_open("hints", c->path, &ops, c, error);
	if (c->link == NULL || !ph_task_alive(c->repeater)) {
		queue_client_stop();
		return -1;
	}
	return 0;
}

static struct told *
find(struct client *c, const struct instance *queue)
{
	struct told *bigger;

	for (size_t i = 0; i < c->count; i++)
		if (c->told[i].queue == queue)
			return &c->told[i];
	if ((bigger = realloc(c->told, (c->count + 1) * sizeof(*bigger))) == NULL)
		return NULL;
	c->told = bigger;
	c->told[c->count] = (struct told){.queue = queue};
	return &c->told[c->count++];
}

void
queue_client_announce(const struct instance *queue)
{
	struct told *told;

	if (local_announce != NULL)
		local_announce(local_context, queue);
	if (client == NULL || (told = find(client, queue)) == NULL)
		return; /* the queue role looks by itself now and then */
	told->sequence = ++client->sequence;
	told->fresh = true;
	loop_at_round_end(send_fresh, client);
}

int
queue_client_send(unsigned type, ph_span payload)
{
	return client == NULL ? -1 : uplink_send(client->link, type, payload);
}

int
queue_client_sweep(const char *domain)
{
	struct wire_writer writer;
	int result = -1;

	if (client == NULL)
		return -1;
	wire_begin(&writer, client->pool);
	wire_put_string(&writer, domain);
	if (!writer.failed)
		result = uplink_send(client->link, FRAME_SWEEP, wire_span(&writer));
	ph_pool_reset(client->pool);
	return result;
}
