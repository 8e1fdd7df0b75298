#undef _FORTIFY_SOURCE /* its longjmp() refuses to go up a stack that it does not know */

#include "ground/switch.h"

#include <stdlib.h>
#include <ucontext.h>

#include "ground/sanitize.h"

static struct {
	jmp_buf context;
	void *fake_stack;
	const void *bottom; /* of the loop's stack, for AddressSanitizer */
	size_t size;
	struct fiber *starting;
	sanitize_jump_fn *jump;
} loop_side;

/* The first frame of every fiber; never returns. */
static void
enter(void)
{
	struct fiber *fiber = loop_side.starting;

	sanitize_switch_finish(NULL, &loop_side.bottom, &loop_side.size);
	for (;;) {
		fiber->run(fiber);
		switch_out(fiber);
	}
}

/* Leaves the present stack for a new one. */
static void
start(struct fiber *fiber)
{
	static ucontext_t first; /* nearly a kilobyte, needed once */

	if (getcontext(&first) == -1)
		abort();
	first.uc_stack.ss_sp = fiber->bottom;
	first.uc_stack.ss_size = fiber->size;
	first.uc_link = NULL;
	loop_side.starting = fiber;
	fiber->started = true;
	makecontext(&first, enter, 0);
	setcontext(&first);
	abort();
}

void
switch_in(struct fiber *fiber)
{
	if (loop_side.jump == NULL)
		loop_side.jump = sanitize_jump();
	sanitize_switch_start(&loop_side.fake_stack, fiber->bottom, fiber->size);
	if (_setjmp(loop_side.context) == 0) {
		if (!fiber->started)
			start(fiber);
		loop_side.jump(fiber->context, 1);
	}
	sanitize_switch_finish(loop_side.fake_stack, NULL, NULL);
}

void
switch_out(struct fiber *fiber)
{
	fiber->frame = __builtin_frame_address(0);
	sanitize_switch_start(&fiber->fake_stack, loop_side.bottom, loop_side.size);
	if (_setjmp(fiber->context) == 0)
		loop_side.jump(loop_side.context, 1);
	sanitize_switch_finish(fiber->fake_stack, &loop_side.bottom, &loop_side.size);
}
