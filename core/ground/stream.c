/*
 * Streams: buffered input and output over a descriptor, for tasks.
 *
 * No call is made that is known to fail: readiness is kept in flags, which the kernel's edges set
 * and a call that would have blocked clears.
 */
#include <posthouse/stream.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ground/buffer.h"
#include "ground/poller.h"
#include "ground/task.h"

enum {
	BY_KERNEL = 128 * 1024 /* a file larger than this goes out by sendfile() */
};

struct ph_stream {
	int fd;
	int error;
	struct poller_entry entry;
	bool is_socket;
	bool eof;
	uint32_t scanned; /* input that is known to hold no line end */
	struct buffer *in;
	struct buffer *out;
};

/* ---- Life ------------------------------------------------------------------------------------ */

static int
make_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	if (flags == -1)
		return -1;
	return (flags & O_NONBLOCK) != 0 ? 0 : fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

ph_stream *
ph_stream_new(int fd)
{
	const int yes = 1;
	ph_stream *stream = malloc(sizeof(*stream));

	if (stream == NULL)
		return NULL;
	*stream = (ph_stream){.fd = fd, .is_socket = true, .entry = {.ready = PH_WRITABLE}};
	if (make_nonblocking(fd) == -1) {
		free(stream);
		return NULL;
	}
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof(yes)) == -1)
		stream->is_socket = errno != ENOTSOCK;
	return stream;
}

void
ph_stream_close(ph_stream *stream)
{
	if (stream == NULL)
		return;
	poller_forget(&stream->entry, stream->fd);
	close(stream->fd);
	buffer_release(stream->in);
	buffer_release(stream->out);
	free(stream);
}

int
ph_stream_fd(const ph_stream *stream)
{
	return stream->fd;
}

int
ph_stream_error(const ph_stream *stream)
{
	return stream->error;
}

static int
stream_fail(ph_stream *stream, int error)
{
	stream->error = error;
	return PH_STREAM_ERROR;
}

/* The results of a wait are those of a stream: timeout -1, cancelled -2. */
_Static_assert((int)PH_STREAM_TIMEOUT == (int)PH_WAIT_TIMEOUT &&
	(int)PH_STREAM_CANCELLED == (int)PH_WAIT_CANCELLED,
	"results of waits and of streams agree");

static int
stream_wait(ph_stream *stream, int what, ph_deadline deadline)
{
	return (int)poller_wait(&stream->entry, stream->fd, what, deadline);
}

static bool
would_block(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK;
}

/* ---- Output ---------------------------------------------------------------------------------- */

static void
skip_parts(struct iovec *parts, size_t count, size_t sent)
{
	for (size_t i = 0; i < count && sent > 0; i++) {
		size_t step = parts[i].iov_len < sent ? parts[i].iov_len : sent;

		if (step == 0)
			continue; /* an empty part may have no address */
		parts[i].iov_base = (char *)parts[i].iov_base + step;
		parts[i].iov_len -= step;
		sent -= step;
	}
}

static size_t
parts_size(const struct iovec *parts, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += parts[i].iov_len;
	return size;
}

/* One attempt. Returns what is left to send, or PH_STREAM_ERROR. */
static int64_t
send_some(ph_stream *stream, struct iovec *parts, size_t count)
{
	size_t size = parts_size(parts, count);
	struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
	ssize_t sent;

	do
		sent = stream->is_socket ? sendmsg(stream->fd, &message, MSG_NOSIGNAL)
					 : writev(stream->fd, parts, (int)count);
	while (sent == -1 && errno == EINTR);
	if (sent == -1 && !would_block(errno))
		return stream_fail(stream, errno);
	if (sent < (ssize_t)size)
		stream->entry.ready &= (uint8_t)~PH_WRITABLE;
	if (sent > 0)
		skip_parts(parts, count, (size_t)sent);
	return (int64_t)size - (sent > 0 ? sent : 0);
}

/* All of it; the parts are used up. */
static int
send_parts(ph_stream *stream, struct iovec *parts, size_t count, ph_deadline deadline)
{
	int result = (int)task_spend();

	while (result == 0) {
		if (stream->entry.ready & PH_WRITABLE) {
			int64_t left = send_some(stream, parts, count);

			if (left <= 0)
				return (int)left;
		}
		result = stream_wait(stream, PH_WRITABLE, deadline);
	}
	return result;
}

