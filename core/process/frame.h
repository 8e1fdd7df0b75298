/*
 * Frames on a non-blocking socket, without a loop: what channels and the processes that only poll
 * have in common. The format is told in channel.h.
 *
 * Descriptors travel with the first byte of their frame, and a frame that has some begins a write
 * of its own; so a receiver knows whose they are, and that all others are surplus.
 */
#ifndef PROCESS_FRAME_H
#define PROCESS_FRAME_H

#include "process/channel.h"

enum {
	FRAME_HEADER = 8,
	FRAME_MAX_WAITING = 16 << 20 /* bytes that may wait for a peer that does not read */
};

enum frame_result {
	FRAME_OK,
	FRAME_AGAIN,  /* nothing more now */
	FRAME_END,    /* the peer closed */
	FRAME_BROKEN  /* an error of the socket, or what came is no frame */
};

struct frame {
	unsigned type;
	ph_span payload; /* until the next call on the reader */
	const int *fds;  /* the caller's to close; the array as the payload */
	size_t fd_count;
};

struct frame_reader {
	char *data;
	size_t start, end, room;
	int fds[4 * CHANNEL_MAX_FDS]; /* received, in order */
	size_t fd_count;
	size_t given;   /* of these, the first ones that went with the last frame */
	bool more;      /* the last read filled its buffer: there may be more to read */
};

/* One read from the socket into the buffer. */
enum frame_result frame_fill(struct frame_reader *reader, int fd);
/* The next complete frame of the buffer: FRAME_OK, FRAME_AGAIN or FRAME_BROKEN. */
enum frame_result frame_next(struct frame_reader *reader, struct frame *frame);
void frame_reader_free(struct frame_reader *reader);

struct frame_fds;
struct frame_writer {
	char *data;
	size_t start, end, room;
	uint64_t sent;          /* bytes that left since the beginning */
	struct frame_fds *fds;  /* of waiting frames, in order */
	size_t fds_count, fds_room;
};

/* Adds a frame to what waits; descriptors are duplicated. 0, or -1: too much waits, no memory. */
int frame_put(struct frame_writer *writer, unsigned type, ph_span payload, const int *fds,
	size_t count);
/* Writes what waits: FRAME_OK (all of it), FRAME_AGAIN or FRAME_BROKEN. */
enum frame_result frame_flush(struct frame_writer *writer, int fd);
size_t frame_waiting(const struct frame_writer *writer);
void frame_writer_free(struct frame_writer *writer);

/* The header of a frame, for those who write it themselves. */
void frame_header(char header[FRAME_HEADER], unsigned type, size_t size, size_t fd_count);
/* Reads one; false: it is none. */
bool frame_header_parse(const char header[FRAME_HEADER], unsigned *type, size_t *size,
	size_t *fd_count);

/* recvmsg and sendmsg with descriptors. received has room for CHANNEL_MAX_FDS. */
ssize_t frame_recv(int fd, void *data, size_t size, int *received, size_t *count);
ssize_t frame_send(int fd, const void *data, size_t size, const int *fds, size_t count, int flags);

#endif
