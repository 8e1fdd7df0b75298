/*
 * What AddressSanitizer has to be told: memory of pools that is not in use, and which stack runs.
 * Without it these functions do nothing.
 */
#ifndef GROUND_SANITIZE_H
#define GROUND_SANITIZE_H

#include <setjmp.h>
#include <stddef.h>

/* A longjmp(); not declared to be one that never returns, see sanitize_jump(). */
typedef void sanitize_jump_fn(jmp_buf context, int value);

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GROUND_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(GROUND_ASAN)
#define GROUND_ASAN 1
#endif

#ifdef GROUND_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#define GROUND_SANITIZED 1

/* The C library's own: the sanitizer's takes the poison off the stack that is left, and overflows
 * in frames that had been suspended would go unseen. So would they if the compiler knew that the
 * call does not return. */
sanitize_jump_fn *sanitize_jump(void);

static inline void
sanitize_poison(void *memory, size_t size)
{
	void *volatile hidden = memory; /* gcc takes it for a read of fresh memory */

	__asan_poison_memory_region(hidden, size);
}

static inline void
sanitize_unpoison(void *memory, size_t size)
{
	__asan_unpoison_memory_region(memory, size);
}

static inline void
sanitize_switch_start(void **fake_stack, const void *bottom, size_t size)
{
	__sanitizer_start_switch_fiber(fake_stack, bottom, size);
}

static inline void
sanitize_switch_finish(void *fake_stack, const void **bottom, size_t *size)
{
	__sanitizer_finish_switch_fiber(fake_stack, bottom, size);
}

#else

#define GROUND_SANITIZED 0

static inline sanitize_jump_fn *
sanitize_jump(void)
{
	return (sanitize_jump_fn *)_longjmp;
}

static inline void
sanitize_poison(void *memory, size_t size)
{
	(void)memory;
	(void)size;
}

static inline void
sanitize_unpoison(void *memory, size_t size)
{
	(void)memory;
	(void)size;
}

static inline void
sanitize_switch_start(void **fake_stack, const void *bottom, size_t size)
{
	(void)fake_stack;
	(void)bottom;
	(void)size;
}

static inline void
sanitize_switch_finish(void *fake_stack, const void **bottom, size_t *size)
{
	(void)fake_stack;
	(void)bottom;
	(void)size;
}

#endif

#endif
