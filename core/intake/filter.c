/*
 * The chain of filters of a message, and what a filter may ask and change.
 */
#include "intake/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <posthouse/log.h>

#include "ground/loop.h"
#include "intake/complete.h"

/* ---- The chain --------------------------------------------------------------------------------- */

static void
add_step(struct ph_filter_message *message, const struct ph_filter_ops *ops, void *self,
	const char *name)
{
	message->steps[message->step_count++] =
		(struct filter_step){.ops = ops, .self = self, .name = name};
	if (ops->body != NULL)
		message->body_wanted = true;
}

int
filter_chain(struct ph_filter_message *message, const struct intake_base *base)
{
	const struct instance *instance;
	size_t count = 0;

	while (base->filter(count) != NULL)
		count++;
	message->steps = ph_pool_array(message->pool, count + 3, sizeof(struct filter_step));
	if (message->steps == NULL)
		return -1;
	add_step(message, &filter_complete, NULL, "complete");
	add_step(message, &filter_rewrite, NULL, "rewrite");
	for (size_t i = 0; (instance = base->filter(i)) != NULL && i < count; i++)
		add_step(message, instance->ops, instance->self, instance->name);
	add_step(message, &filter_received, NULL, "received");
	return 0;
}

/* Reports are not refused: there would be nobody to tell. */
static ph_filter_result
judge(struct ph_filter_message *message, const struct filter_step *step, ph_filter_result result)
{
	bool internal = message->origin.origin == PH_ORIGIN_INTERNAL;

	switch (result) {
	case PH_FILTER_CONTINUE:
		return PH_FILTER_CONTINUE;
	case PH_FILTER_HOLD:
		ph_log_as("cleanup", PH_LOG_INFO, "%s: hold: filter %s: from=<%s>", message->envelope.id,
			step->name, message->envelope.sender);
		message->content_flags |= PH_CONTENT_HOLD;
		return PH_FILTER_CONTINUE;
	case PH_FILTER_DISCARD:
		if (internal)
			return PH_FILTER_CONTINUE;
		ph_log_as("cleanup", PH_LOG_INFO, "%s: discard: filter %s: from=<%s>", message->envelope.id,
			step->name, message->envelope.sender);
		return PH_FILTER_DISCARD;
	case PH_FILTER_REFUSE:
		if (internal)
			return PH_FILTER_CONTINUE;
		if (message->reply.code == 0)
			ph_filter_reply(message, 550, "5.7.1", "Message content rejected");
		ph_log_as("cleanup", PH_LOG_INFO, "%s: reject: filter %s: from=<%s>: %d %s %s",
			message->envelope.id, step->name, message->envelope.sender, message->reply.code,
			message->reply.status, message->reply.text);
		return PH_FILTER_REFUSE;
	}
	return PH_FILTER_CONTINUE;
}

enum stage { STAGE_HEADER, STAGE_BODY, STAGE_END };

static ph_filter_result
call(struct ph_filter_message *message, struct filter_step *step, enum stage stage, ph_span bytes)
{
	const struct ph_filter_ops *ops = step->ops;

	switch (stage) {
	case STAGE_HEADER:
		step->begun = true;
		return ops->header != NULL ? ops->header(step->self, message, &step->state)
					   : PH_FILTER_CONTINUE;
	case STAGE_BODY:
		return ops->body != NULL ? ops->body(step->self, message, step->state, bytes)
					 : PH_FILTER_CONTINUE;
	case STAGE_END:
		return ops->end != NULL ? ops->end(step->self, message, step->state) : PH_FILTER_CONTINUE;
	}
	return PH_FILTER_CONTINUE;
}

/* A filter that dies or hangs is named by its instance. */
static ph_filter_result
run(struct ph_filter_message *message, enum stage stage, ph_span bytes)
{
	struct task_context *context = task_context();
	const char *outer = context != NULL ? context->instance : NULL;
	ph_filter_result result = PH_FILTER_CONTINUE;

	for (size_t i = 0; i < message->step_count && result == PH_FILTER_CONTINUE; i++) {
		struct filter_step *step = &message->steps[i];

		if (context != NULL && step->self != NULL)
			context->instance = step->name;
		result = judge(message, step, call(message, step, stage, bytes));
		if (context != NULL)
			context->instance = outer;
	}
	return result;
}

ph_filter_result
filter_run_header(struct ph_filter_message *message)
{
	return run(message, STAGE_HEADER, (ph_span){NULL, 0});
}

ph_filter_result
filter_run_body(struct ph_filter_message *message, ph_span bytes)
{
	return message->body_wanted ? run(message, STAGE_BODY, bytes) : PH_FILTER_CONTINUE;
}

ph_filter_result
filter_run_end(struct ph_filter_message *message)
{
	return run(message, STAGE_END, (ph_span){NULL, 0});
}

void
filter_run_done(struct ph_filter_message *message)
{
	for (size_t i = 0; i < message->step_count; i++) {
		struct filter_step *step = &message->steps[i];

		if (step->begun && step->ops->done != NULL)
			step->ops->done(step->self, step->state);
		step->begun = false;
	}
}

/* ---- What a filter may ask --------------------------------------------------------------------- */

ph_session *
ph_filter_session(ph_filter_message *message)
{
	return message->origin.session;
}

const struct ph_intake_origin *
ph_filter_origin(const ph_filter_message *message)
{
	return &message->origin;
}

const char *
ph_filter_queue_id(const ph_filter_message *message)
{
	return message->envelope.id;
}

ph_pool *
ph_filter_pool(ph_filter_message *message)
{
	return message->pool;
}

void
ph_filter_reply(ph_filter_message *message, int code, const char *status, const char *format, ...)
{
	ph_reply *reply = &message->reply;
	va_list arguments;

	reply->code = code;
	snprintf(reply->status, sizeof(reply->status), "%s", status);
	va_start(arguments, format);
	vsnprintf(reply->text, sizeof(reply->text), format, arguments);
	va_end(arguments);
}

const char *
ph_filter_sender(const ph_filter_message *message)
{
	return message->envelope.sender;
}

/* An address that a module gives becomes part of SMTP commands: no control characters. */
static bool
address_is_safe(const char *address)
{
	for (const char *p = address; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			return false;
	return true;
}

int
ph_filter_set_sender(ph_filter_message *message, const char *address)
{
	const char *copy;

	if (!address_is_safe(address) || (copy = ph_pool_strdup(message->pool, address)) == NULL)
		return -1;
	copy = address_complete(message->pool, message->settings, copy);
	if (copy == NULL)
		return -1;
	message->envelope.sender = copy;
	return 0;
}

size_t
ph_filter_recipient_count(const ph_filter_message *message)
{
	return message->envelope.recipient_count;
}

const char *
ph_filter_recipient(const ph_filter_message *message, size_t index)
{
	if (index >= message->envelope.recipient_count)
		return "";
	return message->envelope.recipients[index].address;
}

int
ph_filter_add_recipient(ph_filter_message *message, const char *address)
{
	const char *complete;

	if (!address_is_safe(address))
		return -1;
	complete = recipient_complete(message->pool, message->settings, address);
	return complete != NULL ? message_add_recipient(message, complete, address, NULL) : -1;
}

int
ph_filter_remove_recipient(ph_filter_message *message, size_t index)
{
	struct envelope *envelope = &message->envelope;

	if (index >= envelope->recipient_count)
		return -1;
	envelope->recipient_count--;
	memmove(envelope->recipients + index, envelope->recipients + index + 1,
		(envelope->recipient_count - index) * sizeof(struct recipient));
	return 0;
}
