/* Editing a configuration in its text, and in its file. */
#include "config/scratch.h"

#include <sys/wait.h>

#include "config/edit.h"
#include "config/state.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct {
	const char *before, *edit, *after;
} cases[] = {
	/* a scalar, in its place; comments and layout stay */
	{"mydomain   =  old.example   # why\nmyorigin = a\n", "mydomain=new.example",
		"mydomain   =  new.example   # why\nmyorigin = a\n"},
	{"mydomain = a\nmydomain = b\n", "mydomain=c", "mydomain = a\nmydomain = c\n"},
	{"myorigin = x\n", "myorigin=$mydomain", "myorigin = $mydomain\n"},
	{"relayhost = x\n", "relayhost=", "relayhost = ''\n"},
	{"mail_name = x\n", "mail_name = My Mail", "mail_name = 'My Mail'\n"},
	/* a new one: at the end, or before the first section */
	{"", "mydomain=x", "mydomain = x\n"},
	{"myorigin = a", "mydomain=x", "myorigin = a\nmydomain = x\n"},
	{"myorigin = a # c\n\n# Listeners\nlistener smtp { }\n", "mydomain=x",
		"myorigin = a # c\nmydomain = x\n\n# Listeners\nlistener smtp { }\n"},
	{"# head\nlistener smtp { }\n", "mydomain=x", "# head\nmydomain = x\n\nlistener smtp { }\n"},
	{"myorigin = a listener smtp { }\n", "mydomain=x",
		"myorigin = a \nmydomain = x\nlistener smtp { }\n"},
	/* lists, in either syntax */
	{"mynetworks = {10.0.0.0/8}\n", "mynetworks = 192.168.217.0/24 127.0.0.0/8 [::1]/128",
		"mynetworks = {192.168.217.0/24, 127.0.0.0/8, [::1]/128}\n"},
	{"mynetworks = {\n10.0.0.0/8, # office\n127.0.0.0/8\n}\nmyorigin = x\n",
		"mynetworks={10.0.0.0/8}", "mynetworks = {10.0.0.0/8}\nmyorigin = x\n"},
	{"inet_interfaces = all\n", "inet_interfaces = 192.168.217.131, localhost",
		"inet_interfaces = {192.168.217.131, localhost}\n"},
	{"mydestination += {x}\n", "mydestination=$myhostname, localhost",
		"mydestination = {$myhostname, localhost}\n"},
	{"mydestination = x\n", "mydestination=", "mydestination = {}\n"},
	/* tables in braces */
	{"", "mydestination=inline:{a=b, c=d}, test:/x static:{ it's here }",
		"mydestination = {'inline:{a=b, c=d}', test:/x, 'static:{ it\\'s here }'}\n"},
	{"mydestination = {x}\n", "mydestination={'inline:{a=b, {c = d e}}', test:/x}",
		"mydestination = {'inline:{a=b, {c = d e}}', test:/x}\n"},
	{"", "mydestination={inline:{a=b}}", "mydestination = {'inline:{a=b}'}\n"},
	{"", "smtpd_client_restrictions=check_client_access inline:{ {192.0.2.1 = REJECT not, you} } reject",
		"smtpd_client_restrictions = {'check_client_access inline:{ {192.0.2.1 = REJECT not, you} }', "
		"reject}\n"},
	{"", "smtpd_client_restrictions={reject_rbl_client a.example}, {sleep 5}",
		"smtpd_client_restrictions = {'reject_rbl_client a.example', 'sleep 5'}\n"},
	/* restrictions and their arguments */
	{"", "smtpd_recipient_restrictions=permit_mynetworks, reject_unauth_destination",
		"smtpd_recipient_restrictions = {permit_mynetworks, reject_unauth_destination}\n"},
	{"", "smtpd_recipient_restrictions=permit_mynetworks reject_rbl_client "
		"zen.example=127.0.0.[2..11] reject",
		"smtpd_recipient_restrictions = {permit_mynetworks, "
		"'reject_rbl_client zen.example=127.0.0.[2..11]', reject}\n"},
	{"", "smtpd_recipient_restrictions={permit_mynetworks, 'reject_rbl_client a.example', reject}",
		"smtpd_recipient_restrictions = {permit_mynetworks, 'reject_rbl_client a.example', reject}\n"},
	{"", "smtpd_data_restrictions=check_policy_service { inet:127.0.0.1:10, timeout=10s }, permit",
		"smtpd_data_restrictions = {'check_policy_service { inet:127.0.0.1:10, timeout=10s }', "
		"permit}\n"},
	{"", "smtpd_client_restrictions=warn_if_reject reject, sleep 5, permit",
		"smtpd_client_restrictions = {warn_if_reject, reject, 'sleep 5', permit}\n"},
	/* sections */
	{"listener smtp { module = test  port = 25 }\n", "listener/smtp/port=2525",
		"listener smtp { module = test  port = 2525 }\n"},
	{"listener smtp { module = test  port = 25 }\n", "listener/smtp/test_level=may",
		"listener smtp { module = test  port = 25  test_level = may }\n"},
	{"listener smtp {\n\tmodule = test # x\n}\n", "listener/smtp/smtpd_helo_required=yes",
		"listener smtp {\n\tmodule = test # x\n\tsmtpd_helo_required = yes\n}\n"},
	{"listener smtp { }\n", "listener/smtp/module=test", "listener smtp { module = test }\n"},
	/* lines that end as those of the file do */
	{"myorigin = a\r\n", "myorigin=b", "myorigin = b\r\n"},
	{"myorigin = a\r\n", "mydomain=x", "myorigin = a\r\nmydomain = x\r\n"},
	{"listener smtp {\r\n\tmodule = test\r\n}\r\n", "listener/smtp/port=2525",
		"listener smtp {\r\n\tmodule = test\r\n\tport = 2525\r\n}\r\n"},
	/* one of the same name in a section is another one */
	{"listener smtp { module = test  smtpd_helo_required = no }\nsmtpd_helo_required = no # x\n",
		"smtpd_helo_required=yes",
		"listener smtp { module = test  smtpd_helo_required = no }\nsmtpd_helo_required = yes # x\n"},
	/* comments between the elements go with them, those around stay */
	{"# a\nmydestination = # b\n{ x, # c\n  /* d */ y } # e\n# f\n", "mydestination=z",
		"# a\nmydestination = # b\n{z} # e\n# f\n"},
	/* what does not go */
	{"mydomain = x\n", "mydomian=y", "! mydomian: no such parameter; did you mean mydomain?"},
	{"mydomain = x\n", "listener/x/port=y", "! listener/x/port: the file has no section \"listener x\""},
	{"mydomain = x y\n", "mydomain=y", "! line 1: unexpected \"y\" after the value of mydomain: a list "
		"is written {a, b}, a value with spaces in quotes"},
};

