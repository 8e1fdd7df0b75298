/*
 * Where the header section ends, however it was cut; its fields; what is known of content.
 */
#include "test.h"

#include "intake/header.h"
#include "intake/scan.h"

#include <stdlib.h>
#include <string.h>

static const struct {
	const char *content;
	enum header_end end;
	size_t section, body, fields;
} cases[] = {
	{"A: b\r\nC: d\r\n\r\nbody\r\n", HEADER_BLANK, 12, 14, 2},
	{"A: b\nC: d\n\nbody\n", HEADER_BLANK, 10, 11, 2},
	{"A: b\r\n folded\r\n\tmore\r\nC: d\r\n\r\n", HEADER_BLANK, 28, 30, 2},
	{"\r\nbody\r\n", HEADER_BLANK, 0, 2, 0},
	{" folded\r\nA: b\r\n\r\n", HEADER_NO_BLANK, 0, 0, 0},
	{"A: b\r\nno header here\r\n\r\n", HEADER_NO_BLANK, 6, 6, 1},
	{"A: b\r\n: no name\r\n", HEADER_NO_BLANK, 6, 6, 1},
	{"A: b\r\nOld style : yes\r\n", HEADER_NO_BLANK, 6, 6, 1},
	{"Old \t: yes\r\n\r\n", HEADER_BLANK, 12, 14, 1},
	{"A:\r\n\r\n", HEADER_BLANK, 4, 6, 1},
	{"A: b\r\n", HEADER_MORE, 0, 0, 0},
	{"A: b", HEADER_MORE, 0, 0, 0},
	{"\xc3\xa4: b\r\n\r\n", HEADER_NO_BLANK, 0, 0, 0},
	{"A: b\r\n\r\r\n", HEADER_NO_BLANK, 6, 6, 1},
};

/* The scan sees an exact copy of what there is so far. */
static enum header_end
scan_in_steps(ph_span content, size_t step, struct header_scan *scan)
{
	enum header_end end = HEADER_MORE;

	*scan = (struct header_scan){.line = 0};
	for (size_t size = 0; size < content.size && end == HEADER_MORE;) {
		size = size + step < content.size ? size + step : content.size;
		char *copy = malloc(size);

		memcpy(copy, content.data, size);
		end = header_scan(scan, (ph_span){copy, size});
		free(copy);
	}
	return end;
}

static void
ends(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_span content = ph_span_of(cases[i].content);

		for (size_t step = 1; step <= content.size; step++) {
			struct header_scan scan;

			assert_int_equal(scan_in_steps(content, step, &scan), cases[i].end);
			if (cases[i].end == HEADER_MORE)
				continue;
			assert_int_equal(scan.section, cases[i].section);
			assert_int_equal(scan.body, cases[i].body);
			assert_int_equal(header_count_fields((ph_span){content.data, scan.section}),
				cases[i].fields);
		}
	}
}

static char *
repeat(const char *text, size_t size, ph_span tail, ph_span *whole)
{
	size_t unit = strlen(text);
	char *data = malloc(size + tail.size);

	for (size_t i = 0; i < size; i++)
		data[i] = text[i % unit];
	memcpy(data + size, tail.data, tail.size);
	*whole = (ph_span){data, size + tail.size};
	return data;
}

static void
too_large(void **state)
{
	static const struct {
		const char *unit;
		size_t size;
		const char *tail;
		enum header_end end;
		size_t section;
	} large[] = {
		/* 8 bytes a field: the limit is a multiple of it. */
		{"A: 345\r\n", HEADER_SECTION_LIMIT, "\r\nbody", HEADER_BLANK, HEADER_SECTION_LIMIT},
		{"A: 345\r\n", HEADER_SECTION_LIMIT, "B: c\r\n\r\n", HEADER_TOO_LARGE, HEADER_SECTION_LIMIT},
		{"A: 345\r\n", 2 * HEADER_SECTION_LIMIT, "\r\n", HEADER_TOO_LARGE, HEADER_SECTION_LIMIT},
		{"A: 34567", 2 * HEADER_SECTION_LIMIT, "\r\n\r\n", HEADER_TOO_LARGE, 0},
		{"AAAAAAAA", 2 * HEADER_SECTION_LIMIT, "\r\n\r\n", HEADER_NO_BLANK, 0},
		{"A: 5\r\n b\r\n", 2 * HEADER_SECTION_LIMIT, "\r\n", HEADER_TOO_LARGE,
			HEADER_SECTION_LIMIT / 10 * 10},
	};
	static const size_t steps[] = {4096, 32768, 65537, SIZE_MAX / 2};

	for (size_t i = 0; i < sizeof(large) / sizeof(large[0]); i++) {
		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++) {
			struct header_scan scan;
			ph_span whole;
			char *data = repeat(large[i].unit, large[i].size, ph_span_of(large[i].tail), &whole);

			assert_int_equal(scan_in_steps(whole, steps[j], &scan), large[i].end);
			assert_int_equal(scan.section, large[i].section);
			free(data);
		}
	}
}

static void
assert_span(ph_span span, const char *expected)
{
	assert_true(ph_span_equal(span, ph_span_of(expected)));
}

static void
fields(void **state)
{
	struct header list[3];

	assert_int_equal(
		header_split(ph_span_of("Subject : a\r\n  b\r\nTo:\r\nMessage-ID: <1@x> \r\n"), list), 3);
	assert_span(header_name(&list[0]), "Subject");
	assert_span(header_value(&list[0]), " a\r\n  b");
	assert_span(header_trim(header_value(&list[0])), "a\r\n  b");
	assert_span(header_name(&list[1]), "To");
	assert_span(header_value(&list[1]), "");
	assert_span(header_trim(header_value(&list[2])), "<1@x>");
	assert_true(header_is(&list[2], "message-id"));
	assert_false(header_is(&list[2], "message"));
}

static void
content_facts(void **state)
{
	static const struct {
		const char *content;
		bool dot, eight, crlf;
	} facts[] = {
		{"a\r\nb\r\n", false, false, true},
		{".a\r\n", true, false, true},
		{"a.b\r\n.\r\n", true, false, true},
		{"a\r\n\r\n..b", true, false, false},
		{"abcdefgh\xc3\xa4\r\n", false, true, true},
		{"abcdefghijklmno\xff", false, true, false},
		{"a\n", false, false, false},
		{"", false, false, false},
	};

	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
		size_t size = strlen(facts[i].content);

		for (size_t step = 1; step <= size + 1; step++) {
			struct content_scan scan = {.mid_line = false};

			for (size_t at = 0; at < size; at += step)
				content_scan(&scan,
					(ph_span){facts[i].content + at, size - at < step ? size - at : step});
			assert_int_equal(scan.dot_lines, facts[i].dot);
			assert_int_equal(scan.eight_bit, facts[i].eight);
			assert_int_equal(scan.ends_crlf, facts[i].crlf);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends),
		cmocka_unit_test(too_large),
		cmocka_unit_test(fields),
		cmocka_unit_test(content_facts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
