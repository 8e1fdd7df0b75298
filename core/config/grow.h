/*
 * Arrays that grow in a pool. A configuration that does not fit into memory ends the process: it is
 * read at start-up, or by a generation that is replaced by the one before it.
 */
#ifndef CONFIG_GROW_H
#define CONFIG_GROW_H

#include <posthouse/base.h>

/* pointer, or the end of the process when it is NULL. */
void *memory_or_die(void *pointer);
/* Room for one element more behind count. Returns the array, which may have moved. */
void *grow(ph_pool *pool, void *items, size_t count, size_t *room, size_t size);

#endif
