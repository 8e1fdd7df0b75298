#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "verdict.h"

static const struct {
	const char *nexthop;
	bool later;
	const char *status, *text;
} cases[] = {
	{"5.1.1 user unknown", false, "5.1.1", "user unknown"},
	{"4.7.1  later", true, "4.7.1", "later"},
	{"5.123.456 x", false, "5.123.456", "x"},
	{"4.3.2", true, "4.3.2", "mail is deferred"},
	{"5.1.1", false, "5.1.1", "mail is refused"},
	{"", false, "5.0.0", "mail is refused"},
	{"go away", false, "5.0.0", "go away"},
	{"2.0.0 no", false, "5.0.0", "2.0.0 no"},
	{"5.1 no", false, "5.0.0", "5.1 no"},
	{"5.1.1234 no", false, "5.0.0", "5.1.1234 no"},
	{"5.1.1x no", false, "5.0.0", "5.1.1x no"},
	{"5..1 no", false, "5.0.0", "5..1 no"},
	{"5", false, "5.0.0", "5"},
};

static void
reads_the_next_hop(void **unused)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verdict verdict = verdict_of(cases[i].nexthop);

		assert_int_equal(verdict.later, cases[i].later);
		assert_string_equal(verdict.status, cases[i].status);
		assert_string_equal(verdict.text, cases[i].text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(reads_the_next_hop)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
