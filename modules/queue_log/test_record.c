/* Records as bytes, names, the index: what is pure. */
#include <stdlib.h>
#include <string.h>

#include "../../tests/unit/test.h"
#include "index.h"
#include "name.h"
#include "record.h"

static struct record
sample(void)
{
	struct record record = {.type = RECORD_MESSAGE, .flags = PH_CONTENT_8BIT | RECORD_BIG,
		.identity = UINT64_C(0x1122334455667788), .offset = 4096 + 64, .durable = 4096,
		.envelope_size = 77, .content_size = UINT64_C(0x123456789a), .arrival = 1234567890,
		.place = 42, .envelope_crc = 0xdeadbeef, .content_crc = 0x01020304};

	assert_true(record_id_set(&record, "4F1B2C3D4E5F"));
	return record;
}

static void
test_round_trip(void **state)
{
	unsigned char bytes[RECORD_HEADER];
	struct record record = sample(), back;

	record_encode(&record, bytes);
	assert_int_equal(record_decode(bytes, record.identity, record.offset, &back), RECORD_FITS);
	assert_int_equal(back.type, record.type);
	assert_int_equal(back.flags, record.flags);
	assert_int_equal(back.durable, record.durable);
	assert_int_equal(back.envelope_size, record.envelope_size);
	assert_int_equal(back.content_size, record.content_size);
	assert_int_equal(back.arrival, record.arrival);
	assert_int_equal(back.place, record.place);
	assert_int_equal(back.envelope_crc, record.envelope_crc);
	assert_int_equal(back.content_crc, record.content_crc);
	assert_string_equal(back.id, record.id);
}

/* The format on disk does not change by accident. */
static void
test_golden(void **state)
{
	unsigned char bytes[RECORD_HEADER];
	struct record record = sample();

	record_encode(&record, bytes);
	assert_int_equal(record_crc(0, bytes, sizeof bytes), UINT32_C(0xb46ddd10));
}

/* Each bit counts: nothing that is changed in any way fits. */
static void
test_bits(void **state)
{
	unsigned char bytes[RECORD_HEADER];
	struct record record = sample(), back;

	record_encode(&record, bytes);
	for (size_t bit = 0; bit < sizeof bytes * 8; bit++) {
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
		assert_int_not_equal(
			record_decode(bytes, record.identity, record.offset, &back), RECORD_FITS);
		bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
	}
	assert_int_equal(record_decode(bytes, record.identity + 1, record.offset, &back),
		RECORD_OTHER);
	assert_int_equal(record_decode(bytes, record.identity, record.offset + 8, &back),
		RECORD_OTHER);
}

/* A header with a good CRC that makes no sense. */
static void
test_nonsense(void **state)
{
	unsigned char bytes[RECORD_HEADER];
	struct record records[] = {sample(), sample(), sample(), sample()}, back;

	records[0].envelope_size = UINT64_MAX;
	records[1].content_size = UINT64_C(1) << 60;
	records[2].durable = records[2].offset + 8;
	memset(records[3].id, 'A', sizeof records[3].id);
	for (size_t i = 0; i < 4; i++) {
		record_encode(records + i, bytes);
		assert_int_equal(record_decode(bytes, records[i].identity, records[i].offset,
			&back), RECORD_DAMAGED);
	}
	assert_false(record_id_set(&back, "123456789012345678901234"));
	assert_true(record_id_set(&back, "12345678901234567890123"));
}

static void
test_size(void **state)
{
	static const struct {
		uint64_t envelope, content;
		uint32_t flags;
		uint64_t size;
	} cases[] = {
		{0, 0, 0, 104},
		{1, 0, 0, 112},
		{8, 0, 0, 112},
		{5, 3, 0, 112},
		{5, 4, 0, 120},
		{5, 1000000, RECORD_BIG, 112},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct record record = {.envelope_size = cases[i].envelope,
			.content_size = cases[i].content, .flags = cases[i].flags};

		assert_int_equal(record_size(&record), cases[i].size);
	}
}

static void
test_search(void **state)
{
	unsigned char *bytes = calloc(1, 4096);
	struct record record = sample();
	size_t from = 0;

	record.offset = 8192 + 1608;
	record.durable = 0;
	record_encode(&record, bytes + 1608);
	/* One of another segment does not count, nor one at another place. */
	record.identity++;
	record.offset = 8192 + 800;
	record_encode(&record, bytes + 800);
	record.identity--;
	record_encode(&record, bytes + 400);
	assert_true(record_search(bytes, 4096, 8192, record.identity, &from));
	assert_int_equal(from, 1608);
	from = 1609;
	assert_false(record_search(bytes, 4096, 8192, record.identity, &from));
	assert_true(from > 4096 - RECORD_HEADER);
	/* The search goes on behind it without a gap, from unaligned places too. */
	from = 3;
	assert_false(record_search(bytes, 1608 + RECORD_HEADER - 1, 8192, record.identity, &from));
	assert_int_equal(from, 1608);
	free(bytes);
}

