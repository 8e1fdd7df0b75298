/*
 * The delivery and local roles: they take jobs from the queue role and run transports.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <posthouse/dsn.h>
#include <posthouse/log.h>

#include "process/channel.h"
#include "process/role.h"
#include "queue/delivery.h"
#include "queue/uplink.h"
#include "queue/protocol.h"

/* Jobs at once. */
#define JOBS_MAX 400
/* How long an orderly stop lets deliveries go on, and waits for acknowledgements. Milliseconds. */
#define STOP_TIME 3000
#define ACK_TIME 1000

/* A job in hand. */
struct work {
	struct ph_delivery *delivery;
	struct office *office;
	ph_task task;
	TAILQ_ENTRY(work) link;
};

/* What was said of a job, until the queue role has it on disk. */
struct saying {
	struct saying *next;
	unsigned type;
	size_t size;
	char bytes[];
};

struct kept {
	uint64_t number;
	struct saying *first, **last;
	TAILQ_ENTRY(kept) link;
};

/* A worker process. */
struct office {
	struct role *role;
	bool local;
	bool draining;
	struct uplink *link;
	ph_pool *pool;              /* for one frame */
	TAILQ_HEAD(, work) works;
	size_t work_count;
	TAILQ_HEAD(, kept) kept;
	ph_task waiter;             /* who waits for the end */
	ph_task drainer;
	char path[512];
};

static bool
serves(const struct office *office, const struct instance *transport)
{
	const struct ph_transport_ops *ops = transport->ops;

	return ((ops->flags & PH_TRANSPORT_LOCAL) != 0) == office->local;
}

/* ---- Saying ---------------------------------------------------------------------------------- */

static void
say(struct office *office, struct kept *kept, unsigned type, ph_span payload)
{
	struct saying *saying = malloc(sizeof(*saying) + payload.size);

	uplink_send(office->link, type, payload);
	if (saying == NULL)
		return; /* it was said once, at least */
	*saying = (struct saying){.type = type, .size = payload.size};
	memcpy(saying->bytes, payload.data, payload.size);
	*kept->last = saying;
	kept->last = &saying->next;
}

static void
kept_free(struct office *office, struct kept *kept)
{
	struct saying *saying;

	while ((saying = kept->first) != NULL) {
		kept->first = saying->next;
		free(saying);
	}
	TAILQ_REMOVE(&office->kept, kept, link);
	free(kept);
}

static void
put_head(struct wire_writer *writer, const struct ph_delivery *d)
{
	wire_put_u64(writer, d->number);
	wire_put_string(writer, d->storage_name);
	wire_put_string(writer, d->id);
	wire_put_u32(writer, d->attempt);
}

static void
put_target(struct wire_writer *writer, const struct note_address *target)
{
	wire_put_string(writer, target->address);
	wire_put_u8(writer, target->kind);
	if (target->kind < PH_TARGET_MAILBOX)
		return;
	wire_put_string(writer, target->what);
	wire_put_string(writer, target->user);
	wire_put_string(writer, target->sender);
}

static void
say_expansion(struct office *office, struct kept *kept, const struct ph_delivery *d,
	const struct delivery_recipient *recipient)
{
	size_t at = 0;
	uint32_t part = 0;

	do {
		size_t count = recipient->expansion_count - at;
		struct wire_writer writer;

		if (count > NOTE_PART_ADDRESSES)
			count = NOTE_PART_ADDRESSES;
		wire_begin(&writer, office->pool);
		put_head(&writer, d);
		wire_put_u32(&writer, recipient->number);
		wire_put_u32(&writer, part++);
		wire_put_u8(&writer, at + count == recipient->expansion_count);
		wire_put_u32(&writer, (uint32_t)count);
		for (size_t end = at + count; at < end; at++) {
			put_target(&writer, &recipient->expansion[at]);
		}
		if (!writer.failed)
			say(office, kept, FRAME_EXPANSION, wire_span(&writer));
		ph_pool_reset(office->pool);
	} while (at < recipient->expansion_count);
}

