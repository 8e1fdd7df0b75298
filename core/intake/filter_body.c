/*
 * The body on its way through the filters. A filter that only looks is shown each piece, which then
 * goes on as it is; one that writes hands on what is to stay, piece by piece.
 */
#include "intake/message.h"

/* What one that writes has handed on may have been refused further down. */
static ph_filter_result
call_writer(struct ph_filter_message *message, struct filter_step *step, enum filter_stage stage,
	ph_span bytes)
{
	ph_filter_result result;

	message->body_result = PH_FILTER_CONTINUE;
	message->writing = true;
	result = filter_call(message, step, stage, bytes);
	message->writing = false;
	return result != PH_FILTER_CONTINUE ? result : message->body_result;
}

ph_filter_result
filter_run_body(struct ph_filter_message *message, size_t first, ph_span bytes)
{
	for (size_t i = first; i < message->step_count; i++) {
		struct filter_step *step = &message->steps[i];
		ph_filter_result result;

		if (step->ops->body == NULL || step->no_body)
			continue;
		if (step->ops->flags & PH_FILTER_WRITES_BODY)
			return call_writer(message, step, FILTER_BODY, bytes);
		result = filter_call(message, step, FILTER_BODY, bytes);
		if (result != PH_FILTER_CONTINUE)
			return result;
	}
	return message->body_sink(message->body_context, bytes);
}

ph_filter_result
filter_run_body_end(struct ph_filter_message *message)
{
	ph_filter_result result = PH_FILTER_CONTINUE;

	for (size_t i = 0; i < message->step_count && result == PH_FILTER_CONTINUE; i++)
		result = call_writer(message, &message->steps[i], FILTER_BODY_END,
			(ph_span){NULL, 0});
	return result;
}

int
ph_body_write(ph_filter_message *message, ph_span bytes)
{
	size_t step = message->step;
	ph_filter_result result;

	if (!message->writing || !(message->steps[step].ops->flags & PH_FILTER_WRITES_BODY))
		return -1;
	if (bytes.size == 0 || message->body_result != PH_FILTER_CONTINUE)
		return message->body_result == PH_FILTER_CONTINUE ? 0 : -1;
	result = filter_run_body(message, step + 1, bytes);
	message->step = step;
	message->writing = true;
	message->body_result = result;
	return result == PH_FILTER_CONTINUE ? 0 : -1;
}

void
ph_body_ignore(ph_filter_message *message)
{
	if (message->step < message->step_count)
		message->steps[message->step].no_body = true;
}
