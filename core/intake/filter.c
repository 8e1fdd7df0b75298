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

/* ---- The chain ------------------------------------------------------------------------------- */

static void
add_step(struct ph_filter_message *message, const struct ph_filter_ops *ops, void *self,
	const char *name)
{
	message->steps[message->step_count++] =
		(struct filter_step){.ops = ops, .self = self, .name = name};
}

int
filter_chain(struct ph_filter_message *message, const struct intake_base *base)
{
	const struct instance *instance;
	size_t count = 0;

	while (base->filter(count) != NULL)
		count++;
	message->steps = ph_pool_array(message->pool, count + 4, sizeof(struct filter_step));
	if (message->steps == NULL)
		return -1;
	add_step(message, &filter_complete, NULL, "complete");
	add_step(message, &filter_rewrite, NULL, "rewrite");
	for (size_t i = 0; (instance = base->filter(i)) != NULL && i < count; i++)
		add_step(message, instance->ops, instance->self, instance->name);
	add_step(message, &filter_drop, NULL, "drop");
	add_step(message, &filter_received, NULL, "received");
	return 0;
}

/* What the log says of a message that does not go on. */
static const char *
reason_of(struct ph_filter_message *message, const struct filter_step *step)
{
	const char *reason = message->reason;

	if (reason == NULL)
		reason = ph_pool_printf(message->pool, "filter %s: from=<%s>", step->name,
			message->envelope.sender);
	message->reason = NULL;
	return reason != NULL ? reason : step->name;
}

/* Whoever gave it to the sendmail command has gone by then: the message goes back by mail, with the
 * reply as the reason. False: there is no transport for that. */
static bool
give_back(struct ph_filter_message *message)
{
	const ph_reply *reply = &message->reply;
	char *route;

	if (message->origin.origin != PH_ORIGIN_LOCAL || reply->code < 500 ||
		!message->has_transport("error"))
		return false;
	route = ph_pool_printf(message->pool, "error:%s %s", reply->status, reply->text);
	if (route == NULL)
		return false;
	for (char *p = route; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 127)
			*p = '?';
	message->envelope.filter = route;
	message->redirect = NULL;
	message->bcc.count = 0;
	message->returned = true;
	return true;
}

/* Reports are not refused: there would be nobody to tell. */
static ph_filter_result
refuse(struct ph_filter_message *message, const struct filter_step *step)
{
	bool told = message->reason != NULL;
	ph_reply *reply = &message->reply;

	if (message->origin.origin == PH_ORIGIN_INTERNAL) {
		message->reason = NULL;
		return PH_FILTER_CONTINUE;
	}
	if (reply->code == 0)
		ph_filter_reply(message, 550, "5.7.1", "Message content rejected");
	if (told)
		ph_log_as("cleanup", PH_LOG_INFO, "%s: reject: %s: %s %s", message->envelope.id,
			reason_of(message, step), reply->status, reply->text);
	else
		ph_log_as("cleanup", PH_LOG_INFO, "%s: reject: %s: %d %s %s", message->envelope.id,
			reason_of(message, step), reply->code, reply->status, reply->text);
	return give_back(message) ? PH_FILTER_CONTINUE : PH_FILTER_REFUSE;
}

static ph_filter_result
judge(struct ph_filter_message *message, const struct filter_step *step, ph_filter_result result)
{
	switch (result) {
	case PH_FILTER_CONTINUE:
		return PH_FILTER_CONTINUE;
	case PH_FILTER_HOLD:
		ph_filter_hold(message, reason_of(message, step));
		return PH_FILTER_CONTINUE;
	case PH_FILTER_DISCARD:
		if (message->origin.origin == PH_ORIGIN_INTERNAL && message->exempt)
			return PH_FILTER_CONTINUE;
		ph_log_as("cleanup", PH_LOG_INFO, "%s: discard: %s", message->envelope.id,
			reason_of(message, step));
		return PH_FILTER_DISCARD;
	case PH_FILTER_REFUSE:
		return refuse(message, step);
	}
	return PH_FILTER_CONTINUE;
}

static ph_filter_result
call(struct ph_filter_message *message, struct filter_step *step, enum filter_stage stage,
	ph_span bytes)
{
	const struct ph_filter_ops *ops = step->ops;

	switch (stage) {
	case FILTER_HEADER:
		step->begun = true;
		return ops->header != NULL ? ops->header(step->self, message, &step->state)
					   : PH_FILTER_CONTINUE;
	case FILTER_BODY:
		return ops->body(step->self, message, step->state, bytes);
	case FILTER_BODY_END:
		return ops->body_end != NULL ? ops->body_end(step->self, message, step->state)
					     : PH_FILTER_CONTINUE;
	case FILTER_END:
		return ops->end != NULL ? ops->end(step->self, message, step->state)
			: PH_FILTER_CONTINUE;
	}
	return PH_FILTER_CONTINUE;
}

/* A filter that dies or hangs is named by its instance. */
ph_filter_result
filter_call(struct ph_filter_message *message, struct filter_step *step, enum filter_stage stage,
	ph_span bytes)
{
	struct task_context *context = task_context();
	const char *outer = context != NULL ? context->instance : NULL;
	ph_filter_result result;

	if (context != NULL && step->self != NULL)
		context->instance = step->name;
	message->step = (size_t)(step - message->steps);
	result = judge(message, step, call(message, step, stage, bytes));
	message->step = SIZE_MAX;
	if (context != NULL)
		context->instance = outer;
	return result;
}

static ph_filter_result
run(struct ph_filter_message *message, enum filter_stage stage)
{
	ph_filter_result result = PH_FILTER_CONTINUE;

	for (size_t i = 0; i < message->step_count && result == PH_FILTER_CONTINUE; i++)
		result = filter_call(message, &message->steps[i], stage, (ph_span){NULL, 0});
	return result;
}

ph_filter_result
filter_run_header(struct ph_filter_message *message)
{
	return run(message, FILTER_HEADER);
}

ph_filter_result
filter_run_end(struct ph_filter_message *message)
{
	return run(message, FILTER_END);
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

/* ---- What a filter may ask ------------------------------------------------------------------- */

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
