/* What is known of addresses: records, the table, and the file, whole and damaged. */
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <posthouse/task.h>

#include "ground/logger.h"
#include "ground/loop.h"
#include "queue/verify_file.h"

#define NOW INT64_C(1700000000)
#define HOUR 3600

static const struct verify_limits limits = {.entries = 4, .positive_expire = 10 * HOUR,
	.positive_refresh = 2 * HOUR, .negative_expire = 5 * HOUR, .negative_refresh = HOUR, .negative = true};

static struct verify_record
record_of(enum verify_status status, int64_t updated, const char *address, const char *text)
{
	return (struct verify_record){.status = status, .updated = updated,
		.address = ph_span_of(address), .text = ph_span_of(text)};
}

static bool
put(struct verify_cache *cache, enum verify_status status, int64_t now, const char *address)
{
	struct verify_record record = record_of(status, now, address, "why");

	return verify_cache_put(cache, &record, now);
}

/* "status probe" of an address. */
static const char *
look(struct verify_cache *cache, int64_t now, const char *address)
{
	static const char *const names[] = {"", "good", "later", "bad", "unknown"};
	static char said[32];
	struct verify_answer answer;

	verify_cache_look(cache, ph_span_of(address), now, &answer);
	snprintf(said, sizeof(said), "%s%s", names[answer.status], answer.probe ? " probe" : "");
	return said;
}

/* ---- Records ----------------------------------------------------------------------------------- */

static void
test_records(void **state)
{
	char bytes[3 * VERIFY_RECORD_MAX], big[3000];
	struct verify_record in[] = {record_of(VERIFY_DELIVERABLE, NOW, "a@b.example", "250 Ok"),
		record_of(VERIFY_UNDELIVERABLE, -5, "x", ""), {.status = VERIFY_DEFERRED, .address = {big, 1024},
			.text = {big, 3000}}}, out;
	size_t size = 0, skipped = 0;
	ph_span rest;

	memset(big, 'x', sizeof(big));
	for (size_t i = 0; i < 3; i++)
		size += verify_record_put(&in[i], bytes + size);
	rest = (ph_span){bytes, size};
	for (size_t i = 0; i < 3; i++) {
		assert_true(verify_record_next(&rest, &out, &skipped));
		assert_int_equal(out.status, in[i].status);
		assert_int_equal(out.updated, in[i].updated);
		assert_true(ph_span_equal(out.address, in[i].address));
		assert_int_equal(out.text.size, i == 2 ? VERIFY_TEXT_MAX : in[i].text.size);
	}
	assert_false(verify_record_next(&rest, &out, &skipped));
	assert_int_equal(skipped, 0);
}

/* Whatever bit is flipped, that record is passed over and no other. */
static void
test_flipped_bits(void **state)
{
	char bytes[3 * VERIFY_RECORD_MAX];
	struct verify_record in = record_of(VERIFY_DELIVERABLE, NOW, "a@b.example", "250 Ok"), out;
	size_t one = 0, size = 0;

	for (size_t i = 0; i < 3; i++)
		size += one = verify_record_put(&in, bytes + size);
	for (size_t bit = one * 8; bit < 2 * one * 8; bit++) {
		size_t skipped = 0, count = 0;
		ph_span rest = {bytes, size};

		bytes[bit / 8] ^= (char)(1 << bit % 8);
		while (verify_record_next(&rest, &out, &skipped))
			count++;
		bytes[bit / 8] ^= (char)(1 << bit % 8);
		if (count != 2 || skipped != one)
			fail_msg("bit %zu: %zu records, %zu bytes passed over", bit, count, skipped);
	}
}

/* ---- The table --------------------------------------------------------------------------------- */

