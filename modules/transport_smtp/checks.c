#include "checks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <posthouse/checks.h>
#include <posthouse/log.h>
#include <posthouse/mime.h>

enum { LINE_LIMIT = 2048, PIECE = 32768 };

/* What ends a feed, besides 0. */
enum { BODY_REACHED = 1, LOOKUP_FAILED = 2, WRITE_FAILED = 3 };

struct checks {
	const struct smtp_settings *settings;
	ph_delivery *delivery;
	ph_pool *scratch;      /* for one field or line */
	ph_mime *mime;
	bool dropping;         /* the field in hand goes, all of it */
	bool mid_line;         /* what was sent last does not end a line */
	char why[200];         /* a lookup failed */
	/* The head: kept until it is complete. */
	bool in_head;
	ph_span head;
	size_t room;
	int64_t given;         /* bytes of fields that were seen */
	ph_span line;          /* the first that is behind them; empty: none was seen */
	int64_t fed;           /* bytes of content that mime has had */
	/* The rest: as it comes. */
	checks_write_fn *write;
	void *context;
};

bool
checks_are_set(const struct smtp_settings *settings)
{
	return !ph_map_is_empty(settings->smtp_header_checks) ||
		!ph_map_is_empty(settings->smtp_mime_header_checks) ||
		!ph_map_is_empty(settings->smtp_nested_header_checks) ||
		!ph_map_is_empty(settings->smtp_body_checks);
}

/* ---- What is sent ---------------------------------------------------------------------------- */

static int
keep(struct checks *checks, ph_span bytes)
{
	ph_span *head = &checks->head;

	if (head->size + bytes.size > checks->room) {
		size_t room = 2 * checks->room + bytes.size + 1024;
		char *grown = ph_pool_alloc(ph_delivery_pool(checks->delivery), room);

		if (grown == NULL)
			return WRITE_FAILED;
		if (head->size > 0)
			memcpy(grown, head->data, head->size);
		head->data = grown;
		checks->room = room;
	}
	memcpy((char *)head->data + head->size, bytes.data, bytes.size);
	head->size += bytes.size;
	return 0;
}

static int
put(struct checks *checks, ph_span bytes)
{
	if (bytes.size == 0)
		return 0;
	checks->mid_line = bytes.data[bytes.size - 1] != '\n';
	if (checks->in_head)
		return keep(checks, bytes);
	return checks->write(checks->context, bytes) == 0 ? 0 : WRITE_FAILED;
}

static int
put_line_end(struct checks *checks)
{
	return put(checks, ph_span_of("\r\n"));
}

/* ---- Looking up ------------------------------------------------------------------------------ */

struct subject {
	const ph_map *map;
	const char *parameter;
	const char *what; /* "header" or "body" */
};

static int
failed(struct checks *checks, const struct subject *subject, const char *why)
{
	ph_log(PH_LOG_WARNING, "%s: %s: %s", ph_delivery_queue_id(checks->delivery),
		subject->parameter, why);
	snprintf(checks->why, sizeof(checks->why), "%s", subject->parameter);
	return LOOKUP_FAILED;
}

static void
log_action(const struct checks *checks, const struct subject *subject, const struct ph_check *check,
	const char *content)
{
	char shown[201];
	size_t size = 0;

	if (check->action == PH_CHECK_DUNNO || check->action == PH_CHECK_IGNORE)
		return;
	for (; size < sizeof(shown) - 1 && content[size] != '\0'; size++)
		shown[size] = (char)((unsigned char)content[size] < ' ' ? '?' : content[size]);
	shown[size] = '\0';
	ph_log(PH_LOG_INFO, "%s: %s: %s %s%s%s", ph_delivery_queue_id(checks->delivery),
		ph_check_log_word(check->action), subject->what, shown,
		check->text[0] != '\0' ? ": " : "", check->text);
}

