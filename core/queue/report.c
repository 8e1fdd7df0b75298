/*
 * Reports: see report.h.
 */
#include "queue/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* Longer lines are folded at a space. */
#define LINE_TARGET 76
#define LINE_MAX_OCTETS 900

static void
put(struct report_sink *sink, ph_span bytes)
{
	if (sink->result == 0 && bytes.size > 0)
		sink->result = sink->write(sink->context, bytes);
}

/* What a peer said must not make lines of its own. */
static void
tame(char *text, bool utf8)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !utf8))
			*text = byte == '\t' ? ' ' : '?';
	}
}

/* Where a line that begins at text should end: at a space, or somewhere if there is none. */
static size_t
cut(const char *text)
{
	size_t size = strlen(text), at;

	if (size <= LINE_TARGET)
		return size;
	for (at = LINE_TARGET; at > LINE_TARGET / 3; at--)
		if (text[at] == ' ')
			return at;
	for (at = LINE_TARGET; at < size && at < LINE_MAX_OCTETS; at++)
		if (text[at] == ' ')
			return at;
	return at;
}

/* One logical line, folded; the rest of it begins with indent. */
static void
put_folded(struct report_sink *sink, char *text, const char *indent)
{
	for (;;) {
		size_t size = cut(text);

		put(sink, (ph_span){text, size});
		put(sink, ph_span_of("\r\n"));
		text += size;
		while (*text == ' ')
			text++;
		if (*text == '\0')
			return;
		put(sink, ph_span_of(indent));
	}
}

static void line(struct report_sink *sink, const struct report *report, const char *indent,
	const char *format, ...) PH_PRINTF(4, 5);

static void
line(struct report_sink *sink, const struct report *report, const char *indent, const char *format,
	...)
{
	va_list args;
	char *text;
	int size;

	va_start(args, format);
	size = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (size < 0 || (text = ph_pool_alloc(sink->pool, (size_t)size + 1)) == NULL) {
		sink->result = -1;
		return;
	}
	va_start(args, format);
	vsnprintf(text, (size_t)size + 1, format, args);
	va_end(args);
	tame(text, report->utf8);
	put_folded(sink, text, indent);
}

static const char *
date_text(ph_pool *pool, int64_t microseconds)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug",
		"Sep", "Oct", "Nov", "Dec"};
	time_t seconds = (time_t)(microseconds / 1000000);
	struct tm tm = {0};
	long zone;
	const char *text;

	localtime_r(&seconds, &tm);
	zone = tm.tm_gmtoff < 0 ? -tm.tm_gmtoff : tm.tm_gmtoff;
	text = ph_pool_printf(pool, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", days[tm.tm_wday],
		tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec,
		tm.tm_gmtoff < 0 ? '-' : '+', zone / 3600, zone / 60 % 60);
	return text == NULL ? "" : text;
}

/* ---- The header, and the part for people ----------------------------------------------------- */

static bool
is_ascii(const struct report *r)
{
	return ph_strcasecmp(r->template->charset, "us-ascii") == 0;
}

/* Can the part for people have UTF-8? */
static bool
speaks_utf8(const struct report *r)
{
	return r->utf8 && (is_ascii(r) || ph_strcasecmp(r->template->charset, "utf-8") == 0);
}

/* "MAILER-DAEMON (Mail Delivery System)" with our domain behind the name. */
static void
put_from(struct report_sink *sink, const struct report *r)
{
	const char *from = r->template->from;
	const char *close = strchr(from, '>');
	size_t name = close != NULL ? (size_t)(close - from) : strcspn(from, " (");

	if (strchr(from, '@') != NULL)
		line(sink, r, " ", "From: %s", from);
	else
		line(sink, r, " ", "From: %.*s@%s%s", (int)name, from, r->myorigin, from + name);
}

