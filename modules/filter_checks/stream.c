#include "stream.h"

#include <string.h>

/* Bytes of a line that are looked at in one. */
enum { LINE_LIMIT = 2048 };

/* ---- What goes on ---------------------------------------------------------------------------- */

static int
flush(struct checks *checks)
{
	ph_span run = checks->run;

	checks->run = (ph_span){NULL, 0};
	return run.size > 0 ? ph_body_write(checks->message, run) : 0;
}

/* As it is. What lies side by side in the piece is written in one. */
static int
pass(struct checks *checks, ph_span bytes)
{
	ph_span *run = &checks->run;
	uintptr_t at = (uintptr_t)bytes.data, piece = (uintptr_t)checks->piece.data;
	bool in_piece = at >= piece && at < piece + checks->piece.size;

	checks->mid_line = bytes.data[bytes.size - 1] != '\n';
	if (in_piece && run->size > 0 && run->data + run->size == bytes.data) {
		run->size += bytes.size;
		return 0;
	}
	if (flush(checks) == -1)
		return -1;
	if (!in_piece)
		return ph_body_write(checks->message, bytes);
	*run = bytes;
	return 0;
}

static int
write_text(struct checks *checks, ph_span text, bool complete)
{
	static const ph_span crlf = {"\r\n", 2};

	checks->mid_line = !complete;
	if (flush(checks) == -1 || ph_body_write(checks->message, text) == -1)
		return -1;
	return complete ? ph_body_write(checks->message, crlf) : 0;
}

/* ---- Fields and lines ------------------------------------------------------------------------ */

static int
put_field(struct checks *checks, const char *text)
{
	ph_span field = ph_check_field(checks->scratch, text);

	if (field.size > 0)
		return flush(checks) == -1 ? -1 : ph_body_write(checks->message, field);
	act_fail(checks);
	return 0;
}

static int
on_header(void *context, enum ph_mime_place place, ph_span field)
{
	struct checks *checks = context;
	const struct settings *settings = checks->settings;
	const char *parameter, *text;
	const ph_map *map = act_table(settings, place, field, &parameter);
	enum fate fate = FATE_STAYS;

	ph_pool_reset(checks->scratch);
	if (!checks->stopped && !ph_map_is_empty(map))
		fate = act_on(checks, map, parameter, true, field, &text);
	checks->dropping = fate == FATE_GOES || fate == FATE_REPLACED;
	if ((fate == FATE_REPLACED || fate == FATE_PREPENDED) && put_field(checks, text) == -1)
		return -1;
	return checks->dropping ? 0 : pass(checks, field);
}

static int
on_header_rest(void *context, ph_span bytes)
{
	struct checks *checks = context;

	return checks->dropping ? 0 : pass(checks, bytes);
}

static int
on_body(void *context, ph_span line, int64_t offset)
{
	struct checks *checks = context;
	const struct settings *settings = checks->settings;
	bool ends_line = line.data[line.size - 1] == '\n';
	const char *text;
	enum fate fate = FATE_STAYS;

	ph_pool_reset(checks->scratch);
	if (!checks->stopped && !ph_map_is_empty(settings->body) &&
		(settings->body_limit == 0 || offset < settings->body_limit))
		fate = act_on(checks, settings->body, "body_checks", false, line, &text);
	switch (fate) {
	case FATE_STAYS:
		break;
	case FATE_GOES:
		/* a long line whose start went on still needs its end */
		return checks->mid_line && ends_line ? write_text(checks, (ph_span){"", 0}, true)
			: 0;
	case FATE_REPLACED:
		return write_text(checks, ph_span_of(text), ends_line);
	case FATE_PREPENDED:
		if (write_text(checks, ph_span_of(text), true) == -1)
			return -1;
		break;
	}
	return pass(checks, line);
}

static int
on_too_deep(void *context, ph_span field)
{
	act_too_deep(context, field);
	return 0;
}

/* ---- The whole ------------------------------------------------------------------------------- */

int
stream_begin(struct checks *checks)
{
	static const struct ph_mime_ops ops = {.size = sizeof(ops), .header = on_header,
		.header_rest = on_header_rest, .body = on_body, .too_deep = on_too_deep};
	const struct settings *settings = checks->settings;
	const struct ph_mime_limits limits = {.size = sizeof(limits),
		.nesting = (uint32_t)settings->nesting_limit,
		.boundary = (size_t)settings->boundary_limit,
		.header = (size_t)settings->header_limit,
		.line = LINE_LIMIT};

	checks->mime = ph_mime_new(&limits, &ops, checks);
	return checks->mime != NULL ? 0 : -1;
}

void
stream_free(struct checks *checks)
{
	ph_mime_free(checks->mime);
}

void
stream_feed(struct checks *checks, ph_span bytes)
{
	checks->piece = bytes;
	if (ph_mime_feed(checks->mime, bytes) != 0 || flush(checks) == -1)
		act_fail(checks);
	checks->piece = (ph_span){NULL, 0};
	if (ph_mime_is_flat(checks->mime) &&
		(checks->stopped || ph_map_is_empty(checks->settings->body)))
		ph_body_ignore(checks->message);
}

void
stream_end(struct checks *checks)
{
	if (ph_mime_end(checks->mime) != 0 || flush(checks) == -1)
		act_fail(checks);
}
