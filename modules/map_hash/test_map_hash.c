#include "../../tests/unit/map_conformance.h"
#include "reader.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cdb.h>

extern const struct ph_module posthouse_module_map_hash;

static const struct map_subject hash = {
	.module = &posthouse_module_map_hash,
	.suffix = ".cdb",
	.first = "# a table\nalpha one\nBeta\ttwo,\n# between\n three\n\ngamma $\n",
	.second = "alpha changed\ngamma $",
	.broken = "alpha one\n continued\nbeta\n",
	.broken_says = "/table:3: expected \"key value\"",
};

/* The conformance suite gives sources times in the past, so that no database is older. */
static void
conforms(void **unused)
{
	struct map_subject cdb = hash;

	map_conformance(&hash);
	cdb.type = "cdb";
	map_conformance(&cdb);
}

static void
builds_aliases(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	const char *value;
	char path[128];
	struct stat st;

	map_setup(&f, &hash);
	map_write(&f, "Root: nixhat\nroot: other\n\"joe smith\" : joe\n");
	assert_int_equal(chmod(f.source, 0640), 0);
	assert_int_equal(map_build(&f, true, &error), 0);
	map_expect_log("/table:2: \"root\" is there already");
	snprintf(path, sizeof(path), "%s.cdb", f.source);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, "root", &value), PH_FOUND);
	assert_string_equal(value, "nixhat");
	assert_int_equal(map_find(&f, "joe smith", &value), PH_FOUND);
	map_teardown(&f);
}

static void
warns_once_of_a_newer_source(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	struct timespec later[2] = {{.tv_sec = 4000000000}, {.tv_sec = 4000000000}};

	map_setup(&f, &hash);
	map_write(&f, "a 1\n");
	assert_int_equal(map_build(&f, false, &error), 0);
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(utimensat(AT_FDCWD, f.source, later, 0), 0);
	map_time_passes(60000);
	assert_int_equal(map_find(&f, "a", NULL), PH_FOUND);
	map_expect_log("is older than source file");
	map_time_passes(120000);
	assert_int_equal(map_find(&f, "a", NULL), PH_FOUND);
	map_teardown(&f);
}

static ph_span
read_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	char *data;

	assert_int_equal(fstat(fd, &st), 0);
	data = malloc((size_t)st.st_size);
	assert_int_equal(read(fd, data, (size_t)st.st_size), st.st_size);
	close(fd);
	return (ph_span){data, (size_t)st.st_size};
}

/* Everything that can be asked of a database; the answers do not matter, that they come does. */
static void
ask_everything(const struct reader *reader)
{
	ph_span key, value;
	size_t at = 0, records = 0;

	reader_find(reader, ph_span_of("alpha"), &value);
	reader_find(reader, ph_span_of("nobody"), &value);
	reader_find(reader, ph_span_of(""), &value);
	while (reader_next(reader, &at, &key, &value) == PH_FOUND)
		assert_true(++records < 100000);
}

static void
survives_damage(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	char path[128];
	ph_span good;
	char *bad;

	map_setup(&f, &hash);
	map_write(&f, "alpha one\nbeta two\ngamma three\ndelta four\n");
	assert_int_equal(map_build(&f, false, &error), 0);
	snprintf(path, sizeof(path), "%s.cdb", f.source);
	good = read_file(path);
	for (size_t i = 0; i < good.size; i++) {
		static const unsigned char masks[] = {0x01, 0x80, 0xff};

		for (size_t m = 0; m < sizeof(masks); m++) {
			struct reader reader;
			/* Memory of exactly that size, so that a sanitizer sees a byte too far. */
			size_t without = good.size - TRAILER_SIZE;

			bad = malloc(good.size);
			memcpy(bad, good.data, good.size);
			bad[i] = (char)(bad[i] ^ masks[m]);
			/* With the checksum each flip is seen, but for those of the trailer's
			 * name. */
			if (i < without || i >= without + TRAILER_MAGIC_SIZE)
				assert_non_null(reader_open(&reader, (ph_span){bad, good.size}));
			if (i < without) {
				char *bare = malloc(without);

				memcpy(bare, bad, without);
				if (reader_open(&reader, (ph_span){bare, without}) == NULL)
					ask_everything(&reader);
				free(bare);
			}
			free(bad);
		}
	}
	for (size_t size = 0; size < good.size; size++) { /* cut short */
		struct reader reader;

		bad = malloc(size > 0 ? size : 1);
		memcpy(bad, good.data, size);
		if (reader_open(&reader, (ph_span){bad, size}) == NULL)
			ask_everything(&reader);
		free(bad);
	}
	free((void *)good.data);
	map_teardown(&f);
}

static void
fails_on_a_corrupt_file(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	char path[128];
	int fd;

	map_setup(&f, &hash);
	map_write(&f, "alpha one\n");
	assert_int_equal(map_build(&f, false, &error), 0);
	snprintf(path, sizeof(path), "%s.cdb", f.source);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 100), 4);
	close(fd);
	assert_int_equal(map_open(&f, &error), -1);
	assert_non_null(strstr(error.text, "the database is damaged (its checksum is wrong)"));
	assert_int_equal(map_build(&f, false, &error), 0);
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, "alpha", NULL), PH_FOUND);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\xff\xff\xff\xff", 4, 100), 4);
	close(fd);
	map_time_passes(1000); /* while it is in use: the old one stays */
	assert_int_equal(map_find(&f, "alpha", NULL), PH_FOUND);
	map_expect_log("damaged (its checksum is wrong); build it again");
	map_teardown(&f);
}

/* Databases of other programs have no trailer, and other programs read ours. */
static void
gets_along_with_others(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	char path[128];
	struct cdb_make make;
	struct cdb cdb;
	int fd;

	map_setup(&f, &hash);
	map_write(&f, "alpha one\n");
	assert_int_equal(map_build(&f, false, &error), 0);
	snprintf(path, sizeof(path), "%s.cdb", f.source);
	fd = open(path, O_RDONLY);
	assert_int_equal(cdb_init(&cdb, fd), 0);
	assert_int_equal(cdb_find(&cdb, "alpha", 5), 1);
	assert_memory_equal(cdb_getdata(&cdb), "one", 3);
	cdb_free(&cdb);
	close(fd);

	fd = open(path, O_RDWR | O_TRUNC);
	assert_int_equal(cdb_make_start(&make, fd), 0);
	assert_int_equal(cdb_make_add(&make, "theirs", 6, "yes", 3), 0);
	assert_int_equal(cdb_make_finish(&make), 0);
	close(fd);
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, "theirs", NULL), PH_FOUND);
	assert_int_equal(map_find(&f, "alpha", NULL), PH_NOT_FOUND);
	map_teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(builds_aliases),
		cmocka_unit_test(warns_once_of_a_newer_source),
		cmocka_unit_test(survives_damage),
		cmocka_unit_test(fails_on_a_corrupt_file),
		cmocka_unit_test(gets_along_with_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
