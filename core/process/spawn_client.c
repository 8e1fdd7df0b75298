/* The local role's side of the spawner. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ground/loop.h"
#include "process/channel.h"
#include "process/spawn.h"

enum {
	TURN_TIME = 600 * 1000, /* milliseconds, for a batch without a deadline */
	RESTART_TIME = 10 * 1000
};

/* A batch that a task waits for. On the heap: the task may give up before the answer. */
struct waiting {
	struct waiting *next;
	uint32_t number;
	ph_task task;
	size_t count;
	bool answered;
	ph_error error;                /* "" when there are results */
	ph_pool *pool;                 /* texts are copied there; NULL: none are wanted */
	ph_span *texts;
	struct ph_user_result results[];
};

/* A task whose batch has to wait until it can be sent. On its stack. */
struct queued {
	struct queued *next;
	ph_task task;
};

static struct {
	struct channel *channel;
	bool connected; /* once: a second time only by spawn_client_connect() */
	uint32_t last_number;
	struct waiting *waiting;
	size_t under_way; /* batches that are sent and have no answer yet */
	struct queued *first, **last;
} client = {.last = &client.first};

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

/* One result. */
static int
take_result(struct waiting *item, size_t i, struct wire_reader *reader)
{
	ph_span bytes = wire_get_bytes(reader), text = wire_get_bytes(reader);

	if (reader->failed || bytes.size != sizeof(item->results[i]))
		return -1;
	memcpy(&item->results[i], bytes.data, bytes.size);
	if (!item->pool)
		return 0;
	const char *copy = ph_pool_copy(item->pool, text);
	if (!copy)
		return -1;
	item->texts[i] = (ph_span){copy, text.size};
	return 0;
}

