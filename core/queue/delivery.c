/*
 * Deliveries: what a transport asks and says. See delivery.h and <posthouse/transport.h>.
 */
#include "queue/delivery.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "process/channel.h"
#include "queue/logline.h"
#include "queue/protocol.h"

/* A diagnostic longer than this is cut. */
#define TEXT_MAX 2000
/* One recipient cannot become more than this. */
#define EXPANSION_MAX 200000

/* ---- Coming in ------------------------------------------------------------------------------- */

static void
read_recipients(struct ph_delivery *d, struct wire_reader *reader)
{
	d->count = wire_get_u32(reader);
	if (reader->failed || d->count > reader->rest.size / 13 ||
		(d->recipients = ph_pool_array(d->pool, d->count, sizeof(*d->recipients))) == NULL) {
		reader->failed = true;
		return;
	}
	for (uint32_t i = 0; i < d->count; i++) {
		struct delivery_recipient *recipient = &d->recipients[i];

		recipient->number = wire_get_u32(reader);
		recipient->address = wire_get_string(reader, d->pool);
		recipient->original = wire_get_string(reader, d->pool);
		recipient->kind = wire_get_u8(reader);
		recipient->what = recipient->user = recipient->sender = "";
		if (recipient->kind >= PH_TARGET_MAILBOX) {
			recipient->what = wire_get_string(reader, d->pool);
			recipient->user = wire_get_string(reader, d->pool);
			recipient->sender = wire_get_string(reader, d->pool);
		}
		reader->failed |= recipient->kind >= PH_TARGET_KINDS;
		recipient->status = recipient->text = recipient->relay = "";
		recipient->orcpt = recipient->final = "";
		recipient->action = DSN_DELIVERED;
	}
}

/* A queue role of before says nothing of it. */
static void
read_dsn(struct ph_delivery *d, struct wire_reader *reader)
{
	d->envid = "";
	if (reader->failed || reader->rest.size == 0)
		return;
	d->envid = wire_get_string(reader, d->pool);
	d->ret = wire_get_u8(reader);
	for (uint32_t i = 0; i < d->count; i++) {
		d->recipients[i].notify = wire_get_u8(reader);
		d->recipients[i].orcpt = wire_get_string(reader, d->pool);
	}
}

/* Nor of this. */
static void
read_client(struct ph_delivery *d, struct wire_reader *reader)
{
	uint32_t port;

	d->client_address = d->client_hostname = d->client_helo = d->client_protocol =
		d->client_port = "";
	d->sasl_username = d->sasl_method = d->sasl_sender = "";
	if (reader->failed || reader->rest.size == 0)
		return;
	d->client_address = wire_get_string(reader, d->pool);
	d->client_hostname = wire_get_string(reader, d->pool);
	d->client_helo = wire_get_string(reader, d->pool);
	d->client_protocol = wire_get_string(reader, d->pool);
	d->sasl_username = wire_get_string(reader, d->pool);
	port = wire_get_u32(reader);
	d->client_port = port != 0 ? ph_pool_printf(d->pool, "%u", port) : "";
	d->sasl_method = wire_get_string(reader, d->pool);
	d->sasl_sender = wire_get_string(reader, d->pool);
	reader->failed |= d->client_port == NULL;
}

struct ph_delivery *
delivery_read(ph_span payload)
{
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);
	struct ph_delivery *d = ph_pool_alloc(pool, sizeof(*d));

	if (pool == NULL || d == NULL) {
		ph_pool_free(pool);
		return NULL;
	}
	d->pool = pool;
	d->number = wire_get_u64(&reader);
	d->storage_name = wire_get_string(&reader, pool);
	d->handle = wire_get_u64(&reader);
	d->id = wire_get_string(&reader, pool);
	d->transport_name = wire_get_string(&reader, pool);
	d->nexthop = wire_get_string(&reader, pool);
	d->sender = wire_get_string(&reader, pool);
	d->arrival = (int64_t)wire_get_u64(&reader);
	d->active = (int64_t)wire_get_u64(&reader);
	d->attempt = wire_get_u32(&reader);
	d->flags = wire_get_u8(&reader) & ~(unsigned)(JOB_PROBE | JOB_REHEARSAL);
	read_recipients(d, &reader);
	read_dsn(d, &reader);
	read_client(d, &reader);
	if (reader.failed) {
		delivery_free(d);
		return NULL;
	}
	d->started = ph_wall_clock();
	d->context = (struct task_context){.queue_id = d->id, .instance = d->transport_name};
	return d;
}

