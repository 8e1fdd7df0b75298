/* Frames and payloads: round trips, cuts anywhere, hostile bytes, descriptors. */
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "process/channel.h"
#include "process/frame.h"

static void
make_pair(int pair[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
}

static void
test_round_trip(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	struct wire_writer writer;
	char binary[700];

	memset(binary, 0, sizeof(binary));
	wire_begin(&writer, pool);
	wire_put_u8(&writer, 200);
	wire_put_u32(&writer, 0xfedcba98u);
	wire_put_u64(&writer, UINT64_C(0x0123456789abcdef));
	wire_put_string(&writer, "text");
	wire_put_string(&writer, NULL);
	wire_put_bytes(&writer, (ph_span){binary, sizeof(binary)});
	assert_false(writer.failed);

	struct wire_reader reader = wire_reader_of(wire_span(&writer));
	assert_int_equal(wire_get_u8(&reader), 200);
	assert_int_equal(wire_get_u32(&reader), 0xfedcba98u);
	assert_true(wire_get_u64(&reader) == UINT64_C(0x0123456789abcdef));
	assert_string_equal(wire_get_string(&reader, pool), "text");
	assert_string_equal(wire_get_string(&reader, pool), "");
	ph_span bytes = wire_get_bytes(&reader);
	assert_int_equal(bytes.size, sizeof(binary));
	assert_memory_equal(bytes.data, binary, sizeof(binary));
	assert_false(reader.failed);
	assert_int_equal(reader.rest.size, 0);
	assert_int_equal(wire_get_u8(&reader), 0);
	assert_true(reader.failed);
	ph_pool_free(pool);
}

static void
test_hostile_payloads(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
		{"", 0},
		{"\x04\0\0", 3},
		{"\x04\0\0\0abc", 7},
		{"\xff\xff\xff\xff", 4},
		{"\xff\xff\xff\xff" "abc", 7},
		{"\x03\0\0\0a\0b", 7},
	};
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wire_reader reader = wire_reader_of((ph_span){cases[i].bytes, cases[i].size});

		assert_string_equal(wire_get_string(&reader, pool), "");
		assert_true(reader.failed);
		assert_int_equal(wire_get_u64(&reader), 0);
		assert_int_equal(wire_get_bytes(&reader).size, 0);
	}
	ph_pool_free(pool);
}

/* Out of memory is remembered, and nothing is written beyond. */
static void
test_writer_without_memory(void **state)
{
	ph_pool *pool = ph_pool_new(2048);
	struct wire_writer writer;

	wire_begin(&writer, pool);
	for (int i = 0; i < 4000; i++)
		wire_put_u32(&writer, 1);
	assert_true(writer.failed);
	assert_int_equal(wire_span(&writer).size, 0);
	ph_pool_free(pool);
}

/* Three frames, fed in pieces of every size. */
static void
test_frames_cut_anywhere(void **state)
{
	static const char *const texts[] = {"first", "", "the third frame"};
	char stream[256];
	size_t size = 0;

	for (unsigned i = 0; i < 3; i++) {
		frame_header(stream + size, 7 + i, strlen(texts[i]), 0);
		size += FRAME_HEADER;
		memcpy(stream + size, texts[i], strlen(texts[i]));
		size += strlen(texts[i]);
	}
	for (size_t piece = 1; piece <= size; piece++) {
		struct frame_reader reader = {0};
		struct frame frame;
		unsigned seen = 0;
		int pair[2];

		make_pair(pair);
		for (size_t at = 0; at < size; at += piece) {
			size_t part = size - at < piece ? size - at : piece;

			assert_int_equal(write(pair[0], stream + at, part), part);
			assert_int_equal(frame_fill(&reader, pair[1]), FRAME_OK);
			while (frame_next(&reader, &frame) == FRAME_OK) {
				assert_int_equal(frame.type, 7 + seen);
				assert_int_equal(frame.payload.size, strlen(texts[seen]));
				assert_memory_equal(frame.payload.data, texts[seen], frame.payload.size);
				seen++;
			}
		}
		assert_int_equal(seen, 3);
		assert_int_equal(frame_fill(&reader, pair[1]), FRAME_AGAIN);
		close(pair[0]);
		assert_int_equal(frame_fill(&reader, pair[1]), FRAME_END);
		close(pair[1]);
		frame_reader_free(&reader);
	}
}