static struct iovec
collected(const ph_stream *stream)
{
	if (stream->out == NULL)
		return (struct iovec){0};
	return (struct iovec){.iov_base = stream->out->bytes + stream->out->start,
		.iov_len = buffer_count(stream->out)};
}

/* Sends what was collected and these bytes; then nothing is collected. What was not sent on a
 * timeout is kept when it is our own. */
static int
send_with(ph_stream *stream, ph_span more, ph_span tail, ph_deadline deadline)
{
	struct iovec parts[3] = {collected(stream),
		{.iov_base = (void *)(uintptr_t)more.data, .iov_len = more.size},
		{.iov_base = (void *)(uintptr_t)tail.data, .iov_len = tail.size}};
	size_t own = parts[0].iov_len;
	int result;

	if (parts_size(parts, 3) == 0)
		return 0;
	result = send_parts(stream, parts, 3, deadline);
	if (own > 0)
		stream->out->start += (uint32_t)(own - parts[0].iov_len);
	if (buffer_count(stream->out) == 0) {
		buffer_release(stream->out);
		stream->out = NULL;
	}
	return result;
}

int
ph_stream_flush(ph_stream *stream, ph_deadline deadline)
{
	return send_with(stream, (ph_span){0}, (ph_span){0}, deadline);
}

void
ph_stream_flush_now(ph_stream *stream)
{
	struct iovec part = collected(stream);

	if (part.iov_len > 0 && send_some(stream, &part, 1) >= 0)
		stream->out->start = stream->out->end - (uint32_t)part.iov_len;
}

/* Room for output; 0 when there is no memory. */
static size_t
output_room(ph_stream *stream)
{
	if (stream->out == NULL)
		stream->out = buffer_take();
	return stream->out == NULL ? 0 : BUFFER_SIZE - stream->out->end;
}

int
ph_stream_write(ph_stream *stream, const void *data, size_t size, ph_deadline deadline)
{
	if (size == 0)
		return 0;
	if (size > output_room(stream))
		return send_with(stream, (ph_span){.data = data, .size = size}, (ph_span){0},
			deadline);
	memcpy(stream->out->bytes + stream->out->end, data, size);
	stream->out->end += (uint32_t)size;
	return 0;
}

struct print {
	char *at;
	size_t room;
	const char *format;
	va_list *arguments;
	int size;
};

/* Formatting digs deep: it is done on the loop's stack. The compiler has checked the format where
 * ph_stream_printf() was called. */
static void
print_text(void *argument)
{
	struct print *print = argument;
	int (*format)(char *, size_t, const char *, va_list) = vsnprintf;

	print->size = format(print->at, print->room, print->format, *print->arguments);
}

static int
print_into(char *at, size_t room, const char *format, va_list arguments)
{
	struct print print = {.at = at, .room = room, .format = format};
	va_list copy;

	va_copy(copy, arguments);
	print.arguments = &copy;
	ph_on_loop_stack(print_text, &print);
	va_end(copy);
	return print.size;
}

/* Text that did not fit behind what was collected. */
static int
print_apart(ph_stream *stream, size_t size, ph_deadline deadline, const char *format,
	va_list arguments)
{
	char *text = malloc(size + 1);
	int result;

	if (text == NULL)
		return stream_fail(stream, ENOMEM);
	print_into(text, size + 1, format, arguments);
	result = ph_stream_write(stream, text, size, deadline);
	free(text);
	return result;
}

