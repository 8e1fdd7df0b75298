/*
 * transport_local as a whole, on a real loop: deliveries, the spawner and the tables are played.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <posthouse/log.h>
#include <posthouse/transport.h>

#include "batches.h"
#include "ground/loop.h"

extern const struct ph_module posthouse_module_transport_local;

/* ---- Played ---------------------------------------------------------------------------------- */

#define PLAYED(result, name, ...) \
	result __wrap_##name(__VA_ARGS__); \
	result __wrap_##name(__VA_ARGS__)

/* A delivery of one recipient. */
struct ph_delivery {
	ph_pool *pool;
	const char *recipient, *original;
	unsigned kind;
	const char *what, *user;
	bool probe, rehearsal;
	char said[512];
};

static struct {
	const char *warning;      /* the log may say this */
	bool warned;
	struct ph_user_delivery last;
	size_t batch_sizes[8], batches;
	bool fail;
	int rounds;               /* that a batch takes */
	int content;
} world;

PLAYED(const char *, ph_delivery_queue_id, const ph_delivery *d) { return "ABC"; }
PLAYED(const char *, ph_delivery_sender, const ph_delivery *d) { return "s@far.example"; }
PLAYED(int64_t, ph_delivery_arrival, const ph_delivery *d) { return 1; }
PLAYED(size_t, ph_delivery_count, const ph_delivery *d) { return 1; }
PLAYED(const char *, ph_delivery_recipient, const ph_delivery *d, size_t i) { return d->recipient; }
PLAYED(const char *, ph_delivery_original, const ph_delivery *d, size_t i) { return d->original; }
PLAYED(bool, ph_delivery_is_probe, const ph_delivery *d) { return d->probe; }
PLAYED(bool, ph_delivery_is_rehearsal, const ph_delivery *d) { return d->rehearsal; }
PLAYED(void, ph_delivery_tell, ph_delivery *d, const char *format, ...) { }
PLAYED(ph_pool *, ph_delivery_pool, ph_delivery *d) { return d->pool; }

PLAYED(int, ph_delivery_content, ph_delivery *d, int *fd, int64_t *offset, int64_t *length,
	bool *dot_lines, ph_error *error)
{
	if (world.content == 0)
		world.content = memfd_create("content", MFD_CLOEXEC);
	assert_int_equal(pwrite(world.content, "1234567To: a\r\n\r\nb", 17, 0), 17);
	*fd = world.content;
	*offset = 7;
	*length = 9;
	return 0;
}

static void say(ph_delivery *d, const char *what, const char *status, const char *format,
	va_list args) PH_PRINTF(4, 0);

static void
say(ph_delivery *d, const char *what, const char *status, const char *format, va_list args)
{
	size_t size = strlen(d->said);

	size += (size_t)snprintf(d->said + size, sizeof(d->said) - size, "%s %s ", what, status);
	vsnprintf(d->said + size, sizeof(d->said) - size, format, args);
}

#define RESULT(name, what) \
	void __wrap_##name(ph_delivery *d, size_t i, const char *status, const char *relay, \
		const char *format, ...) PH_PRINTF(5, 6); \
	void __wrap_##name(ph_delivery *d, size_t i, const char *status, const char *relay, \
		const char *format, ...) \
	{ \
		va_list args; \
		va_start(args, format); \
		say(d, what, status, format, args); \
		va_end(args); \
	}

RESULT(ph_delivery_sent, "sent")
RESULT(ph_delivery_defer, "defer")
RESULT(ph_delivery_bounce, "bounce")

PLAYED(void, ph_delivery_becomes, ph_delivery *d, size_t i, const char *address)
{
	size_t size = strlen(d->said);

	snprintf(d->said + size, sizeof(d->said) - size, "becomes %s; ", address);
}

/* "address!" a user, "\\address" a mailbox, "|command(user)", "/file(user)", "address>transport",
 * "address^Delivered-To" a message of its own; "<sender" behind it. */
