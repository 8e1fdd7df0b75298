/* Connection counts that processes share. */
#include "test.h"

#include "process/role.h"
#include "session/limits.h"

static ph_address
address_of(const char *text)
{
	ph_address address;

	assert_int_equal(ph_address_parse(ph_span_of(text), &address), 0);
	return address;
}

static void
test_counts(void **state)
{
	ph_address a = address_of("192.0.2.1"), b = address_of("192.0.2.2");

	assert_int_equal(limits_create(2, NULL), 0);
	limits_attach(0);
	assert_int_equal(limits_enter(&a), 1);
	assert_int_equal(limits_enter(&a), 2);
	assert_int_equal(limits_enter(&b), 1);
	limits_attach(1);
	assert_int_equal(limits_enter(&a), 3);
	limits_leave(&a);
	limits_attach(0);
	limits_leave(&a);
	assert_int_equal(limits_enter(&a), 2);
	limits_leave(&a);
	limits_leave(&a);
	limits_leave(&a);
	assert_int_equal(limits_enter(&a), 1);
	limits_destroy();
}

/* A process died: what it had counted is gone. */
static void
test_clear(void **state)
{
	ph_address a = address_of("192.0.2.1");

	assert_int_equal(limits_create(2, NULL), 0);
	limits_attach(1);
	for (unsigned i = 1; i <= 5; i++)
		assert_int_equal(limits_enter(&a), i);
	limits_attach(0);
	assert_int_equal(limits_enter(&a), 6);
	limits_clear(1);
	assert_int_equal(limits_enter(&a), 2);
	limits_clear(7);
	limits_destroy();
}

static void
test_networks(void **state)
{
	ph_address a = address_of("2001:db8::1"), b = address_of("2001:db8::2");
	ph_address c = address_of("2001:db8:0:1::1"), one = address_of("::1"), two = address_of("::2");

	assert_int_equal(limits_create(1, NULL), 0);
	limits_attach(0);
	assert_int_equal(limits_enter(&a), 1);
	assert_int_equal(limits_enter(&b), 2);
	assert_int_equal(limits_enter(&c), 1);
	assert_int_equal(limits_enter(&one), 1);
	assert_int_equal(limits_enter(&two), 1);
	limits_destroy();
}

/* The table is bounded: what does not fit is not counted, and what is counted is counted right. */
static void
test_full(void **state)
{
	unsigned counted = 0;

	assert_int_equal(limits_create(1, NULL), 0);
	limits_attach(0);
	for (unsigned i = 0; i < 100000; i++) {
		ph_address a = address_of("10.0.0.0");
		unsigned n;

		a.bytes[1] = (uint8_t)(i >> 16);
		a.bytes[2] = (uint8_t)(i >> 8);
		a.bytes[3] = (uint8_t)i;
		n = limits_enter(&a);
		assert_in_range(n, 0, 1);
		counted += n;
	}
	assert_in_range(counted, 2048, 4096);
	limits_destroy();
}

static void
test_without(void **state)
{
	ph_address a = address_of("192.0.2.1");

	limits_attach(0);
	assert_int_equal(limits_enter(&a), 0);
	limits_leave(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_clear),
		cmocka_unit_test(test_networks),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_without),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
