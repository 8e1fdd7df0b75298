/*
 * Channels: framed messages between processes, over Unix-domain stream sockets. A frame is
 * {uint32 size of the payload, uint16 type, uint16 count of descriptors} and its payload. What
 * comes in is checked as hostile: a frame that is too large or malformed closes the channel.
 */
#ifndef PROCESS_CHANNEL_H
#define PROCESS_CHANNEL_H

#include <sys/types.h>

#include <posthouse/base.h>
#include <posthouse/task.h>

struct channel;

#define CHANNEL_MAX_PAYLOAD (1u << 20)
#define CHANNEL_MAX_FDS 16

struct channel_ops {
	/* A frame came. fds are the callee's to close. Runs in the channel's own task; it may wait,
	 * and nothing more is read meanwhile. The payload holds until it returns. */
	void (*frame)(struct channel *channel, void *context, unsigned type, ph_span payload,
		const int *fds, size_t fd_count);
	/* The channel is gone (peer closed, error); called once, the channel is freed afterwards.
	 * Not called after channel_close(). */
	void (*closed)(struct channel *channel, void *context);
};

/* Takes over fd and starts reading. NULL: no memory or no task; the descriptor is then still the
 * caller's. */
struct channel *channel_open(const char *name, int fd, const struct channel_ops *ops,
	void *context);
void channel_close(struct channel *channel);
/* Queues a frame; it leaves at the end of the loop's round, with all others of that round in one
 * write. 0; -1 when the peer does not read and too much is waiting (16 MiB) or the channel is
 * gone. */
int channel_send(struct channel *channel, unsigned type, ph_span payload);
/* The same with descriptors, which are duplicated. */
int channel_send_fds(struct channel *channel, unsigned type, ph_span payload, const int *fds,
	size_t count);
/* Can anything still be sent? */
bool channel_is_open(const struct channel *channel);
/* Bytes that wait to be sent. */
size_t channel_pending(const struct channel *channel);
/* The peer's credentials, from the kernel. 0 or -1. */
int channel_peer(const struct channel *channel, uid_t *uid, pid_t *pid);

/* Listens on a path (an old socket there is removed); accept is called with each new descriptor, in
 * a task. Returns a handle for channel_unlisten(), or NULL. */
struct channel_listener;
struct channel_listener *channel_listen(const char *path, unsigned mode,
	void (*accept)(int fd, void *context), void *context, ph_error *error);
void channel_unlisten(struct channel_listener *listener);

/* ---- Blocking use, for commands and for processes without a loop. */

/* Connects to a path. A descriptor or -1. */
int channel_connect_blocking(const char *path, ph_error *error);
int channel_send_blocking(int fd, unsigned type, ph_span payload, const int *fds, size_t count,
	ph_error *error);
/* Receives one frame into pool. 1; 0 at the end; -1 on error. fds (room for CHANNEL_MAX_FDS) and
 * fd_count may be NULL when none are expected. */
int channel_receive_blocking(int fd, ph_pool *pool, unsigned *type, ph_span *payload, int *fds,
	size_t *fd_count, int64_t timeout_ms, ph_error *error);

/* ---- Payloads: numbers little-endian, strings with a 32-bit size. The writer grows in a pool. */

struct wire_writer {
	ph_pool *pool;
	char *data;
	size_t size, room;
	bool failed; /* no memory: everything after it is ignored */
};
void wire_begin(struct wire_writer *writer, ph_pool *pool);
void wire_put_u8(struct wire_writer *writer, unsigned value);
void wire_put_u32(struct wire_writer *writer, uint32_t value);
void wire_put_u64(struct wire_writer *writer, uint64_t value);
void wire_put_bytes(struct wire_writer *writer, ph_span bytes);
void wire_put_string(struct wire_writer *writer, const char *string); /* NULL as "" */
ph_span wire_span(const struct wire_writer *writer);

struct wire_reader {
	ph_span rest;
	bool failed; /* too short, or a string with a NUL inside: everything after it reads as 0 */
};
struct wire_reader wire_reader_of(ph_span payload);
unsigned wire_get_u8(struct wire_reader *reader);
uint32_t wire_get_u32(struct wire_reader *reader);
uint64_t wire_get_u64(struct wire_reader *reader);
ph_span wire_get_bytes(struct wire_reader *reader);
const char *wire_get_string(struct wire_reader *reader, ph_pool *pool); /* never NULL */

#endif
