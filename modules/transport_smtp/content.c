#include "content.h"

#include <string.h>
#include <unistd.h>

/* Bytes of content that have a deadline of their own. */
#define PIECE INT64_C(262144)

/* A server that reads slowly is waited for as long as it reads at all. */
static ph_deadline
data_deadline(const struct content *content)
{
	return ph_in(content->settings->smtp_data_xfer_timeout);
}

/* Bytes with lines among them; the last one that was sent says whether one begins. */
struct stuffing {
	const struct content *content;
	ph_stream *stream;
	char before;
};

/* Sends lines that begin with a dot with another one before it (RFC 5321, 4.5.2). */
static int
write_stuffed(void *context, ph_span bytes)
{
	struct stuffing *stuffing = context;
	ph_stream *stream = stuffing->stream;
	ph_deadline deadline = data_deadline(stuffing->content);
	const char *end = bytes.data + bytes.size, *sent = bytes.data;

	for (const char *dot = sent; (dot = memchr(dot, '.', (size_t)(end - dot))) != NULL; dot++) {
		if ((dot == bytes.data ? stuffing->before : dot[-1]) != '\n')
			continue;
		if (ph_stream_write(stream, sent, (size_t)(dot - sent), deadline) != 0 ||
			ph_stream_write(stream, ".", 1, deadline) != 0)
			return -1;
		sent = dot;
	}
	stuffing->before = end[-1];
	return ph_stream_write(stream, sent, (size_t)(end - sent), deadline) != 0 ? -1 : 0;
}

static int
send_stuffed(struct content *content, ph_stream *stream)
{
	size_t room = 32768;
	char *buffer = ph_pool_alloc(ph_delivery_pool(content->delivery), room);
	struct stuffing stuffing = {content, stream, '\n'};
	int64_t done = 0;

	if (buffer == NULL)
		return -1;
	while (done < content->length) {
		int64_t left = content->length - done;
		size_t want = left < (int64_t)room ? (size_t)left : room;
		ssize_t got = pread(content->fd, buffer, want, content->offset + done);

		if (got <= 0 || write_stuffed(&stuffing, (ph_span){buffer, (size_t)got}) == -1)
			return -1;
		done += got;
	}
	return ph_stream_write(stream, ".\r\n", 3, data_deadline(content));
}

/* What is behind the head, looked up as it goes; offset and length are those of the whole
 * content. */
static int
send_checked(struct content *content, ph_stream *stream, int64_t offset, int64_t length)
{
	ph_span head = content->generic.head;
	struct stuffing stuffing = {content, stream, '\n'};
	ph_error error = {""};
	int result;

	if (head.size > 0)
		stuffing.before = head.data[head.size - 1];
	result = checks_body(content->checks, content->fd, offset, length, write_stuffed, &stuffing,
		&error);
	if (result == 1)
		content->failure = ph_pool_printf(ph_delivery_pool(content->delivery),
			"Temporary lookup failure: %s", error.text);
	if (result != 0)
		return -1;
	return ph_stream_write(stream, ".\r\n", 3, data_deadline(content));
}

/* The bytes as they are. */
static int
send_plain(struct content *content, ph_stream *stream)
{
	ph_span end = ph_span_of(".\r\n");
	int64_t done = 0;
	int result;

	do {
		int64_t size = content->length - done < PIECE ? content->length - done : PIECE;
		bool last = done + size == content->length;

		result = ph_stream_send_file(stream, content->fd, content->offset + done, size,
			last ? end : (ph_span){NULL, 0}, data_deadline(content));
		done += size;
	} while (result == 0 && done < content->length);
	return result;
}

/* The header section that smtp_generic_maps or checks made; the rest follows from the file. */
static int
send_head(struct content *content, ph_stream *stream)
{
	ph_span head = content->generic.head;

	content->offset += content->generic.used;
	content->length -= (int64_t)head.size;
	while (head.size > 0) {
		const char *end = memchr(head.data, '\n', head.size);
		size_t size = end != NULL ? (size_t)(end - head.data) + 1 : head.size;

		if (*head.data == '.' &&
			ph_stream_write(stream, ".", 1, data_deadline(content)) != 0)
			return -1;
		if (ph_stream_write(stream, head.data, size, data_deadline(content)) != 0)
			return -1;
		head.data += size;
		head.size -= size;
	}
	return 0;
}

int
content_send(struct content *content, ph_stream *stream)
{
	int64_t offset = content->offset;
	int64_t length = content->length - (int64_t)content->generic.head.size +
		content->generic.used;

	if (send_head(content, stream) == -1)
		return -1;
	if (content->checks != NULL && checks_want_body(content->checks))
		return send_checked(content, stream, offset, length);
	return content->dot_lines ? send_stuffed(content, stream) : send_plain(content, stream);
}