void
delivery_free(struct ph_delivery *d)
{
	if (d == NULL)
		return;
	if (d->opened)
		close(d->content.fd);
	ph_pool_free(d->pool);
}

/* ---- What a transport asks ------------------------------------------------------------------- */

const char *
ph_delivery_queue_id(const ph_delivery *d)
{
	return d->id;
}

const char *
ph_delivery_sender(const ph_delivery *d)
{
	return d->sender;
}

const char *
ph_delivery_nexthop(const ph_delivery *d)
{
	return d->nexthop;
}

int64_t
ph_delivery_arrival(const ph_delivery *d)
{
	return d->arrival;
}

size_t
ph_delivery_count(const ph_delivery *d)
{
	return d->count;
}

const char *
ph_delivery_recipient(const ph_delivery *d, size_t index)
{
	return index < d->count ? d->recipients[index].address : "";
}

const char *
ph_delivery_original(const ph_delivery *d, size_t index)
{
	return index < d->count ? d->recipients[index].original : "";
}

bool
ph_delivery_is_final(const ph_delivery *d, size_t index)
{
	return index < d->count && d->recipients[index].kind == PH_TARGET_USER;
}

void
ph_delivery_target(const ph_delivery *d, size_t index, struct ph_target *target)
{
	struct ph_target full = {.size = target->size, .what = "", .user = "", .sender = ""};

	full.address = ph_delivery_recipient(d, index);
	if (index < d->count) {
		const struct delivery_recipient *recipient = &d->recipients[index];

		full.kind = recipient->kind;
		full.what = recipient->what;
		full.user = recipient->user;
		full.sender = recipient->sender;
	}
	if (*full.sender == '\0')
		full.sender = d->sender;
	memcpy(target, &full, target->size < sizeof(full) ? target->size : sizeof(full));
}

const char *
ph_delivery_envid(const ph_delivery *d)
{
	return d->envid;
}

const char *
ph_delivery_client(const ph_delivery *d, const char *name)
{
	const struct {
		const char *name, *value;
	} facts[] = {{"client_address", d->client_address}, {"client_hostname", d->client_hostname},
		{"client_helo", d->client_helo}, {"client_protocol", d->client_protocol},
		{"client_port", d->client_port}, {"sasl_username", d->sasl_username},
		{"sasl_method", d->sasl_method}, {"sasl_sender", d->sasl_sender}};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++)
		if (strcmp(facts[i].name, name) == 0)
			return facts[i].value;
	return "";
}

uint32_t
ph_delivery_ret(const ph_delivery *d)
{
	return d->ret;
}

uint32_t
ph_delivery_notify(const ph_delivery *d, size_t index)
{
	return index < d->count ? d->recipients[index].notify : 0;
}

const char *
ph_delivery_orcpt(const ph_delivery *d, size_t index)
{
	return index < d->count ? d->recipients[index].orcpt : "";
}

bool
ph_delivery_8bit(const ph_delivery *d)
{
	return (d->flags & JOB_8BIT) != 0;
}

bool
ph_delivery_smtputf8(const ph_delivery *d)
{
	return (d->flags & JOB_UTF8) != 0;
}

bool
ph_delivery_is_probe(const ph_delivery *d)
{
	return (d->flags & JOB_PROBE) != 0;
}

