/*
 * A storage whose segments are any bytes: it can be owned, what it claims to have can be read or is
 * gone, and what is noted and removed stays so for the next owner. Each segment of the input begins
 * with a header's magic; one whose header has a number gets that number.
 */
#include "../../modules/queue_log/queue_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../modules/queue_log/record.h"
#include "../unit/queue_conformance.h"
#include "fuzz.h"
#include "loop.h"

#define MAX_ITEMS 64
#define MAX_SEGMENTS 4

struct input {
	const uint8_t *data;
	size_t size;
	const char *folder;
};

static char path[256], corrupt[256];

static void
prepare(void *self, const char *folder)
{
	struct queue_log *log = self;

	*log = (struct queue_log){.path = path, .corrupt_path = corrupt, .segment_size = 1 << 20,
		.big_message_size = 64 << 10, .buffer_limit = 1 << 20, .spare_segments = 0, .verify = true};
}

static const struct queue_subject subject = {&posthouse_module_queue_log, prepare};

static void
write_segment(const uint8_t *data, size_t size, unsigned number)
{
	struct segment_header header;
	char name[300];
	int fd;

	if (size >= SEGMENT_HEADER && segment_header_decode(data, &header) == 0 && header.number != 0)
		number = header.number;
	snprintf(name, sizeof name, "%s/%08x.seg", path, number);
	fd = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd != -1 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void
write_segments(const struct input *input)
{
	size_t begin = 0;
	unsigned number = 1;

	for (size_t at = 8; at + 8 <= input->size && number < MAX_SEGMENTS; at += 8)
		if (memcmp(input->data + at, "PHOUQLOG", 8) == 0 && at - begin >= SEGMENT_HEADER) {
			write_segment(input->data + begin, at - begin, number++);
			begin = at;
		}
	write_segment(input->data + begin, input->size - begin, number);
}

/* Every byte that the storage shows. */
static unsigned
touch(ph_span bytes)
{
	unsigned sum = 0;

	for (size_t i = 0; i < bytes.size; i++)
		sum += (unsigned char)bytes.data[i];
	return sum;
}

static void
read_message(void *self, const struct ph_queue_item *item)
{
	struct ph_queue_content content = {.size = sizeof content};
	ph_pool *pool = ph_pool_new(0);
	ph_error error = {""};
	struct stat status;

	switch (queue_ops(&subject)->read(self, item->handle, pool, &content, &error)) {
	case PH_FOUND:
		CHECK(fstat(content.fd, &status) == 0);
		CHECK(content.offset >= 0 && content.length >= 0 &&
			content.offset + content.length <= status.st_size);
		CHECK(memchr(content.id, 0, sizeof content.id) != NULL);
		touch(content.envelope);
		close(content.fd);
		break;
	case PH_FAILED:
		CHECK(error.text[0] != '\0');
		break;
	case PH_NOT_FOUND:
		break;
	}
	ph_pool_free(pool);
}

/* Takes all that there is; every third message is done with, the others get a note. How many stay. */
static size_t
own(const char *folder, bool change, size_t *notes)
{
	const struct ph_queue_ops *ops = queue_ops(&subject);
	void *self = queue_open(&subject, folder);
	struct ph_queue_item items[MAX_ITEMS];
	ph_error error = {""};
	size_t stay = 0;
	int count;

	*notes = 0;
	CHECK(ops->own(self, &error) == 0);
	while ((count = ops->claim(self, items, MAX_ITEMS, 0, &error)) > 0)
		for (int i = 0; i < count; i++) {
			CHECK(memchr(items[i].id, 0, sizeof items[i].id) != NULL);
			touch(items[i].envelope);
			for (uint32_t n = 0; n < items[i].note_count; n++)
				touch(items[i].notes[n]);
			read_message(self, &items[i]);
			*notes += items[i].note_count;
			if (change && items[i].handle % 3 == 0) {
				*notes -= items[i].note_count;
				CHECK(ops->remove(self, items[i].handle, items[i].token, &error) == 0);
				continue;
			}
			stay++;
			if (change) {
				++*notes;
				CHECK(ops->note(self, items[i].handle, items[i].token, ph_span_of("a note"),
					&error) == 0);
			}
		}
	CHECK(count == 0 && ops->sync(self, &error) == 0);
	ops->tend(self);
	CHECK(ops->disown(self, &error) == 0);
	queue_close(&subject, self);
	return stay;
}

static void
use(void *argument)
{
	const struct input *input = argument;
	size_t notes, again, count;

	write_segments(input);
	count = own(input->folder, true, &notes);
	CHECK(own(input->folder, false, &again) == count && again == notes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char folder[] = "/dev/shm/posthouse-fuzz-XXXXXX";
	struct input input = {data, size, folder};

	CHECK(mkdtemp(folder) != NULL);
	snprintf(path, sizeof path, "%s/log", folder);
	snprintf(corrupt, sizeof corrupt, "%s/corrupt", folder);
	CHECK(mkdir(path, 0700) == 0);
	run_in_task(use, &input);
	queue_folder_remove(strdup(folder));
	return 0;
}