static const struct {
	const char *before;
	enum edit_kind kind;
	const char *name, *after;
} removals[] = {
	{"a = 1\nmydomain = x # why\nmyorigin = y\n", EDIT_REMOVE, "mydomain", "a = 1\nmyorigin = y\n"},
	{"mydomain = x", EDIT_REMOVE, "mydomain", ""},
	{"mydomain = x\nmyorigin = y\n mydomain = z\n", EDIT_REMOVE, "mydomain", "myorigin = y\n"},
	{"mydestination = {a,\n b # c\n}\nmyorigin = y\n", EDIT_REMOVE, "mydestination", "myorigin = y\n"},
	{"mydestination = {a,\n b # c\n}\nmyorigin = y\n", EDIT_COMMENT, "mydestination",
		"#mydestination = {a,\n# b # c\n#}\nmyorigin = y\n"},
	{"mydomain = x\r\n", EDIT_COMMENT, "mydomain", "#mydomain = x\r\n"},
	{"mydomain = x  myorigin = y\n", EDIT_REMOVE, "myorigin", "mydomain = x\n"},
	{"mydomain = x  myorigin = y\n", EDIT_COMMENT, "myorigin",
		"! myorigin: shares line 1 with others: no comment can be made of it"},
	{"listener smtp { module = test  port = 25 }\nport = 3\n", EDIT_REMOVE, "listener/smtp/port",
		"listener smtp { module = test }\nport = 3\n"},
	{"listener smtp {\n\tmodule = test\n\tport = 25\n}\n", EDIT_COMMENT, "listener/smtp/port",
		"listener smtp {\n\tmodule = test\n#\tport = 25\n}\n"},
	/* not there; not known */
	{"mydomain = x\n", EDIT_REMOVE, "myorigin", "mydomain = x\n"},
	{"mydomian = x\nmyorigin = y\n", EDIT_REMOVE, "mydomian", "myorigin = y\n"},
};

/* A configuration that knows the test's modules and sections of these names. */
static struct config *
context(struct problems *problems)
{
	char text[1000];

	snprintf(text, sizeof(text), "module_directory = %s\nload(listener_test, restriction_test)\n"
		"listener smtp { module = test }\n", scratch_modules);
	return config_read(scratch_config, ph_span_of(text), -1, 0, problems);
}

static void
texts(void **state)
{
	struct problems *problems = problems_new();
	struct config *config = context(problems);
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct edit edit;
		ph_error error = {""};
		const char *after;

		assert_int_equal(edit_parse(pool, cases[i].edit, &edit, &error), 0);
		after = edit_text(pool, config, cases[i].before, &edit, &error);
		if (cases[i].after[0] == '!') {
			assert_null(after);
			assert_string_equal(error.text, cases[i].after + 2);
		} else {
			if (!after)
				fail_msg("%s: %s", cases[i].edit, error.text);
			assert_string_equal(after, cases[i].after);
			/* the same edit again changes nothing */
			assert_string_equal(edit_text(pool, config, after, &edit, &error), cases[i].after);
		}
	}
	ph_pool_free(pool);
	config_free(config);
	problems_free(problems);
}

