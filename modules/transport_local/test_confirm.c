/* What the local role says of a user's wishes, held against files in a home of the test's own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "confirm.h"

const char *__wrap_ph_global(const char *name);

const char *
__wrap_ph_global(const char *name)
{
	return strcmp(name, "recipient_delimiter") == 0 ? "+-" : "";
}

static char home[64];

static void
put(const char *name, const char *text)
{
	char path[200];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", home, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, 0600), 0);
}

/* ".forward" and what else these tests want. */
static int
make_home(void **state)
{
	char path[200];

	snprintf(home, sizeof(home), "/tmp/ph-home[x]-XXXXXX");
	assert_non_null(mkdtemp(home));
	put(".forward", "\\joe, ~/box\n\"|prog -x\", /var/archive\n:include:~/more, |other\n");
	put(".forward+a.b", "|extended\n");
	put(".forward-", "|nothing behind it\n");
	put(".forwards", "|no forward at all\n");
	put("more", "\"|inner\", ~/innerbox\n:include:~/deeper\n");
	put("deeper", "|deepest\n:include:~/more\n");
	put("secret", "|secret\n");
	put("open", "|open\n");
	snprintf(path, sizeof(path), "%s/.forward+open", home);
	put(".forward+open", "|open to all\n");
	assert_int_equal(chmod(path, 0666), 0);
	snprintf(path, sizeof(path), "%s/.forward+link", home);
	assert_int_equal(symlink("secret", path), 0);
	return 0;
}

static int
remove_home(void **state)
{
	char command[200];

	snprintf(command, sizeof(command), "rm -r '%s'", home);
	return system(command);
}

static const char *const both[] = {"forward", "include"};
static const char *const paths[] = {"$home/.forward${recipient_delimiter}${extension}", "$home/.forward"};

enum { COMMAND = PH_USER_COMMAND, FILE_ = PH_USER_FILE, READ = PH_USER_READ };

static const struct {
	unsigned kind;
	uint32_t flags;
	const char *target; /* "%" at its start is the home */
	bool wanted, without_include;
} cases[] = {
	{COMMAND, 0, "prog -x", true, true},
	{COMMAND, 0, "other", true, true},
	{COMMAND, 0, "extended", true, true},
	{COMMAND, 0, "inner", true, false},
	{COMMAND, 0, "deepest", true, false},
	{COMMAND, 0, "prog", false, false},
	{COMMAND, 0, "prog -x; rm", false, false},
	{COMMAND, 0, "nothing behind it", true, true},
	{COMMAND, 0, "no forward at all", false, false},
	{COMMAND, 0, "secret", false, false},
	{COMMAND, 0, "open to all", false, false},
	{COMMAND, 0, "~/box", false, false},
	{COMMAND, PH_USER_HOME_MAILBOX, "~/Mailbox", true, true},
	{FILE_, 0, "~/box", true, true},
	{FILE_, 0, "/var/archive", true, true},
	{FILE_, 0, "~/innerbox", true, false},
	{FILE_, 0, "~/.ssh/authorized_keys", false, false},
	{FILE_, 0, "prog -x", false, false},
	{FILE_, 0, "~/Mailbox", false, false},
	{FILE_, PH_USER_HOME_MAILBOX, "~/Mailbox", true, true},
	{FILE_, PH_USER_HOME_MAILBOX, "~/.ssh/authorized_keys", false, false},
	{FILE_, PH_USER_HOME_MAILBOX, "~/box", false, false},
	{READ, PH_USER_OWN_FILE, "%/.forward", true, true},
	{READ, PH_USER_OWN_FILE, "%/.forward+a.b", true, true},
	{READ, PH_USER_OWN_FILE, "%/.forward-not there", true, true},
	{READ, PH_USER_OWN_FILE, "%/.forward+/../secret", false, false},
	{READ, PH_USER_OWN_FILE, "%/.forwards", false, false},
	{READ, PH_USER_OWN_FILE, "%/secret", false, false},
	{READ, PH_USER_OWN_FILE, "~/.forward", false, false},
	{READ, 0, "~/more", true, true},
	{READ, 0, "~/deeper", true, true},
	{READ, 0, "~/secret", false, false},
	{READ, 0, "%/.forward", false, false},
};

static void
confirm_all(bool include)
{
	const struct ph_user_context user = {.size = sizeof(user), .uid = geteuid(), .name = "joe",
		.home = home, .shell = "/bin/sh"};
	const struct local local = {.allow_mail_to_commands = {include ? 2 : 1, (const char **)both},
		.allow_mail_to_files = {include ? 2 : 1, (const char **)both},
		.forward_path = {2, (const char **)paths}, .rights.home_mailbox = "Mailbox"};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ph_user_delivery request = {.size = sizeof(request), .kind = cases[i].kind,
			.flags = cases[i].flags, .user = "joe"};
		struct ph_user_result result = {.outcome = 77};
		const char *target = cases[i].target;
		bool wanted = include ? cases[i].wanted : cases[i].without_include;

		snprintf(request.target, sizeof(request.target), "%s%s", *target == '%' ? home : "",
			target + (*target == '%'));
		if ((confirm_target(&local, &user, &request, &result) == 0) != wanted)
			fail_msg("%u %s: %s", cases[i].kind, target, result.text);
		if (!wanted && (result.outcome != PH_USER_DEFERRED || strcmp(result.status, "4.3.5") != 0))
			fail_msg("%u %s: %d %s %s", cases[i].kind, target, result.outcome, result.status, result.text);
	}
}

static void
confirms_what_stands_there(void **unused)
{
	confirm_all(true);
}

static void
confirms_what_is_allowed(void **unused)
{
	confirm_all(false);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(confirms_what_stands_there),
		cmocka_unit_test(confirms_what_is_allowed),
	};

	return cmocka_run_group_tests(tests, make_home, remove_home);
}
