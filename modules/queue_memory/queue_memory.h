/*
 * The module's instance.
 */
#ifndef QUEUE_MEMORY_H
#define QUEUE_MEMORY_H

#include <posthouse/module.h>

struct memory;

struct queue_memory {
	const char *path; /* parameter */
	struct memory *memory;
};

extern const struct ph_module posthouse_module_queue_memory;

#endif
