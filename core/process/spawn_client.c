/* The local role's side of the spawner. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ground/loop.h"
#include "process/channel.h"
#include "process/spawn.h"

/* A batch that a task waits for. On the heap: the task may give up before the answer. */
struct waiting {
	struct waiting *next;
	uint32_t number;
	ph_task task;
	size_t count;
	bool answered;
	ph_error error;                /* "" when there are results */
	struct ph_user_result results[];
};

static struct {
	struct channel *channel;
	bool connected; /* once: a second time only by spawn_client_connect() */
	uint32_t last_number;
	struct waiting *waiting;
} client;

static void
fail_all(const char *text)
{
	for (struct waiting *item = client.waiting; item; item = item->next) {
		if (item->answered)
			continue;
		item->answered = true;
		ph_error_set(&item->error, "%s", text);
		ph_unpark(item->task);
	}
}

static void
take_answer(struct waiting *item, struct wire_reader *reader)
{
	ph_span text = wire_get_bytes(reader);
	uint32_t count = wire_get_u32(reader);

	item->answered = true;
	if (text.size) {
		ph_error_set(&item->error, "%.*s", (int)(text.size < 200 ? text.size : 200), text.data);
	} else if (reader->failed || count != item->count) {
		ph_error_set(&item->error, "the spawner's answer is unreadable");
	} else {
		for (size_t i = 0; i < item->count; i++) {
			ph_span bytes = wire_get_bytes(reader);

			if (bytes.size != sizeof(item->results[i])) {
				ph_error_set(&item->error, "the spawner's answer is unreadable");
				break;
			}
			memcpy(&item->results[i], bytes.data, bytes.size);
		}
	}
	ph_unpark(item->task);
}

static void
on_frame(struct channel *channel, void *context, unsigned type, ph_span payload, const int *fds,
	size_t fd_count)
{
	struct wire_reader reader = wire_reader_of(payload);
	uint32_t number = wire_get_u32(&reader);

	(void)channel, (void)context;
	for (size_t i = 0; i < fd_count; i++)
		close(fds[i]);
	if (type != SPAWN_RESULT)
		return;
	for (struct waiting *item = client.waiting; item; item = item->next)
		if (item->number == number && !item->answered) {
			take_answer(item, &reader);
			return;
		}
}

static void
on_closed(struct channel *channel, void *context)
{
	(void)context;
	if (client.channel == channel) {
		client.channel = NULL;
		fail_all("the spawner is gone");
	}
}

static const struct channel_ops channel_ops = {.frame = on_frame, .closed = on_closed};

void
spawn_client_connect(int fd)
{
	channel_close(client.channel);
	fail_all("the spawner is gone");
	client.connected = true;
	client.channel = channel_open("spawner", fd, &channel_ops, NULL);
	if (!client.channel)
		close(fd);
}

/* The connection that the process was born with. */
static struct channel *
spawner_channel(void)
{
	const struct role *role = role_current();

	if (!client.connected && role && role->spawner_fd != -1)
		spawn_client_connect(role->spawner_fd);
	return client.channel;
}

/* Every descriptor goes over once. Fills index with the place of each request's. */
static int
send_descriptors(struct channel *channel, const int *fds, size_t count, unsigned char *index)
{
	int unique[PH_SPAWN_MAX];
	size_t found = 0;

	for (size_t i = 0; i < count; i++) {
		size_t at = 0;

		while (at < found && unique[at] != fds[i])
			at++;
		if (at == found)
			unique[found++] = fds[i];
		index[i] = (unsigned char)at;
	}
	for (size_t at = 0; at < found; at += CHANNEL_MAX_FDS) {
		size_t some = found - at < CHANNEL_MAX_FDS ? found - at : CHANNEL_MAX_FDS;

		if (channel_send_fds(channel, SPAWN_DESCRIPTORS, (ph_span){0}, unique + at, some) == -1)
			return -1;
	}
	return 0;
}

static int
send_batch(struct channel *channel, uint32_t number, uint32_t transport,
	const struct ph_user_delivery *requests, const int *fds, size_t count, ph_deadline deadline)
{
	ph_pool *pool = ph_pool_new(0);
	unsigned char index[PH_SPAWN_MAX];
	struct wire_writer writer;
	int64_t timeout = deadline == PH_NEVER ? 3600 * 1000 : deadline - ph_now();
	int result = -1;

	if (!pool)
		return -1;
	wire_begin(&writer, pool);
	wire_put_u32(&writer, number);
	wire_put_u32(&writer, transport);
	wire_put_u64(&writer, timeout > 0 ? (uint64_t)timeout : 0);
	wire_put_u32(&writer, (uint32_t)count);
	if (send_descriptors(channel, fds, count, index) == 0) {
		for (size_t i = 0; i < count; i++) {
			wire_put_bytes(&writer, (ph_span){(const char *)&requests[i], sizeof(requests[i])});
			wire_put_u8(&writer, index[i]);
		}
		if (!writer.failed)
			result = channel_send(channel, SPAWN_REQUEST, wire_span(&writer));
	}
	ph_pool_free(pool);
	return result;
}

static void
waiting_unlink(struct waiting *item)
{
	struct waiting **link = &client.waiting;

	while (*link && *link != item)
		link = &(*link)->next;
	if (*link)
		*link = item->next;
}

int
ph_spawn_delivery(void *self, const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results, ph_deadline deadline, ph_error *error)
{
	const struct instance *transport = instance_of(self);
	struct channel *channel = spawner_channel();
	int result = -1;

	if (!transport || !count || count > PH_SPAWN_MAX)
		return ph_error_set(error, "a batch has 1 to %d requests of a transport", PH_SPAWN_MAX);
	if (!channel)
		return ph_error_set(error, "there is no spawner");
	struct waiting *item = calloc(1, sizeof(*item) + count * sizeof(*results));
	if (!item)
		return ph_error_set(error, "out of memory");
	item->number = ++client.last_number;
	item->task = ph_task_self();
	item->count = count;
	if (send_batch(channel, item->number, transport->number, requests, fds, count, deadline) == -1) {
		free(item);
		return ph_error_set(error, "the spawner does not take requests");
	}
	item->next = client.waiting;
	client.waiting = item;
	while (!item->answered)
		if (ph_park(deadline) != PH_WAIT_OK)
			break;
	waiting_unlink(item);
	if (!item->answered) {
		ph_error_set(error, "the spawner did not answer in time");
	} else if (item->error.text[0]) {
		ph_error_set(error, "%s", item->error.text);
	} else {
		memcpy(results, item->results, count * sizeof(*results));
		result = 0;
	}
	free(item);
	return result;
}
