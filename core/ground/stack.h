/*
 * The stacks of tasks: slots of one reservation of addresses. A slot is made usable when it is
 * first taken and stays so; the lowest 64 KiB of each are a guard that no access survives.
 */
#ifndef GROUND_STACK_H
#define GROUND_STACK_H

#include <posthouse/base.h>

enum {
	STACK_SLOT = 256 * 1024,
	STACK_GUARD = 64 * 1024,
	STACK_MOST = 65536 /* slots; 16 GiB of addresses */
};

struct stacks {
	char *base;
	size_t limit; /* slots that may be used */
	size_t used;  /* slots that were ever taken: 0 … used-1 are usable */
	bool light_guards; /* MADV_GUARD_INSTALL works: a guard costs no mapping */
};

/* Reserves addresses. How many slots: what vm.max_map_count allows. 0 or -1. */
int stacks_open(struct stacks *stacks, ph_error *error);
void stacks_close(struct stacks *stacks);
/* Makes the next slot usable; returns its number, or -1. */
int64_t stacks_take(struct stacks *stacks);

static inline char *
stacks_slot(const struct stacks *stacks, size_t slot)
{
	return stacks->base + slot * STACK_SLOT;
}

/* Does the address lie in the guard of a slot? Gives the slot. For the crash handler. */
bool stacks_guarded(const struct stacks *stacks, const void *address, size_t *slot);

#endif
