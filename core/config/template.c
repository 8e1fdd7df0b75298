/*
 * Templates: see template.h.
 */
#include "config/template.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "config/expand.h"

/* Mail may have 998 (RFC 5322, 2.1.1). */
#define LINE_LONGEST 900

static const char default_text[] =
	"failure_template = <<END\n"
	"Charset: us-ascii\n"
	"From: MAILER-DAEMON (Mail Delivery System)\n"
	"Subject: Undelivered Mail Returned to Sender\n"
	"Postmaster-Subject: Postmaster Copy: Undelivered Mail\n"
	"\n"
	"This is the mail system at host $myhostname.\n"
	"\n"
	"I'm sorry to have to inform you that your message could not\n"
	"be delivered to one or more recipients. It's attached below.\n"
	"\n"
	"For further assistance, please send mail to postmaster.\n"
	"\n"
	"                   The mail system\n"
	"END\n"
	"delay_template = <<END\n"
	"Charset: us-ascii\n"
	"From: MAILER-DAEMON (Mail Delivery System)\n"
	"Subject: Delayed Mail (still being retried)\n"
	"Postmaster-Subject: Postmaster Warning: Delayed Mail\n"
	"\n"
	"This is the mail system at host $myhostname.\n"
	"\n"
	"This is only a warning: you need not send your message again.\n"
	"\n"
	"Your message could not be delivered for more than\n"
	"${delay_warning_time_hours} hour(s). Delivery is tried until it is\n"
	"${maximal_queue_lifetime_days} day(s) old.\n"
	"\n"
	"For further assistance, please send mail to postmaster.\n"
	"\n"
	"                   The mail system\n"
	"END\n"
	"success_template = <<END\n"
	"Charset: us-ascii\n"
	"From: MAILER-DAEMON (Mail Delivery System)\n"
	"Subject: Successful Mail Delivery Report\n"
	"\n"
	"This is the mail system at host $myhostname.\n"
	"\n"
	"Your message was delivered to the destination(s) listed below.\n"
	"Where it says so it was passed on to a host from which you will\n"
	"hear nothing more about the delivery.\n"
	"\n"
	"                   The mail system\n"
	"END\n"
	"verify_template = <<END\n"
	"Charset: us-ascii\n"
	"From: MAILER-DAEMON (Mail Delivery System)\n"
	"Subject: Mail Delivery Status Report\n"
	"\n"
	"This is the mail system at host $myhostname.\n"
	"\n"
	"Enclosed is the mail delivery report that you requested.\n"
	"\n"
	"                   The mail system\n"
	"END\n";

static const char *const names[TEMPLATE_KINDS] = {
	[TEMPLATE_FAILURE] = "failure_template",
	[TEMPLATE_DELAY] = "delay_template",
	[TEMPLATE_SUCCESS] = "success_template",
	[TEMPLATE_VERIFY] = "verify_template",
};

/* A text as it is read, line by line. */
struct input {
	const struct template_reader *reader;
	ph_span rest;
	int line;
	int problems;
};

static void problem(struct input *in, int line, const char *format, ...) PH_PRINTF(3, 4);

static void
problem(struct input *in, int line, const char *format, ...)
{
	char text[400];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	in->problems++;
	in->reader->problem(in->reader->context, line, text);
}

/* Without blanks at its end. False: there is none. */
static bool
next_line(struct input *in, ph_span *line)
{
	const char *end;

	if (in->rest.size == 0)
		return false;
	end = memchr(in->rest.data, '\n', in->rest.size);
	*line = (ph_span){in->rest.data, end == NULL ? in->rest.size : (size_t)(end - in->rest.data)};
	in->rest.data += line->size + (end != NULL);
	in->rest.size -= line->size + (end != NULL);
	in->line++;
	while (line->size > 0 && strchr(" \t\r", line->data[line->size - 1]) != NULL)
		line->size--;
	return true;
}

static ph_span
without_blanks(ph_span text)
{
	while (text.size > 0 && (text.data[0] == ' ' || text.data[0] == '\t'))
		text = (ph_span){text.data + 1, text.size - 1};
	while (text.size > 0 && strchr(" \t", text.data[text.size - 1]) != NULL)
		text.size--;
	return text;
}

/* ---- One template ---------------------------------------------------------------------------- */

