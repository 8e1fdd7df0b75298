#include "process/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ground/number.h"

enum {
	READ_ROOM = 16 * 1024,
	KEEP_ROOM = 64 * 1024,
	MAX_KEPT = 128 /* frames with descriptors that wait for a peer that does not read */
};

struct frame_fds {
	uint64_t at; /* of its frame in the stream */
	size_t count;
	int fds[CHANNEL_MAX_FDS];
};

/* ---- The header and the two system calls ----------------------------------------------------- */

void
frame_header(char header[FRAME_HEADER], unsigned type, size_t size, size_t fd_count)
{
	number_put(header, size, 4);
	number_put(header + 4, type, 2);
	number_put(header + 6, fd_count, 2);
}

bool
frame_header_parse(const char header[FRAME_HEADER], unsigned *type, size_t *size, size_t *fd_count)
{
	*size = (size_t)number_get(header, 4);
	*type = (unsigned)number_get(header + 4, 2);
	*fd_count = (size_t)number_get(header + 6, 2);
	return *size <= CHANNEL_MAX_PAYLOAD && *fd_count <= CHANNEL_MAX_FDS;
}

union control {
	struct cmsghdr header;
	char room[CMSG_SPACE(CHANNEL_MAX_FDS * sizeof(int))];
};

static void
close_all(const int *fds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		close(fds[i]);
}

ssize_t
frame_recv(int fd, void *data, size_t size, int *received, size_t *count)
{
	union control control;
	struct iovec part = {data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control,
		.msg_controllen = sizeof(control)};
	ssize_t got;

	*count = 0;
	do
		got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	while (got == -1 && errno == EINTR);
	if (got == -1)
		return -1;
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message); cmsg;
		cmsg = CMSG_NXTHDR(&message, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t fds = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < fds; i++) {
			int one;

			memcpy(&one, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
			if (*count < CHANNEL_MAX_FDS)
				received[(*count)++] = one;
			else
				close(one);
		}
	}
	/* The kernel dropped descriptors: more than any frame may have, or we are out of them. */
	if (message.msg_flags & MSG_CTRUNC) {
		close_all(received, *count);
		*count = 0;
		errno = EMFILE;
		return -1;
	}
	return got;
}

ssize_t
frame_send(int fd, const void *data, size_t size, const int *fds, size_t count, int flags)
{
	union control control;
	struct iovec part = {(void *)(uintptr_t)data, size};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	ssize_t sent;

	if (count) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, count * sizeof(int));
	}
	do
		sent = sendmsg(fd, &message, MSG_NOSIGNAL | flags);
	while (sent == -1 && errno == EINTR);
	return sent;
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Makes room for need bytes from start on. */
static int
reader_room(struct frame_reader *reader, size_t need)
{
	if (reader->start == reader->end) {
		reader->start = reader->end = 0;
		if (reader->room > KEEP_ROOM && need <= READ_ROOM) {
			free(reader->data);
			reader->data = NULL;
			reader->room = 0;
		}
	}
	if (reader->start && reader->room - reader->start < need) {
		memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
		reader->end -= reader->start;
		reader->start = 0;
	}
	if (reader->room < need) {
		char *data = realloc(reader->data, need);

		if (!data)
			return -1;
		reader->data = data;
		reader->room = need;
	}
	return 0;
}

/* The size that the frame at start will have, as far as is known. */
static size_t
reader_need(const struct frame_reader *reader)
{
	size_t size = 0, fd_count;
	unsigned type;

	if (reader->end - reader->start >= FRAME_HEADER)
		frame_header_parse(reader->data + reader->start, &type, &size, &fd_count);
	size += FRAME_HEADER;
	return size > READ_ROOM ? size : READ_ROOM;
}

static void
forget_given(struct frame_reader *reader)
{
	if (!reader->given)
		return;
	reader->fd_count -= reader->given;
	memmove(reader->fds, reader->fds + reader->given, reader->fd_count * sizeof(int));
	reader->given = 0;
}

enum frame_result
frame_fill(struct frame_reader *reader, int fd)
{
	int fds[CHANNEL_MAX_FDS];
	size_t count, room;

	forget_given(reader);
	reader->more = false;
	if (reader_room(reader, reader_need(reader)) == -1)
		return FRAME_BROKEN;
	room = reader->room - reader->end;
	ssize_t got = frame_recv(fd, reader->data + reader->end, room, fds, &count);
	if (got == -1)
		return errno == EAGAIN ? FRAME_AGAIN : FRAME_BROKEN;
	if (count > sizeof(reader->fds) / sizeof(reader->fds[0]) - reader->fd_count) {
		close_all(fds, count);
		return FRAME_BROKEN;
	}
	memcpy(reader->fds + reader->fd_count, fds, count * sizeof(int));
	reader->fd_count += count;
	if (!got)
		return FRAME_END;
	reader->end += (size_t)got;
	reader->more = (size_t)got == room || count; /* a read ends behind descriptors */
	return FRAME_OK;
}

/* Nothing complete is left: descriptors that the incomplete frame does not have are surplus. */
static void
drop_surplus(struct frame_reader *reader, size_t allowed)
{
	if (reader->fd_count > allowed) {
		close_all(reader->fds + allowed, reader->fd_count - allowed);
		reader->fd_count = allowed;
	}
}