static void
test_segment_header(void **state)
{
	unsigned char *bytes = malloc(SEGMENT_HEADER);
	struct segment_header header = {.major = SEGMENT_MAJOR, .number = 42, .identity = 99,
		.compactions = 3, .created = 12345}, back;

	segment_header_encode(&header, bytes);
	assert_int_equal(segment_header_decode(bytes, &back), 0);
	assert_int_equal(back.number, 42);
	assert_int_equal(back.identity, 99);
	assert_int_equal(back.compactions, 3);
	assert_int_equal(back.created, 12345);
	bytes[17] ^= 1; /* the second copy stands in */
	assert_int_equal(segment_header_decode(bytes, &back), 0);
	assert_int_equal(back.identity, 99);
	bytes[2048 + 17] ^= 1;
	assert_int_equal(segment_header_decode(bytes, &back), -1);
	header.major++;
	segment_header_encode(&header, bytes);
	assert_int_equal(segment_header_decode(bytes, &back), -2);
	free(bytes);
}

static void
test_names(void **state)
{
	static const struct {
		const char *text;
		struct name name;
	} cases[] = {
		{"0000002a.seg", {NAME_SEGMENT, 42, 0, 0}},
		{"ffffffff.new", {NAME_NEW, UINT32_MAX, 0, 0}},
		{"0000002a.dead", {NAME_DEAD, 42, 0, 0}},
		{"0000002a.copy", {NAME_COPY, 42, 0, 0}},
		{"spare-0000002a", {NAME_SPARE, 42, 0, 0}},
		{"0000002a-00000000000000ff-00000200.big", {NAME_BIG, 42, 255, 4096}},
		{"00000000000000ff.part", {NAME_PART, 0, 255, 0}},
	};
	static const char *const others[] = {"", "index", "2a.seg", "0000002A.seg", "0000002a.seg2",
		"0000002a", "spare-0000002a.seg", "0000002a-ff-00000200.big", "owner.lock",
		"0000002a-00000000000000ff-00000200.bi"};
	char path[FILE_PATH_ROOM];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct name name = name_parse(cases[i].text);

		assert_int_equal(name.kind, cases[i].name.kind);
		assert_int_equal(name.number, cases[i].name.number);
		assert_int_equal(name.identity, cases[i].name.identity);
		assert_int_equal(name.offset, cases[i].name.offset);
		assert_string_equal(name_path("/x", &name, path) + 3, cases[i].text);
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		assert_int_equal(name_parse(others[i]).kind, NAME_OTHER);
}

/* Many entries come and go; those that stay are found, with their notes in order. */
static void
test_index(void **state)
{
	struct index index;
	struct entry *entry;
	uint32_t n = 0, found = 0;

	assert_int_equal(index_init(&index), 0);
	for (uint64_t i = 0; i < 20000; i++) {
		entry = index_get(&index, HANDLE(i % 7 + 1, 4096 + i * 8));
		assert_non_null(entry);
		assert_int_equal(index_add_note(&index, entry, 900, 3), 1);
		assert_int_equal(index_add_note(&index, entry, 100, 1), 1);
		assert_int_equal(index_add_note(&index, entry, 500, 2), 1);
		assert_int_equal(index_add_note(&index, entry, 500, 2), 0);
		assert_int_equal(index_add_note(&index, entry, 900, 2), 0);
	}
	for (uint64_t i = 0; i < 20000; i++)
		if (i % 3 != 0)
			index_remove(&index, index_find(&index, HANDLE(i % 7 + 1, 4096 + i * 8)));
	for (uint64_t i = 0; i < 20000; i++) {
		entry = index_find(&index, HANDLE(i % 7 + 1, 4096 + i * 8));
		assert_true((entry != NULL) == (i % 3 == 0));
		if (entry == NULL)
			continue;
		assert_int_equal(entry->note_count, 3);
		assert_int_equal(index_note(&index, entry->first_note)->size, 1);
		assert_int_equal(index_note(&index, entry->last_note)->size, 3);
		assert_ptr_equal(index_entry(&index, index_number(&index, entry)), entry);
	}
	while (index_next(&index, &n) != NULL)
		found++;
	assert_int_equal(found, index.live);
	/* What was freed is used again. */
	n = index.entry_count;
	for (uint64_t i = 0; i < 10000; i++)
		assert_non_null(index_get(&index, HANDLE(100, i * 8)));
	assert_int_equal(index.entry_count, n);
	index_clear(&index);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_segment_header),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_index),
	};

	return cmocka_run_group_tests_name("queue_log_record", tests, NULL, NULL);
}