PLAYED(void, ph_delivery_expand_to, ph_delivery *d, size_t i, const struct ph_target *targets,
	size_t count)
{
	static const char *const marks[] = {"", "!", "\\", "|", "", ">", "^"};

	for (size_t k = 0; k < count; k++) {
		const struct ph_target *t = &targets[k];
		bool program = t->kind == PH_TARGET_COMMAND || t->kind == PH_TARGET_FILE;
		bool before = t->kind == PH_TARGET_MAILBOX;
		bool other = t->sender != NULL && *t->sender != '\0' && strcmp(t->sender, "s@far.example") != 0;
		size_t size = strlen(d->said);

		snprintf(d->said + size, sizeof(d->said) - size, "%s%s%s%s%s%s%s%s%s;",
			before ? "\\" : "", program ? "" : t->address, before ? "" : marks[t->kind],
			t->what != NULL ? t->what : "", program ? "(" : "", program && t->user != NULL ? t->user : "",
			program ? ")" : "", other ? "<" : "", other ? t->sender : "");
	}
}

PLAYED(void, ph_delivery_target, const ph_delivery *d, size_t i, struct ph_target *target)
{
	*target = (struct ph_target){.size = sizeof(*target), .kind = d->kind, .address = d->recipient,
		.what = d->what != NULL ? d->what : "", .user = d->user != NULL ? d->user : "",
		.sender = "s@far.example"};
}

PLAYED(const char *, ph_global, const char *name)
{
	if (strcmp(name, "mail_spool_directory") == 0)
		return "/mail";
	if (strcmp(name, "default_privs") == 0)
		return "noone";
	return strcmp(name, "myorigin") == 0 ? "here.example" : "+";
}

PLAYED(ph_found, ph_match, const ph_match_list *list, const char *name, ph_error *error)
{
	return strcmp(name, "here.example") == 0 ? PH_FOUND : PH_NOT_FOUND;
}