static void
put_header(struct report_sink *sink, const struct report *r)
{
	const char *subject = r->postmaster && *r->template->postmaster_subject != '\0'
		? r->template->postmaster_subject : r->template->subject;

	put_from(sink, r);
	line(sink, r, " ", "Subject: %s", subject);
	line(sink, r, " ", "To: %s%s", r->to, r->postmaster ? " (Postmaster)" : "");
	line(sink, r, " ", "Auto-Submitted: auto-replied");
	line(sink, r, " ", "MIME-Version: 1.0");
	line(sink, r, "\t", "Content-Type: multipart/report; report-type=%s;",
		r->utf8 ? "global-delivery-status" : "delivery-status");
	line(sink, r, "\t", " boundary=\"%s\"", r->boundary);
	if (r->eightbit || r->utf8 || !is_ascii(r))
		line(sink, r, " ", "Content-Transfer-Encoding: 8bit");
	line(sink, r, "", "%s", "");
	line(sink, r, "", "This is a MIME-encapsulated message.");
}

/* The template's text as it is. */
static void
put_text(struct report_sink *sink, const char *text)
{
	while (*text != '\0') {
		size_t size = strcspn(text, "\n");

		put(sink, (ph_span){text, size});
		put(sink, ph_span_of("\r\n"));
		text += size + (text[size] == '\n');
	}
}

static void
put_notification(struct report_sink *sink, const struct report *r)
{
	struct report plain = *r;

	plain.utf8 = speaks_utf8(r);
	line(sink, r, "", "%s", "");
	line(sink, r, "", "--%s", r->boundary);
	line(sink, r, " ", "Content-Description: Notification");
	line(sink, r, " ", "Content-Type: text/plain; charset=%s",
		plain.utf8 ? "utf-8" : r->template->charset);
	if (plain.utf8 || !is_ascii(r))
		line(sink, r, " ", "Content-Transfer-Encoding: 8bit");
	line(sink, r, "", "%s", "");
	put_text(sink, r->template->text);
	for (size_t i = 0; i < r->recipient_count; i++) {
		const struct report_recipient *to = &r->recipients[i];
		bool renamed = *to->original != '\0' && strcmp(to->original, to->address) != 0;

		line(sink, r, "", "%s", "");
		line(sink, &plain, "    ", "<%s>%s%s%s: %s", to->address,
			renamed ? " (expanded from <" : "",
			renamed ? to->original : "", renamed ? ">)" : "", to->text);
	}
}

/* ---- The part for programs ------------------------------------------------------------------- */

/* What a host said, without our "(in reply to RCPT TO command)" behind it. */
static const char *
reply_of(ph_pool *pool, const char *said)
{
	static const char before[] = " (in reply to ", after[] = " command)";
	size_t size = strlen(said), tail = sizeof(after) - 1;
	const char *open = NULL;

	if (size > tail && strcmp(said + size - tail, after) == 0)
		for (const char *at = strstr(said, before); at != NULL; at = strstr(at + 1, before))
			open = at;
	return open != NULL ? ph_pool_copy(pool, (ph_span){said, (size_t)(open - said)}) : said;
}

/* "host mx.example.com[192.0.2.1] said: 550 …" → the host's name and what it said. */
static const char *
remote_of(ph_pool *pool, const char *text, const char **said)
{
	static const char before[] = "host ", after[] = " said: ";
	const char *end, *bracket;

	if (strncmp(text, before, sizeof(before) - 1) != 0 || (end = strstr(text, after)) == NULL)
		return NULL;
	text += sizeof(before) - 1;
	bracket = strchr(text, '[');
	*said = reply_of(pool, end + sizeof(after) - 1);
	return ph_pool_copy(pool,
		(ph_span){text, (size_t)((bracket != NULL && bracket < end ? bracket
		: end) - text)});
}

/* Of a host that took it: what it said is the text alone. */
static const char *
remote_in(ph_pool *pool, const struct report_recipient *to, const char **said)
{
	const char *remote = remote_of(pool, to->text, said);
	const char *bracket = strchr(to->relay, '[');

	if (remote != NULL || bracket == NULL || bracket == to->relay || *to->status != '2')
		return remote;
	*said = to->text;
	return ph_pool_copy(pool, (ph_span){to->relay, (size_t)(bracket - to->relay)});
}