static void
take_answer(struct waiting *item, struct wire_reader *reader)
{
	ph_span text = wire_get_bytes(reader);
	uint32_t count = wire_get_u32(reader);

	item->answered = true;
	if (text.size)
		ph_error_set(&item->error, "%.*s", (int)(text.size < 200 ? text.size : 200),
			text.data);
	else if (reader->failed || count != item->count)
		ph_error_set(&item->error, "the spawner's answer is unreadable");
	for (size_t i = 0; i < item->count && !item->error.text[0]; i++)
		if (take_result(item, i, reader) == -1)
			ph_error_set(&item->error, "the spawner's answer is unreadable");
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

static bool
can_send(void)
{
	return client.channel && channel_is_open(client.channel) &&
		client.under_way < SPAWN_UNDER_WAY;
}

/* The one who waited longest goes on; it calls the next. */
static void
call_next(void)
{
	if (client.first && can_send())
		ph_unpark(client.first->task);
}

void
spawn_client_connect(int fd)
{
	channel_close(client.channel);
	fail_all("the spawner is gone");
	client.connected = true;
	client.channel = channel_open("spawner", fd, &channel_ops, NULL);
	if (!client.channel)
		close(fd);
	call_next();
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

/* Its last bytes are zeros, mostly: they stay here. */
static ph_span
trimmed(const char *request, size_t size)
{
	while (size > PH_USER_DELIVERY_1_0 && request[size - 1] == '\0')
		size--;
	return (ph_span){request, size};
}

/* What is asked for: the requests as the module has them. */
struct order {
	const struct instance *transport;
	const char *requests;
	size_t stride, count;
	const int *fds; /* NULL: no messages go along */
	ph_deadline deadline;
};

static int
send_batch(struct channel *channel, uint32_t number, const struct order *order)
{
	ph_pool *pool = ph_pool_new(0);
	unsigned char index[PH_SPAWN_MAX] = {0};
	struct wire_writer writer;
	int64_t timeout = order->deadline == PH_NEVER ? 3600 * 1000 : order->deadline - ph_now();
	int result = -1;

	if (!pool)
		return -1;
	wire_begin(&writer, pool);
	wire_put_u32(&writer, number);
	wire_put_u32(&writer, order->transport->number);
	wire_put_u64(&writer, timeout > 0 ? (uint64_t)timeout : 0);
	wire_put_u32(&writer, (uint32_t)order->stride);
	wire_put_u32(&writer, (uint32_t)order->count);
	if (!order->fds || send_descriptors(channel, order->fds, order->count, index) == 0) {
		for (size_t i = 0; i < order->count; i++) {
			wire_put_bytes(&writer,
				trimmed(order->requests + i * order->stride, order->stride));
			wire_put_u8(&writer, index[i]);
		}
		if (!writer.failed)
			result = channel_send(channel, SPAWN_REQUEST, wire_span(&writer));
	}
	ph_pool_free(pool);
	return result;
}

static void
queued_unlink(struct queued *self)
{
	struct queued **link = &client.first;

	while (*link != self)
		link = &(*link)->next;
	*link = self->next;
	if (!self->next)
		client.last = link;
}

/* Until it is this task's turn. */
static int
wait_for_turn(ph_deadline deadline)
{
	struct queued self = {.task = ph_task_self()};
	ph_wait wait = PH_WAIT_OK;

	*client.last = &self;
	client.last = &self.next;
	while (wait == PH_WAIT_OK && (client.first != &self || !can_send()))
		wait = ph_park(deadline);
	queued_unlink(&self);
	return wait == PH_WAIT_OK ? 0 : -1;
}

/*
 * A batch waits rather than be put off when too many are under way or the spawner has to be started
 * again: for half of its time, so that some is left to deliver it in, and not for ever for a
 * spawner.
 */
static int
take_turn(const struct order *order, ph_error *error)
{
	struct channel *channel = spawner_channel();
	int64_t left = order->deadline == PH_NEVER ? TURN_TIME : (order->deadline - ph_now()) / 2;
	int result = 0;

	if (!channel && !client.connected)
		return ph_error_set(error, "there is no spawner");
	if (!channel && left > RESTART_TIME)
		left = RESTART_TIME;
	if (client.first || !can_send())
		result = wait_for_turn(ph_in(left > 0 ? left : 0));
	if (result == 0)
		client.under_way++;
	else
		ph_error_set(error, client.channel ? "too many deliveries at once"
			: "there is no spawner");
	call_next();
	return result;
}

static void
end_turn(void)
{
	client.under_way--;
	call_next();
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

/* Sends the order and waits. 0 when there are results. */
static int
exchange(struct waiting *item, const struct order *order, ph_error *error)
{
	if (send_batch(client.channel, item->number, order) == -1)
		return ph_error_set(error, "the spawner does not take requests");
	item->next = client.waiting;
	client.waiting = item;
	while (!item->answered)
		if (ph_park(order->deadline) != PH_WAIT_OK)
			break;
	waiting_unlink(item);
	if (!item->answered)
		return ph_error_set(error, "the spawner did not answer in time");
	return item->error.text[0] ? ph_error_set(error, "%s", item->error.text) : 0;
}

/* The answer, which is the caller's to free, or NULL. */
static struct waiting *
ask(const struct order *order, ph_pool *pool, ph_span *texts, ph_error *error)
{
	struct waiting *item;

	if (!order->transport || !order->count || order->count > PH_SPAWN_MAX ||
		order->stride < PH_USER_DELIVERY_1_0) {
		ph_error_set(error, "a batch has 1 to %d requests of a transport", PH_SPAWN_MAX);
		return NULL;
	}
	if (take_turn(order, error) == -1)
		return NULL;
	item = calloc(1, sizeof(*item) + order->count * sizeof(item->results[0]));
	if (!item)
		ph_error_set(error, "out of memory");
	else {
		*item = (struct waiting){.number = ++client.last_number, .task = ph_task_self(), .count = order->count,
			.pool = pool, .texts = texts};
		if (exchange(item, order, error) == -1) {
			free(item);
			item = NULL;
		}
	}
	end_turn();
	return item;
}

/* The module may know shorter results. */
static void
hand_results(struct waiting *item, const struct order *order, void *results)
{
	size_t stride = result_stride(order->stride);

	for (size_t i = 0; i < item->count; i++) {
		item->results[i].size = (uint32_t)stride;
		memcpy((char *)results + i * stride, &item->results[i], stride);
	}
	free(item);
}

int
ph_spawn_delivery(void *self, const struct ph_user_delivery *requests, const int *fds, size_t count,
	struct ph_user_result *results, ph_deadline deadline, ph_error *error)
{
	const struct order order = {.transport = instance_of(self),
		.requests = (const char *)requests,
		.stride = requests->size, .count = count, .fds = fds, .deadline = deadline};
	struct waiting *item = ask(&order, NULL, NULL, error);

	if (!item)
		return -1;
	hand_results(item, &order, results);
	return 0;
}

int
ph_spawn_read(void *self, ph_pool *pool, const struct ph_user_delivery *requests, size_t count,
	struct ph_user_result *results, ph_span *texts, ph_deadline deadline, ph_error *error)
{
	const struct order order = {.transport = instance_of(self),
		.requests = (const char *)requests,
		.stride = requests->size, .count = count, .deadline = deadline};
	struct waiting *item = ask(&order, pool, texts, error);

	if (!item)
		return -1;
	hand_results(item, &order, results);
	return 0;
}
