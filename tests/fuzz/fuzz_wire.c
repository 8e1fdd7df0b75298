/*
 * Frames of channels, cut anywhere: the same frames come out; and their payloads, read as a job and
 * as a script of fields.
 */
#include "fuzz.h"

#include "process/frame.h"
#include "queue/delivery.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Fields as the type byte of a script says; all reads stay inside, and none fails twice differently. */
static void
read_fields(ph_span payload, unsigned script)
{
	struct wire_reader reader = wire_reader_of(payload);
	ph_pool *pool = ph_pool_new(0);

	for (unsigned i = 0; i < 32 && !reader.failed; i++, script = script >> 3 | script << 29) {
		ph_span bytes;

		switch (script & 7) {
		case 0:
			wire_get_u8(&reader);
			break;
		case 1:
		case 2:
			wire_get_u32(&reader);
			break;
		case 3:
			wire_get_u64(&reader);
			break;
		case 4:
		case 5:
			bytes = wire_get_bytes(&reader);
			CHECK(bytes.size == 0 || (bytes.data >= payload.data &&
				bytes.data + bytes.size <= payload.data + payload.size));
			break;
		default:
			CHECK(wire_get_string(&reader, pool) != NULL);
		}
	}
	CHECK(!reader.failed || (wire_get_u64(&reader) == 0 && *wire_get_string(&reader, pool) == '\0'));
	ph_pool_free(pool);
}

static void
read_payload(const struct frame *frame)
{
	struct ph_delivery *delivery = delivery_read(frame->payload);

	for (size_t i = 0; delivery != NULL && i < ph_delivery_count(delivery); i++)
		CHECK(ph_delivery_recipient(delivery, i) != NULL);
	delivery_free(delivery);
	read_fields(frame->payload, frame->type * 2654435761u);
}

/* A digest of all frames; -1 from the first that is none. */
static unsigned
receive(int fd, ph_span bytes, size_t step, int peer, bool payloads)
{
	struct frame_reader reader = {.data = NULL};
	struct frame frame;
	unsigned digest = 1;

	while (bytes.size > 0) {
		size_t size = bytes.size < step ? bytes.size : step;
		enum frame_result result;

		CHECK(send(peer, bytes.data, size, MSG_DONTWAIT) == (ssize_t)size);
		bytes.data += size;
		bytes.size -= size;
		do {
			CHECK(frame_fill(&reader, fd) == FRAME_OK);
			while ((result = frame_next(&reader, &frame)) == FRAME_OK) {
				CHECK(frame.fd_count == 0 && frame.payload.size <= CHANNEL_MAX_PAYLOAD);
				digest = digest * 31 + frame.type * 7 + (unsigned)frame.payload.size;
				if (payloads)
					read_payload(&frame);
			}
		} while (reader.more && result == FRAME_AGAIN);
		if (result == FRAME_BROKEN) {
			digest = digest * 31 + 5;
			break;
		}
	}
	frame_reader_free(&reader);
	return digest;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ph_span bytes = {(const char *)data, size};
	unsigned whole;

	if (size > 32768)
		return 0;
	for (int round = 0; round < 2; round++) {
		size_t step = round == 0 ? 32768 : size % 13 + 1 + size / 256;
		int fds[2];
		unsigned digest;

		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
		digest = receive(fds[0], bytes, step, fds[1], round == 0);
		if (round == 0)
			whole = digest;
		else
			CHECK(digest == whole);
		close(fds[0]);
		close(fds[1]);
	}
	read_fields(bytes, size > 0 ? data[0] * 2654435761u : 0);
	return 0;
}
