#include "../../tests/unit/map_conformance.h"

#include <stdio.h>
#include <string.h>

extern const struct ph_module posthouse_module_map_flat;

static const struct map_subject flat = {
	.module = &posthouse_module_map_flat,
	.suffix = "",
	.first = "# a table\nalpha one\nBeta\ttwo,\n# between\n three\n\ngamma $\n",
	.second = "alpha changed\ngamma $",
	.broken = "alpha one\nbeta\n",
	.broken_says = "/table:2: expected \"key value\"",
};

static void
conforms(void **unused)
{
	map_conformance(&flat);
}

static void
texthash_conforms(void **unused)
{
	struct map_subject texthash = flat;

	texthash.type = "texthash";
	map_conformance(&texthash);
}

/* The name of the file makes no aliases(5) file of a texthash table. */
static void
texthash_is_read_as_pairs(void **unused)
{
	static const struct map_subject aliases = {.module = &posthouse_module_map_flat,
		.type = "texthash", .suffix = ""};
	struct map_fixture f;
	ph_error error = {""};
	const char *value;

	map_setup(&f, &aliases);
	map_call_it(&f, "virtual_aliases");
	map_write(&f, "a@example.com b@example.com\n");
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, "a@example.com", &value), PH_FOUND);
	assert_string_equal(value, "b@example.com");
	map_teardown(&f);
}

static void
reads_aliases(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	const char *value;

	map_setup(&f, &flat);
	map_write(&f, "root: nixhat\n\"joe smith\": joe\nlist:a,b,\n c\n");
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, "root", &value), PH_FOUND);
	assert_string_equal(value, "nixhat");
	assert_int_equal(map_find(&f, "joe smith", &value), PH_FOUND);
	assert_int_equal(map_find(&f, "list", &value), PH_FOUND);
	assert_string_equal(value, "a,b, c");
	map_teardown(&f);
}

static void
keeps_the_first_of_two(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	const char *value;

	map_setup(&f, &flat);
	map_write(&f, "a 1\nb 2\nA 3\n");
	assert_int_equal(map_open(&f, &error), 0);
	map_expect_log("/table:3: \"a\" is there already");
	assert_int_equal(map_find(&f, "a", &value), PH_FOUND);
	assert_string_equal(value, "1");
	map_teardown(&f);
}

/* A file that is being written in place is left alone for a second. */
static void
waits_for_a_writer(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};
	const char *value;

	map_setup(&f, &flat);
	map_write(&f, "a 1\n");
	assert_int_equal(map_open(&f, &error), 0);
	map_write_in_place(&f, "a 2\n");
	map_set_file_age(0);
	map_time_passes(1000);
	assert_int_equal(map_find(&f, "a", &value), PH_FOUND);
	assert_string_equal(value, "1");
	map_set_file_age(2);
	map_time_passes(1000);
	assert_int_equal(map_find(&f, "a", &value), PH_FOUND);
	assert_string_equal(value, "2");
	map_teardown(&f);
}

/* Many entries: the table of indices is exercised. */
static void
finds_among_many(void **unused)
{
	static char text[400000];
	struct map_fixture f;
	ph_error error = {""};
	size_t size = 0;

	for (int i = 0; i < 20000; i++)
		size += (size_t)snprintf(text + size, sizeof(text) - size, "k%d v%d\n", i, i);
	map_setup(&f, &flat);
	map_write(&f, text);
	assert_int_equal(map_open(&f, &error), 0);
	for (int i = 0; i < 20000; i++) {
		const char *value;
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(map_find(&f, key, &value), PH_FOUND);
		assert_string_equal(value + 1, key + 1);
	}
	assert_int_equal(map_find(&f, "k20000", NULL), PH_NOT_FOUND);
	map_teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(texthash_conforms),
		cmocka_unit_test(texthash_is_read_as_pairs),
		cmocka_unit_test(reads_aliases),
		cmocka_unit_test(keeps_the_first_of_two),
		cmocka_unit_test(waits_for_a_writer),
		cmocka_unit_test(finds_among_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
