/*
 * Dates of RFC 5322.
 */
#include "test.h"

#include "intake/date.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void
formats(void **state)
{
	static const struct {
		int64_t second;
		int offset;
		const char *zone, *text;
	} cases[] = {
		{1518883689, 7200, "EET", "Sat, 17 Feb 2018 18:08:09 +0200 (EET)"},
		{0, 0, "UTC", "Thu, 1 Jan 1970 00:00:00 +0000 (UTC)"},
		{1709210096, -12600, "NST", "Thu, 29 Feb 2024 09:04:56 -0330 (NST)"},
		{1735689599, 0, NULL, "Tue, 31 Dec 2024 23:59:59 +0000"},
		{1735689599, 20700, "", "Wed, 1 Jan 2025 05:44:59 +0545"},
		{0, 0, "a)b", "Thu, 1 Jan 1970 00:00:00 +0000"},
	};
	char text[DATE_SIZE];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		date_format(cases[i].second, cases[i].offset, cases[i].zone, text);
		assert_string_equal(text, cases[i].text);
	}
}

static void
local_time_and_its_cache(void **state)
{
	char text[DATE_SIZE];

	setenv("TZ", "EET-2", 1);
	tzset();
	for (int i = 0; i < 2; i++) {
		assert_string_equal(date_text(INT64_C(1518883689000000), text),
			"Sat, 17 Feb 2018 18:08:09 +0200 (EET)");
		assert_string_equal(date_text(INT64_C(1518883690999999), text),
			"Sat, 17 Feb 2018 18:08:10 +0200 (EET)");
	}
}

static void
compact(void **state)
{
	char text[15];

	date_compact(INT64_C(1518883689123456), text);
	assert_string_equal(text, "20180217160809");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats),
		cmocka_unit_test(local_time_and_its_cache),
		cmocka_unit_test(compact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