static void
test_times(void **state)
{
	static const struct {
		enum verify_status status;
		int64_t age;
		const char *said;
	} cases[] = {
		{VERIFY_DELIVERABLE, 0, "good"},
		{VERIFY_DELIVERABLE, 2 * HOUR, "good"},
		{VERIFY_DELIVERABLE, 2 * HOUR + 1, "good probe"},
		{VERIFY_DELIVERABLE, 10 * HOUR, "good probe"},
		{VERIFY_DELIVERABLE, 10 * HOUR + 1, "unknown probe"},
		{VERIFY_UNDELIVERABLE, HOUR, "bad"},
		{VERIFY_UNDELIVERABLE, HOUR + 1, "bad probe"},
		{VERIFY_UNDELIVERABLE, 5 * HOUR + 1, "unknown probe"},
		{VERIFY_DEFERRED, 5 * HOUR, "later probe"},
		{VERIFY_DEFERRED, 5 * HOUR + 1, "unknown probe"},
		/* a clock that was ahead */
		{VERIFY_DELIVERABLE, -HOUR, "good"},
		{VERIFY_DELIVERABLE, -HOUR - 1, "unknown probe"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct verify_cache *cache = verify_cache_new(&limits);

		assert_string_equal(look(cache, NOW, "a@b"), "unknown probe");
		assert_true(put(cache, cases[i].status, NOW, "a@b"));
		if (strcmp(look(cache, NOW + cases[i].age, "a@b"), cases[i].said) != 0)
			fail_msg("%zu: %s", i, look(cache, NOW + cases[i].age, "a@b"));
		assert_string_equal(look(cache, NOW, "A@b"), "unknown probe");
		verify_cache_free(cache);
	}
}

/* Somebody was told to send a probe: nobody else is, until it is lost. */
static void
test_one_refresh(void **state)
{
	struct verify_cache *cache = verify_cache_new(&limits);
	int64_t later = NOW + 3 * HOUR;

	put(cache, VERIFY_DELIVERABLE, NOW, "a@b");
	assert_string_equal(look(cache, later, "a@b"), "good probe");
	assert_string_equal(look(cache, later + 1000, "a@b"), "good");
	assert_string_equal(look(cache, later + 1001, "a@b"), "good probe");
	put(cache, VERIFY_DELIVERABLE, later + 1002, "a@b");
	assert_string_equal(look(cache, later + 1002, "a@b"), "good");
	verify_cache_free(cache);
}

static void
test_failure_after_success(void **state)
{
	struct verify_cache *cache = verify_cache_new(&limits);

	put(cache, VERIFY_DELIVERABLE, NOW, "a@b");
	assert_false(put(cache, VERIFY_UNDELIVERABLE, NOW + 9 * HOUR, "a@b"));
	assert_string_equal(look(cache, NOW + HOUR, "a@b"), "good");
	assert_true(put(cache, VERIFY_UNDELIVERABLE, NOW + 11 * HOUR, "a@b"));
	assert_string_equal(look(cache, NOW + 11 * HOUR, "a@b"), "bad");
	assert_true(put(cache, VERIFY_DELIVERABLE, NOW + 11 * HOUR, "a@b"));
	assert_string_equal(look(cache, NOW + 11 * HOUR, "a@b"), "good");
	assert_int_equal(verify_cache_count(cache), 1);
	verify_cache_free(cache);
}

static void
test_no_failures(void **state)
{
	struct verify_limits only_good = limits;
	struct verify_cache *cache;

	only_good.negative = false;
	cache = verify_cache_new(&only_good);
	assert_false(put(cache, VERIFY_UNDELIVERABLE, NOW, "a@b"));
	assert_false(put(cache, VERIFY_DEFERRED, NOW, "a@b"));
	assert_true(put(cache, VERIFY_DELIVERABLE, NOW, "a@b"));
	assert_int_equal(verify_cache_count(cache), 1);
	verify_cache_free(cache);
}

/* The oldest of those that failed goes first: made-up addresses do not push out real ones. */
static void
test_limit(void **state)
{
	struct verify_cache *cache = verify_cache_new(&limits);
	char name[32];

	put(cache, VERIFY_DELIVERABLE, NOW, "one@b");
	put(cache, VERIFY_DELIVERABLE, NOW, "two@b");
	for (int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "%d@b", i);
		put(cache, VERIFY_UNDELIVERABLE, NOW, name);
		assert_true(verify_cache_count(cache) <= limits.entries);
	}
	assert_string_equal(look(cache, NOW, "1998@b"), "bad");
	assert_string_equal(look(cache, NOW, "1997@b"), "unknown probe");
	put(cache, VERIFY_DELIVERABLE, NOW, "three@b");
	put(cache, VERIFY_DELIVERABLE, NOW, "four@b");
	assert_string_equal(look(cache, NOW, "1999@b"), "unknown probe");
	put(cache, VERIFY_DELIVERABLE, NOW, "five@b");
	assert_string_equal(look(cache, NOW, "one@b"), "unknown probe");
	assert_string_equal(look(cache, NOW, "two@b"), "good");
	verify_cache_free(cache);
}

