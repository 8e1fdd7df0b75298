/*
 * Queue lists: see queueprint.h. The table is the one that mailq has always printed.
 */
#include "cli/queueprint.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "process/channel.h"
#include "queue/protocol.h"

/* Reasons end at this column. */
#define REASON_COLUMN 76

void
queueprint_begin(struct queueprint *print, FILE *out, bool json)
{
	*print = (struct queueprint){.out = out, .json = json};
}

/* ---- Texts ----------------------------------------------------------------------------------- */

/* The length of the UTF-8 sequence at text; 0: none begins there. */
static size_t
utf8_length(const unsigned char *text)
{
	size_t size = text[0] < 0x80 ? 1 : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
		: (text[0] & 0xf0) == 0xe0 ? 3 : text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : 0;

	for (size_t i = 1; i < size; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

/* What a peer said must not move the cursor of a terminal. */
void
queue_put_tame(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	while (*at != '\0') {
		size_t size = utf8_length(at);

		if (size == 0 || *at < 0x20 || *at == 0x7f) {
			fputc('?', out);
			at++;
		} else {
			fwrite(at, 1, size, out);
			at += size;
		}
	}
}

void
queue_put_json(FILE *out, const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	fputc('"', out);
	while (*at != '\0') {
		size_t size = utf8_length(at);

		if (size == 0)
			fputs("\\ufffd", out);
		else if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20 || *at == 0x7f)
			fprintf(out, "\\u%04x", *at);
		else
			fwrite(at, 1, size, out);
		at += size == 0 ? 1 : size;
	}
	fputc('"', out);
}

/* ---- A message ------------------------------------------------------------------------------- */

static char
flag_of(const char *queue)
{
	return strcmp(queue, "active") == 0 ? '*' : strcmp(queue, "hold") == 0 ? '!' : ' ';
}

static void
close_message(struct queueprint *print)
{
	if (!print->open)
		return;
	fputs(print->json ? "]}\n" : "\n", print->out);
	print->open = false;
	free(print->reason);
	print->reason = NULL;
}

static void
message_json(struct queueprint *print, const struct queue_head *head)
{
	fputs("{\"queue_name\": ", print->out);
	queue_put_json(print->out, head->queue);
	fputs(", \"queue_id\": ", print->out);
	queue_put_json(print->out, head->id);
	fprintf(print->out, ", \"arrival_time\": %" PRIu64 ", \"message_size\": %" PRIu64
		", \"next_attempt\": %" PRIu64 ", \"sender\": ", head->arrival / 1000000, head->size,
		head->next / 1000000);
	queue_put_json(print->out, *head->sender == '\0' ? "MAILER-DAEMON" : head->sender);
	fputs(", \"recipients\": [", print->out);
}

static void
message_row(struct queueprint *print, const struct queue_head *head)
{
	time_t seconds = (time_t)(head->arrival / 1000000);
	char when[64] = "", id[40];
	struct tm tm;

	if (print->messages == 1)
		fputs("-Queue ID-  --Size-- ----Arrival Time---- -Sender/Recipient-------\n",
			print->out);
	if (localtime_r(&seconds, &tm) != NULL)
		strftime(when, sizeof(when), "%a %b %e %H:%M:%S", &tm);
	snprintf(id, sizeof(id), "%s%c", head->id, flag_of(head->queue));
	fprintf(print->out, "%-11s %8" PRIu64 " %20s  ", id, head->size, when);
	queue_put_tame(print->out, *head->sender == '\0' ? "MAILER-DAEMON" : head->sender);
	fputc('\n', print->out);
	if (*head->reason != '\0')
		fprintf(print->out, "%*s%s\n", REASON_COLUMN - (int)strlen(head->reason), "",
			head->reason);
}

int
queue_head_read(struct queue_head *head, ph_span payload, ph_pool *pool)
{
	struct wire_reader reader = wire_reader_of(payload);

	head->id = wire_get_string(&reader, pool);
	head->queue = wire_get_string(&reader, pool);
	head->arrival = wire_get_u64(&reader);
	head->size = wire_get_u64(&reader);
	head->sender = wire_get_string(&reader, pool);
	head->reason = wire_get_string(&reader, pool);
	head->next = wire_get_u64(&reader);
	return reader.failed ? -1 : 0;
}

static void
print_message(struct queueprint *print, ph_span payload, ph_pool *pool)
{
	struct queue_head head;

	if (queue_head_read(&head, payload, pool) == -1)
		return;
	close_message(print);
	print->open = true;
	print->messages++;
	print->recipients = 0;
	print->bytes += head.size;
	if (print->json)
		message_json(print, &head);
	else
		message_row(print, &head);
}

/* ---- Recipients ------------------------------------------------------------------------------ */

static void
recipient_json(struct queueprint *print, const char *address, const char *reason)
{
	fputs(print->recipients > 0 ? ", {\"address\": " : "{\"address\": ", print->out);
	queue_put_json(print->out, address);
	if (*reason != '\0') {
		fputs(", \"delay_reason\": ", print->out);
		queue_put_json(print->out, reason);
	}
	fputc('}', print->out);
}

/* A reason stands before all recipients in a row that share it. */
static void
recipient_row(struct queueprint *print, const char *address, const char *reason)
{
	if (*reason != '\0' && (print->reason == NULL || strcmp(print->reason, reason) != 0)) {
		int padding = REASON_COLUMN - (int)strlen(reason);

		fprintf(print->out, "%*s(", padding > 0 ? padding : 0, "");
		queue_put_tame(print->out, reason);
		fputs(")\n", print->out);
	}
	free(print->reason);
	print->reason = strdup(reason);
	fprintf(print->out, "%40s ", "");
	queue_put_tame(print->out, address);
	fputc('\n', print->out);
}

void
queue_recipients_each(ph_span payload, ph_pool *pool, queue_recipient_fn *fn, void *context)
{
	struct wire_reader reader = wire_reader_of(payload);
	uint32_t count = wire_get_u32(&reader);
	struct wire_reader list = wire_reader_of(wire_get_bytes(&reader));

	while (count-- > 0) {
		const char *address = wire_get_string(&list, pool);
		const char *reason = wire_get_string(&list, pool);

		if (reader.failed || list.failed)
			return;
		fn(context, address, reason);
	}
}

static void
print_recipient(void *context, const char *address, const char *reason)
{
	struct queueprint *print = context;

	if (print->json)
		recipient_json(print, address, reason);
	else
		recipient_row(print, address, reason);
	print->recipients++;
}

void
queueprint_frame(struct queueprint *print, unsigned type, ph_span payload, ph_pool *pool)
{
	if (type == CONTROL_MESSAGE)
		print_message(print, payload, pool);
	else if (type == CONTROL_RECIPIENTS)
		queue_recipients_each(payload, pool, print_recipient, print);
	else if (type == CONTROL_TEXT)
		fwrite(payload.data, 1, payload.size, print->out);
}

void
queueprint_end(struct queueprint *print)
{
	close_message(print);
	fflush(print->out);
}

void
queueprint_total(const struct queueprint *print)
{
	if (print->json)
		return;
	if (print->messages == 0)
		fputs("Mail queue is empty\n", print->out);
	else
		fprintf(print->out, "-- %" PRIu64 " Kbytes in %zu Request%s.\n",
			print->bytes / 1024, print->messages, print->messages == 1 ? "" : "s");
	fflush(print->out);
}