/* 0 with what to do, or LOOKUP_FAILED. */
static int
look_up(struct checks *checks, const struct subject *subject, bool header, ph_span bytes,
	struct ph_check *check)
{
	size_t most = header ? (size_t)checks->settings->header_size_limit : bytes.size;
	unsigned where = PH_CHECK_ON_DELIVERY | (header ? PH_CHECK_IN_HEADER : 0);
	const char *key, *answer;
	ph_error error = {"out of memory"};
	ph_found found = PH_FAILED;

	*check = (struct ph_check){.action = PH_CHECK_DUNNO, .text = ""};
	ph_pool_reset(checks->scratch);
	if (ph_map_is_empty(subject->map))
		return 0;
	if ((key = ph_check_key(checks->scratch, bytes, most)) != NULL)
		found = ph_map_lookup(checks->scratch, subject->map, key, &answer, &error);
	if (found == PH_NOT_FOUND)
		return 0;
	if (found == PH_FAILED || ph_check_parse(answer, where, check, &error) == -1)
		return failed(checks, subject, error.text);
	log_action(checks, subject, check, key);
	return 0;
}

/* ---- Fields and lines ------------------------------------------------------------------------ */

static struct subject
subject_of(const struct smtp_settings *settings, enum ph_mime_place place, ph_span field)
{
	if (place == PH_MIME_PART || ph_mime_describes(field))
		return (struct subject){settings->smtp_mime_header_checks,
			"smtp_mime_header_checks", "header"};
	if (place == PH_MIME_NESTED)
		return (struct subject){settings->smtp_nested_header_checks,
			"smtp_nested_header_checks", "header"};
	return (struct subject){settings->smtp_header_checks, "smtp_header_checks", "header"};
}

static int
on_header(void *context, enum ph_mime_place place, ph_span field)
{
	struct checks *checks = context;
	struct subject subject = subject_of(checks->settings, place, field);
	struct ph_check check;
	int result = look_up(checks, &subject, true, field, &check);

	checks->given += (int64_t)field.size;
	checks->dropping = check.action == PH_CHECK_IGNORE || check.action == PH_CHECK_STRIP ||
		check.action == PH_CHECK_REPLACE;
	if (result == 0 && (check.action == PH_CHECK_REPLACE || check.action == PH_CHECK_PREPEND)) {
		ph_span text = ph_check_field(checks->scratch, check.text);

		result = text.size > 0 ? put(checks, text) : WRITE_FAILED;
	}
	return result != 0 || checks->dropping ? result : put(checks, field);
}

static int
on_header_rest(void *context, ph_span bytes)
{
	struct checks *checks = context;

	checks->given += (int64_t)bytes.size;
	return checks->dropping ? 0 : put(checks, bytes);
}

/* The head is complete: this line comes again when the body is sent. */
static int
end_head(struct checks *checks, ph_span line)
{
	const char *copy = ph_pool_copy(ph_delivery_pool(checks->delivery), line);

	checks->line = (ph_span){copy, line.size};
	return copy != NULL ? BODY_REACHED : WRITE_FAILED;
}

static int
on_body(void *context, ph_span line, int64_t offset)
{
	struct checks *checks = context;
	const struct subject subject = {checks->settings->smtp_body_checks, "smtp_body_checks",
		"body"};
	bool ends_line = line.data[line.size - 1] == '\n';
	struct ph_check check;
	int result;

	if (checks->in_head)
		return end_head(checks, line);
	if ((result = look_up(checks, &subject, false, line, &check)) != 0)
		return result;
	switch (check.action) {
	case PH_CHECK_IGNORE:
	case PH_CHECK_STRIP:
		/* the end of a line whose start was sent */
		return ends_line && checks->mid_line ? put_line_end(checks) : 0;
	case PH_CHECK_REPLACE:
		result = put(checks, ph_span_of(check.text));
		return result == 0 && ends_line ? put_line_end(checks) : result;
	case PH_CHECK_PREPEND:
		if ((result = put(checks, ph_span_of(check.text))) != 0 ||
			(result = put_line_end(checks)) != 0)
			return result;
		break;
	case PH_CHECK_DUNNO:
	case PH_CHECK_BCC:
	case PH_CHECK_DISCARD:
	case PH_CHECK_FILTER:
	case PH_CHECK_HOLD:
	case PH_CHECK_INFO:
	case PH_CHECK_PASS:
	case PH_CHECK_REDIRECT:
	case PH_CHECK_REJECT:
	case PH_CHECK_WARN:
		break;
	}
	return put(checks, line);
}