static const char *contents(const char *path);
static int apply(const char *path, const char *name, const char *value, ph_error *error);

static void
taking_away(void **state)
{
	struct problems *problems = problems_new();
	struct config *config = context(problems);
	ph_pool *pool = ph_pool_new(0);

	for (size_t i = 0; i < COUNT(removals); i++) {
		struct edit edit = {.kind = removals[i].kind, .name = removals[i].name};
		ph_error error = {""};
		const char *after = edit_text(pool, config, removals[i].before, &edit, &error);

		if (removals[i].after[0] == '!') {
			assert_null(after);
			assert_string_equal(error.text, removals[i].after + 2);
			continue;
		}
		if (!after)
			fail_msg("%s: %s", removals[i].name, error.text);
		assert_string_equal(after, removals[i].after);
	}
	ph_pool_free(pool);
	config_free(config);
	problems_free(problems);
}

/* A large file, and one that only its owner's folder lets us replace. */
static void
large_and_read_only(void **state)
{
	size_t size = 1 << 20, at = 0;
	char *text = malloc(size + 100);
	struct stat status;
	ph_error error;

	while (at < size)
		at += (size_t)snprintf(text + at, 100, "# line %zu\n", at);
	at += (size_t)snprintf(text + at, 50, "myorigin = a # last");
	scratch_write(scratch_config, text, at);
	chmod(scratch_config, 0444);
	assert_int_equal(apply(scratch_config, "myorigin", "b", &error), 0);
	assert_int_equal(stat(scratch_config, &status), 0);
	assert_int_equal(status.st_size, at);
	assert_int_equal(status.st_mode & 07777, 0444);
	unlink(scratch_config);
	free(text);
}

/* Edits at the same time: none is lost. */
static void
at_once(void **state)
{
	static const char *const names[] = {"myorigin", "mydomain", "mail_name", "relayhost"};
	ph_error error;
	int status;

	scratch_write(scratch_config, "# x\n", 4);
	for (size_t i = 0; i < COUNT(names); i++)
		if (fork() == 0)
			_exit(apply(scratch_config, names[i], "value", &error) == 0 ? 0 : 1);
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_int_not_equal(wait(&status), -1);
		assert_int_equal(status, 0);
	}
	for (size_t i = 0; i < COUNT(names); i++)
		assert_non_null(strstr(contents(scratch_config), names[i]));
}

static const char *
contents(const char *path)
{
	static char text[4000];
	FILE *file = fopen(path, "r");
	size_t size = fread(text, 1, sizeof(text) - 1, file);

	fclose(file);
	text[size] = '\0';
	return text;
}

static int
apply(const char *path, const char *name, const char *value, ph_error *error)
{
	struct problems *problems = problems_new();
	struct edit edit = {.name = name, .value = value};
	int result = edit_file(path, &edit, 1, problems, error);

	problems_free(problems);
	return result;
}

static void
files(void **state)
{
	static const char before[] = "myhostname = a.example\n";
	char link_path[260];
	struct stat status;
	ph_error error;

	scratch_write(scratch_config, before, strlen(before));
	chmod(scratch_config, 0640);
	snprintf(link_path, sizeof(link_path), "%s/link.conf", scratch_folder);
	assert_int_equal(symlink("posthouse.conf", link_path), 0);
	/* through a link, with the mode kept */
	assert_int_equal(apply(link_path, "myorigin", "$mydomain", &error), 0);
	assert_string_equal(contents(scratch_config), "myhostname = a.example\nmyorigin = $mydomain\n");
	assert_int_equal(lstat(link_path, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	assert_int_equal(stat(scratch_config, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	/* what would be wrong is not written */
	assert_int_equal(apply(scratch_config, "smtpd_helo_required", "maybe", &error), -1);
	assert_string_equal(contents(scratch_config), "myhostname = a.example\nmyorigin = $mydomain\n");
}

/* A file that has a problem already can be edited; the edit just makes no new one. */
static void
a_file_with_problems(void **state)
{
	static const char before[] = "nonsense = 1\nmyorigin = a\n";
	ph_error error;

	scratch_write(scratch_config, before, strlen(before));
	assert_int_equal(apply(scratch_config, "myorigin", "b", &error), 0);
	assert_string_equal(contents(scratch_config), "nonsense = 1\nmyorigin = b\n");
	assert_int_equal(apply(scratch_config, "hopcount_limit", "0", &error), -1);
}

static int
begin(void **state)
{
	if (scratch_begin(state) != 0)
		return -1;
	scratch_module("listener_test", "listener_test", SIZE_MAX);
	scratch_module("restriction_test", "restriction_test", SIZE_MAX);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts),
		cmocka_unit_test(files),
		cmocka_unit_test(a_file_with_problems),
		cmocka_unit_test(taking_away),
		cmocka_unit_test(large_and_read_only),
		cmocka_unit_test(at_once),
	};

	return cmocka_run_group_tests(tests, begin, scratch_end);
}
