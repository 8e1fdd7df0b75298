/* A target that needs a task: the loop is made once. */
#ifndef FUZZ_LOOP_H
#define FUZZ_LOOP_H

/* Runs fn in a task until it and all tasks that it started have ended. */
void run_in_task(void (*fn)(void *argument), void *argument);

#endif
