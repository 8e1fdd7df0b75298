/* Notes: what goes in comes out; hostile bytes do no harm. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "pool.h"
#include "queue/note.h"

static const struct note_range ranges[] = {{0, 1}, {3, 2}, {1000000, 70000}};
static const struct note_address addresses[] = {{"a@example.com", PH_TARGET_ADDRESS, "", "", ""},
	{"b@example.com", PH_TARGET_USER, "", "", ""},
	{"b@example.com", PH_TARGET_COMMAND, "/usr/bin/filter -x", "joe", "owner-b@example.com"},
	{"c@example.net", PH_TARGET_FORWARD, "b@example.com", "", ""}};
static const struct note samples[] = {
	{.type = NOTE_RESULT, .attempt = 1, .outcome = OUTCOME_SENT, .ranges = ranges, .range_count = 3},
	{.type = NOTE_DEFERRED, .attempt = 300, .status = "4.4.1", .text = "connect to x: refused",
		.ranges = ranges, .range_count = 2},
	{.type = NOTE_EXPANDED, .attempt = 2, .parent = 7, .first = 12, .part = 1, .last = true,
		.addresses = addresses, .address_count = 4},
	{.type = NOTE_SCHEDULE, .attempt = 4, .time = INT64_MAX},
	{.type = NOTE_HOLD, .time = 1, .text = "by an operator"},
	{.type = NOTE_RELEASE, .time = 2},
	{.type = NOTE_DEATH, .attempt = 3, .time = 3, .text = "smtp"},
};
#define SAMPLES (sizeof(samples) / sizeof(samples[0]))

static void
assert_same(const struct note *a, const struct note *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->attempt, b->attempt);
	assert_int_equal(a->outcome, b->outcome);
	assert_int_equal(a->time, b->time);
	assert_string_equal(a->status == NULL ? "" : a->status, b->status);
	assert_string_equal(a->text == NULL ? "" : a->text, b->text);
	assert_int_equal(a->parent, b->parent);
	assert_int_equal(a->first, b->first);
	assert_int_equal(a->part, b->part);
	assert_int_equal(a->last, b->last);
	assert_int_equal(a->range_count, b->range_count);
	for (size_t i = 0; i < a->range_count; i++) {
		assert_int_equal(a->ranges[i].first, b->ranges[i].first);
		assert_int_equal(a->ranges[i].count, b->ranges[i].count);
	}
	assert_int_equal(a->address_count, b->address_count);
	for (size_t i = 0; i < a->address_count; i++) {
		assert_string_equal(a->addresses[i].address, b->addresses[i].address);
		assert_int_equal(a->addresses[i].kind, b->addresses[i].kind);
		assert_string_equal(a->addresses[i].what, b->addresses[i].what);
		assert_string_equal(a->addresses[i].user, b->addresses[i].user);
		assert_string_equal(a->addresses[i].sender, b->addresses[i].sender);
	}
}

static ph_span
all_samples(void)
{
	struct note_writer writer;

	note_writer_begin(&writer, pool);
	for (size_t i = 0; i < SAMPLES; i++)
		note_put(&writer, &samples[i]);
	assert_false(writer.failed);
	return note_bytes(&writer);
}

static void
test_round_trip(void **state)
{
	ph_span rest = all_samples();
	struct note note;

	for (size_t i = 0; i < SAMPLES; i++) {
		assert_int_equal(note_next(&rest, pool, &note, NULL), 1);
		assert_same(&samples[i], &note);
	}
	assert_int_equal(note_next(&rest, pool, &note, NULL), 0);
}

static void
test_unknown_type_is_skipped(void **state)
{
	char bytes[300] = "\x63\x03xyz";
	ph_span known = all_samples(), rest = {bytes, 5 + known.size};
	struct note note;

	assert_true(known.size < sizeof(bytes) - 5);
	memcpy(bytes + 5, known.data, known.size);
	assert_int_equal(note_next(&rest, pool, &note, NULL), 1);
	assert_same(&samples[0], &note);
}

/* Every truncation and every flipped bit ends, and gives nothing out of bounds. */
static void
test_hostile(void **state)
{
	ph_span good = all_samples();
	struct note note;
	ph_error error;

	for (size_t size = 0; size < good.size; size++) {
		char *copy = malloc(size + 1);
		ph_span rest = {copy, size};

		memcpy(copy, good.data, size);
		while (note_next(&rest, pool, &note, &error) == 1)
			continue;
		free(copy);
	}
	for (size_t bit = 0; bit < good.size * 8; bit++) {
		char *copy = malloc(good.size);
		ph_span rest = {copy, good.size};

		memcpy(copy, good.data, good.size);
		copy[bit / 8] ^= (char)(1 << bit % 8);
		while (note_next(&rest, pool, &note, &error) == 1)
			for (size_t i = 0; i < note.range_count; i++)
				assert_true((uint64_t)note.ranges[i].first + note.ranges[i].count <=
					UINT32_MAX);
		free(copy);
		ph_pool_reset(pool);
		good = all_samples();
	}
}

static void
test_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
	} cases[] = {
		{"\x01", 1},                                             /* no length */
		{"\x01\x05\x00", 3},                                     /* cut off */
		{"\x01\x05\x00\x01\x01\x00\x00", 7},                     /* an empty range */
		{"\x01\x05\x00\x00\x01\x00\x01", 7},                     /* done, with no outcome */
		{"\x01\x06\x00\x01\xff\xff\xff\x7f", 8},                 /* more ranges than bytes */
		{"\x05\x04\x00\x00\x02" "a", 6},                         /* a text that is cut off */
		{"\x05\x05\x00\x00\x02" "a\0", 7},                       /* a NUL in it */
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11},    /* a number without end */
		{"\x03\x07\x00\x00\x00\x00\x02\x01\x01", 9},             /* no flag of an address */
	};
	struct note note;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_span rest = {cases[i].bytes, cases[i].size};
		ph_error error = {""};

		assert_int_equal(note_next(&rest, pool, &note, &error), -1);
		assert_string_not_equal(error.text, "");
	}
}

static void
test_ranges(void **state)
{
	static const uint32_t numbers[] = {0, 1, 2, 5, 7, 8};
	struct note_range *list;

	assert_int_equal(note_ranges(pool, numbers, 6, &list), 3);
	assert_int_equal(list[0].count, 3);
	assert_int_equal(list[1].first, 5);
	assert_int_equal(list[2].first, 7);
	assert_int_equal(list[2].count, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, pool_setup, pool_teardown),
		cmocka_unit_test_setup_teardown(test_unknown_type_is_skipped, pool_setup, pool_teardown),
		cmocka_unit_test_setup_teardown(test_hostile, pool_setup, pool_teardown),
		cmocka_unit_test_setup_teardown(test_malformed, pool_setup, pool_teardown),
		cmocka_unit_test_setup_teardown(test_ranges, pool_setup, pool_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