static void
test_many(void **state)
{
	struct verify_limits many = limits;
	struct verify_cache *cache;
	char name[32];

	many.entries = 5000;
	cache = verify_cache_new(&many);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d@b", i);
		put(cache, i % 2 ? VERIFY_DELIVERABLE : VERIFY_DEFERRED, NOW, name);
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "%d@b", i);
		assert_string_equal(look(cache, NOW, name), i % 2 ? "good" : "later");
	}
	verify_cache_free(cache);
}

/* ---- The file ---------------------------------------------------------------------------------- */

static char folder[64], path[128], logged[4096];

static void
capture(const char *component, ph_log_level level, const char *line, void *context)
{
	size_t size = strlen(logged);

	snprintf(logged + size, sizeof(logged) - size, "%s\n", line);
}

static void
run_task(void *argument)
{
	void (**fn)(void) = argument;

	(*fn)();
	loop_stop();
}

static void
in_loop(void (*fn)(void))
{
	ph_error error;

	snprintf(folder, sizeof(folder), "/tmp/verify-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/data/cache", folder);
	logged[0] = '\0';
	assert_int_equal(loop_open(&error), 0);
	logger_capture(capture, NULL);
	assert_true(ph_task_alive(ph_task_spawn("test", run_task, &fn)));
	loop_run();
	logger_capture(NULL, NULL);
	loop_close();
	unlink(path);
	snprintf(path, sizeof(path), "%s/data", folder);
	rmdir(path);
	assert_int_equal(rmdir(folder), 0);
}

#define FILE_TEST(name) \
	static void test_##name(void **state) \
	{ \
		in_loop(name); \
	}

static size_t
read_file(char *bytes, size_t room)
{
	FILE *file = fopen(path, "rb");
	size_t size = file == NULL ? 0 : fread(bytes, 1, room, file);

	if (file != NULL)
		fclose(file);
	return size;
}

static void
write_file(const char *bytes, size_t size)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* What the file holds, opened and closed as the queue role does: "status status …" of a, b, c. */
static const char *
reopened(void)
{
	struct verify_cache *cache = verify_cache_new(&limits);
	struct verify_file *file = verify_file_open(path, cache, NOW);
	static char said[128];

	assert_non_null(file);
	said[0] = '\0';
	for (char name = 'a'; name <= 'c'; name++) {
		char address[] = {name, '@', 'b', '\0'};

		strcat(strcat(said, name == 'a' ? "" : " "), look(cache, NOW, address));
	}
	verify_file_close(file);
	verify_cache_free(cache);
	return said + (said[0] == ' ');
}

static void
save(const char *addresses)
{
	struct verify_cache *cache = verify_cache_new(&limits);
	struct verify_file *file = verify_file_open(path, cache, NOW);

	for (; *addresses != '\0'; addresses++) {
		char address[] = {*addresses, '@', 'b', '\0'};
		struct verify_record record = record_of(VERIFY_DELIVERABLE, NOW, address, "ok");

		assert_true(verify_cache_put(cache, &record, NOW));
		verify_file_put(file, &record);
	}
	verify_file_close(file);
	verify_cache_free(cache);
}

static void
kept(void)
{
	struct stat status;

	assert_string_equal(reopened(), "unknown probe unknown probe unknown probe");
	assert_int_equal(stat(path, &status), -1);
	save("ab");
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_string_equal(reopened(), "good good unknown probe");
	save("c");
	assert_string_equal(reopened(), "good good good");
	assert_string_equal(logged, "");
}
FILE_TEST(kept)