static void
say_result(struct office *office, struct kept *kept, const struct ph_delivery *d)
{
	struct wire_writer writer;

	wire_begin(&writer, office->pool);
	put_head(&writer, d);
	wire_put_u8(&writer, delivery_end(d));
	wire_put_string(&writer, d->dead_status);
	wire_put_string(&writer, d->dead_reason);
	wire_put_u32(&writer, d->count);
	for (uint32_t i = 0; i < d->count; i++) {
		const struct delivery_recipient *recipient = &d->recipients[i];
		/* why mail went well is for the log, and for a sender who has asked */
		bool mute = recipient->outcome == OUTCOME_SENT && !ph_delivery_is_probe(d) &&
			(recipient->notify & PH_NOTIFY_SUCCESS) == 0;

		wire_put_u32(&writer, recipient->number);
		wire_put_u8(&writer, recipient->outcome);
		wire_put_string(&writer, mute ? "" : recipient->status);
		wire_put_string(&writer, mute ? "" : recipient->text);
		wire_put_string(&writer, mute ? "" : recipient->relay);
	}
	for (uint32_t i = 0; i < d->count; i++) {
		wire_put_u8(&writer, d->recipients[i].action);
		wire_put_string(&writer, d->recipients[i].final);
	}
	if (!writer.failed)
		say(office, kept, FRAME_RESULT, wire_span(&writer));
	ph_pool_reset(office->pool);
}

