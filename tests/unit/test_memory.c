#include <posthouse/base.h>

#include <string.h>

#include "test.h"

static void
test_grows(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	unsigned char *previous = NULL;

	for (size_t size = 0; size < 3000; size += 7) {
		unsigned char *memory = ph_pool_alloc(pool, size);

		assert_non_null(memory);
		assert_int_equal((uintptr_t)memory % 16, 0);
		assert_true(memory != previous);
		for (size_t i = 0; i < size; i++)
			assert_int_equal(memory[i], 0);
		memset(memory, 0xa5, size);
		previous = memory;
	}
	assert_non_null(ph_pool_alloc(pool, 1000000));
	ph_pool_reset(pool);
	assert_non_null(ph_pool_alloc(pool, 900));
	ph_pool_free(pool);
	ph_pool_free(NULL);
}

static void
test_limit(void **state)
{
	ph_pool *pool = ph_pool_new(4096);

	assert_null(ph_pool_alloc(pool, 4097));
	assert_non_null(ph_pool_alloc(pool, 4000));
	assert_non_null(ph_pool_alloc(pool, 96));
	assert_null(ph_pool_alloc(pool, 1));
	ph_pool_reset(pool);
	assert_non_null(ph_pool_alloc(pool, 4096));
	ph_pool_free(pool);
}

static void
test_overflow(void **state)
{
	ph_pool *pool = ph_pool_new(0);

	assert_null(ph_pool_alloc(pool, SIZE_MAX));
	assert_null(ph_pool_alloc(pool, SIZE_MAX - 8));
	assert_null(ph_pool_array(pool, SIZE_MAX / 2, 3));
	assert_non_null(ph_pool_array(pool, 3, 5));
	ph_pool_free(pool);
}

static void
test_strings(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	char large[5000];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_string_equal(ph_pool_strdup(pool, "abc"), "abc");
	assert_string_equal(ph_pool_strdup(pool, NULL), "");
	assert_string_equal(ph_pool_copy(pool, (ph_span){.data = "abcdef", .size = 3}), "abc");
	assert_string_equal(ph_pool_printf(pool, "%d-%s", 7, "x"), "7-x");
	assert_string_equal(ph_pool_printf(pool, "%s", large), large);
	ph_pool_free(pool);
}

static void
test_error(void **state)
{
	ph_error error;
	char large[600];

	memset(large, 'x', sizeof(large) - 1);
	large[sizeof(large) - 1] = '\0';
	assert_int_equal(ph_error_set(NULL, "%d", 1), -1);
	assert_int_equal(ph_error_set(&error, "no %s", "luck"), -1);
	ph_error_set(&error, "file: %s", error.text);
	assert_string_equal(error.text, "file: no luck");
	ph_error_set(&error, "%s", large);
	assert_int_equal(strlen(error.text), sizeof(error.text) - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_overflow),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