PLAYED(ph_found, ph_map_lookup, ph_pool *pool, const ph_map *map, const char *key,
	const char **value, ph_error *error)
{
	static const char *const table[][2] = {
		{"support", "nobody"}, {"all", "nobody, daemon, x@far.example"}, {"away", "x@far.example"},
		{"ring", "rong"}, {"rong", "ring"}, {"half", "ring, nobody"}, {"void", "/dev/null"},
		{"prog", "|x"}, {"toroot", "root"}, {"list", "nobody, x@far.example, |x"},
		{"owner-list", "nobody"}, {"pattern", "|x"}, {"into", "nobody+group"},
	};

	if (strcmp(key, "broken") == 0) {
		ph_error_set(error, "hash:/x: gone");
		return PH_FAILED;
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (strcmp(table[i][0], key) == 0) {
			*value = table[i][1];
			return PH_FOUND;
		}
	return PH_NOT_FOUND;
}

PLAYED(ph_found, ph_map_lookup_fixed, ph_pool *pool, const ph_map *map, const char *key,
	const char **value, ph_error *error)
{
	return strcmp(key, "pattern") == 0 ? PH_NOT_FOUND :
		__wrap_ph_map_lookup(pool, map, key, value, error);
}

PLAYED(bool, ph_map_is_empty, const ph_map *map) { return true; }

/* What users have in their .forward, by its path; other files are not there. */
PLAYED(int, ph_spawn_read, void *self, ph_pool *pool, const struct ph_user_delivery *requests,
	size_t count, struct ph_user_result *results, ph_span *texts, ph_deadline deadline,
	ph_error *error)
{
	static const struct {
		const char *path;
		int outcome;
		const char *text;
	} files[] = {
		{"/etc/passwd", PH_READ_TEXT, "# all\n\\nobody\nx@far.example\n|cat\n~/box\ndaemon\n"},
		{"/etc/group", PH_READ_TEXT, "# none\n"},
		{"/etc/hosts", PH_READ_TEXT, "Nobody+y@here.example\n"},
		{"/etc/shells", PH_READ_TEXT, "/dev/null"},
		{"/etc/hostname", PH_READ_REFUSED, "file /etc/hostname is world writable"},
		{"/etc/profile", PH_READ_LATER, "input/output error"},
		{"/etc/shadow", PH_READ_TEXT, "a #b"},
		{"/etc/fstab", PH_READ_TEXT, ":include:/a, :include:/none"},
		{"/a", PH_READ_TEXT, "|cat\nx@far.example"},
		{"/etc/gshadow", PH_READ_TEXT, ":include:/a"},
	};

	for (size_t i = 0; i < count; i++) {
		results[i] = (struct ph_user_result){.size = sizeof(results[i]), .outcome = PH_READ_ABSENT};
		assert_string_equal(requests[i].user, "nobody");
		assert_int_equal(requests[i].kind, PH_USER_READ);
		for (size_t k = 0; k < sizeof(files) / sizeof(files[0]); k++)
			if (strcmp(files[k].path, requests[i].target) == 0) {
				results[i].outcome = files[k].outcome;
				texts[i] = ph_span_of(files[k].text);
				snprintf(results[i].text, sizeof(results[i].text), "%s", files[k].text);
			}
	}
	return 0;
}

PLAYED(int, ph_spawn_delivery, void *self, const struct ph_user_delivery *requests, const int *fds,
	size_t count, struct ph_user_result *results, ph_deadline deadline, ph_error *error)
{
	world.last = requests[count - 1];
	world.batch_sizes[world.batches++] = count;
	for (int i = 0; i < world.rounds; i++)
		if (ph_yield() != PH_WAIT_OK)
			return ph_error_set(error, "cancelled");
	if (world.fail)
		return ph_error_set(error, "the spawner is gone");
	for (size_t i = 0; i < count; i++) {
		assert_int_not_equal(fcntl(fds[i], F_GETFD), -1);
		results[i] = (struct ph_user_result){.size = sizeof(results[i]), .status = "2.0.0",
			.text = "delivered to mailbox"};
	}
	return 0;
}

void __wrap_ph_log(ph_log_level level, const char *format, ...) PH_PRINTF(2, 3);
void
__wrap_ph_log(ph_log_level level, const char *format, ...)
{
	char line[512];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	if (world.warning == NULL || strstr(line, world.warning) == NULL)
		fail_msg("in the log: %s", line);
	world.warned = true;
}

/* ---- A loop, and an instance that lives while it runs ---------------------------------------- */

static void *instance;
static void (*scenario)(void);

/* Parameters that are texts have one, if an empty one; lists have what these tests want. */
static void
set_texts(void)
{
	static const char *const origins[] = {"alias", "forward"};
	static const char *const paths[] = {"${extension?/etc/$extension}"};

	for (size_t i = 0; i < posthouse_module_transport_local.param_count; i++) {
		const struct ph_param *param = &posthouse_module_transport_local.params[i];
		char *field = (char *)instance + param->offset;

		if (param->type == PH_STRING)
			*(const char **)field = param->default_value != NULL ? param->default_value : "";
		else if (param->type == PH_BOOL)
			*(bool *)field = param->default_value != NULL && strcmp(param->default_value, "yes") == 0;
		else if (strcmp(param->name, "forward_path") == 0)
			*(ph_strings *)field = (ph_strings){1, paths};
		else if (param->type == PH_STRINGS)
			*(ph_strings *)field = (ph_strings){2, origins};
	}
}

static void
set_text(const char *name, const char *text)
{
	for (size_t i = 0; i < posthouse_module_transport_local.param_count; i++)
		if (strcmp(posthouse_module_transport_local.params[i].name, name) == 0)
			*(const char **)((char *)instance + posthouse_module_transport_local.params[i].offset) = text;
}

static void
set_flag(const char *name)
{
	for (size_t i = 0; i < posthouse_module_transport_local.param_count; i++)
		if (strcmp(posthouse_module_transport_local.params[i].name, name) == 0)
			*((bool *)instance + posthouse_module_transport_local.params[i].offset) = true;
}

static void
run_scenario(void *unused)
{
	const struct ph_life *life = posthouse_module_transport_local.life;
	ph_error error = {""};

	assert_int_equal(life->start(instance, &error), 0);
	scenario();
	life->stop(instance);
	loop_stop();
}

static void
run(void (*fn)(void))
{
	const struct ph_life *life = posthouse_module_transport_local.life;
	ph_error error = {""};

	memset(&world, 0, sizeof(world));
	scenario = fn;
	instance = calloc(1, posthouse_module_transport_local.instance_size);
	set_texts();
	assert_int_equal(life->open(instance, &error), 0);
	if (loop_open(&error) != 0)
		fail_msg("%s", error.text);
	assert_int_not_equal(ph_task_spawn("scenario", run_scenario, NULL).generation, 0);
	loop_run();
	loop_close();
	life->close(instance);
	free(instance);
}

static const struct ph_transport_ops *
ops(void)
{
	return posthouse_module_transport_local.operations;
}

static const struct {
	const char *recipient, *original;
	enum ph_target_kind kind;
	const char *said;
	const char *headers; /* Delivered-To and X-Original-To and the user, for what is delivered */
	const char *warning;
} cases[] = {
	{"nobody@here.example", "", PH_TARGET_ADDRESS, "sent 2.0.0 delivered to mailbox",
		"nobody@here.example nobody@here.example nobody", NULL},
	{"Nobody+x@here.example", "", PH_TARGET_ADDRESS, "sent 2.0.0 delivered to mailbox",
		"Nobody+x@here.example Nobody+x@here.example nobody", NULL},
	{"support@here.example", "", PH_TARGET_ADDRESS,
		"becomes nobody@here.example; sent 2.0.0 delivered to mailbox",
		"support@here.example support@here.example nobody", NULL},
	{"support@here.example", "old@here.example", PH_TARGET_ADDRESS,
		"becomes nobody@here.example; sent 2.0.0 delivered to mailbox",
		"support@here.example old@here.example nobody", NULL},
	{"support@here.example", "", PH_TARGET_USER, "bounce 5.1.1 unknown user: \"support\"", NULL, NULL},
	{"nobody@here.example", "all@here.example", PH_TARGET_USER, "sent 2.0.0 delivered to mailbox",
		"nobody@here.example all@here.example nobody", NULL},
	{"all@here.example", "", PH_TARGET_ADDRESS,
		"nobody@here.example!;daemon@here.example!;x@far.example^all@here.example;", NULL, NULL},
	{"away@here.example", "", PH_TARGET_ADDRESS, "x@far.example^away@here.example;", NULL, NULL},
	{"list@here.example", "", PH_TARGET_ADDRESS, "|x()<owner-list@here.example;"
		"nobody@here.example^list@here.example<owner-list@here.example;"
		"x@far.example^list@here.example<owner-list@here.example;", NULL, NULL},
	{"pattern@here.example", "", PH_TARGET_ADDRESS,
		"defer 4.3.5 alias pattern: a table of patterns may not name a command (x)", NULL,
		"alias pattern"},
	{"no-such-user-here@here.example", "", PH_TARGET_ADDRESS,
		"bounce 5.1.1 unknown user: \"no-such-user-here\"", NULL, NULL},
	{"../etc/x@here.example", "", PH_TARGET_ADDRESS, "bounce 5.1.1 unknown user: \"../etc/x\"", NULL, NULL},
	{"ring@here.example", "", PH_TARGET_ADDRESS, "bounce 5.4.6 alias database loop for ring", NULL, NULL},
	{"half@here.example", "", PH_TARGET_ADDRESS,
		"becomes nobody@here.example; sent 2.0.0 delivered to mailbox",
		"half@here.example half@here.example nobody", "alias database loop for ring"},
	{"void@here.example", "", PH_TARGET_ADDRESS, "sent 2.0.0 delivered to file: /dev/null", NULL, NULL},
	{"prog@here.example", "", PH_TARGET_ADDRESS, "|x();", NULL, NULL},
	{"broken@here.example", "", PH_TARGET_ADDRESS, "defer 4.3.0 alias lookup: hash:/x: gone", NULL, NULL},
	{"toroot@here.example", "", PH_TARGET_ADDRESS, "becomes root@here.example; defer 4.3.5 mail is not "
		"delivered with root's rights: add an alias for \"root\" that names an ordinary user", NULL,
		NULL},
	/* .forward files; see ph_spawn_read() */
	{"nobody+passwd@here.example", "", PH_TARGET_ADDRESS,
		"\\nobody+passwd@here.example;x@far.example^nobody+passwd@here.example;|cat(nobody);~/box(nobody);"
		"daemon@here.example;", NULL, NULL},
	{"nobody+passwd@here.example", "", PH_TARGET_MAILBOX, "sent 2.0.0 delivered to mailbox",
		"nobody+passwd@here.example nobody+passwd@here.example nobody", NULL},
	{"nobody+group@here.example", "", PH_TARGET_USER, "sent 2.0.0 delivered to mailbox",
		"nobody+group@here.example nobody+group@here.example nobody", NULL},
	{"into@here.example", "", PH_TARGET_ADDRESS,
		"becomes nobody+group@here.example; sent 2.0.0 delivered to mailbox",
		"into@here.example into@here.example nobody", NULL},
	{"nobody+hosts@here.example", "", PH_TARGET_USER, "sent 2.0.0 delivered to mailbox",
		"nobody+hosts@here.example nobody+hosts@here.example nobody", NULL},
	{"nobody+shells@here.example", "", PH_TARGET_USER, "sent 2.0.0 delivered to file: /dev/null", NULL,
		NULL},
	{"nobody+hostname@here.example", "", PH_TARGET_USER, "sent 2.0.0 delivered to mailbox",
		"nobody+hostname@here.example nobody+hostname@here.example nobody", "/etc/hostname: not used: file"},
	{"nobody+profile@here.example", "", PH_TARGET_USER,
		"defer 4.3.0 cannot read the .forward of \"nobody\": input/output error", NULL, NULL},
	{"nobody+shadow@here.example", "", PH_TARGET_USER,
		"defer 4.3.5 /etc/shadow: \"a #b\" is not an address", NULL, "/etc/shadow"},
	{"nobody+fstab@here.example", "", PH_TARGET_USER,
		"defer 4.3.5 /etc/fstab: a file that it includes is not there", NULL, "/etc/fstab"},
	{"nobody+gshadow@here.example", "", PH_TARGET_USER,
		"|(nobody);x@far.example^nobody+gshadow@here.example;", NULL, NULL},
	{"nobody+../x@here.example", "", PH_TARGET_USER, "sent 2.0.0 delivered to mailbox",
		"nobody+../x@here.example nobody+../x@here.example nobody", NULL},
};

static void
deliver_cases(void)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ph_delivery d = {.pool = ph_pool_new(0), .recipient = cases[i].recipient,
			.original = cases[i].original, .kind = cases[i].kind};
		char headers[1024];

		world.warning = cases[i].warning;
		world.warned = false;
		world.batches = 0;
		ops()->deliver(instance, &d);
		if (strcmp(d.said, cases[i].said) != 0)
			fail_msg("%s: %s", cases[i].recipient, d.said);
		assert_int_equal(world.batches, cases[i].headers != NULL ? 1 : 0);
		assert_int_equal(world.warned, cases[i].warning != NULL);
		if (cases[i].headers != NULL) {
			snprintf(headers, sizeof(headers), "%s %s %s", world.last.recipient, world.last.original,
				world.last.user);
			assert_string_equal(headers, cases[i].headers);
			assert_int_equal(world.last.offset, 7);
			assert_int_equal(world.last.length, 9);
		}
		ph_pool_free(d.pool);
	}
}

