/*
 * Pools of memory, and the text of an error.
 *
 * A pool is a chain of blocks, the newest first. Small pools cost little: the first block is 1 KiB,
 * each further one twice the last, up to 32 KiB. What is larger than half a block gets its own.
 */
#include <posthouse/base.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ground/sanitize.h"

enum {
	ALIGNMENT = 16,
	FIRST_BLOCK = 1024,
	LARGEST_BLOCK = 32 * 1024
};

/* Header and bytes in one allocation; the bytes begin aligned. */
struct block {
	struct block *next;
	size_t size; /* of the bytes */
	size_t used;
	size_t unused;
};

_Static_assert(sizeof(struct block) % ALIGNMENT == 0, "the bytes of a block are aligned");

struct ph_pool {
	struct block *newest; /* the one that is being filled */
	size_t limit;         /* 0: none */
	size_t given;         /* bytes handed out since the start or the last reset */
};

static char *
block_bytes(struct block *block)
{
	return (char *)(block + 1);
}

static struct block *
block_new(size_t size)
{
	struct block *block;

	if (size > SIZE_MAX - sizeof(*block))
		return NULL;
	block = malloc(sizeof(*block) + size);
	if (block == NULL)
		return NULL;
	*block = (struct block){.size = size};
	sanitize_poison(block_bytes(block), size);
	return block;
}

static void
block_free(struct block *block)
{
	sanitize_unpoison(block_bytes(block), block->size);
	free(block);
}

static void
block_free_chain(struct block *block)
{
	while (block != NULL) {
		struct block *next = block->next;

		block_free(block);
		block = next;
	}
}

static void *
block_take(struct block *block, size_t rounded, size_t size)
{
	char *memory = block_bytes(block) + block->used;

	block->used += rounded;
	sanitize_unpoison(memory, size);
	return memset(memory, 0, size);
}

ph_pool *
ph_pool_new(size_t limit)
{
	ph_pool *pool = malloc(sizeof(*pool));

	if (pool != NULL)
		*pool = (ph_pool){.limit = limit};
	return pool;
}

void
ph_pool_free(ph_pool *pool)
{
	if (pool == NULL)
		return;
	block_free_chain(pool->newest);
	free(pool);
}

void
ph_pool_reset(ph_pool *pool)
{
	struct block *block = pool->newest;
	struct block *kept = NULL;

	while (block != NULL) {
		struct block *next = block->next;

		if (kept == NULL && block->size <= FIRST_BLOCK)
			kept = block;
		else
			block_free(block);
		block = next;
	}
	pool->newest = kept;
	pool->given = 0;
	if (kept == NULL)
		return;
	kept->next = NULL;
	kept->used = 0;
	sanitize_poison(block_bytes(kept), kept->size);
}

/* A block of its own for something large; the one being filled stays the newest. */
static void *
take_alone(ph_pool *pool, size_t rounded, size_t size)
{
	struct block *block = block_new(rounded);

	if (block == NULL)
		return NULL;
	if (pool->newest != NULL) {
		block->next = pool->newest->next;
		pool->newest->next = block;
	} else {
		pool->newest = block;
	}
	return block_take(block, rounded, size);
}

static void *
take_from_next(ph_pool *pool, size_t rounded, size_t size)
{
	size_t next = FIRST_BLOCK - sizeof(struct block);
	struct block *block;

	if (pool->newest != NULL)
		next = pool->newest->size * 2;
	if (next > LARGEST_BLOCK)
		next = LARGEST_BLOCK;
	while (next < rounded)
		next *= 2;
	block = block_new(next);
	if (block == NULL)
		return NULL;
	block->next = pool->newest;
	pool->newest = block;
	return block_take(block, rounded, size);
}

void *
ph_pool_alloc(ph_pool *pool, size_t size)
{
	size_t rounded = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
	void *memory;

	if (rounded < size || rounded > PTRDIFF_MAX)
		return NULL;
	if (rounded == 0)
		rounded = ALIGNMENT;
	if (pool->limit != 0 && (pool->given > pool->limit || rounded > pool->limit - pool->given))
		return NULL;
	if (pool->newest != NULL && rounded <= pool->newest->size - pool->newest->used)
		memory = block_take(pool->newest, rounded, size);
	else if (rounded > LARGEST_BLOCK / 2)
		memory = take_alone(pool, rounded, size);
	else
		memory = take_from_next(pool, rounded, size);
	if (memory != NULL)
		pool->given += rounded;
	return memory;
}

void *
ph_pool_array(ph_pool *pool, size_t count, size_t size)
{
	size_t product;

	if (__builtin_mul_overflow(count, size, &product))
		return NULL;
	return ph_pool_alloc(pool, product);
}

char *
ph_pool_strdup(ph_pool *pool, const char *string)
{
	return ph_pool_copy(pool, ph_span_of(string));
}

char *
ph_pool_copy(ph_pool *pool, ph_span span)
{
	char *copy;

	if (span.size == SIZE_MAX)
		return NULL;
	copy = ph_pool_alloc(pool, span.size + 1);
	if (copy != NULL && span.size > 0)
		memcpy(copy, span.data, span.size);
	return copy;
}

char *
ph_pool_printf(ph_pool *pool, const char *format, ...)
{
	char *text = NULL;
	va_list arguments;
	int size;

	va_start(arguments, format);
	size = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (size < 0)
		return NULL;
	text = ph_pool_alloc(pool, (size_t)size + 1);
	if (text == NULL)
		return NULL;
	va_start(arguments, format);
	vsnprintf(text, (size_t)size + 1, format, arguments);
	va_end(arguments);
	return text;
}

/* The arguments may be the old text of the same error: it is written only when they are read. */
int
ph_error_set(ph_error *error, const char *format, ...)
{
	char text[sizeof(error->text)];
	va_list arguments;

	if (error == NULL)
		return -1;
	va_start(arguments, format);
	if (vsnprintf(text, sizeof(text), format, arguments) < 0)
		text[0] = '\0';
	va_end(arguments);
	memcpy(error->text, text, sizeof(text));
	return -1;
}
