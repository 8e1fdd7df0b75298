/* The end of content, in every way of cutting it. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "dotted.h"

#define BYTES(text) {text, sizeof(text) - 1}

struct content_case {
	ph_span in;
	ph_span out;
	size_t taken; /* of the input, when the end is in it; 0: it is not */
	bool bare_lf, bare_cr, nul, suspect;
};

static const struct content_case cases[] = {
	/* E1 */
	{BYTES(".\r\n"), BYTES(""), 3, 0, 0, 0, 0},
	{BYTES("a\r\n.\r\n"), BYTES("a\r\n"), 6, 0, 0, 0, 0},
	{BYTES("a\r\nb\r\n.\r\n"), BYTES("a\r\nb\r\n"), 9, 0, 0, 0, 0},
	{BYTES("a\r\n.\r\nNOOP\r\n"), BYTES("a\r\n"), 6, 0, 0, 0, 0},
	{BYTES("\r\n.\r\n"), BYTES("\r\n"), 5, 0, 0, 0, 0},
	/* not yet */
	{BYTES(""), BYTES(""), 0, 0, 0, 0, 0},
	{BYTES("a"), BYTES("a"), 0, 0, 0, 0, 0},
	{BYTES("a\r\n."), BYTES("a\r\n"), 0, 0, 0, 0, 0},
	{BYTES("a\r\n.\r"), BYTES("a\r\n"), 0, 0, 0, 0, 0},
	{BYTES("a.\r\n"), BYTES("a.\r\n"), 0, 0, 0, 0, 0},
	/* E2: a bare LF ends a line and never the content */
	{BYTES("a\n.\n"), BYTES("a\r\n.\r\n"), 0, 1, 0, 0, 1},
	{BYTES("a\n.\r\n"), BYTES("a\r\n.\r\n"), 0, 1, 0, 0, 1},
	{BYTES("a\r\n.\n"), BYTES("a\r\n.\r\n"), 0, 1, 0, 0, 1},
	{BYTES(".\n"), BYTES(".\r\n"), 0, 1, 0, 0, 1},
	{BYTES("a\n.\n.\r\n"), BYTES("a\r\n.\r\n.\r\n"), 0, 1, 0, 0, 1},
	{BYTES("a\n\r\n.\r\n"), BYTES("a\r\n\r\n"), 7, 1, 0, 0, 0},
	{BYTES("a\n.\r\n.\r\n"), BYTES("a\r\n.\r\n"), 8, 1, 0, 0, 1},
	{BYTES("a\n..b\nc\n"), BYTES("a\r\n.b\r\nc\r\n"), 0, 1, 0, 0, 0},
	{BYTES("\n"), BYTES("\r\n"), 0, 1, 0, 0, 0},
	/* E3: neither does a bare CR, which becomes a blank */
	{BYTES("a\r.\rb"), BYTES("a . b"), 0, 0, 1, 0, 0},
	{BYTES("a\r.\r\n"), BYTES("a .\r\n"), 0, 0, 1, 0, 0},
	{BYTES("a\r\n.\rb"), BYTES("a\r\n b"), 0, 0, 1, 0, 1},
	{BYTES("a\n.\rb"), BYTES("a\r\n b"), 0, 1, 1, 0, 1},
	{BYTES("\r\r\r\n"), BYTES("  \r\n"), 0, 0, 1, 0, 0},
	/* E4 */
	{BYTES("a\r\r\n.\r\r\n"), BYTES("a \r\n \r\n"), 0, 0, 1, 0, 1},
	{BYTES("a\r\r\n.\r\n"), BYTES("a \r\n"), 7, 0, 1, 0, 0},
	{BYTES("a\r\n\0.\r\n"), BYTES("a\r\n.\r\n"), 0, 0, 0, 1, 0},
	{BYTES("a\r\n.\0\r\n"), BYTES("a\r\n\r\n"), 0, 0, 0, 1, 0},
	{BYTES("a\r\0\n.\r\n"), BYTES("a \r\n.\r\n"), 0, 1, 1, 1, 1},
	{BYTES("\0\0a\0\r\n.\r\n"), BYTES("a\r\n"), 9, 0, 0, 1, 0},
	/* E5: one message, the second is its text */
	{BYTES("a\n.\nMAIL FROM:<b@c>\r\nDATA\r\nx\r\n.\r\n"),
		BYTES("a\r\n.\r\nMAIL FROM:<b@c>\r\nDATA\r\nx\r\n"), 33, 1, 0, 0, 1},
	/* E7 */
	{BYTES("\r\n..x\r\n"), BYTES("\r\n.x\r\n"), 0, 0, 0, 0, 0},
	{BYTES("..\r\n"), BYTES(".\r\n"), 0, 0, 0, 0, 0},
	{BYTES("...\r\n"), BYTES("..\r\n"), 0, 0, 0, 0, 0},
	{BYTES(".x\r\n"), BYTES("x\r\n"), 0, 0, 0, 0, 0},
	{BYTES("..\r\n.\r\n"), BYTES(".\r\n"), 7, 0, 0, 0, 0},
	/* E11: the content is not looked into */
	{BYTES(" a: b\r\n.\r\n"), BYTES(" a: b\r\n"), 10, 0, 0, 0, 0},
	{BYTES("\xff\xfe\x80\r\n.\r\n"), BYTES("\xff\xfe\x80\r\n"), 8, 0, 0, 0, 0},
};