static void
answers_for_each_case(void **unused)
{
	run(deliver_cases);
}

/* ---- Other transports, strangers, programs --------------------------------------------------- */

static void
expect(struct ph_delivery d, const char *said)
{
	d.pool = ph_pool_new(0);
	d.original = "";
	ops()->deliver(instance, &d);
	if (strcmp(d.said, said) != 0)
		fail_msg("%s: %s", d.recipient, d.said);
	ph_pool_free(d.pool);
}

static void
go_elsewhere(void)
{
	const struct ph_delivery nobody = {.recipient = "no-one+x@here.example"},
		user = {.recipient = "nobody@here.example", .kind = PH_TARGET_USER},
		not_allowed = {.recipient = "a@here.example", .kind = PH_TARGET_COMMAND};

	set_text("mailbox_transport", "lmtp:unix:/x");
	expect(user, "nobody@here.example>lmtp:unix:/x;");
	expect(nobody, "no-one+x@here.example>lmtp:unix:/x;");
	set_text("mailbox_transport", "");
	expect(nobody, "bounce 5.1.1 unknown user: \"no-one+x\"");
	set_text("luser_relay", "lost+$local@far.example");
	expect(nobody, "lost+no-one+x@far.example^no-one+x@here.example;");
	set_text("luser_relay", "$user@here.example");
	expect(nobody, "no-one@here.example;");
	set_text("luser_relay", "@far.example");
	expect(nobody, "no-one+x@far.example^no-one+x@here.example;");
	set_text("luser_relay", "a b");
	world.warning = "luser_relay for no-one+x@here.example: ";
	expect(nobody, "defer 4.3.5 luser_relay: \"a b\" is not an address");
	set_text("fallback_transport", "smtp:[192.0.2.1]");
	expect(nobody, "no-one+x@here.example>smtp:[192.0.2.1];");
	expect(not_allowed, "bounce 5.7.1 mail to command is restricted");
}

