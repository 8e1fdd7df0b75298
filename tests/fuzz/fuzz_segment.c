/*
 * A segment file of any bytes: its header, and both ways of reading it. What is found lies in the
 * file, in order, without overlaps; what is read while the writer lives is the beginning of what
 * recovery finds.
 */
#include "fuzz.h"

#include "../../modules/queue_log/scan.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int
file(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd == -1)
		fd = memfd_create("segment", MFD_CLOEXEC);
	CHECK(fd != -1 && ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	return fd;
}

static void
check_scan(const struct scan *scan, size_t size)
{
	uint64_t at = scan->from;

	CHECK(scan->error == 0 && scan->end >= scan->from);
	for (size_t i = 0; i < scan->count; i++) {
		const struct record *record = &scan->records[i];

		CHECK(record->offset >= at && record->offset % 8 == 0);
		at = record->offset + record_size(record);
		CHECK(at <= size && at > record->offset && memchr(record->id, 0, sizeof record->id) != NULL);
	}
	at = scan->from;
	for (size_t i = 0; i < scan->damage_count; i++) {
		const struct damage *damage = &scan->damages[i];

		CHECK(damage->offset >= scan->from && damage->offset <= size);
		CHECK(memchr(damage->id, 0, sizeof damage->id) != NULL);
	}
	CHECK(!scan->sealed || scan->count + scan->damage_count > 0);
}

static void
read_segment(int fd, size_t size, uint64_t identity, uint64_t from)
{
	struct scan live = {.files = &file_system, .fd = fd, .identity = identity, .from = from,
		.limit = size};
	struct scan whole = live, verified = live;

	whole.whole = verified.whole = verified.verify = true;
	CHECK(scan_run(&live) == 0 && scan_run(&whole) == 0 && scan_run(&verified) == 0);
	check_scan(&live, size);
	check_scan(&whole, size);
	check_scan(&verified, size);
	CHECK(live.count <= whole.count && verified.count <= whole.count);
	for (size_t i = 0; i < live.count; i++)
		CHECK(live.records[i].offset == whole.records[i].offset);
	scan_clear(&live);
	scan_clear(&whole);
	scan_clear(&verified);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_header header = {.identity = 0x0807060504030201};
	uint64_t from = SEGMENT_HEADER;

	if (size >= SEGMENT_HEADER && segment_header_decode(data, &header) == 0) {
		unsigned char *bytes = malloc(SEGMENT_HEADER);

		segment_header_encode(&header, bytes);
		CHECK(segment_header_decode(bytes, &header) == 0);
		free(bytes);
	} else {
		from = 0; /* a short input: records from the start */
	}
	read_segment(file(data, size), size, header.identity, from);
	return 0;
}
