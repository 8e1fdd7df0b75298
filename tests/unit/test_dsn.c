/* The parameters of RFC 3461, there and back. */
#include "test.h"

#include <string.h>

#include <posthouse/dsn.h>

#include "pool.h"

static void
test_xtext(void **state)
{
	static const char *const good[][2] = {{"", ""}, {"abc", "abc"}, {"+41+2B+3D", "A+="},
		{"a+20b+0A", "a b\n"}, {"+FF", "\xff"}};
	static const char *const bad[] = {"+", "+4", "+4g", "+4a", "+00", "a=b", "a b", "a\x7f", "\xc3\xa9"};
	char all[256];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_string_equal(ph_xtext_decode(pool, ph_span_of(good[i][0])), good[i][1]);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_null(ph_xtext_decode(pool, ph_span_of(bad[i])));
	for (size_t i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	const char *encoded = ph_xtext_encode(pool, all);

	assert_null(strpbrk(encoded, "= \r\n"));
	assert_string_equal(ph_xtext_decode(pool, ph_span_of(encoded)), all);
}

static void
test_notify(void **state)
{
	for (uint32_t value = 1; value < 16; value++) {
		uint32_t parsed = 0;

		if ((value & PH_NOTIFY_NEVER) != 0 && value != PH_NOTIFY_NEVER)
			continue;
		assert_int_equal(ph_dsn_notify_parse(ph_span_of(ph_dsn_notify_text(value)), &parsed), 0);
		assert_int_equal(parsed, value);
	}
	assert_string_equal(ph_dsn_notify_text(0), "");
}

static const char *
repeated(char c, size_t size)
{
	char *text = ph_pool_alloc(pool, size + 1);

	memset(text, c, size);
	return text;
}

/* Values as long as the RFC allows, and one longer. */
static void
test_lengths(void **state)
{
	const char *value, *prefix = "rfc822;";
	size_t type = strlen(prefix);

	assert_int_equal(ph_dsn_envid_parse(pool, ph_span_of(repeated('x', PH_DSN_ENVID_MAX)), &value), 0);
	assert_int_equal(ph_dsn_envid_parse(pool, ph_span_of(repeated('x', PH_DSN_ENVID_MAX + 1)), &value), -1);
	assert_non_null(ph_dsn_envid_text(pool, repeated('=', PH_DSN_ENVID_MAX / 3)));
	assert_null(ph_dsn_envid_text(pool, repeated('=', PH_DSN_ENVID_MAX / 3 + 1)));
	value = ph_pool_printf(pool, "%s%s", prefix, repeated('x', PH_DSN_ORCPT_MAX - type));
	assert_string_equal(ph_dsn_orcpt_text(pool, value), value);
	assert_int_equal(ph_dsn_orcpt_parse(pool, ph_span_of(value), &value), 0);
	value = ph_pool_printf(pool, "%s%s", prefix, repeated('x', PH_DSN_ORCPT_MAX - type + 1));
	assert_null(ph_dsn_orcpt_text(pool, value));
	assert_int_equal(ph_dsn_orcpt_parse(pool, ph_span_of(value), &value), -1);
}

/* What is passed on means what came in. */
static void
test_orcpt(void **state)
{
	const char *orcpt;

	assert_int_equal(ph_dsn_orcpt_parse(pool, ph_span_of("rfc822;\"a+20b+3Bc\"@example.org"), &orcpt), 0);
	assert_string_equal(orcpt, "rfc822;\"a b;c\"@example.org");
	assert_string_equal(ph_dsn_orcpt_text(pool, orcpt), "rfc822;\"a+20b;c\"@example.org");
	assert_null(ph_dsn_orcpt_text(pool, "nothing"));
	assert_int_equal(ph_dsn_orcpt_parse(pool, ph_span_of("=x;a"), &orcpt), -1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xtext),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_orcpt),
	};

	return cmocka_run_group_tests(tests, pool_setup, pool_teardown);
}
