#include <posthouse/base.h>

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "test.h"

static void
test_spans(void **state)
{
	assert_int_equal(ph_span_of(NULL).size, 0);
	assert_true(ph_span_equal(ph_span_of(NULL), ph_span_of("")));
	assert_true(ph_span_equal(ph_span_of("a"), ph_span_of("a")));
	assert_false(ph_span_equal(ph_span_of("a"), ph_span_of("A")));
	assert_true(ph_span_equal_nocase(ph_span_of("aZ[\xc3\xa4"), ph_span_of("Az[\xc3\xa4")));
	assert_false(ph_span_equal_nocase(ph_span_of("["), ph_span_of("{")));
	assert_int_equal(ph_strcasecmp("EHLO", "ehlo"), 0);
	assert_true(ph_strcasecmp("a", "b") < 0);
	assert_true(ph_strcasecmp("ab", "a") > 0);
	assert_true(ph_strcasecmp("a", "\xff") < 0);
}

static void
test_parse_uint(void **state)
{
	static const struct {
		const char *text;
		uint64_t max;
		int result;
		uint64_t value;
	} cases[] = {
		{"0", 10, 0, 0}, {"10", 10, 0, 10}, {"11", 10, -1, 0}, {"", 10, -1, 0}, {"+1", 10, -1, 0},
		{"-1", 10, -1, 0}, {" 1", 10, -1, 0}, {"1 ", 10, -1, 0}, {"0x1", 10, -1, 0},
		{"18446744073709551615", UINT64_MAX, 0, UINT64_MAX},
		{"18446744073709551616", UINT64_MAX, -1, 0}, {"99999999999999999999", UINT64_MAX, -1, 0},
		{"0000000000000000000000007", 10, 0, 7},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t value = 12345;

		assert_int_equal(ph_parse_uint(ph_span_of(cases[i].text), cases[i].max, &value),
			cases[i].result);
		assert_true(value == (cases[i].result == 0 ? cases[i].value : 12345));
	}
}

static void
test_parse_int(void **state)
{
	static const struct {
		const char *text;
		int64_t min, max;
		int result;
		int64_t value;
	} cases[] = {
		{"5", -5, 5, 0, 5}, {"-5", -5, 5, 0, -5}, {"-6", -5, 5, -1, 0}, {"-", -5, 5, -1, 0},
		{"--1", -5, 5, -1, 0}, {"-0", 0, 5, 0, 0},
		{"9223372036854775807", INT64_MIN, INT64_MAX, 0, INT64_MAX},
		{"9223372036854775808", INT64_MIN, INT64_MAX, -1, 0},
		{"-9223372036854775808", INT64_MIN, INT64_MAX, 0, INT64_MIN},
		{"-9223372036854775809", INT64_MIN, INT64_MAX, -1, 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t value = 12345;

		assert_int_equal(ph_parse_int(ph_span_of(cases[i].text), cases[i].min, cases[i].max, &value),
			cases[i].result);
		assert_true(value == (cases[i].result == 0 ? cases[i].value : 12345));
	}
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *text;
		const char *back; /* NULL: no address */
		int family;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", AF_INET}, {"2001:DB8::1", "2001:db8::1", AF_INET6},
		{"::1", "::1", AF_INET6}, {"::ffff:192.0.2.1", "::ffff:192.0.2.1", AF_INET6},
		{"fe80::1%2", "fe80::1%2", AF_INET6}, {"192.0.2", NULL, 0}, {"192.0.2.256", NULL, 0},
		{"", NULL, 0}, {"[::1]", NULL, 0}, {"1.2.3.4%5", NULL, 0}, {"fe80::1%x", NULL, 0},
		{"192.0.2.1 ", NULL, 0},
		{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111", NULL, 0},
	};
	char text[PH_ADDRESS_TEXT];
	ph_address address;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int result = ph_address_parse(ph_span_of(cases[i].text), &address);

		assert_int_equal(result, cases[i].back == NULL ? -1 : 0);
		if (result == -1)
			continue;
		assert_int_equal(address.family, cases[i].family);
		assert_string_equal(ph_address_text(&address, text), cases[i].back);
	}
}

static void
test_address_equal(void **state)
{
	static const struct {
		const char *a, *b;
		bool equal;
	} cases[] = {
		{"192.0.2.1", "192.0.2.1", true}, {"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true}, {"::192.0.2.1", "192.0.2.1", false},
		{"::1", "::1", true}, {"::1", "::2", false}, {"fe80::1%1", "fe80::1%2", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_address a, b;

		assert_int_equal(ph_address_parse(ph_span_of(cases[i].a), &a), 0);
		assert_int_equal(ph_address_parse(ph_span_of(cases[i].b), &b), 0);
		a.port = 25;
		assert_int_equal(ph_address_equal(&a, &b), cases[i].equal);
		assert_int_equal(ph_address_equal(&b, &a), cases[i].equal);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_spans),
		cmocka_unit_test(test_parse_uint),
		cmocka_unit_test(test_parse_int),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_address_equal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
