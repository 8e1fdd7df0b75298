/*
 * filter_checks: header and body checks, as header_checks(5) and body_checks(5) have them.
 */
#include "act.h"
#include "stream.h"

#include <stdlib.h>
#include <string.h>

#include <posthouse/module.h>

#define FIELD(name) offsetof(struct settings, name)

static const struct ph_param params[] = {
	{"header_checks", PH_MAP_REF, 0, FIELD(header), "", 0, 0, NULL,
		"Tables that headers of messages are looked up in, whole, with the action for those that match."},
	{"mime_header_checks", PH_MAP_REF, 0, FIELD(mime), "$header_checks", 0, 0, NULL,
		"The same for headers that describe an entity (Content-Type and its kin, MIME-Version), and for all "
		"at the start of a part."},
	{"nested_header_checks", PH_MAP_REF, 0, FIELD(nested), "$header_checks", 0, 0, NULL,
		"The same for the other headers of attached messages."},
	{"body_checks", PH_MAP_REF, 0, FIELD(body), "", 0, 0, NULL,
		"Tables that the lines of bodies are looked up in, each whole, with the action for those that match."},
	{"body_checks_size_limit", PH_SIZE, 0, FIELD(body_limit), "51200", 0, 0, NULL,
		"So many bytes of a body, or of each part, are looked at by body_checks; 0: all."},
	{"header_size_limit", PH_SIZE, 0, FIELD(header_limit), "102400", 256, 1 << 20, NULL,
		"So many bytes of a header are looked at; what is behind them stays as it is."},
	{"mime_nesting_limit", PH_INT, 0, FIELD(nesting_limit), "100", 1, 1000, NULL,
		"Messages with more multipart entities inside each other are refused, where there are checks."},
	{"mime_boundary_length_limit", PH_SIZE, 0, FIELD(boundary_limit), "2048", 70, 1 << 16, NULL,
		"So many bytes of a multipart entity's boundary are compared."},
	{"disable_mime_input_processing", PH_BOOL, 0, FIELD(no_mime), "no", 0, 0, NULL,
		"Takes everything behind the message's own headers for its body: body_checks only."},
};

/* ---- Headers of the message ------------------------------------------------------------------ */

/* "Name: value" as it stands, for a lookup. NULL: no memory. */
static ph_span
field_at(struct checks *checks, size_t index)
{
	ph_span name = ph_header_name(checks->message, index);
	ph_span value = ph_header_value(checks->message, index);
	char *text = ph_pool_alloc(checks->scratch, name.size + 1 + value.size + 1);

	if (text == NULL)
		return (ph_span){NULL, 0};
	memcpy(text, name.data, name.size);
	text[name.size] = ':';
	if (value.size > 0)
		memcpy(text + name.size + 1, value.data, value.size);
	return (ph_span){text, name.size + 1 + value.size};
}

/* Returns the index of the next field. */
static size_t
change_field(struct checks *checks, size_t index, enum fate fate, const char *text)
{
	ph_filter_message *message = checks->message;
	int result = 0;

	switch (fate) {
	case FATE_STAYS:
		break;
	case FATE_GOES:
		result = ph_header_remove(message, index);
		index--;
		break;
	case FATE_REPLACED:
		result = ph_header_insert_field(message, index, text);
		if (result == 0)
			result = ph_header_remove(message, index + 1);
		break;
	case FATE_PREPENDED:
		result = ph_header_insert_field(message, index, text);
		index++;
		break;
	}
	if (result == -1)
		act_fail(checks);
	return index + 1;
}

static size_t
check_field(struct checks *checks, size_t index)
{
	enum fate fate = FATE_STAYS;
	const char *parameter, *text = "";
	const ph_map *map;
	ph_span field;

	ph_pool_reset(checks->scratch);
	field = field_at(checks, index);
	if (field.data == NULL ||
		(!checks->settings->no_mime && ph_mime_field(checks->mime, field) != 0)) {
		act_fail(checks);
		return index + 1;
	}
	map = act_table(checks->settings, PH_MIME_PRIMARY, field, &parameter);
	if (!checks->stopped && !ph_map_is_empty(map))
		fate = act_on(checks, map, parameter, true, field, &text);
	return change_field(checks, index, fate, text);
}

/* The trace field that this host adds is a header like others: it may say more of a client than the
 * world is to know. */
