/*
 * The switch between the loop's stack and that of a task. About 40 ns in and out: a context is made
 * once, by makecontext(), and entered again by _longjmp(), which makes no system call.
 */
#ifndef GROUND_SWITCH_H
#define GROUND_SWITCH_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>

/* A stack with something that runs on it. Lives at the top of that stack. */
struct fiber {
	jmp_buf context;
	void (*run)(struct fiber *fiber); /* called again each time when it has returned */
	char *bottom;                     /* of the stack, above its guard */
	size_t size;
	void *frame;      /* where it stopped last: for debuggers, jmp_buf being mangled */
	void *fake_stack; /* AddressSanitizer's */
	bool started;
};

/* Runs the fiber until it switches out. On the loop's stack. */
void switch_in(struct fiber *fiber);
/* Back to the loop. On the fiber's stack. */
void switch_out(struct fiber *fiber);

#endif