struct result {
	char out[256];
	size_t size;
};

static void
collect(void *context, ph_span bytes)
{
	struct result *result = context;

	assert_true(bytes.size > 0);
	assert_true(result->size + bytes.size <= sizeof(result->out));
	memcpy(result->out + result->size, bytes.data, bytes.size);
	result->size += bytes.size;
}

/* Feeds the input cut behind each byte whose bit is set. A piece lies in memory of its own size, so
 * that a sanitizer sees a read beyond it. */
static void
feed_cut(const struct content_case *c, uint64_t cuts)
{
	struct dotted dotted = {0};
	struct result result = {.size = 0};
	size_t start = 0, taken = 0;

	for (size_t i = 0; i < c->in.size && dotted.state != DOTTED_END; i++) {
		size_t n = i + 1 - start;
		char *piece;

		if (i + 1 < c->in.size && (cuts >> i & 1) == 0)
			continue;
		piece = malloc(n);
		assert_non_null(piece);
		memcpy(piece, c->in.data + start, n);
		taken += dotted_feed(&dotted, (ph_span){piece, n}, collect, &result);
		assert_true(dotted.state == DOTTED_END || taken == i + 1);
		free(piece);
		start = i + 1;
	}
	assert_int_equal(dotted.state == DOTTED_END, c->taken != 0);
	if (c->taken != 0)
		assert_int_equal(taken, c->taken);
	assert_int_equal(result.size, c->out.size);
	assert_memory_equal(result.out, c->out.data, result.size);
	assert_int_equal(dotted.bare_lf, c->bare_lf);
	assert_int_equal(dotted.bare_cr, c->bare_cr);
	assert_int_equal(dotted.nul, c->nul);
	assert_int_equal(dotted.suspect, c->suspect);
}

/* Short ones are cut in every possible way, longer ones in every three pieces and singly. */
static void
test_cuts(void **state)
{
	for (size_t k = 0; k < sizeof(cases) / sizeof(cases[0]); k++) {
		size_t n = cases[k].in.size;

		if (n <= 12) {
			for (uint64_t cuts = 0; cuts < (UINT64_C(1) << n); cuts++)
				feed_cut(&cases[k], cuts);
			continue;
		}
		feed_cut(&cases[k], UINT64_MAX);
		for (size_t i = 0; i < n; i++)
			for (size_t j = i; j < n; j++)
				feed_cut(&cases[k], UINT64_C(1) << i | UINT64_C(1) << j);
	}
}

/* Every string of up to seven of the bytes that matter, whole and singly: the same; and what comes
 * out has neither a bare CR nor a bare LF, and the end is where the two naive searches see it. */
static void
check_string(const char *text, size_t size)
{
	struct dotted whole = {0}, single = {0};
	struct result a = {.size = 0}, b = {.size = 0};
	size_t taken = dotted_feed(&whole, (ph_span){text, size}, collect, &a), one = 0, end = 0;

	while (one < size && single.state != DOTTED_END)
		one += dotted_feed(&single, (ph_span){text + one, 1}, collect, &b);
	assert_int_equal(taken, one);
	assert_int_equal(whole.state, single.state);
	assert_int_equal(a.size, b.size);
	assert_memory_equal(a.out, b.out, a.size);
	for (size_t i = 0; i < a.size; i++) {
		if (a.out[i] == '\n')
			assert_true(i > 0 && a.out[i - 1] == '\r');
		if (a.out[i] == '\r' && i + 1 < a.size)
			assert_true(a.out[i + 1] == '\n');
	}
	if (size >= 3 && memcmp(text, ".\r\n", 3) == 0)
		end = 3;
	for (size_t i = 0; end == 0 && i + 5 <= size; i++)
		if (memcmp(text + i, "\r\n.\r\n", 5) == 0)
			end = i + 5;
	assert_int_equal(whole.state == DOTTED_END, end != 0);
	if (end != 0)
		assert_int_equal(taken, end);
}

static void
test_all_strings(void **state)
{
	static const char alphabet[] = {'\r', '\n', '.', 'a', '\0'};
	char text[8];

	for (size_t n = 0; n <= 8; n++) {
		size_t count = 1;

		for (size_t i = 0; i < n; i++)
			count *= sizeof(alphabet);
		for (size_t k = 0; k < count; k++) {
			size_t rest = k;

			for (size_t i = 0; i < n; i++, rest /= sizeof(alphabet))
				text[i] = alphabet[rest % sizeof(alphabet)];
			check_string(text, n);
		}
	}
}

static unsigned calls;

static void
count_calls(void *context, ph_span bytes)
{
	calls++;
	*(size_t *)context += bytes.size;
}

/* Clean content goes through in one run for each piece. */
static void
test_large_runs(void **state)
{
	static char text[100000];
	struct dotted dotted = {0};
	size_t size = 0;

	for (size_t i = 0; i < sizeof(text); i += 50) {
		memset(text + i, 'x', 48);
		memcpy(text + i + 48, "\r\n", 2);
	}
	calls = 0;
	assert_int_equal(dotted_feed(&dotted, (ph_span){text, sizeof(text)}, count_calls, &size),
		sizeof(text));
	assert_int_equal(calls, 1);
	assert_int_equal(size, sizeof(text));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_all_strings),
		cmocka_unit_test(test_large_runs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
