#include "config/grow.h"

#include <string.h>
#include <sysexits.h>
#include <unistd.h>

void *
memory_or_die(void *pointer)
{
	static const char text[] = "posthouse: out of memory while reading the configuration\n";

	if (!pointer) {
		ssize_t ignored = write(STDERR_FILENO, text, sizeof(text) - 1);

		(void)ignored;
		_exit(EX_OSERR);
	}
	return pointer;
}

void *
grow(ph_pool *pool, void *items, size_t count, size_t *room, size_t size)
{
	void *grown;

	if (count < *room)
		return items;
	*room = count ? 2 * count : 8;
	grown = memory_or_die(ph_pool_array(pool, *room, size));
	if (count)
		memcpy(grown, items, count * size);
	return grown;
}
