/*
 * A look at a few parameters without loading a configuration.
 */
#include "test.h"

#include "config/peek.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char directory[] = "/tmp/test_peek.XXXXXX";

static const char *
put_file(const char *name, const char *text)
{
	static char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return path;
}

static void
values(void **state)
{
	static const struct {
		const char *file, *run, *queue; /* run NULL: refused; queue NULL: the default */
	} cases[] = {
		{"", RUN_DIR, NULL},
		{"run_directory = /x\n", "/x", NULL},
		{"load(listener_smtp)\nrun_directory = /x # comment\nmydestination = {a, b}\n"
		 "listener smtp { module = smtp\nport = 25\nqueue_directory = /no }\n",
			"/x", NULL},
		{"queue_directory = '/a b'\nrun_directory = $queue_directory/run\n", "/a b/run", "/a b"},
		{"run_directory = /x\nrun_directory = /y\n", "/y", NULL},
		{"include_dir(more)\n", "/included", NULL},
		{"run_directory = $nothing\n", NULL, NULL},
		{"run_directory = $run_directory/x\n", NULL, NULL},
		{"run_directory = {\n", NULL, NULL},
	};
	char more[64];

	snprintf(more, sizeof(more), "%s/more", directory);
	assert_int_equal(mkdir(more, 0700), 0);
	put_file("more/a.conf", "run_directory = /included\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_pool *pool = ph_pool_new(0);
		struct peek peeks[] = {{.name = "run_directory"}, {.name = "queue_directory"}};
		ph_error error = {""};
		int result = config_peek(put_file("posthouse.conf", cases[i].file), pool, peeks, 2, &error);

		assert_int_equal(result, cases[i].run != NULL ? 0 : -1);
		if (result == 0) {
			assert_string_equal(peeks[0].value, cases[i].run);
			assert_string_equal(
				peeks[1].value, cases[i].queue != NULL ? cases[i].queue : SPOOL_DIR);
		} else {
			assert_string_not_equal(error.text, "");
		}
		ph_pool_free(pool);
	}
}

static void
no_file(void **state)
{
	ph_pool *pool = ph_pool_new(0);
	struct peek one = {.name = "run_directory"}, other = {.name = "no_such_thing"};
	ph_error error;

	assert_int_equal(config_peek("/nonexistent/posthouse.conf", pool, &one, 1, &error), 0);
	assert_string_equal(one.value, RUN_DIR);
	assert_int_equal(config_peek("/nonexistent/posthouse.conf", pool, &other, 1, &error), -1);
	assert_int_equal(config_peek(directory, pool, &one, 1, &error), -1);
	ph_pool_free(pool);
}

static int
make_directory(void **state)
{
	return mkdtemp(directory) != NULL ? 0 : -1;
}

static int
remove_directory(void **state)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values),
		cmocka_unit_test(no_file),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
