#include "../../tests/unit/map_conformance.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>

extern const struct ph_module posthouse_module_map_unix;

/* ---- A name service -------------------------------------------------------------------------- */

int __wrap_getpwnam_r(const char *name, struct passwd *pwd, char *buffer, size_t size,
	struct passwd **result);
int __wrap_getgrnam_r(const char *name, struct group *grp, char *buffer, size_t size,
	struct group **result);

static int interruptions;

/* Names that fail, how, and how large a buffer others need. */
static int
outcome(const char *name, size_t size)
{
	if (strcmp(name, "interrupted") == 0)
		return interruptions++ < 2 ? EINTR : 0;
	if (strcmp(name, "beta") == 0 && size < 100000)
		return ERANGE;
	return strcmp(name, "endless") == 0 ? ERANGE : strcmp(name, "down") == 0 ? EIO :
		strcmp(name, "absent") == 0 ? ENOENT : 0;
}

static bool
is_known(const char *name)
{
	return strcmp(name, "alpha") == 0 || strcmp(name, "beta") == 0 || strcmp(name, "gamma") == 0 ||
		strcmp(name, "interrupted") == 0;
}

int
__wrap_getpwnam_r(const char *name, struct passwd *pwd, char *buffer, size_t size,
	struct passwd **result)
{
	int code = outcome(name, size);

	*result = NULL;
	if (code != 0 || !is_known(name))
		return code;
	*pwd = (struct passwd){.pw_name = strcpy(buffer, name), .pw_passwd = "x", .pw_uid = 4294967294,
		.pw_gid = 7, .pw_gecos = strcmp(name, "gamma") == 0 ? NULL : "A B,,", .pw_dir = "/home/x",
		.pw_shell = "/bin/sh"};
	*result = pwd;
	return 0;
}

int
__wrap_getgrnam_r(const char *name, struct group *grp, char *buffer, size_t size,
	struct group **result)
{
	static char *members[] = {"one", "two", NULL}, *nobody[] = {NULL};
	int code = outcome(name, size);

	*result = NULL;
	if (code != 0 || !is_known(name))
		return code;
	*grp = (struct group){.gr_name = strcpy(buffer, name), .gr_passwd = "*", .gr_gid = 7,
		.gr_mem = strcmp(name, "gamma") == 0 ? nobody : members};
	*result = grp;
	return 0;
}

/* ------------------------------------------------------------------------------------------------ */

static const char *const others[] = {"root", "alpha\n", "\nalpha", "alpha:x", "alpha ", "0", NULL};
static const char *const user_lines[] = {"alpha:x:4294967294:7:A B,,:/home/x:/bin/sh",
	"beta:x:4294967294:7:A B,,:/home/x:/bin/sh", "gamma:x:4294967294:7::/home/x:/bin/sh"};
static const char *const group_lines[] = {"alpha:*:7:one,two", "beta:*:7:one,two", "gamma:*:7:"};

static const struct map_subject users = {.module = &posthouse_module_map_unix, .flags = MAP_NO_FILE,
	.first = "passwd.byname", .values = user_lines, .others = others};
static const struct map_subject groups = {.module = &posthouse_module_map_unix, .flags = MAP_NO_FILE,
	.first = "group.byname", .values = group_lines, .others = others};

static void
conforms(void **unused)
{
	map_conformance(&users);
	map_conformance(&groups);
}

static void
a_failure_is_no_answer(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};

	map_setup(&f, &users);
	assert_int_equal(map_open(&f, &error), 0);
	assert_int_equal(map_find(&f, "down", NULL), PH_FAILED);
	assert_string_equal(map_find_error(), "the name service failed: Input/output error");
	assert_int_equal(map_find(&f, "absent", NULL), PH_FAILED);
	assert_string_equal(map_find_error(), "the name service failed: No such file or directory");
	assert_int_equal(map_find(&f, "endless", NULL), PH_FAILED);
	assert_int_equal(map_find(&f, "interrupted", NULL), PH_FOUND);
	assert_int_equal(interruptions, 3);
	map_teardown(&f);
}

static void
knows_two_tables(void **unused)
{
	struct map_fixture f;
	ph_error error = {""};

	map_setup(&f, &users);
	*(const char **)f.self = "passwd.byuid";
	assert_int_equal(users.module->life->check(f.self, &error), -1);
	assert_string_equal(error.text, "\"passwd.byuid\" is not a table of this host: expected "
		"unix:passwd.byname or unix:group.byname");
	map_teardown(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(conforms),
		cmocka_unit_test(a_failure_is_no_answer),
		cmocka_unit_test(knows_two_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