static void
check_trace(struct checks *checks)
{
	const struct settings *settings = checks->settings;
	ph_span trace = ph_header_trace(checks->message);
	enum fate fate = FATE_STAYS;
	const char *text = "";
	int result = 0;

	if (!ph_map_is_empty(settings->header) && trace.size > 0)
		fate = act_on(checks, settings->header, "header_checks", true, trace, &text);
	if (fate == FATE_GOES)
		result = ph_header_set_trace(checks->message, NULL);
	else if (fate == FATE_REPLACED)
		result = ph_header_set_trace(checks->message, text);
	else if (fate == FATE_PREPENDED)
		result = ph_header_prepend(checks->message, text);
	if (result == -1)
		act_fail(checks);
}

/* ---- The filter ------------------------------------------------------------------------------ */

static bool
has_nothing_to_do(const struct settings *settings)
{
	return ph_map_is_empty(settings->header) && ph_map_is_empty(settings->mime) &&
		ph_map_is_empty(settings->nested) && ph_map_is_empty(settings->body);
}

/* What the filter is to return, once. */
static ph_filter_result
take_result(struct checks *checks)
{
	ph_filter_result result = checks->result;

	checks->result = PH_FILTER_CONTINUE;
	return result;
}

/* NULL: no memory. */
static struct checks *
begin(const struct settings *settings, ph_filter_message *message)
{
	struct checks *checks = ph_pool_alloc(ph_filter_pool(message), sizeof(*checks));

	if (checks == NULL)
		return NULL;
	*checks = (struct checks){.settings = settings, .message = message, .scratch = ph_pool_new(0)};
	if (checks->scratch != NULL && stream_begin(checks) == 0)
		return checks;
	ph_pool_free(checks->scratch);
	return NULL;
}

/* Can the body have anything that is to be looked at? */
static bool
needs_body(const struct checks *checks)
{
	const struct settings *settings = checks->settings;

	if (!ph_map_is_empty(settings->body) || ph_headers_are_cut(checks->message))
		return true;
	return !settings->no_mime && !ph_mime_is_flat(checks->mime) &&
		(!ph_map_is_empty(settings->mime) || !ph_map_is_empty(settings->nested));
}

static ph_filter_result
checks_header(void *self, ph_filter_message *message, void **state)
{
	struct checks *checks;

	if (has_nothing_to_do(self) || ph_filter_is_exempt(message)) {
		ph_body_ignore(message);
		return PH_FILTER_CONTINUE;
	}
	if ((checks = begin(self, message)) == NULL) {
		ph_filter_reply(message, 451, "4.3.0", "Error: queue file write error");
		return PH_FILTER_REFUSE;
	}
	*state = checks;
	check_trace(checks);
	for (size_t i = 0; i < ph_header_count(message);)
		i = check_field(checks, i);
	if (!ph_headers_are_cut(message))
		ph_mime_fields_end(checks->mime);
	if (checks->stopped || !needs_body(checks))
		ph_body_ignore(message);
	return take_result(checks);
}

static ph_filter_result
checks_body(void *self, ph_filter_message *message, void *state, ph_span bytes)
{
	stream_feed(state, bytes);
	return take_result(state);
}

/* Of one that did not look at the whole body nothing is kept back. */
static ph_filter_result
checks_body_end(void *self, ph_filter_message *message, void *state)
{
	if (state == NULL)
		return PH_FILTER_CONTINUE;
	stream_end(state);
	return take_result(state);
}

static void
checks_done(void *self, void *state)
{
	struct checks *checks = state;

	if (checks == NULL)
		return;
	stream_free(checks);
	ph_pool_free(checks->scratch);
}

static int
checks_check_entry(void *self, const char *parameter, ph_span value, ph_error *error)
{
	return ph_check_entry(value, strcmp(parameter, "body_checks") == 0 ? 0 : PH_CHECK_IN_HEADER,
		error);
}

PH_MODULE(filter_checks, "1.0", "header and body checks: headers and lines looked up in tables",
	PH_INSTANCE(struct settings, params), PH_LIFE(.check_entry = checks_check_entry),
	PH_FILTER(.flags = PH_FILTER_WRITES_BODY, .header = checks_header, .body = checks_body,
		.body_end = checks_body_end, .done = checks_done));