/* The home of nobody is not there. */
static void
find_no_home(void)
{
	struct ph_delivery user = {.recipient = "nobody@here.example", .kind = PH_TARGET_USER};

	set_flag("require_home_directory");
	expect(user, "defer 4.3.0 cannot find the home directory of \"nobody\" (/nonexistent)");
	user.kind = PH_TARGET_MAILBOX;
	expect(user, "defer 4.3.0 cannot find the home directory of \"nobody\" (/nonexistent)");
	user.probe = true;
	expect(user, "sent 2.0.0 delivers to mailbox");
}

static void
wants_a_home(void **unused)
{
	run(find_no_home);
}

static void
knows_other_ways(void **unused)
{
	run(go_elsewhere);
}

/* A command and a file have the rights that the queue remembers, and who sent the message. */
static void
run_programs(void)
{
	struct ph_delivery d = {.recipient = "a@here.example", .kind = PH_TARGET_COMMAND, .what = "cat -u"};

	expect(d, "sent 2.0.0 delivered to mailbox");
	assert_int_equal(world.last.kind, PH_USER_COMMAND);
	assert_string_equal(world.last.user, "");
	assert_string_equal(world.last.target, "cat -u");
	assert_string_equal(world.last.sender, "s@far.example");
	d.kind = PH_TARGET_FILE;
	d.what = "~/box";
	d.user = "nobody";
	expect(d, "sent 2.0.0 delivered to mailbox");
	assert_int_equal(world.last.kind, PH_USER_FILE);
	assert_string_equal(world.last.user, "nobody");
}

