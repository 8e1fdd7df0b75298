#include "fake_queue.h"

#include <stdlib.h>
#include <string.h>

struct fake_queue fake_queue;
struct settings fake_settings;
const struct instance *fake_filters[4];
struct intake_client fake_client;

struct ph_queue_writer {
	size_t size;
	char body[sizeof(fake_queue.content)];
};

static int
fake_begin(void *self, int64_t expected, ph_queue_writer **writer, ph_error *error)
{
	if (fake_queue.fail_begin)
		return ph_error_set(error, "no storage today");
	fake_queue.begun++;
	*writer = calloc(1, sizeof(**writer));
	return 0;
}

static int
fake_append(ph_queue_writer *writer, ph_span bytes, ph_error *error)
{
	if (fake_queue.fail_append || bytes.size > sizeof(writer->body) - writer->size)
		return ph_error_set(error, "the disk is full");
	memcpy(writer->body + writer->size, bytes.data, bytes.size);
	writer->size += bytes.size;
	return 0;
}

static int
fake_commit(ph_queue_writer *writer, const char *id, ph_span envelope, ph_span head, uint32_t flags,
	uint64_t *handle, ph_error *error)
{
	int result = -1;

	ph_yield();
	if (fake_queue.fail_commit || head.size + writer->size > sizeof(fake_queue.content)) {
		ph_error_set(error, "the disk broke");
		goto out;
	}
	memcpy(fake_queue.content, head.data, head.size);
	memcpy(fake_queue.content + head.size, writer->body, writer->size);
	fake_queue.size = head.size + writer->size;
	fake_queue.flags = flags;
	*handle = 1;
	if (envelope_decode(envelope, fake_queue.pool, &fake_queue.envelope, error) == -1 ||
		strcmp(fake_queue.envelope.id, id) != 0)
		goto out;
	fake_queue.committed++;
	result = 0;
out:
	free(writer);
	return result;
}

static void
fake_abort(ph_queue_writer *writer)
{
	fake_queue.aborted++;
	free(writer);
}

static int64_t
fake_space(void *self)
{
	return fake_queue.space;
}

static const struct instance *
fake_instance(const char *name)
{
	static const struct ph_queue_ops ops = {.size = sizeof(ops),
		.begin = fake_begin,
		.append = fake_append,
		.commit = fake_commit,
		.abort = fake_abort,
		.free_space = fake_space};
	static const struct instance instance = {.ops = &ops, .name = "fake"};

	return name == NULL || *name == '\0' ? &instance : NULL;
}

static const struct instance *
fake_filter(size_t number)
{
	return fake_filters[number];
}

static void
fake_announce(const struct instance *queue)
{
	fake_queue.announced++;
}

static void
fake_session(const ph_session *session, struct intake_client *client)
{
	*client = fake_client;
}

static bool
fake_transport(const char *name)
{
	return strcmp(name, "error") == 0 && fake_queue.has_error;
}

const struct intake_base *
intake_base(void)
{
	static const struct intake_base base = {.settings = &fake_settings,
		.queue = fake_instance,
		.filter = fake_filter,
		.announce = fake_announce,
		.client = fake_session,
		.has_transport = fake_transport};

	return &base;
}

void
fake_reset(void)
{
	fake_free();
	fake_queue.pool = ph_pool_new(0);
	fake_queue.space = INT64_C(1) << 40;
	memset(fake_filters, 0, sizeof(fake_filters));
	fake_client = (struct intake_client){.name = "client.example.com",
		.address = "192.0.2.7",
		.helo = "helo.example",
		.protocol = "ESMTP",
		.sasl_username = ""};
	fake_settings = (struct settings){.myhostname = "centos.example.com",
		.mydomain = "example.com",
		.myorigin = "example.com",
		.mail_name = "Posthouse",
		.append_at_myorigin = true,
		.enable_original_recipient = true,
		.empty_address_recipient = "MAILER-DAEMON",
		.queue_minfree = 1000,
		.message_size_limit = 500000,
		.hopcount_limit = 50};
}

void
fake_free(void)
{
	ph_pool_free(fake_queue.pool);
	memset(&fake_queue, 0, sizeof(fake_queue));
}