static const char **
header_field(struct template *template, ph_span name)
{
	const struct {
		const char *name;
		const char **field;
	} fields[] = {
		{"Charset", &template->charset},
		{"From", &template->from},
		{"Subject", &template->subject},
		{"Postmaster-Subject", &template->postmaster_subject},
	};

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (ph_span_equal_nocase(name, ph_span_of(fields[i].name)))
			return fields[i].field;
	return NULL;
}

static bool
is_printable(ph_span text)
{
	for (size_t i = 0; i < text.size; i++)
		if ((unsigned char)text.data[i] < ' ' || (unsigned char)text.data[i] >= 0x7f)
			return false;
	return true;
}

static bool
is_token(ph_span text)
{
	for (size_t i = 0; i < text.size; i++)
		if (strchr(" \"();:,/[]?=<>@\\", text.data[i]) != NULL)
			return false;
	return text.size > 0;
}

static void
read_header(struct input *in, ph_span line, struct template *template)
{
	const char *colon = memchr(line.data, ':', line.size), *copy;
	ph_span name = {line.data, colon == NULL ? 0 : (size_t)(colon - line.data)}, value;
	const char **field = colon == NULL ? NULL : header_field(template, name);

	if (field == NULL) {
		problem(in, in->line,
			"\"%.*s\": expected Charset:, From:, Subject: or Postmaster-Subject:, and "
			"an empty line before the text", (int)(line.size < 60 ? line.size : 60), line.data);
		return;
	}
	value = without_blanks((ph_span){colon + 1, line.size - name.size - 1});
	if (value.size == 0 || value.size > 500 || !is_printable(value) ||
		(field == &template->charset && !is_token(value))) {
		problem(in, in->line, "%.*s: expected %s", (int)name.size, name.data,
			field == &template->charset ? "the name of a character set, like us-ascii or utf-8"
				: "printable ASCII, at most 500 characters");
		return;
	}
	if ((copy = ph_pool_copy(in->reader->pool, value)) == NULL)
		problem(in, in->line, "out of memory");
	else
		*field = copy;
}

static const char *
look_up(void *context, ph_pool *pool, const char *name, const struct expand_chain *chain,
	ph_error *error)
{
	const struct template_reader *reader = context;

	return reader->lookup(reader->context, pool, name, error);
}

/* The line with what its names stand for, with its line end; NULL with the error. */
static const char *
expand_line(const struct template_reader *reader, ph_span line, ph_error *error)
{
	const char *text = ph_pool_copy(reader->pool, line);

	ph_error_set(error, "out of memory");
	if (text == NULL)
		return NULL;
	if (strlen(text) != line.size) {
		ph_error_set(error, "a NUL character in the text");
		return NULL;
	}
	text = expand_text(reader->pool, text, look_up, (void *)(uintptr_t)reader, NULL, error);
	if (text == NULL)
		return NULL;
	if (text[strcspn(text, "\r\n")] != '\0') {
		ph_error_set(error, "a line end within a line, or in what a name stands for");
		return NULL;
	}
	if (strlen(text) > LINE_LONGEST) {
		ph_error_set(error, "the line has more than %d characters", LINE_LONGEST);
		return NULL;
	}
	return ph_pool_printf(reader->pool, "%s\n", text);
}

/* The text behind the headers, up to the tag. -1: there is no tag. */
static int
read_text(struct input *in, ph_span tag, const char **text)
{
	size_t size = 0, room = in->rest.size + 1024;
	char *all = ph_pool_alloc(in->reader->pool, room), *bigger;
	ph_error error;
	ph_span line;

	while (all != NULL && next_line(in, &line)) {
		const char *piece;
		size_t more;

		if (ph_span_equal(line, tag)) {
			*text = all;
			return 0;
		}
		if ((piece = expand_line(in->reader, line, &error)) == NULL) {
			problem(in, in->line, "%s", error.text);
			continue;
		}
		more = strlen(piece);
		if (room - size <= more) {
			room = 2 * room + more;
			if ((bigger = ph_pool_alloc(in->reader->pool, room)) != NULL)
				memcpy(bigger, all, size);
			all = bigger;
		}
		if (all != NULL)
			memcpy(all + size, piece, more);
		size += more;
	}
	return -1;
}

static bool
is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text >= 0x80)
			return false;
	return true;
}