static void
asks_for_programs(void **unused)
{
	run(run_programs);
}

/* ---- Probes ---------------------------------------------------------------------------------- */

static const struct {
	const char *recipient, *said;
} probes[] = {
	{"nobody@here.example", "sent 2.0.0 delivers to mailbox"},
	{"support@here.example", "becomes nobody@here.example; sent 2.0.0 delivers to mailbox"},
	{"all@here.example", "sent 2.0.0 aliased to 3 addresses"},
	{"away@here.example", "sent 2.0.0 aliased to 1 address"},
	{"void@here.example", "sent 2.0.0 delivered to file: /dev/null"},
	{"no-such-user-here@here.example", "bounce 5.1.1 unknown user: \"no-such-user-here\""},
	{"ring@here.example", "bounce 5.4.6 alias database loop for ring"},
	{"broken@here.example", "defer 4.3.0 alias lookup: hash:/x: gone"},
};

static void
probe_cases(void)
{
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		struct ph_delivery d = {.pool = ph_pool_new(0), .recipient = probes[i].recipient,
			.original = "", .probe = true};

		ops()->deliver(instance, &d);
		if (strcmp(d.said, probes[i].said) != 0)
			fail_msg("%s: %s", probes[i].recipient, d.said);
		ph_pool_free(d.pool);
	}
	assert_int_equal(world.batches, 0);
}

static void
answers_probes(void **unused)
{
	assert_int_not_equal(ops()->flags & PH_TRANSPORT_PROBES, 0);
	run(probe_cases);
}

/* A rehearsal tells all, and asks nobody to deliver. */
static const struct {
	const char *recipient;
	unsigned kind;
	const char *what, *said;
} rehearsals[] = {
	{"nobody@here.example", PH_TARGET_ADDRESS, "", "sent 2.0.0 delivers to mailbox /mail/nobody"},
	{"support@here.example", PH_TARGET_ADDRESS, "",
		"becomes nobody@here.example; sent 2.0.0 delivers to mailbox /mail/nobody"},
	{"void@here.example", PH_TARGET_ADDRESS, "", "sent 2.0.0 delivered to file: /dev/null"},
	{"ring@here.example", PH_TARGET_ADDRESS, "", "bounce 5.4.6 alias database loop for ring"},
	{"a@here.example", PH_TARGET_COMMAND, "cat -u", "sent 2.0.0 delivers to command with the rights of noone"},
	{"a@here.example", PH_TARGET_FILE, "/x", "sent 2.0.0 delivers to file with the rights of noone"},
	{"a@here.example", PH_TARGET_FILE, "", "bounce 5.7.1 mail to file is restricted"},
};