int
ph_stream_printf(ph_stream *stream, ph_deadline deadline, const char *format, ...)
{
	size_t room = output_room(stream);
	va_list arguments;
	int size, result = 0;

	if (room == 0 && stream->out == NULL)
		return stream_fail(stream, ENOMEM);
	va_start(arguments, format);
	size = print_into(stream->out->bytes + stream->out->end, room, format, arguments);
	if (size < 0)
		result = stream_fail(stream, EINVAL);
	else if ((size_t)size < room)
		stream->out->end += (uint32_t)size;
	else
		result = print_apart(stream, (size_t)size, deadline, format, arguments);
	va_end(arguments);
	return result;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static ssize_t
read_piece(int fd, struct buffer *buffer, int64_t offset, int64_t size)
{
	size_t piece = size < BUFFER_SIZE ? (size_t)size : BUFFER_SIZE;
	ssize_t got;

	do
		got = pread(fd, buffer->bytes, piece, offset);
	while (got == -1 && errno == EINTR);
	return got;
}

/* Piece by piece through a buffer, what was collected before the first, the tail with the last. */
static int
send_copied(ph_stream *stream, int fd, int64_t offset, int64_t size, ph_span tail,
	ph_deadline deadline)
{
	struct buffer *buffer = buffer_take();
	int result = buffer == NULL ? stream_fail(stream, ENOMEM) : 0;

	while (result == 0 && size > 0) {
		ssize_t got = read_piece(fd, buffer, offset, size);

		if (got <= 0) {
			result = stream_fail(stream, got == 0 ? EIO : errno); /* 0: it was cut short */
			break;
		}
		offset += got;
		size -= got;
		result = send_with(stream, (ph_span){.data = buffer->bytes, .size = (size_t)got},
			size == 0 ? tail : (ph_span){0}, deadline);
	}
	buffer_release(buffer);
	return result;
}

/* By the kernel, up to the last piece. Returns how far it came, or a result below zero; a
 * descriptor that cannot be sent so stays where it is. */
static int64_t
send_by_kernel(ph_stream *stream, int fd, int64_t offset, int64_t end, ph_deadline deadline)
{
	while (offset < end) {
		int64_t size = end - offset < 8 * BUFFER_SIZE ? end - offset : 8 * BUFFER_SIZE;
		off_t at = offset;
		ssize_t sent = -1;
		int result;

		if (stream->entry.ready & PH_WRITABLE) {
			sent = sendfile(stream->fd, fd, &at, (size_t)size);
			if (sent == 0)
				return stream_fail(stream, EIO);
			if (sent == -1 && (errno == EINVAL || errno == ENOSYS))
				return offset;
			if (sent == -1 && !would_block(errno) && errno != EINTR)
				return stream_fail(stream, errno);
			if (sent == -1 && would_block(errno))
				stream->entry.ready &= (uint8_t)~PH_WRITABLE;
		}
		offset += sent > 0 ? sent : 0;
		result = sent > 0 ? (int)task_spend() : stream_wait(stream, PH_WRITABLE, deadline);
		if (result != 0)
			return result;
	}
	return offset;
}

int
ph_stream_send_file(ph_stream *stream, int fd, int64_t offset, int64_t size, ph_span tail,
	ph_deadline deadline)
{
	int64_t end = offset + size;
	int result;

	if (size == 0)
		return send_with(stream, tail, (ph_span){0}, deadline);
	if (size > BY_KERNEL) {
		result = ph_stream_flush(stream, deadline);
		if (result != 0)
			return result;
		offset = send_by_kernel(stream, fd, offset, end - BUFFER_SIZE / 2, deadline);
		if (offset < 0)
			return (int)offset;
	}
	return send_copied(stream, fd, offset, end - offset, tail, deadline);
}

/* ---- Input ----------------------------------------------------------------------------------- */

/* Before a wait: answers go out, an empty buffer goes back. When the peer does not read any more,
 * what it has said before is still to be had. */
static int
wait_for_input(ph_stream *stream, ph_deadline deadline)
{
	int result = ph_stream_flush(stream, deadline);

	if (result == PH_STREAM_ERROR && (stream->error == EPIPE || stream->error == ECONNRESET)) {
		buffer_release(stream->out);
		stream->out = NULL;
		result = 0;
	}
	if (result != 0 || (stream->entry.ready & PH_READABLE) != 0)
		return result;
	if (buffer_count(stream->in) == 0) {
		buffer_release(stream->in);
		stream->in = NULL;
	}
	return stream_wait(stream, PH_READABLE, deadline);
}

/* Room behind the input. */
static size_t
input_room(ph_stream *stream)
{
	if (stream->in == NULL)
		stream->in = buffer_take();
	if (stream->in == NULL)
		return 0;
	if (stream->in->start == stream->in->end)
		stream->in->start = stream->in->end = 0;
	if (stream->in->end == BUFFER_SIZE)
		buffer_compact(stream->in);
	return BUFFER_SIZE - stream->in->end;
}

/* One read. The number of bytes, 0: nothing there, or a result below zero. */
static int64_t
read_some(ph_stream *stream, size_t room)
{
	ssize_t got;

	do
		got = read(stream->fd, stream->in->bytes + stream->in->end, room);
	while (got == -1 && errno == EINTR);
	if (got == -1 && !would_block(errno))
		return stream_fail(stream, errno);
	if (got == 0) {
		stream->eof = true;
		return PH_STREAM_EOF;
	}
	/* After less than was asked for a socket is empty, unless its end is behind the bytes. */
	if (got == -1 || (stream->is_socket && (size_t)got < room &&
				 (stream->entry.ready & POLLER_HANGUP) == 0))
		stream->entry.ready &= (uint8_t)~PH_READABLE;
	if (got == -1)
		return 0;
	stream->in->end += (uint32_t)got;
	return got;
}

/* Waits for more input than there is. */
static int64_t
fill(ph_stream *stream, ph_deadline deadline)
{
	int64_t result = (int)task_spend();

	if (stream->eof)
		return PH_STREAM_EOF;
	while (result == 0) {
		if (stream->entry.ready & PH_READABLE) {
			size_t room = input_room(stream);

			if (room == 0)
				return stream->in == NULL ? stream_fail(stream, ENOMEM)
							  : PH_STREAM_TOO_LONG;
			result = read_some(stream, room);
			if (result != 0)
				return result;
		} else if (buffer_count(stream->in) == BUFFER_SIZE) {
			return PH_STREAM_TOO_LONG;
		}
		result = wait_for_input(stream, deadline);
	}
	return result;
}

ph_span
ph_stream_buffered(const ph_stream *stream)
{
	if (stream->in == NULL)
		return (ph_span){0};
	return (ph_span){.data = stream->in->bytes + stream->in->start,
		.size = buffer_count(stream->in)};
}

static int64_t
show(const ph_stream *stream, ph_span *bytes)
{
	*bytes = ph_stream_buffered(stream);
	return (int64_t)bytes->size;
}

int64_t
ph_stream_peek(ph_stream *stream, ph_span *bytes, ph_deadline deadline)
{
	if (buffer_count(stream->in) > 0)
		return show(stream, bytes);
	return ph_stream_peek_more(stream, bytes, deadline);
}

int64_t
ph_stream_peek_more(ph_stream *stream, ph_span *bytes, ph_deadline deadline)
{
	int64_t result = fill(stream, deadline);

	return result < 0 ? result : show(stream, bytes);
}

void
ph_stream_consume(ph_stream *stream, size_t count)
{
	size_t there = buffer_count(stream->in);

	if (count > there)
		count = there;
	if (count > 0)
		stream->in->start += (uint32_t)count;
	stream->scanned = stream->scanned > count ? stream->scanned - (uint32_t)count : 0;
}

/* The size of the line at the front of the input with its line end; 0: it has no end yet. */
static size_t
find_line(ph_stream *stream)
{
	ph_span bytes = ph_stream_buffered(stream);
	const char *end = NULL;

	if (bytes.size > stream->scanned)
		end = memchr(bytes.data + stream->scanned, '\n', bytes.size - stream->scanned);
	if (end != NULL)
		return (size_t)(end - bytes.data) + 1;
	stream->scanned = (uint32_t)bytes.size;
	return 0;
}

int64_t
ph_stream_read_line(ph_stream *stream, ph_span *line, size_t max, ph_deadline deadline)
{
	size_t size;

	while ((size = find_line(stream)) == 0) {
		int64_t result;

		if (buffer_count(stream->in) >= max)
			return PH_STREAM_TOO_LONG;
		result = fill(stream, deadline);
		if (result < 0)
			return result;
	}
	if (size > max)
		return PH_STREAM_TOO_LONG;
	*line = (ph_span){.data = ph_stream_buffered(stream).data, .size = size};
	ph_stream_consume(stream, size);
	return (int64_t)size;
}