static void
put_recipient_fields(struct report_sink *sink, const struct report *r,
	const struct report_recipient *to)
{
	const char *type = r->utf8 ? "utf-8" : "rfc822", *said = NULL;
	const char *remote = remote_in(sink->pool, to, &said);

	line(sink, r, "", "%s", "");
	if (*to->orcpt != '\0')
		line(sink, r, "    ", "Original-Recipient: %s", to->orcpt);
	else if (*to->original != '\0')
		line(sink, r, "    ", "Original-Recipient: %s;%s", type, to->original);
	line(sink, r, "    ", "Final-Recipient: %s; %s", type, to->address);
	line(sink, r, "    ", "Action: %s", to->action);
	line(sink, r, "    ", "Status: %s", to->status);
	if (remote != NULL)
		line(sink, r, "    ", "Remote-MTA: dns; %s", remote);
	if (remote != NULL)
		line(sink, r, "    ", "Diagnostic-Code: smtp; %s", said);
	else
		line(sink, r, "    ", "Diagnostic-Code: X-%s; %s", r->mail_name, to->text);
	if (r->retry_until != 0)
		line(sink, r, "    ", "Will-Retry-Until: %s",
			date_text(sink->pool, r->retry_until));
}

static void
put_delivery_status(struct report_sink *sink, const struct report *r)
{
	line(sink, r, "", "%s", "");
	line(sink, r, "", "--%s", r->boundary);
	line(sink, r, " ", "Content-Description: Delivery report");
	line(sink, r, " ", "Content-Type: message/%sdelivery-status", r->utf8 ? "global-" : "");
	if (r->utf8)
		line(sink, r, " ", "Content-Transfer-Encoding: 8bit");
	line(sink, r, "", "%s", "");
	line(sink, r, "    ", "Reporting-MTA: dns; %s", r->myhostname);
	if (*r->envid != '\0')
		line(sink, r, "    ", "Original-Envelope-Id: %s", r->envid);
	line(sink, r, "    ", "X-%s-Queue-ID: %s", r->mail_name, r->queue_id);
	line(sink, r, "    ", "X-%s-Sender: %s; %s", r->mail_name, r->utf8 ? "utf-8" : "rfc822",
		r->sender);
	line(sink, r, "    ", "Arrival-Date: %s", date_text(sink->pool, r->arrival));
	for (size_t i = 0; i < r->recipient_count; i++)
		put_recipient_fields(sink, r, &r->recipients[i]);
}

void
report_begin(struct report_sink *sink, const struct report *r)
{
	static const char *const words[TEMPLATE_KINDS] = {[TEMPLATE_FAILURE] = "Undelivered ",
		[TEMPLATE_DELAY] = "Delayed ", [TEMPLATE_SUCCESS] = "Delivered ",
		[TEMPLATE_VERIFY] = ""};

	sink->result = 0;
	put_header(sink, r);
	put_notification(sink, r);
	put_delivery_status(sink, r);
	line(sink, r, "", "%s", "");
	line(sink, r, "", "--%s", r->boundary);
	line(sink, r, " ", "Content-Description: %sMessage%s", words[r->kind],
		r->full ? "" : " Headers");
	line(sink, r, " ", "Content-Type: %s",
		r->full ? (r->utf8 ? "message/global" : "message/rfc822")
		: r->utf8 ? "message/global-headers" : "text/rfc822-headers");
	if (r->eightbit || r->utf8)
		line(sink, r, " ", "Content-Transfer-Encoding: 8bit");
	line(sink, r, "", "%s", "");
}

void
report_end(struct report_sink *sink, const struct report *r)
{
	line(sink, r, "", "%s", "");
	line(sink, r, "", "--%s--", r->boundary);
}

size_t
report_header_size(ph_span content, bool at_start)
{
	const char *at = content.data, *end = content.data + content.size;

	if (at_start && content.size >= 2 && memcmp(at, "\r\n", 2) == 0)
		return 2;
	while (end - at >= 4 && (at = memchr(at, '\r', (size_t)(end - at) - 3)) != NULL) {
		if (memcmp(at, "\r\n\r\n", 4) == 0)
			return (size_t)(at - content.data) + 4;
		at++;
	}
	return 0;
}
