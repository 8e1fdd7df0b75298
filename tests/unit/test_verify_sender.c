/* Who probes come from, and how long that is known. */
#include "test.h"

#include <string.h>

#include "intake/verify_sender.h"

static const char *
sender(ph_pool *pool, const char *address, int64_t ttl, int64_t now)
{
	struct settings settings = {.address_verify_sender = address, .address_verify_sender_ttl = ttl * 1000,
		.append_at_myorigin = true, .myorigin = "here.example"};

	return verify_sender(pool, &settings, now);
}

static const char *
base(ph_pool *pool, const char *address, int64_t ttl, int64_t now, const char *given)
{
	struct settings settings = {.address_verify_sender = address, .address_verify_sender_ttl = ttl * 1000,
		.append_at_myorigin = true, .myorigin = "here.example"};
	const char *found = verify_sender_base(pool, &settings, now, given);

	return found == NULL ? "none" : found;
}

static void
test_lasting(void **state)
{
	ph_pool *pool = ph_pool_new(0);

	assert_string_equal(sender(pool, "probe", 0, 5), "probe@here.example");
	assert_string_equal(sender(pool, "p@x.example", 0, 5), "p@x.example");
	assert_string_equal(sender(pool, "<>", 0, 5), "");
	assert_string_equal(sender(pool, "<>", 9, 5), "");
	assert_string_equal(sender(pool, "", 9, 5), "");
	assert_string_equal(base(pool, "probe", 0, 5, "Probe@HERE.example"), "probe@here.example");
	assert_string_equal(base(pool, "probe", 0, 5, "probe"), "none");
	assert_string_equal(base(pool, "probe", 0, 5, "probe1@here.example"), "none");
	assert_string_equal(base(pool, "<>", 0, 5, ""), "none");
	ph_pool_free(pool);
}

static void
test_changing(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	const char *now;

	assert_string_equal(sender(pool, "p", 10, 5), "p0@here.example");
	assert_string_equal(sender(pool, "p@x", 10, 300), "pZ@x");
	assert_string_equal(sender(pool, "p@x", 10, 310), "p10@x");
	now = sender(pool, "p@x", 3600, 1700000000);
	assert_string_equal(now, "pHVCZ@x");
	for (int period = -3; period <= 3; period++) {
		bool known = period >= -1 && period <= 1;

		assert_string_equal(base(pool, "p@x", 3600, 1700000000 + 3600 * period, now), known ? "p@x" : "none");
	}
	assert_string_equal(base(pool, "p@x", 3600, 1700000000, "phvcz@X"), "p@x");
	assert_string_equal(base(pool, "p@x", 3600, 1700000000, "p@x"), "none");
	ph_pool_free(pool);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lasting),
		cmocka_unit_test(test_changing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