static void
test_malformed_frames(void **state)
{
	static const struct {
		size_t size, fds;
	} cases[] = {
		{CHANNEL_MAX_PAYLOAD + 1, 0},
		{0xffffffff, 0},
		{4, CHANNEL_MAX_FDS + 1},
		{4, 0xffff},
		{4, 1}, /* announced, but it did not come */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct frame_reader reader = {0};
		struct frame frame;
		char header[FRAME_HEADER];
		int pair[2];

		make_pair(pair);
		frame_header(header, 1, cases[i].size, cases[i].fds);
		assert_int_equal(write(pair[0], header, sizeof(header)), sizeof(header));
		assert_int_equal(frame_fill(&reader, pair[1]), FRAME_OK);
		assert_int_equal(frame_next(&reader, &frame), FRAME_BROKEN);
		frame_reader_free(&reader);
		close(pair[0]);
		close(pair[1]);
	}
}

static void
test_large_frame(void **state)
{
	struct frame_reader reader = {0};
	struct frame_writer writer = {0};
	struct frame frame;
	char *data = malloc(CHANNEL_MAX_PAYLOAD);
	int pair[2], rounds = 0;

	make_pair(pair);
	for (size_t i = 0; i < CHANNEL_MAX_PAYLOAD; i++)
		data[i] = (char)(i * 7);
	assert_int_equal(frame_put(&writer, 3, (ph_span){data, CHANNEL_MAX_PAYLOAD}, NULL, 0), 0);
	assert_int_equal(frame_put(&writer, 3, (ph_span){data, CHANNEL_MAX_PAYLOAD + 1}, NULL, 0), -1);
	assert_int_equal(frame_put(&writer, 4, (ph_span){"x", 1}, NULL, 0), 0);
	for (;;) {
		enum frame_result sent = frame_flush(&writer, pair[0]), got;

		assert_true(sent != FRAME_BROKEN);
		if (frame_fill(&reader, pair[1]) == FRAME_BROKEN)
			fail();
		got = frame_next(&reader, &frame);
		assert_true(got != FRAME_BROKEN);
		if (got == FRAME_OK)
			break;
		assert_true(++rounds < 10000);
	}
	assert_int_equal(frame.payload.size, CHANNEL_MAX_PAYLOAD);
	assert_memory_equal(frame.payload.data, data, CHANNEL_MAX_PAYLOAD);
	assert_int_equal(frame_flush(&writer, pair[0]), FRAME_OK);
	while (frame_next(&reader, &frame) == FRAME_AGAIN)
		assert_int_equal(frame_fill(&reader, pair[1]), FRAME_OK);
	assert_int_equal(frame.type, 4);
	free(data);
	frame_reader_free(&reader);
	frame_writer_free(&writer);
	close(pair[0]);
	close(pair[1]);
}

/* What waits for a peer that does not read is bounded. */
static void
test_writer_bound(void **state)
{
	struct frame_writer writer = {0};
	char *data = calloc(1, CHANNEL_MAX_PAYLOAD);
	int count = 0;

	while (frame_put(&writer, 1, (ph_span){data, CHANNEL_MAX_PAYLOAD}, NULL, 0) == 0)
		assert_true(++count < 64);
	assert_true(frame_waiting(&writer) <= FRAME_MAX_WAITING);
	frame_writer_free(&writer);
	free(data);
}

static ino_t
inode(int fd)
{
	struct stat status;

	assert_int_equal(fstat(fd, &status), 0);
	return status.st_ino;
}

/* A file without a name. */
static int
some_file(void)
{
	char path[] = "/tmp/test_wire.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	assert_true(fd != -1);
	unlink(path);
	return fd;
}

/* Descriptors arrive with their own frames, however the frames lie in the stream. */
static void
test_descriptors(void **state)
{
	struct frame_writer writer = {0};
	struct frame_reader reader = {0};
	struct frame frame;
	int files[6], pair[2];
	static const size_t counts[] = {0, 2, 0, 1, 3, 0};
	size_t used = 0, seen = 0;

	make_pair(pair);
	for (size_t i = 0; i < 6; i++)
		files[i] = some_file();
	for (size_t i = 0; i < 6; i++) {
		assert_int_equal(frame_put(&writer, (unsigned)i, (ph_span){"abc", 3}, files + used, counts[i]), 0);
		used += counts[i];
	}
	assert_int_equal(frame_flush(&writer, pair[0]), FRAME_OK);
	used = 0;
	while (seen < 6) {
		while (frame_next(&reader, &frame) == FRAME_OK) {
			assert_int_equal(frame.type, seen);
			assert_int_equal(frame.fd_count, counts[seen]);
			for (size_t i = 0; i < frame.fd_count; i++) {
				assert_true(inode(frame.fds[i]) == inode(files[used++]));
				assert_true(fcntl(frame.fds[i], F_GETFD) & FD_CLOEXEC);
				close(frame.fds[i]);
			}
			seen++;
		}
		if (seen < 6)
			assert_int_equal(frame_fill(&reader, pair[1]), FRAME_OK);
	}
	for (size_t i = 0; i < 6; i++)
		close(files[i]);
	frame_reader_free(&reader);
	frame_writer_free(&writer);
	close(pair[0]);
	close(pair[1]);
}

