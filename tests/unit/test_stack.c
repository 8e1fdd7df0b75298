#include "ground/stack.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "test.h"

/* Can the kernel read this byte? Asks without dying of it. */
static bool
is_readable(const char *address)
{
	int ends[2];
	ssize_t written;

	assert_int_equal(pipe(ends), 0);
	written = write(ends[1], address, 1);
	close(ends[0]);
	close(ends[1]);
	return written == 1;
}

static void
check_slots(struct stacks *stacks)
{
	for (size_t i = 0; i < 5; i++) {
		char *slot = stacks_slot(stacks, i);
		size_t found = 99;

		assert_int_equal(stacks_take(stacks), (int64_t)i);
		memset(slot + STACK_GUARD, 1, STACK_SLOT - STACK_GUARD);
		assert_false(is_readable(slot));
		assert_false(is_readable(slot + STACK_GUARD - 1));
		assert_true(stacks_guarded(stacks, slot + STACK_GUARD - 1, &found));
		assert_int_equal(found, i);
		assert_false(stacks_guarded(stacks, slot + STACK_GUARD, &found));
		assert_false(stacks_guarded(stacks, slot + STACK_SLOT, &found));
	}
	assert_false(stacks_guarded(stacks, stacks, &(size_t){0}));
	assert_false(stacks_guarded(stacks, NULL, &(size_t){0}));
}

static void
test_best_guards(void **state)
{
	struct stacks stacks;
	ph_error error;

	assert_int_equal(stacks_open(&stacks, &error), 0);
	assert_true(stacks.limit >= 64 && stacks.limit <= STACK_MOST);
	check_slots(&stacks);
	stacks.limit = stacks.used;
	assert_int_equal(stacks_take(&stacks), -1);
	stacks_close(&stacks);
}

/* As on a kernel before 6.13. */
static void
test_old_guards(void **state)
{
	struct stacks stacks;

	assert_int_equal(stacks_open(&stacks, NULL), 0);
	stacks.light_guards = false;
	check_slots(&stacks);
	stacks_close(&stacks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_best_guards),
		cmocka_unit_test(test_old_guards),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
