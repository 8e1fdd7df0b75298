/*
 * posthouse/stream.h: a buffered stream over a socket, for tasks.
 *
 * Output is collected and goes out on ph_stream_flush(), when it exceeds a buffer, and before any
 * read that has to wait, so that the replies to pipelined commands leave in one segment. A stream
 * has a buffer only while it holds bytes. One task at a time uses a stream.
 */
#ifndef POSTHOUSE_STREAM_H
#define POSTHOUSE_STREAM_H

#include <posthouse/base.h>
#include <posthouse/task.h>

PH_BEGIN_DECLS

typedef struct ph_stream ph_stream;

/* Results of reading and writing below zero. */
enum {
	PH_STREAM_TIMEOUT = -1,   /* the deadline passed */
	PH_STREAM_CANCELLED = -2, /* the task was cancelled */
	PH_STREAM_EOF = -3,       /* the peer closed its side; nothing is left to read */
	PH_STREAM_ERROR = -4,     /* reset, broken; ph_stream_error() tells */
	PH_STREAM_TOO_LONG = -5   /* no end of line within the limit; the bytes stay unread */
};

/* Takes over a connected socket (made non-blocking, TCP_NODELAY where it applies). NULL: no memory;
 * the descriptor is then still the caller's. */
PH_API ph_stream *ph_stream_new(int fd);
/* Closes the socket and frees the stream; unsent output is dropped. NULL: nothing. */
PH_API void ph_stream_close(ph_stream *stream);
PH_API int ph_stream_fd(const ph_stream *stream);
/* errno of the last PH_STREAM_ERROR. */
PH_API int ph_stream_error(const ph_stream *stream);

/* Connects to an address (AF_INET, AF_INET6), from source unless NULL; waits. NULL: failed; the
 * error says only why ("Connection refused"): the caller knows where to. */
PH_API ph_stream *ph_stream_connect(const ph_address *address, const ph_address *source,
	ph_deadline deadline, ph_error *error);
/* The same for a Unix-domain socket. */
PH_API ph_stream *ph_stream_connect_unix(const char *path, ph_deadline deadline, ph_error *error);

/*
 * Waits until at least one byte is there and shows what is buffered, without taking it. The span
 * holds until the next call on this stream. Returns the number of bytes, or a result below zero.
 */
PH_API int64_t ph_stream_peek(ph_stream *stream, ph_span *bytes, ph_deadline deadline);
/* Like peek, but waits for more than is buffered already (up to the buffer's 32 KiB; then
 * PH_STREAM_TOO_LONG). */
PH_API int64_t ph_stream_peek_more(ph_stream *stream, ph_span *bytes, ph_deadline deadline);
/* What is buffered now; never waits, never reads the socket. */
PH_API ph_span ph_stream_buffered(const ph_stream *stream);
/* Takes count bytes, at most as many as were shown. */
PH_API void ph_stream_consume(ph_stream *stream, size_t count);

/*
 * Reads one line up to LF and takes it. The span includes its line end (CR LF, or a lone LF) and
 * holds until the next call. max counts the line end. Returns its size, or a result below zero.
 */
PH_API int64_t ph_stream_read_line(ph_stream *stream, ph_span *line, size_t max,
	ph_deadline deadline);

/* Collects output; waits only when a buffer is full. 0 or a result below zero. */
PH_API int ph_stream_write(ph_stream *stream, const void *data, size_t size, ph_deadline deadline);
PH_API int ph_stream_printf(ph_stream *stream, ph_deadline deadline, const char *format, ...)
	PH_PRINTF(3, 4);
/* Sends size bytes of a file from offset, after what was collected; waits. tail (may be empty) is
 * sent with the last of them in one segment where that fits. 0 or a result below zero. */
PH_API int ph_stream_send_file(ph_stream *stream, int fd, int64_t offset, int64_t size, ph_span tail,
	ph_deadline deadline);
PH_API int ph_stream_flush(ph_stream *stream, ph_deadline deadline);
/* One attempt to send what was collected, without waiting: for a farewell. */
PH_API void ph_stream_flush_now(ph_stream *stream);

PH_END_DECLS

#endif