static int
count_fds(void)
{
	int count = 0;

	for (int fd = 0; fd < 256; fd++)
		if (fcntl(fd, F_GETFD) != -1)
			count++;
	return count;
}

/* Descriptors that no frame announces are closed, and do not end up with the next frame. */
static void
test_surplus_descriptors(void **state)
{
	struct frame_reader reader = {0};
	struct frame frame;
	char header[FRAME_HEADER];
	int pair[2], file = some_file(), before;

	make_pair(pair);
	before = count_fds();
	frame_header(header, 1, 0, 0);
	int two[2] = {file, file};
	assert_int_equal(frame_send(pair[0], header, sizeof(header), two, 2, 0), sizeof(header));
	frame_header(header, 2, 0, 1);
	assert_int_equal(frame_send(pair[0], header, sizeof(header), NULL, 0, 0), sizeof(header));
	assert_int_equal(frame_fill(&reader, pair[1]), FRAME_OK);
	assert_int_equal(frame_next(&reader, &frame), FRAME_OK);
	assert_int_equal(frame.fd_count, 0);
	assert_int_equal(frame_next(&reader, &frame), FRAME_AGAIN);
	assert_int_equal(count_fds(), before);
	assert_int_equal(frame_fill(&reader, pair[1]), FRAME_OK);
	assert_int_equal(frame_next(&reader, &frame), FRAME_BROKEN);
	frame_reader_free(&reader);
	close(file);
	close(pair[0]);
	close(pair[1]);
}

static void
test_blocking(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	ph_error error;
	ph_span payload;
	unsigned type;
	int pair[2], file = some_file(), fds[CHANNEL_MAX_FDS], before;
	size_t count;

	make_pair(pair);
	before = count_fds();
	assert_int_equal(channel_send_blocking(pair[0], 9, (ph_span){"hello", 5}, &file, 1, &error), 0);
	assert_int_equal(channel_send_blocking(pair[0], 10, (ph_span){0}, &file, 1, &error), 0);
	assert_int_equal(channel_receive_blocking(pair[1], pool, &type, &payload, fds, &count, 1000, &error), 1);
	assert_int_equal(type, 9);
	assert_memory_equal(payload.data, "hello", 5);
	assert_int_equal(count, 1);
	assert_true(inode(fds[0]) == inode(file));
	close(fds[0]);
	/* None expected: closed at once. */
	assert_int_equal(channel_receive_blocking(pair[1], pool, &type, &payload, NULL, NULL, 1000, &error), 1);
	assert_int_equal(type, 10);
	assert_int_equal(payload.size, 0);
	assert_int_equal(count_fds(), before);
	/* Time passes; then half a frame and the end. */
	assert_int_equal(channel_receive_blocking(pair[1], pool, &type, &payload, NULL, NULL, 1, &error), -1);
	assert_int_equal(write(pair[0], "\x05\0\0\0", 4), 4);
	close(pair[0]);
	assert_int_equal(channel_receive_blocking(pair[1], pool, &type, &payload, NULL, NULL, 1000, &error), -1);
	assert_int_equal(channel_receive_blocking(pair[1], pool, &type, &payload, NULL, NULL, 1000, &error), 0);
	close(pair[1]);
	close(file);
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_hostile_payloads),
		cmocka_unit_test(test_writer_without_memory),
		cmocka_unit_test(test_frames_cut_anywhere),
		cmocka_unit_test(test_malformed_frames),
		cmocka_unit_test(test_large_frame),
		cmocka_unit_test(test_writer_bound),
		cmocka_unit_test(test_descriptors),
		cmocka_unit_test(test_surplus_descriptors),
		cmocka_unit_test(test_blocking),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
