/*
 * What the sendmail command says on the local socket, cut anywhere: what is queued has proper line
 * ends, whatever came.
 */
#include "../../modules/listener_local/submission.h"

#include "../unit/fake_queue.h"
#include "fuzz.h"
#include "loop.h"

#include <string.h>

struct input {
	const char *data;
	size_t size;
};

static void
check_content(const char *data, size_t size)
{
	CHECK(size >= 2 && memcmp(data + size - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < size; i++) {
		CHECK(data[i] != '\n' || (i > 0 && data[i - 1] == '\r'));
		CHECK(data[i] != '\r' || data[i + 1] == '\n');
	}
}

static void
check_queued(void)
{
	const struct envelope *envelope = &fake_queue.envelope;

	CHECK(envelope->recipient_count > 0);
	check_content(fake_queue.content, fake_queue.size);
	CHECK(strncmp(fake_queue.content, "Received: ", 10) == 0);
	CHECK(strpbrk(envelope->sender, "\r\n") == NULL);
	for (size_t i = 0; i < envelope->recipient_count; i++)
		CHECK(strchr(envelope->recipients[i].address, '@') != NULL);
}

static void
submit(void *argument)
{
	const struct input *input = argument;
	struct user user = {.uid = 1000, .name = "joe", .full_name = "Joe (\"the\" user)"};
	struct submission *submission = submission_new(NULL, &user);
	enum frames_result result = FRAMES_MORE;
	size_t step = input->size % 31 + 1 + input->size / 64;
	ph_reply reply = {0};

	for (size_t at = 0; at < input->size && result == FRAMES_MORE; at += step) {
		size_t size = input->size - at < step ? input->size - at : step;

		result = submission_feed(submission, (ph_span){input->data + at, size});
	}
	if (result == FRAMES_END) {
		if (submission_commit(submission, &reply) == PH_INTAKE_QUEUED)
			check_queued();
		CHECK(reply.code >= 200 && reply.code <= 599 && strpbrk(reply.text, "\r\n") == NULL);
	}
	submission_free(submission);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {(const char *)data, size};

	fake_reset();
	run_in_task(submit, &input);
	CHECK(fake_queue.begun == fake_queue.committed + fake_queue.aborted);
	fake_free();
	return 0;
}
