/*
 * Showing a message to an operator: its envelope, and its content as it is stored.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "queue/protocol.h"
#include "queue/visitor.h"

#define CHUNK 32768

static void
show_text(struct visitor *visitor, const char *text)
{
	if (text != NULL)
		visitor_answer(visitor, CONTROL_TEXT, ph_span_of(text));
}

static const char *
state_of(const struct rcpt *rcpt)
{
	if (rcpt->state != RCPT_DONE)
		return rcpt->text == NULL ? "to be delivered" : rcpt->text;
	switch ((enum outcome)rcpt->outcome) {
	case OUTCOME_SENT:
		return "sent";
	case OUTCOME_BOUNCED:
		return "bounced";
	case OUTCOME_EXPANDED:
		return "expanded";
	case OUTCOME_NONE:
	case OUTCOME_DISCARDED:
	case OUTCOME_DEFERRED:
	case OUTCOME_BACK:
		break;
	}
	return "discarded";
}

static void
show_envelope(struct visitor *visitor, const struct message *message, ph_pool *pool)
{
	const struct body *body = message->body;

	show_text(visitor, ph_pool_printf(pool, "*** ENVELOPE RECORDS %s ***\n", message->id));
	show_text(visitor, ph_pool_printf(pool, "message_size: %lld\nmessage_arrival_time: %lld\n"
		"sender: %s\nqueue: %s\nattempts: %u\n", (long long)message->size,
		(long long)(message->arrival / 1000000), body->envelope.sender,
		visitor_queue_name(message), message->attempts));
	for (uint32_t i = 0; i < body->count && !visitor->gone; i++) {
		if (*body->rcpts[i].original != '\0')
			show_text(visitor, ph_pool_printf(pool, "original_recipient: %s\n",
				body->rcpts[i].original));
		show_text(visitor, ph_pool_printf(pool, "recipient: %s (%s)\n",
			body->rcpts[i].address, state_of(&body->rcpts[i])));
	}
}

/* Where the header section ends: after the first empty line. state: the bytes before. */
static size_t
header_end(const char *bytes, size_t size, unsigned *newlines)
{
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '\r')
			continue;
		*newlines = bytes[i] == '\n' ? *newlines + 1 : 0;
		if (*newlines == 2)
			return i + 1;
	}
	return size;
}

static int
show_content(struct visitor *visitor, const struct ph_queue_content *content, unsigned what)
{
	char *chunk = malloc(CHUNK);
	unsigned newlines = 1;
	int64_t at = 0;

	while (chunk != NULL && at < content->length && !visitor->gone) {
		size_t want = content->length - at < CHUNK ? (size_t)(content->length - at) : CHUNK;
		ssize_t got = pread(content->fd, chunk, want, (off_t)(content->offset + at));
		size_t header;

		if (got == -1 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		at += got;
		header = newlines >= 2 ? 0 : header_end(chunk, (size_t)got, &newlines);
		if ((what & SHOW_HEADER) != 0 && header > 0)
			visitor_answer(visitor, CONTROL_TEXT, (ph_span){chunk, header});
		if ((what & SHOW_BODY) != 0 && (size_t)got > header)
			visitor_answer(visitor, CONTROL_TEXT,
				(ph_span){chunk + header, (size_t)got - header});
		if ((what & SHOW_BODY) == 0 && newlines >= 2)
			break;
	}
	free(chunk);
	return 0;
}

static int
show_message(struct visitor *visitor, struct message *message, unsigned what, ph_pool *pool)
{
	struct message *picture = visitor_picture(visitor->manager, message, pool);
	struct ph_queue_content *content = picture == NULL ? NULL
		: manager_content(message, pool, NULL);

	if (content != NULL) {
		if ((what & SHOW_ENVELOPE) != 0)
			show_envelope(visitor, picture, pool);
		if ((what & SHOW_ENVELOPE) != 0 && (what & (SHOW_HEADER | SHOW_BODY)) != 0)
			show_text(visitor, ph_pool_printf(pool, "*** MESSAGE CONTENTS %s ***\n",
				message->id));
		show_content(visitor, content, what);
		close(content->fd);
	}
	message_free(picture);
	return content != NULL ? 0 : -1;
}

void
visitor_show(struct visitor *visitor, struct message *message, unsigned what)
{
	ph_pool *pool = ph_pool_new(0);
	int result;

	message->pins++;
	result = pool == NULL ? -1 : show_message(visitor, message, what, pool);
	scheduler_unpin(visitor->manager->scheduler, message);
	visitor_end(visitor, result == 0 ? EX_OK : EX_TEMPFAIL,
		result == 0 ? "" : "the message cannot be read now", 1);
	ph_pool_free(pool);
}