enum frame_result
frame_next(struct frame_reader *reader, struct frame *frame)
{
	size_t there = reader->end - reader->start, size, fd_count;
	unsigned type;

	forget_given(reader);
	if (there < FRAME_HEADER) {
		drop_surplus(reader, there ? CHANNEL_MAX_FDS : 0);
		return FRAME_AGAIN;
	}
	if (!frame_header_parse(reader->data + reader->start, &type, &size, &fd_count) ||
		reader->fd_count < fd_count)
		return FRAME_BROKEN;
	if (there - FRAME_HEADER < size) {
		drop_surplus(reader, fd_count);
		return FRAME_AGAIN;
	}
	*frame = (struct frame){
		.type = type,
		.payload = {reader->data + reader->start + FRAME_HEADER, size},
		.fds = reader->fds,
		.fd_count = fd_count,
	};
	reader->given = fd_count;
	reader->start += FRAME_HEADER + size;
	return FRAME_OK;
}

void
frame_reader_free(struct frame_reader *reader)
{
	forget_given(reader);
	close_all(reader->fds, reader->fd_count);
	free(reader->data);
	*reader = (struct frame_reader){0};
}

/* ---- Writing --------------------------------------------------------------------------------- */

static int
writer_room(struct frame_writer *writer, size_t size)
{
	if (writer->start == writer->end)
		writer->start = writer->end = 0;
	if (writer->room - writer->end >= size)
		return 0;
	size_t used = writer->end - writer->start;
	if (writer->start) {
		memmove(writer->data, writer->data + writer->start, used);
		writer->start = 0;
		writer->end = used;
	}
	size_t room = writer->room ? writer->room : 4096;
	while (room - used < size)
		room *= 2;
	if (room == writer->room)
		return 0;
	char *data = realloc(writer->data, room);
	if (!data)
		return -1;
	writer->data = data;
	writer->room = room;
	return 0;
}

/* Duplicates the descriptors of the frame that begins at the end of what waits. */
static int
keep_fds(struct frame_writer *writer, const int *fds, size_t count)
{
	if (writer->fds_count == MAX_KEPT)
		return -1;
	if (writer->fds_count == writer->fds_room) {
		size_t room = writer->fds_room ? 2 * writer->fds_room : 4;
		struct frame_fds *kept = realloc(writer->fds, room * sizeof(*kept));

		if (!kept)
			return -1;
		writer->fds = kept;
		writer->fds_room = room;
	}
	struct frame_fds *kept = &writer->fds[writer->fds_count];
	kept->at = writer->sent + (writer->end - writer->start);
	for (kept->count = 0; kept->count < count; kept->count++) {
		kept->fds[kept->count] = fcntl(fds[kept->count], F_DUPFD_CLOEXEC, 3);
		if (kept->fds[kept->count] == -1) {
			close_all(kept->fds, kept->count);
			return -1;
		}
	}
	writer->fds_count++;
	return 0;
}

size_t
frame_waiting(const struct frame_writer *writer)
{
	return writer->end - writer->start;
}

int
frame_put(struct frame_writer *writer, unsigned type, ph_span payload, const int *fds, size_t count)
{
	if (payload.size > CHANNEL_MAX_PAYLOAD || count > CHANNEL_MAX_FDS ||
		frame_waiting(writer) + payload.size > FRAME_MAX_WAITING)
		return -1;
	if (writer_room(writer, FRAME_HEADER + payload.size) == -1)
		return -1;
	if (count && keep_fds(writer, fds, count) == -1)
		return -1;
	frame_header(writer->data + writer->end, type, payload.size, count);
	if (payload.size)
		memcpy(writer->data + writer->end + FRAME_HEADER, payload.data, payload.size);
	writer->end += FRAME_HEADER + payload.size;
	return 0;
}

/* How much may go in one write: up to the next frame with descriptors of its own. */
static size_t
writer_stretch(const struct frame_writer *writer, bool with_first)
{
	size_t next = with_first ? 1 : 0;

	if (next < writer->fds_count)
		return (size_t)(writer->fds[next].at - writer->sent);
	return frame_waiting(writer);
}

static void
writer_sent(struct frame_writer *writer, size_t sent, bool with_first)
{
	writer->start += sent;
	writer->sent += sent;
	if (with_first) {
		close_all(writer->fds[0].fds, writer->fds[0].count);
		writer->fds_count--;
		memmove(writer->fds, writer->fds + 1, writer->fds_count * sizeof(*writer->fds));
	}
}

enum frame_result
frame_flush(struct frame_writer *writer, int fd)
{
	while (frame_waiting(writer)) {
		bool with_fds = writer->fds_count && writer->fds[0].at == writer->sent;
		ssize_t sent = frame_send(fd, writer->data + writer->start,
			writer_stretch(writer, with_fds), with_fds ? writer->fds[0].fds : NULL,
			with_fds ? writer->fds[0].count : 0, MSG_DONTWAIT);

		if (sent == -1)
			return errno == EAGAIN || errno == ENOBUFS ? FRAME_AGAIN : FRAME_BROKEN;
		writer_sent(writer, (size_t)sent, with_fds);
	}
	if (writer->room > KEEP_ROOM) {
		free(writer->data);
		writer->data = NULL;
		writer->room = writer->start = writer->end = 0;
	}
	return FRAME_OK;
}

void
frame_writer_free(struct frame_writer *writer)
{
	for (size_t i = 0; i < writer->fds_count; i++)
		close_all(writer->fds[i].fds, writer->fds[i].count);
	free(writer->fds);
	free(writer->data);
	*writer = (struct frame_writer){0};
}