static void
rehearse_cases(void)
{
	for (size_t i = 0; i < sizeof(rehearsals) / sizeof(rehearsals[0]); i++) {
		struct ph_delivery d = {.pool = ph_pool_new(0), .recipient = rehearsals[i].recipient,
			.original = "", .kind = rehearsals[i].kind, .what = rehearsals[i].what, .user = "",
			.probe = true, .rehearsal = true};

		ops()->deliver(instance, &d);
		if (strcmp(d.said, rehearsals[i].said) != 0)
			fail_msg("%s: %s", rehearsals[i].recipient, d.said);
		ph_pool_free(d.pool);
	}
	assert_int_equal(world.batches, 0);
}

static void
rehearses(void **unused)
{
	assert_int_not_equal(ops()->flags & PH_TRANSPORT_REHEARSES, 0);
	run(rehearse_cases);
}

/* ---- Batches --------------------------------------------------------------------------------- */

enum { MANY = 100 };

static unsigned delivered, deferred;

static void
deliver_one(void *unused)
{
	struct ph_delivery d = {.pool = ph_pool_new(0), .recipient = "nobody@here.example",
		.original = "", .kind = PH_TARGET_MAILBOX};

	ops()->deliver(instance, &d);
	if (strstr(d.said, "sent 2.0.0") != NULL)
		delivered++;
	else if (strstr(d.said, "defer 4.3.0") != NULL)
		deferred++;
	else
		fail_msg("%s", d.said);
	ph_pool_free(d.pool);
}

static void
deliver_many(void)
{
	ph_task tasks[MANY];

	delivered = deferred = 0;
	deliver_one(NULL); /* the user is known from now on */
	for (size_t i = 0; i < MANY; i++)
		tasks[i] = ph_task_spawn("delivery", deliver_one, NULL);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(ph_task_join(tasks[i], ph_in(10000)), PH_WAIT_OK);
}

static void
collect_many(void)
{
	world.rounds = 3;
	deliver_many();
	assert_int_equal(delivered, MANY + 1);
	assert_int_equal(world.batches, 3);
	assert_int_equal(world.batch_sizes[0], 1);
	assert_int_equal(world.batch_sizes[1], PH_SPAWN_MAX);
	assert_int_equal(world.batch_sizes[2], MANY - PH_SPAWN_MAX);
}

static void
goes_in_batches(void **unused)
{
	run(collect_many);
}

static void
fail_many(void)
{
	world.rounds = 1;
	world.fail = true;
	deliver_many();
	assert_int_equal(deferred, MANY + 1);
}

static void
defers_when_the_spawner_fails(void **unused)
{
	run(fail_many);
}

/* Those who waited are cancelled, some under way, some not: nothing leaks, nothing is used
 * again. */
static void
cancel_many(void)
{
	ph_task tasks[MANY];

	delivered = deferred = 0;
	deliver_one(NULL);
	world.rounds = 20;
	for (size_t i = 0; i < MANY; i++)
		tasks[i] = ph_task_spawn("delivery", deliver_one, NULL);
	for (int i = 0; i < 5; i++)
		ph_yield();
	for (size_t i = 0; i < MANY; i++)
		ph_task_cancel(tasks[i]);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(ph_task_join(tasks[i], ph_in(10000)), PH_WAIT_OK);
	assert_int_equal(deferred, MANY);
	for (int i = 0; i < 50; i++)
		ph_yield();
}

static void
can_be_cancelled(void **unused)
{
	run(cancel_many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers_for_each_case),
		cmocka_unit_test(knows_other_ways),
		cmocka_unit_test(wants_a_home),
		cmocka_unit_test(asks_for_programs),
		cmocka_unit_test(answers_probes),
		cmocka_unit_test(rehearses),
		cmocka_unit_test(goes_in_batches),
		cmocka_unit_test(defers_when_the_spawner_fails),
		cmocka_unit_test(can_be_cancelled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