/* ---- The whole ------------------------------------------------------------------------------- */

struct checks *
checks_new(const struct smtp_settings *settings, ph_delivery *delivery)
{
	static const struct ph_mime_ops ops = {.size = sizeof(ops), .header = on_header,
		.header_rest = on_header_rest, .body = on_body};
	const struct ph_mime_limits limits = {.size = sizeof(limits),
		.nesting = (uint32_t)settings->mime_nesting_limit,
		.boundary = (size_t)settings->mime_boundary_length_limit,
		.header = (size_t)settings->header_size_limit,
		.line = LINE_LIMIT};
	struct checks *checks = calloc(1, sizeof(*checks));

	if (checks == NULL)
		return NULL;
	*checks = (struct checks){.settings = settings, .delivery = delivery, .in_head = true};
	checks->scratch = ph_pool_new(0);
	checks->mime = ph_mime_new(&limits, &ops, checks);
	if (checks->scratch != NULL && checks->mime != NULL)
		return checks;
	checks_free(checks);
	return NULL;
}

void
checks_free(struct checks *checks)
{
	if (checks == NULL)
		return;
	ph_mime_free(checks->mime);
	ph_pool_free(checks->scratch);
	free(checks);
}

static int
explain(const struct checks *checks, int result, ph_error *error)
{
	ph_error_set(error, "%s", result == LOOKUP_FAILED ? checks->why : "out of memory");
	return result == LOOKUP_FAILED ? 1 : -1;
}

int
checks_head(struct checks *checks, ph_span start, bool whole, ph_span *head, int64_t *used,
	ph_error *error)
{
	int result = ph_mime_feed(checks->mime, start);

	checks->fed = (int64_t)start.size;
	if (result == 0 && whole)
		result = ph_mime_end(checks->mime);
	if (result != 0 && result != BODY_REACHED) {
		explain(checks, result, error);
		return -1;
	}
	if (result == BODY_REACHED)
		checks->fed = checks->given + (int64_t)checks->line.size;
	checks->in_head = false;
	*head = checks->head;
	*used = checks->given;
	return 0;
}

bool
checks_want_body(const struct checks *checks)
{
	const struct smtp_settings *settings = checks->settings;

	return checks->fed > checks->given + (int64_t)checks->line.size ||
		!ph_map_is_empty(settings->smtp_mime_header_checks) ||
		!ph_map_is_empty(settings->smtp_nested_header_checks) ||
		!ph_map_is_empty(settings->smtp_body_checks);
}

int
checks_body(struct checks *checks, int fd, int64_t offset, int64_t length, checks_write_fn *write,
	void *context, ph_error *error)
{
	char *piece = ph_pool_alloc(ph_delivery_pool(checks->delivery), PIECE);
	int result = 0;

	checks->write = write;
	checks->context = context;
	if (piece == NULL)
		return explain(checks, WRITE_FAILED, error);
	if (checks->line.size > 0)
		result = on_body(checks, checks->line, 0);
	while (result == 0 && checks->fed < length) {
		size_t want = length - checks->fed < PIECE ? (size_t)(length - checks->fed) : PIECE;
		ssize_t got = pread(fd, piece, want, (off_t)(offset + checks->fed));

		if (got <= 0)
			return ph_error_set(error, "the message cannot be read");
		checks->fed += got;
		result = ph_mime_feed(checks->mime, (ph_span){piece, (size_t)got});
	}
	if (result == 0)
		result = ph_mime_end(checks->mime);
	return result == 0 ? 0 : explain(checks, result, error);
}