static void
read_template(struct input *in, ph_span tag, struct template *template)
{
	int begin = in->line;
	struct template read = *template;
	ph_span line;
	bool more;

	while ((more = next_line(in, &line)) && line.size > 0 && !ph_span_equal(line, tag))
		read_header(in, line, &read);
	if (more && ph_span_equal(line, tag)) {
		problem(in, in->line,
			"the template has no text: expected an empty line behind its headers, "
			"and lines of text");
		return;
	}
	if (!more || read_text(in, tag, &read.text) == -1) {
		problem(in, begin, "the template does not end: expected a line \"%.*s\"",
			(int)(tag.size < 60 ? tag.size : 60), tag.data);
		return;
	}
	if (ph_strcasecmp(read.charset, "us-ascii") == 0 && !is_ascii(read.text))
		problem(in, begin, "the template's text is not us-ascii: write \"Charset: utf-8\", or what it "
			"is");
	*template = read;
}

/* ---- The file -------------------------------------------------------------------------------- */

static struct template *
template_named(struct templates *templates, ph_span name)
{
	for (size_t i = 0; i < TEMPLATE_KINDS; i++)
		if (ph_span_equal(name, ph_span_of(names[i])))
			return &templates->items[i];
	return NULL;
}

/* "name = <<TAG". False after a problem. */
static bool
split_opening(struct input *in, ph_span line, ph_span *name, ph_span *tag)
{
	const char *equals = memchr(line.data, '=', line.size);

	if (equals != NULL) {
		*name = without_blanks((ph_span){line.data, (size_t)(equals - line.data)});
		*tag = without_blanks((ph_span){equals + 1, line.size - (size_t)(equals + 1 - line.data)});
	}
	if (equals == NULL || tag->size < 3 || memcmp(tag->data, "<<", 2) != 0) {
		problem(in, in->line, "\"%.*s\": expected NAME_template = <<EOF",
			(int)(line.size < 60 ? line.size : 60), line.data);
		return false;
	}
	*tag = without_blanks((ph_span){tag->data + 2, tag->size - 2});
	return true;
}

static void
read_one(struct input *in, ph_span line, struct templates *templates)
{
	struct template *template, spare = {"us-ascii", "", "", "", ""};
	ph_span name, tag;

	if (!split_opening(in, line, &name, &tag))
		return;
	template = template_named(templates, name);
	if (template == NULL)
		problem(in, in->line,
			"there is no %.*s: expected failure_template, delay_template, "
			"success_template or verify_template", (int)(name.size < 60 ? name.size : 60), name.data);
	/* what is in it is not taken for something else */
	read_template(in, tag, template == NULL ? &spare : template);
}

int
templates_read(const struct template_reader *reader, ph_span text, struct templates *templates)
{
	struct input in = {.reader = reader, .rest = text};
	ph_span line;

	while (next_line(&in, &line))
		if (line.size > 0 && line.data[0] != '#')
			read_one(&in, line, templates);
	return in.problems == 0 ? 0 : -1;
}

int
templates_default(const struct template_reader *reader, struct templates *templates)
{
	for (size_t i = 0; i < TEMPLATE_KINDS; i++)
		templates->items[i] = (struct template){"us-ascii", "", "", "", ""};
	return templates_read(reader, ph_span_of(default_text), templates);
}

/* ---- Times ----------------------------------------------------------------------------------- */

static const struct {
	const char *end;
	int64_t milliseconds;
} units[] = {
	{"_seconds", 1000},
	{"_minutes", INT64_C(60) * 1000},
	{"_hours", INT64_C(3600) * 1000},
	{"_days", INT64_C(86400) * 1000},
	{"_weeks", INT64_C(7) * 86400 * 1000},
};

static size_t
unit_of(const char *name, size_t *size)
{
	size_t count = sizeof(units) / sizeof(units[0]), length = strlen(name);

	for (size_t i = 0; i < count; i++) {
		size_t end = strlen(units[i].end);

		if (length > end && strcmp(name + length - end, units[i].end) == 0) {
			*size = length - end;
			return i;
		}
	}
	return count;
}

size_t
template_time_name(const char *name)
{
	size_t size = 0;

	unit_of(name, &size);
	return size;
}

const char *
template_time(ph_pool *pool, const char *name, int64_t milliseconds)
{
	size_t size, unit = unit_of(name, &size);

	if (unit == sizeof(units) / sizeof(units[0]))
		return NULL;
	return ph_pool_printf(pool, "%lld",
		(long long)((milliseconds + units[unit].milliseconds - 1) /
		units[unit].milliseconds));
}