bool
ph_delivery_is_rehearsal(const ph_delivery *d)
{
	return (d->flags & JOB_REHEARSAL) != 0;
}

ph_pool *
ph_delivery_pool(ph_delivery *d)
{
	return d->pool;
}

int
ph_delivery_content(ph_delivery *d, int *fd, int64_t *offset, int64_t *length, bool *dot_lines,
	ph_error *error)
{
	const struct ph_queue_ops *ops = d->storage == NULL ? NULL : d->storage->ops;
	ph_found found;

	if (ph_delivery_is_probe(d))
		return ph_error_set(error, "a probe has no content");
	if (ops == NULL) {
		d->missing = true;
		return ph_error_set(error, "queue %s is not configured here", d->storage_name);
	}
	if (!d->opened) {
		d->content.size = sizeof(d->content);
		found = ops->read(d->storage->self, d->handle, d->pool, &d->content, error);
		if (found != PH_FOUND) {
			/* the owner of the storage knows where it is now: the job goes back to
			 * it */
			d->missing = true;
			return found == PH_FAILED ? -1
				: ph_error_set(error, "the message was moved");
		}
		d->opened = true;
	}
	*fd = d->content.fd;
	*offset = d->content.offset;
	*length = d->content.length;
	*dot_lines = (d->content.flags & PH_CONTENT_DOT_LINES) != 0;
	return 0;
}

/* ---- What it says ---------------------------------------------------------------------------- */

static const char *text_of(struct ph_delivery *d, const char *format, va_list args) PH_PRINTF(2, 0);

static const char *
text_of(struct ph_delivery *d, const char *format, va_list args)
{
	char *text = ph_pool_alloc(d->pool, TEXT_MAX);
	char *shorter;

	if (text == NULL)
		return "out of memory";
	vsnprintf(text, TEXT_MAX, format, args);
	shorter = ph_pool_strdup(d->pool, text);
	return shorter == NULL ? text : shorter;
}

/* An enhanced status code of that class: "5.1.1" for '5'. */
static const char *
status_of(struct ph_delivery *d, const char *status, char class)
{
	char *copy;

	if (status == NULL || strlen(status) < 5 || status[1] != '.' ||
		(copy = ph_pool_strdup(d->pool, status)) == NULL)
		return class == '2' ? "2.0.0" : class == '4' ? "4.0.0" : "5.0.0";
	copy[0] = class;
	return copy;
}

static const char *
copy_of(struct ph_delivery *d, const char *text)
{
	const char *copy = text == NULL ? NULL : ph_pool_strdup(d->pool, text);

	return copy == NULL ? "" : copy;
}

static void
settle(struct ph_delivery *d, size_t index, enum outcome outcome, const char *status,
	const char *relay, const char *text)
{
	struct delivery_recipient *recipient;

	/* what was said first stands */
	if (index >= d->count || d->recipients[index].outcome != OUTCOME_NONE)
		return;
	recipient = &d->recipients[index];
	recipient->outcome = outcome;
	recipient->status = status;
	recipient->relay = relay;
	recipient->text = text;
	recipient->ended = ph_wall_clock();
}

void
ph_delivery_sent(ph_delivery *d, size_t index, const char *status, const char *relay,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	settle(d, index, OUTCOME_SENT, status_of(d, status, '2'), copy_of(d, relay),
		text_of(d, format, args));
	va_end(args);
}

void
ph_delivery_defer(ph_delivery *d, size_t index, const char *status, const char *relay,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	settle(d, index, OUTCOME_DEFERRED, status_of(d, status, '4'), copy_of(d, relay),
		text_of(d, format, args));
	va_end(args);
}

const char *
delivery_soft_status(ph_pool *pool, const char *status)
{
	char *soft = ph_pool_strdup(pool, status);

	if (soft == NULL || *soft != '5')
		return "4.0.0";
	*soft = '4';
	return soft;
}