static void
report(struct office *office, const struct ph_delivery *d)
{
	struct kept *kept = calloc(1, sizeof(*kept));

	if (kept == NULL) {
		ph_log(PH_LOG_ERROR, "%s: no memory for a result: it will be delivered again",
			d->id);
		return;
	}
	kept->number = d->number;
	kept->last = &kept->first;
	TAILQ_INSERT_TAIL(&office->kept, kept, link);
	for (uint32_t i = 0; i < d->count; i++)
		if (d->recipients[i].outcome == OUTCOME_EXPANDED)
			say_expansion(office, kept, d, &d->recipients[i]);
	say_result(office, kept, d);
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static void
work_end(struct work *work)
{
	struct office *office = work->office;

	TAILQ_REMOVE(&office->works, work, link);
	office->work_count--;
	delivery_free(work->delivery);
	free(work);
	ph_unpark(office->waiter);
}

static void
work_run(void *argument)
{
	struct work *work = argument;
	struct ph_delivery *d = work->delivery;
	const struct ph_transport_ops *ops = d->transport->ops;

	task_set_context(&d->context);
	if (ph_delivery_is_probe(d) && (ops->flags & PH_TRANSPORT_PROBES) == 0)
		delivery_pass_probe(d);
	else
		ops->deliver(d->transport->self, d);
	delivery_complete(d, ph_task_cancelled());
	task_set_context(NULL);
	delivery_log_all(d);
	report(work->office, d);
	work_end(work);
}

static void
give_back(struct office *office, struct ph_delivery *d)
{
	delivery_complete(d, true);
	report(office, d);
	delivery_free(d);
}

static void
take_job(struct office *office, ph_span payload, unsigned flags)
{
	struct ph_delivery *d = delivery_read(payload);
	struct work *work;

	if (d == NULL) {
		ph_log(PH_LOG_WARNING, "a job that cannot be read");
		return;
	}
	d->flags |= flags;
	d->transport = config_find(office->role->config, PH_CLASS_TRANSPORT, d->transport_name);
	d->storage = config_find(office->role->config, PH_CLASS_QUEUE, d->storage_name);
	/* a probe is in no storage */
	if (d->transport == NULL || (d->storage == NULL && flags != JOB_PROBE) ||
		!serves(office, d->transport) ||
		office->draining || (work = calloc(1, sizeof(*work))) == NULL) {
		give_back(office, d);
		return;
	}
	work->delivery = d;
	work->office = office;
	TAILQ_INSERT_TAIL(&office->works, work, link);
	office->work_count++;
	work->task = ph_task_spawn("delivery", work_run, work);
	if (!ph_task_alive(work->task)) {
		TAILQ_REMOVE(&office->works, work, link);
		office->work_count--;
		free(work);
		give_back(office, d);
	}
}

static void
take_acks(struct office *office, ph_span payload)
{
	struct wire_reader reader = wire_reader_of(payload);
	uint32_t count = wire_get_u32(&reader);

	while (count-- > 0 && !reader.failed) {
		uint64_t number = wire_get_u64(&reader);
		struct kept *kept;

		/* they come in the order of the results, mostly */
		TAILQ_FOREACH(kept, &office->kept, link)
			if (kept->number == number) {
				kept_free(office, kept);
				break;
			}
	}
	if (TAILQ_EMPTY(&office->kept))
		ph_unpark(office->waiter);
}

/* ---- The link -------------------------------------------------------------------------------- */

static void
put_work(struct wire_writer *writer, const struct ph_delivery *d)
{
	put_head(writer, d);
	wire_put_u32(writer, d->count);
	for (uint32_t i = 0; i < d->count; i++)
		wire_put_u32(writer, d->recipients[i].number);
}

static void
say_hello(struct office *office)
{
	const struct config *config = office->role->config;
	const struct instance *transport;
	struct wire_writer writer;
	const struct work *work;
	uint32_t count = 0;

	wire_begin(&writer, office->pool);
	wire_put_string(&writer, office->role->ops->name);
	wire_put_u32(&writer, office->draining ? 0 : JOBS_MAX);
	for (size_t i = 0; (transport = config_instance(config, PH_CLASS_TRANSPORT, i)) != NULL;
		i++)
		count += serves(office, transport);
	wire_put_u32(&writer, count);
	for (size_t i = 0; (transport = config_instance(config, PH_CLASS_TRANSPORT, i)) != NULL;
		i++)
		if (serves(office, transport))
			wire_put_string(&writer, transport->name);
	wire_put_u32(&writer, (uint32_t)office->work_count);
	TAILQ_FOREACH(work, &office->works, link)
		put_work(&writer, work->delivery);
	uplink_send(office->link, FRAME_HELLO, wire_span(&writer));
	ph_pool_reset(office->pool);
}

static void
up(void *context)
{
	struct office *office = context;
	const struct kept *kept;

	say_hello(office);
	TAILQ_FOREACH(kept, &office->kept, link)
		for (const struct saying *saying = kept->first; saying != NULL;
			saying = saying->next)
			uplink_send(office->link, saying->type,
			(ph_span){saying->bytes, saying->size});
}

static void
frame(void *context, unsigned type, ph_span payload)
{
	struct office *office = context;

	if (type == FRAME_JOB)
		take_job(office, payload, 0);
	else if (type == FRAME_PROBE)
		take_job(office, payload, JOB_PROBE);
	else if (type == FRAME_ACK)
		take_acks(office, payload);
}

static const struct uplink_ops uplink_ops = {.up = up, .frame = frame};

/* ---- The roles ------------------------------------------------------------------------------- */

static int
open_instances(struct office *office, ph_error *error)
{
	const struct config *config = office->role->config;
	struct instance *instance;

	for (size_t i = 0; (instance = config_instance(config, PH_CLASS_QUEUE, i)) != NULL; i++)
		if (instance_open(instance, error) == -1)
			return -1;
	if (config_open_maps(config, error) == -1)
		return -1;
	for (size_t i = 0; (instance = config_instance(config, PH_CLASS_TRANSPORT, i)) != NULL; i++)
		if (serves(office, instance) && instance_open(instance, error) == -1)
			return -1;
	return 0;
}

static int
role_open(struct role *role, ph_error *error)
{
	struct office *office = calloc(1, sizeof(*office));

	if (office == NULL || (office->pool = ph_pool_new(0)) == NULL) {
		free(office);
		return ph_error_set(error, "no memory");
	}
	office->role = role;
	office->local = strcmp(role->ops->name, "local") == 0;
	TAILQ_INIT(&office->works);
	TAILQ_INIT(&office->kept);
	snprintf(office->path, sizeof(office->path), "%s/queue", role->settings->run_directory);
	role->data = office;
	return open_instances(office, error);
}

static int
role_start(struct role *role, ph_error *error)
{
	static const enum ph_class classes[] = {PH_CLASS_QUEUE, PH_CLASS_MAP, PH_CLASS_TRANSPORT};
	struct office *office = role->data;
	struct instance *instance;

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++)
		for (size_t i = 0; (instance = config_instance(role->config, classes[c], i)) != NULL; i++)
			if (instance->opened && instance_start(instance, error) == -1)
				return -1;
	office->link = uplink_open("queue link", office->path, &uplink_ops, office, error);
	return office->link == NULL ? -1 : 0;
}

