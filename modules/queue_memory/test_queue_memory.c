/* queue_memory does what every storage does. */
#include <string.h>

#include "../../tests/unit/queue_conformance.h"
#include "queue_memory.h"

static char path[256];

static void
prepare(void *self, const char *folder)
{
	struct queue_memory *memory = self;

	strcpy(path, folder);
	memory->path = path;
}

int
main(void)
{
	const struct queue_subject subject = {&posthouse_module_queue_memory, prepare};

	return queue_conformance(&subject);
}
