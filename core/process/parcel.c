/* A message to the spawner: the recipients of a delivery, as many at a time as one batch takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <posthouse/transport.h>

struct parcel {
	void *self;
	ph_delivery *delivery;
	const char *relay;
	size_t stride;                   /* of the requests that the transport knows */
	int64_t time, time_each;
	struct ph_user_delivery request; /* what is the same for all */
	int fd;
	size_t count;
	size_t index[PH_SPAWN_MAX];
	int fds[PH_SPAWN_MAX];
	/* As far apart as the transport knows them. */
	struct ph_user_delivery requests[PH_SPAWN_MAX];
	struct ph_user_result results[PH_SPAWN_MAX];
};

static bool
fill(char *field, size_t size, const char *text)
{
	return snprintf(field, size, "%s", text) < (int)size;
}

#define FACT(field) \
	{#field, offsetof(struct ph_user_delivery, field), sizeof(((struct ph_user_delivery *)0)->field)}

void
ph_delivery_describe(const ph_delivery *delivery, struct ph_user_delivery *request)
{
	static const struct {
		const char *name;
		size_t offset, size;
	} facts[] = {FACT(client_address), FACT(client_hostname), FACT(client_helo),
		FACT(client_port),
		FACT(client_protocol), FACT(sasl_username), FACT(sasl_method), FACT(sasl_sender)};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		(void)fill((char *)request + facts[i].offset, facts[i].size,
			ph_delivery_client(delivery, facts[i].name));
	(void)fill(request->envid, sizeof(request->envid), ph_delivery_envid(delivery));
}

/* What is the same for all. 0, or -1: the message cannot be had. */
static int
parcel_begin(struct parcel *parcel, ph_error *error)
{
	struct ph_user_delivery *request = &parcel->request;
	bool dot_lines;

	if (ph_delivery_content(parcel->delivery, &parcel->fd, &request->offset, &request->length,
		    &dot_lines, error) == -1)
		return -1;
	request->arrival = ph_delivery_arrival(parcel->delivery);
	ph_delivery_describe(parcel->delivery, request);
	return 0;
}

/* The request for a recipient. false: something in it is too long. */
static bool
parcel_add(struct parcel *parcel, size_t index)
{
	struct ph_user_delivery *request = &parcel->request;
	ph_delivery *delivery = parcel->delivery;

	if (!fill(request->sender, sizeof(request->sender), ph_delivery_sender(delivery)) ||
		!fill(request->queue_id, sizeof(request->queue_id),
		ph_delivery_queue_id(delivery)) ||
		!fill(request->nexthop, sizeof(request->nexthop), ph_delivery_nexthop(delivery)) ||
		!fill(request->recipient, sizeof(request->recipient),
			ph_delivery_recipient(delivery, index)) ||
		!fill(request->original, sizeof(request->original),
			ph_delivery_original(delivery, index)))
		return false;
	memcpy((char *)parcel->requests + parcel->count * parcel->stride, request, parcel->stride);
	parcel->fds[parcel->count] = parcel->fd;
	parcel->index[parcel->count++] = index;
	return true;
}

/* What became of it, and what a command wrote. */
static void
report(const struct parcel *parcel, size_t index, const struct ph_user_result *result)
{
	ph_delivery *delivery = parcel->delivery;
	bool sent = result->outcome == PH_USER_SENT, wrote = *result->output != '\0';
	const char *open = !wrote ? "" : sent ? " (" : ". Command output: ";

	if (sent)
		ph_delivery_sent(delivery, index, result->status, parcel->relay, "%s%s%s%s",
			result->text, open, result->output, wrote ? ")" : "");
	else if (result->outcome == PH_USER_BOUNCED)
		ph_delivery_bounce(delivery, index, result->status, parcel->relay, "%s%s%s",
			result->text, open, result->output);
	else
		ph_delivery_defer(delivery, index, result->status, parcel->relay, "%s%s%s",
			result->text, open, result->output);
}

static void
parcel_send(struct parcel *parcel)
{
	int64_t time = parcel->time + (int64_t)parcel->count * parcel->time_each;
	ph_error error = {""};
	size_t at = 0;
	int sent;

	if (parcel->count == 0)
		return;
	sent = ph_spawn_delivery(parcel->self, parcel->requests, parcel->fds, parcel->count,
		parcel->results, ph_in(time), &error);
	for (size_t i = 0; i < parcel->count; i++) {
		struct ph_user_result result = {0};

		if (sent == -1) {
			ph_delivery_defer(parcel->delivery, parcel->index[i], "4.3.0",
				parcel->relay, "%s", error.text);
			continue;
		}
		memcpy(&result, (char *)parcel->results + at, parcel->results[0].size);
		at += parcel->results[0].size;
		report(parcel, parcel->index[i], &result);
	}
	parcel->count = 0;
}

static struct parcel *
parcel_new(void *self, ph_delivery *delivery, const struct ph_user_delivery *request,
	ph_error *error)
{
	struct parcel *parcel;

	if (request->size < PH_USER_DELIVERY_1_0 || request->size > sizeof(parcel->request)) {
		ph_error_set(error, "requests of %u bytes are not known", (unsigned)request->size);
		return NULL;
	}
	parcel = calloc(1, sizeof(*parcel));
	if (parcel == NULL) {
		ph_error_set(error, "no memory");
		return NULL;
	}
	parcel->self = self;
	parcel->delivery = delivery;
	parcel->relay = ph_instance_name(self);
	parcel->stride = request->size;
	memcpy(&parcel->request, request, request->size);
	if (parcel_begin(parcel, error) == 0)
		return parcel;
	free(parcel);
	return NULL;
}

void
ph_spawn_message(void *self, ph_delivery *delivery, const struct ph_user_delivery *request,
	int64_t time, int64_t time_each)
{
	ph_error error;
	struct parcel *parcel = parcel_new(self, delivery, request, &error);

	if (parcel == NULL) {
		for (size_t i = 0; i < ph_delivery_count(delivery); i++)
			ph_delivery_defer(delivery, i, "4.3.0", ph_instance_name(self),
				"cannot read the message: %s", error.text);
		return;
	}
	parcel->time = time;
	parcel->time_each = time_each;
	for (size_t i = 0; i < ph_delivery_count(delivery); i++) {
		if (!parcel_add(parcel, i))
			ph_delivery_bounce(delivery, i, "5.1.3", parcel->relay,
				"an address is too long");
		if (parcel->count == PH_SPAWN_MAX)
			parcel_send(parcel);
	}
	parcel_send(parcel);
	free(parcel);
}
