#include "ground/stack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102 /* Linux 6.13 */
#endif

enum {
	OTHER_MAPPINGS = 5000, /* left to libraries, malloc and files */
	LEAST_SLOTS = 64
};

static size_t
max_map_count(void)
{
	char text[32];
	uint64_t value = 65530;
	ssize_t size;
	int fd = open("/proc/sys/vm/max_map_count", O_RDONLY | O_CLOEXEC);

	if (fd == -1)
		return value;
	size = read(fd, text, sizeof(text));
	close(fd);
	while (size > 0 && (text[size - 1] < '0' || text[size - 1] > '9'))
		size--;
	if (size > 0)
		ph_parse_uint((ph_span){.data = text, .size = (size_t)size}, SIZE_MAX, &value);
	return value;
}

/* A guard by mprotect() splits the mapping: two mappings a stack. Beyond the limit of mappings
 * every mmap() of the process fails, so it is never reached. */
static size_t
slot_limit(bool light_guards)
{
	size_t mappings = max_map_count();
	size_t slots = mappings > OTHER_MAPPINGS ? (mappings - OTHER_MAPPINGS) / 2 : 0;

	if (light_guards || slots > STACK_MOST)
		slots = STACK_MOST;
	return slots < LEAST_SLOTS ? LEAST_SLOTS : slots;
}

static bool
guards_are_light(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool works;

	if (page == MAP_FAILED)
		return false;
	works = madvise(page, size, MADV_GUARD_INSTALL) == 0;
	munmap(page, size);
	return works;
}

int
stacks_open(struct stacks *stacks, ph_error *error)
{
	bool light = guards_are_light();

	*stacks = (struct stacks){.light_guards = light, .limit = slot_limit(light)};
	for (;;) {
		stacks->base = mmap(NULL, stacks->limit * STACK_SLOT, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (stacks->base != MAP_FAILED)
			break;
		stacks->base = NULL;
		if (stacks->limit <= LEAST_SLOTS)
			return ph_error_set(error, "cannot reserve stacks: %s", strerror(errno));
		stacks->limit /= 2;
	}
	madvise(stacks->base, stacks->limit * STACK_SLOT, MADV_NOHUGEPAGE);
	return 0;
}

void
stacks_close(struct stacks *stacks)
{
	if (stacks->base != NULL)
		munmap(stacks->base, stacks->limit * STACK_SLOT);
	*stacks = (struct stacks){0};
}

int64_t
stacks_take(struct stacks *stacks)
{
	char *slot = stacks_slot(stacks, stacks->used);

	if (stacks->used == stacks->limit)
		return -1;
	if (stacks->light_guards) {
		if (mprotect(slot, STACK_SLOT, PROT_READ | PROT_WRITE) == -1 ||
			madvise(slot, STACK_GUARD, MADV_GUARD_INSTALL) == -1)
			return -1;
	} else if (mprotect(slot + STACK_GUARD, STACK_SLOT - STACK_GUARD, PROT_READ | PROT_WRITE) == -1) {
		return -1;
	}
	return (int64_t)stacks->used++;
}

bool
stacks_guarded(const struct stacks *stacks, const void *address, size_t *slot)
{
	uintptr_t offset = (uintptr_t)address - (uintptr_t)stacks->base;

	if (stacks->base == NULL || (uintptr_t)address < (uintptr_t)stacks->base ||
		offset / STACK_SLOT >= stacks->used)
		return false;
	*slot = offset / STACK_SLOT;
	return offset % STACK_SLOT < STACK_GUARD;
}
