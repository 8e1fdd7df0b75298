#include "loop.h"

#include "fuzz.h"
#include "ground/buffer.h"
#include "ground/logger.h"
#include "ground/loop.h"

struct run {
	void (*fn)(void *argument);
	void *argument;
};

/* What peers sent is escaped in the log: one line, nothing that a terminal obeys. */
static void
check_line(const char *component, ph_log_level level, const char *line, void *context)
{
	for (; *line != '\0'; line++)
		CHECK((unsigned char)*line >= 0x20 && *line != 0x7f);
}

static void
task(void *argument)
{
	struct run *run = argument;

	run->fn(run->argument);
	while (loop_task_count() > 1)
		CHECK(ph_yield() == PH_WAIT_OK);
	loop_break();
}

void
run_in_task(void (*fn)(void *argument), void *argument)
{
	static bool open;
	struct run run = {fn, argument};
	ph_error error;

	if (!open) {
		CHECK(loop_open(&error) == 0);
		open = true;
	}
	logger_capture(check_line, NULL);
	CHECK(ph_task_spawn("fuzz", task, &run).generation != 0);
	loop_run();
	CHECK(loop_task_count() == 0);
	logger_capture(NULL, NULL);
	buffers_trim(); /* spare ones are poisoned: the leak checker does not follow their links */
}