static bool
is_soft(const struct ph_delivery *d)
{
	const struct config *config = config_current();

	return config != NULL && config_settings(config)->soft_bounce && !ph_delivery_is_probe(d);
}

/* soft_bounce: it is tried again, and the log shows what would have come of it. */
static void
settle_soft(struct ph_delivery *d, size_t index, const char *status, const char *relay,
	const char *text)
{
	if (index >= d->count || d->recipients[index].outcome != OUTCOME_NONE)
		return;
	settle(d, index, OUTCOME_DEFERRED, delivery_soft_status(d->pool, status), relay, text);
	d->recipients[index].bounced = status;
}

void
ph_delivery_bounce(ph_delivery *d, size_t index, const char *status, const char *relay,
	const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (is_soft(d))
		settle_soft(d, index, status_of(d, status, '5'), copy_of(d, relay),
			text_of(d, format, args));
	else
		settle(d, index, OUTCOME_BOUNCED, status_of(d, status, '5'), copy_of(d, relay),
			text_of(d, format, args));
	va_end(args);
}

void
ph_delivery_relayed(ph_delivery *d, size_t index, bool reports)
{
	if (index < d->count && d->recipients[index].outcome == OUTCOME_NONE)
		d->recipients[index].action = reports ? DSN_PASSED_ON : DSN_RELAYED;
}

static struct note_address *
new_expansion(struct ph_delivery *d, size_t index, size_t count)
{
	struct note_address *list =
		count > EXPANSION_MAX ? NULL : ph_pool_array(d->pool, count + 1, sizeof(*list));

	if (list == NULL)
		settle(d, index, OUTCOME_DEFERRED, "4.3.0", "", count > EXPANSION_MAX
			? "it expands to too many addresses" : "out of memory");
	return list;
}

static void
settle_expansion(struct ph_delivery *d, size_t index, const struct note_address *list, size_t count)
{
	settle(d, index, OUTCOME_EXPANDED, "2.0.0", "", "");
	if (index < d->count && d->recipients[index].outcome == OUTCOME_EXPANDED) {
		d->recipients[index].expansion = list;
		d->recipients[index].expansion_count = count;
	}
}

void
ph_delivery_expand(ph_delivery *d, size_t index, const struct ph_expansion *addresses, size_t count)
{
	struct note_address *list = new_expansion(d, index, count);

	for (size_t i = 0; list != NULL && i < count; i++)
		list[i] = (struct note_address){copy_of(d, addresses[i].address),
			addresses[i].final ? PH_TARGET_USER : PH_TARGET_ADDRESS, "", "", ""};
	if (list != NULL)
		settle_expansion(d, index, list, count);
}

void
ph_delivery_expand_to(ph_delivery *d, size_t index, const struct ph_target *targets, size_t count)
{
	struct note_address *list = new_expansion(d, index, count);

	for (size_t i = 0; list != NULL && i < count; i++) {
		const char *from = (const char *)targets + i * targets->size;
		struct ph_target target = {0};

		memcpy(&target, from, targets->size < sizeof(target) ? targets->size : sizeof(target));
		list[i] = (struct note_address){copy_of(d, target.address), (uint8_t)target.kind,
			copy_of(d, target.what), copy_of(d, target.user),
			copy_of(d, target.sender)};
	}
	if (list != NULL)
		settle_expansion(d, index, list, count);
}

void
ph_delivery_becomes(ph_delivery *d, size_t index, const char *address)
{
	struct delivery_recipient *recipient;

	if (index >= d->count)
		return;
	recipient = &d->recipients[index];
	if (*recipient->original == '\0')
		recipient->original = recipient->address;
	recipient->address = recipient->final = copy_of(d, address);
}