static void
no_more_jobs(struct office *office)
{
	office->draining = true;
	uplink_send(office->link, FRAME_DRAIN, (ph_span){NULL, 0});
}

static void
wait_for_works(struct office *office, ph_deadline deadline)
{
	office->waiter = ph_task_self();
	while (!TAILQ_EMPTY(&office->works))
		if (ph_park(deadline) != PH_WAIT_OK)
			break;
}

static void
wait_for_acks(struct office *office, ph_deadline deadline, bool while_down)
{
	office->waiter = ph_task_self();
	while (!TAILQ_EMPTY(&office->kept) && (while_down || uplink_is_up(office->link)))
		if (ph_park(deadline) != PH_WAIT_OK)
			break;
}

static void
stop_instances(struct office *office)
{
	static const enum ph_class classes[] = {PH_CLASS_TRANSPORT, PH_CLASS_MAP, PH_CLASS_QUEUE};
	struct instance *instance;

	for (size_t c = 0; c < sizeof(classes) / sizeof(classes[0]); c++)
		for (size_t i = 0;
			(instance = config_instance(office->role->config, classes[c], i)) != NULL;
				i++) {
			if (instance->started)
				instance_stop(instance);
			if (instance->opened)
				instance_close(instance);
		}
}

static void
close_office(struct office *office)
{
	struct kept *kept;

	uplink_close(office->link);
	office->link = NULL;
	stop_instances(office);
	while ((kept = TAILQ_FIRST(&office->kept)) != NULL)
		kept_free(office, kept);
	ph_pool_free(office->pool);
	office->role->data = NULL;
	free(office);
}

static void
role_drain(struct role *role)
{
	struct office *office = role->data;

	if (office == NULL)
		return;
	office->drainer = ph_task_self();
	no_more_jobs(office);
	wait_for_works(office, PH_NEVER);
	wait_for_acks(office, PH_NEVER, true);
	if (ph_task_cancelled())
		return; /* an orderly stop has taken over */
	close_office(office);
	role_done(role);
}

static void
role_stop(struct role *role)
{
	struct office *office = role->data;
	struct work *work;

	if (office == NULL)
		return;
	ph_task_cancel(office->drainer);
	ph_task_join(office->drainer, ph_in(STOP_TIME));
	no_more_jobs(office);
	wait_for_works(office, ph_in(STOP_TIME));
	TAILQ_FOREACH(work, &office->works, link)
		ph_task_cancel(work->task);
	wait_for_works(office, ph_in(STOP_TIME));
	wait_for_acks(office, ph_in(ACK_TIME), false);
	if (TAILQ_EMPTY(&office->works))
		close_office(office);
}

const struct role_ops delivery_role = {
	.name = "delivery",
	.component = "smtp",
	.dns = true,
	.open = role_open,
	.start = role_start,
	.drain = role_drain,
	.stop = role_stop,
};

const struct role_ops local_role = {
	.name = "local",
	.component = "local",
	.open = role_open,
	.start = role_start,
	.drain = role_drain,
	.stop = role_stop,
};
