/* A batch as it came from a client of the spawner: whatever it says may be a lie. */
#include <stddef.h>
#include <string.h>

#include "process/channel.h"
#include "process/spawn.h"

enum { MIN_TIMEOUT = 1000, MAX_TIMEOUT = 3600 * 1000 };

#define TEXT(field) \
	{offsetof(struct ph_user_delivery, field), sizeof(((struct ph_user_delivery *)0)->field)}

static bool
texts_ok(const struct ph_user_delivery *request)
{
	static const struct {
		size_t offset, size;
	} texts[] = {TEXT(user), TEXT(sender), TEXT(recipient), TEXT(original), TEXT(queue_id),
		TEXT(target),
		TEXT(extension), TEXT(nexthop), TEXT(client_address), TEXT(client_hostname),
		TEXT(client_helo),
		TEXT(client_protocol), TEXT(client_port), TEXT(sasl_username), TEXT(sasl_method),
		TEXT(sasl_sender), TEXT(envid), TEXT(address)};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (!memchr((const char *)request + texts[i].offset, '\0', texts[i].size))
			return false;
	return true;
}

/* Does the user's name go with what is asked for? */
static bool
user_ok(const struct batch *batch, const char *user)
{
	if (rights_of_instance(batch->transport) ||
		((const struct ph_transport_ops *)batch->transport->ops)->find_rights)
		return !*user && batch->kind == PH_USER_INSTANCE;
	if (!*user)
		return batch->kind != PH_USER_MAILBOX && batch->kind != PH_USER_INSTANCE;
	return *user != '.' && !strchr(user, '/') && !strchr(user, ':');
}

static bool
request_ok(const struct batch *batch, const struct ph_user_delivery *request)
{
	const struct ph_user_delivery *first = &batch->requests[0];
	bool wants_target = batch->kind != PH_USER_MAILBOX && batch->kind != PH_USER_INSTANCE;

	if (!texts_ok(request) || !user_ok(batch, request->user) || request->offset < 0 ||
		request->length < 0)
		return false;
	if (request->size != batch->stride || request->kind != batch->kind ||
		(*request->target != '\0') != wants_target)
		return false;
	/* One mailbox is opened for all, and one question asked about the target. */
	if ((batch->kind == PH_USER_FILE || batch->kind == PH_USER_COMMAND) &&
		(strcmp(request->target, first->target) != 0 || request->flags != first->flags))
		return false;
	return strcmp(request->user, first->user) == 0;
}

static int
read_request(struct wire_reader *reader, const int *fds, size_t fd_count, struct batch *batch,
	size_t i)
{
	struct ph_user_delivery *request = &batch->requests[i];
	ph_span bytes = wire_get_bytes(reader);
	unsigned index = wire_get_u8(reader);

	if (reader->failed || bytes.size < sizeof(request->size) + sizeof(request->kind) ||
		bytes.size > batch->stride)
		return -1;
	memcpy(request, bytes.data, bytes.size); /* what is missing is zero */
	batch->kind = batch->requests[0].kind;
	batch->fds[i] = -1;
	if (batch->kind == PH_USER_READ)
		return 0;
	if (index >= fd_count)
		return -1;
	batch->fds[i] = fds[index];
	return 0;
}

static int
read_head(struct wire_reader *reader, const struct config *config, struct batch *batch,
	ph_error *error)
{
	batch->transport = config_instance(config, PH_CLASS_TRANSPORT, wire_get_u32(reader));
	batch->timeout = (int64_t)wire_get_u64(reader);
	batch->stride = wire_get_u32(reader);
	batch->count = wire_get_u32(reader);
	if (reader->failed || !batch->transport || !batch->count || batch->count > PH_SPAWN_MAX)
		return ph_error_set(error, "that is no batch");
	if (batch->stride != PH_USER_DELIVERY_1_0 && batch->stride != sizeof(batch->requests[0]))
		return ph_error_set(error, "requests of %zu bytes are not known", batch->stride);
	if (!((const struct ph_transport_ops *)batch->transport->ops)->deliver_as_user)
		return ph_error_set(error, "%s delivers nothing with a user's rights",
			batch->transport->name);
	if (batch->timeout < MIN_TIMEOUT)
		batch->timeout = MIN_TIMEOUT;
	if (batch->timeout > MAX_TIMEOUT)
		batch->timeout = MAX_TIMEOUT;
	return 0;
}

int
batch_read(struct wire_reader *reader, const struct config *config, const int *fds, size_t fd_count,
	struct batch *batch, ph_error *error)
{
	if (read_head(reader, config, batch, error) == -1)
		return -1;
	for (size_t i = 0; i < batch->count; i++) {
		if (read_request(reader, fds, fd_count, batch, i) == -1)
			return ph_error_set(error, "request %zu is unreadable", i);
		if (batch->kind > PH_USER_READ || !request_ok(batch, &batch->requests[i]))
			return ph_error_set(error, "request %zu is not acceptable", i);
	}
	return 0;
}
