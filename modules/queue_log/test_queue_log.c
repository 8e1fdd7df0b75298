/* queue_log does what every storage does. */
#include <string.h>

#include "../../tests/unit/queue_conformance.h"
#include "queue_log.h"

static char path[256], corrupt[256];

static void
prepare(void *self, const char *folder)
{
	struct queue_log *log = self;

	strcpy(path, folder);
	strcat(path, "/log");
	strcpy(corrupt, folder);
	strcat(corrupt, "/corrupt");
	*log = (struct queue_log){.path = path, .corrupt_path = corrupt,
		.segment_size = 1 << 20, .big_message_size = 256 << 10,
		.buffer_limit = 64 << 20, .spare_segments = 4, .verify = true};
}

int
main(void)
{
	const struct queue_subject subject = {&posthouse_module_queue_log, prepare};

	return queue_conformance(&subject);
}
