/*
 * A line composed in a signal handler.
 */
#ifndef GROUND_EMERGENCY_H
#define GROUND_EMERGENCY_H

#include <stddef.h>
#include <stdint.h>

struct emergency {
	char text[512];
	size_t size;
};

void emergency_put(struct emergency *line, const char *text);
void emergency_put_number(struct emergency *line, uint64_t number);
/* What the running task is and works for. */
void emergency_put_task(struct emergency *line);

#endif