/* Cut anywhere, the file gives what stands before, and is sound again afterwards. */
static void
torn(void)
{
	char bytes[4096];
	size_t size, one;

	save("abc");
	size = read_file(bytes, sizeof(bytes));
	one = (size - VERIFY_HEADER_SIZE) / 3;
	for (size_t cut = 0; cut < size; cut++) {
		size_t left = cut < VERIFY_HEADER_SIZE ? 0 : (cut - VERIFY_HEADER_SIZE) / one;

		write_file(bytes, cut);
		logged[0] = '\0';
		assert_string_equal(reopened(), left == 0 ? "unknown probe unknown probe unknown probe"
			: left == 1 ? "good unknown probe unknown probe" : "good good unknown probe");
		assert_int_equal(*logged == '\0', cut >= VERIFY_HEADER_SIZE && (cut - VERIFY_HEADER_SIZE) % one == 0);
		logged[0] = '\0';
		reopened();
		assert_string_equal(logged, "");
	}
}
FILE_TEST(torn)

static void
damaged(void)
{
	char bytes[4096];
	size_t size;

	save("abc");
	size = read_file(bytes, sizeof(bytes));
	bytes[VERIFY_HEADER_SIZE + (size - VERIFY_HEADER_SIZE) / 2] ^= 4;
	write_file(bytes, size);
	assert_string_equal(reopened(), "good unknown probe good");
	assert_non_null(strstr(logged, "is damaged"));
	logged[0] = '\0';
	assert_string_equal(reopened(), "good unknown probe good");
	assert_string_equal(logged, "");
}
FILE_TEST(damaged)

static void
other_version(void)
{
	char bytes[4096];
	size_t size;

	save("abc");
	size = read_file(bytes, sizeof(bytes));
	bytes[8]++;
	write_file(bytes, size);
	assert_string_equal(reopened(), "unknown probe unknown probe unknown probe");
	assert_non_null(strstr(logged, "is no cache of this version, it is written anew"));
	save("b");
	assert_string_equal(reopened(), "unknown probe good unknown probe");
}
FILE_TEST(other_version)

/* The past does not pile up in it. */
static void
compacted(void)
{
	char bytes[4096];
	size_t size;

	save("abc");
	size = read_file(bytes, sizeof(bytes));
	for (int i = 0; i < 40; i++)
		save("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	assert_true(read_file(bytes, sizeof(bytes)) >= size);
	{
		struct stat status;

		assert_int_equal(stat(path, &status), 0);
		assert_true((size_t)status.st_size < size * 400);
	}
	assert_string_equal(reopened(), "good good good");
}
FILE_TEST(compacted)

/* While it runs the task writes: whoever reads beside it sees what was found out. */
static void
written_meanwhile(void)
{
	struct verify_cache *cache = verify_cache_new(&limits), *other = verify_cache_new(&limits);
	struct verify_file *file = verify_file_open(path, cache, NOW);
	struct verify_record record = record_of(VERIFY_UNDELIVERABLE, NOW, "a@b", "no");
	ph_deadline patience = ph_in(10000);
	struct verify_reading reading = {0};

	assert_true(verify_cache_put(cache, &record, NOW));
	verify_file_put(file, &record);
	while (reading.records == 0 && ph_now() < patience) {
		ph_sleep(ph_in(10));
		verify_file_read(path, other, NOW, &reading, NULL);
	}
	assert_string_equal(look(other, NOW, "a@b"), "bad");
	record.address = ph_span_of("b@b");
	verify_file_put(file, &record);
	while (reading.records == 1 && ph_now() < patience) {
		ph_sleep(ph_in(10));
		verify_file_read(path, other, NOW, &reading, NULL);
	}
	assert_string_equal(look(other, NOW, "b@b"), "bad");
	verify_file_close(file);
	verify_cache_free(cache);
	verify_cache_free(other);
}
FILE_TEST(written_meanwhile)

/* A link in its place is not followed, and not written through. */
static void
planted(void)
{
	char bytes[64];

	save("a");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/dev/null", path), 0);
	save("b");
	assert_non_null(strstr(logged, "cannot be read, it is written anew"));
	assert_int_equal(readlink(path, bytes, sizeof(bytes)), -1);
	assert_string_equal(reopened(), "unknown probe good unknown probe");
}
FILE_TEST(planted)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_flipped_bits),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_one_refresh),
		cmocka_unit_test(test_failure_after_success),
		cmocka_unit_test(test_no_failures),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_torn),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_other_version),
		cmocka_unit_test(test_compacted),
		cmocka_unit_test(test_written_meanwhile),
		cmocka_unit_test(test_planted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