void
ph_delivery_dead(ph_delivery *d, const char *status, const char *relay, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	d->dead = true;
	d->dead_status = status_of(d, status, '4');
	d->dead_reason = text_of(d, format, args);
	va_end(args);
	relay = copy_of(d, relay);
	for (uint32_t i = 0; i < d->count; i++)
		settle(d, i, OUTCOME_DEFERRED, d->dead_status, relay, d->dead_reason);
}

void
ph_delivery_tell(ph_delivery *d, const char *format, ...)
{
	va_list args;

	if (d->told == NULL)
		return;
	va_start(args, format);
	d->told(d->told_context, text_of(d, format, args));
	va_end(args);
}

void
ph_delivery_connected(ph_delivery *d)
{
	if (d->connected == 0)
		d->connected = ph_wall_clock();
}

/* ---- The end --------------------------------------------------------------------------------- */

/* Its transport cannot find out about addresses: that must not refuse mail. */
void
delivery_pass_probe(struct ph_delivery *d)
{
	for (uint32_t i = 0; i < d->count; i++)
		ph_delivery_sent(d, i, "2.0.0", "none", "transport %s cannot be probed",
			d->transport_name);
}

/* What mail would become of the recipient is not asked: it is somebody. */
static void
settle_probe(struct delivery_recipient *recipient)
{
	if (recipient->outcome != OUTCOME_EXPANDED)
		return;
	recipient->outcome = OUTCOME_SENT;
	recipient->text = "stands for other addresses";
	recipient->expansion_count = 0;
}

void
delivery_complete(struct ph_delivery *d, bool cancelled)
{
	for (uint32_t i = 0; i < d->count; i++) {
		struct delivery_recipient *recipient = &d->recipients[i];

		if (ph_delivery_is_probe(d) && !ph_delivery_is_rehearsal(d))
			settle_probe(recipient);
		if ((d->missing || cancelled) && recipient->outcome == OUTCOME_DEFERRED)
			recipient->outcome = OUTCOME_BACK;
		if (recipient->outcome != OUTCOME_NONE)
			continue;
		if (cancelled || d->missing)
			settle(d, i, OUTCOME_BACK, "", "", "");
		else
			settle(d, i, OUTCOME_DEFERRED, "4.3.0", "", "the transport gave no result");
	}
}

enum job_end
delivery_end(const struct ph_delivery *d)
{
	for (uint32_t i = 0; i < d->count; i++)
		if (d->recipients[i].outcome != OUTCOME_BACK)
			return d->dead ? JOB_DEAD : JOB_ANSWERED;
	return JOB_BACK;
}

static const char *
word_of(enum outcome outcome, bool probe)
{
	switch (outcome) {
	case OUTCOME_SENT:
	case OUTCOME_DISCARDED:
		return probe ? "deliverable" : "sent";
	case OUTCOME_BOUNCED:
		return probe ? "undeliverable" : "bounced";
	case OUTCOME_DEFERRED:
		return probe ? "undeliverable" : "deferred";
	case OUTCOME_NONE:
	case OUTCOME_EXPANDED:
	case OUTCOME_BACK:
		break;
	}
	return NULL;
}

void
delivery_log_all(const struct ph_delivery *d)
{
	const struct ph_transport_ops *ops = d->transport->ops;
	const char *component = ops->name;

	for (uint32_t i = 0; i < d->count; i++) {
		const struct delivery_recipient *recipient = &d->recipients[i];
		const char *word = word_of(recipient->outcome, ph_delivery_is_probe(d));

		if (word == NULL)
			continue;
		delivery_log(&(const struct delivery_line){
			.component = component,
			.queue_id = d->id,
			.recipient = recipient->address,
			.original = recipient->original,
			.relay = recipient->relay,
			.status = recipient->bounced != NULL ? recipient->bounced
			: recipient->status,
			.word = recipient->bounced != NULL ? "SOFTBOUNCE" : word,
			.text = recipient->text,
			.times = {.arrival = d->arrival, .active = d->active, .started = d->started,
				.connected = d->connected, .ended = recipient->ended},
		});
	}
}
