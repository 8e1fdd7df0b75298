/* Whole configurations, good and bad; the loader of modules. */
#include "config/scratch.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <posthouse/map.h>
#include <posthouse/restriction.h>

#include "config/files.h"
#include "config/match.h"
#include "config/state.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Stands before every text: line 1 to 3. */
#define HEAD "load(listener_test, restriction_test)\nload(map_test, queue_test, transport_test)\n" \
	"include_dir(more)  default_transport = test local_transport = test relay_transport = test " \
	"module_directory = MODULES\n"

static const char *
with_modules(const char *text)
{
	static char out[8000];
	const char *at = strstr(text, "MODULES");

	if (!at)
		return text;
	snprintf(out, sizeof(out), "%.*s%s%s", (int)(at - text), text, scratch_modules,
		at + strlen("MODULES"));
	return out;
}

static void
collect(void *context, bool warning, const char *line)
{
	char *text = context;
	const char *name = strstr(line, "posthouse.conf:");

	if (strstr(line, "/more/"))
		name = strstr(line, "more/");
	else if (name)
		name += strlen("posthouse.conf:");
	strcat(strcat(text, name ? name : line), "\n");
}

static struct config *
load(const char *text, char *problems_text)
{
	struct problems *problems = problems_new();
	struct config *config;

	text = with_modules(text);
	scratch_write(scratch_config, text, strlen(text));
	config = config_load(scratch_config, -1, problems);
	problems_text[0] = '\0';
	problems_each(problems, collect, problems_text);
	problems_free(problems);
	return config;
}

static const char good[] = HEAD
	"myhostname = mail.example.com   # a comment\n"
	"mydomain = example.com\n"
	"myorigin = $mydomain\n"
	"mynetworks = {10.0.0.0/8, ![2001:db8::]/32}\n"
	"mydestination = {$myhostname, .example.net, !x.example.org, map, test:/etc/x}\n"
	"message_size_limit = 20m\nqueue_minfree = 40m\n"
	"minimal_backoff_time = 5m\n"
	"inet_interfaces = loopback-only\n"
	"dns_servers = {192.0.2.1@53}\n"
	"smtpd_helo_required = yes\n"
	"smtpd_recipient_restrictions = {permit_mynetworks, 'reject_rbl_client zen.example=127.0.0.[2..11]',\n"
	"  'warn_if_reject check_sender_access test:/etc/y', 'sleep 3', test:/etc/z2}\n"
	"map map { module = test path = /etc/table }\n"
	"listener one { module = test  port = 2525 }\n"
	"listener two { module = test  port = 2526 test_level = encrypt smtpd_helo_required = no\n"
	"  smtpd_recipient_restrictions += {reject} test_words = {x} queue = test }\n"
	"transport slow { module = test test_connect_timeout = 2m }\n";

struct listener {
	int64_t port;
	const char *banner;
	int level;
	ph_strings words;
};

/* "test:/etc/z2" in the recipient list means check_recipient_access, which no test module has. */
static const char *
good_text(void)
{
	static char text[4000];

	snprintf(text, sizeof(text), "%s", good);
	memset(strstr(text, ", test:/etc/z2"), ' ', strlen(", test:/etc/z2"));
	return text;
}

static void
good_configuration(void **state)
{
	char problems[4000];
	struct config *config = load(good_text(), problems);
	const struct settings *settings;
	const struct listener *one, *two;
	const struct policy_settings *policy;
	ph_address address;
	ph_error error;

	assert_string_equal(problems, "");
	assert_non_null(config);
	settings = config_settings(config);
	assert_string_equal(settings->myorigin, "example.com");
	assert_int_equal(settings->message_size_limit, 20 << 20);
	assert_int_equal(settings->minimal_backoff_time, 300000);
	assert_int_equal(settings->maximal_backoff_time, 4000000);
	assert_string_equal(settings->inet_interfaces.items[0], "loopback-only");
	assert_int_equal(settings->dns_servers.items[0].port, 53);
	assert_string_equal(settings->mail_spool_directory, "/var/mail");
	ph_address_parse(ph_span_of("10.1.2.3"), &address);
	assert_true(ph_networks_match(settings->mynetworks, &address));
	ph_address_parse(ph_span_of("127.0.0.1"), &address);
	assert_false(ph_networks_match(settings->mynetworks, &address));
	assert_int_equal(ph_match(settings->mydestination, "MAIL.example.com.", &error), PH_FOUND);
	assert_int_equal(ph_match(settings->mydestination, "a.b.example.net", &error), PH_FOUND);
	assert_int_equal(ph_match(settings->mydestination, "x.example.org", &error), PH_NOT_FOUND);
	assert_int_equal(ph_match(settings->mydestination, "other.example", &error), PH_FAILED);
	assert_int_equal(config_open_maps(config, &error), 0);
	assert_int_equal(ph_match(settings->mydestination, "other.example", &error), PH_NOT_FOUND);
	assert_int_equal(ph_match(settings->mydestination, "KNOWN", &error), PH_FOUND);
	assert_int_equal(ph_match(settings->mydestination, "below.mail.example.com", &error), PH_NOT_FOUND);
	assert_int_equal(match_with_parents(settings->mydestination, "below.mail.example.com.", &error), PH_FOUND);
	assert_int_equal(match_with_parents(settings->mydestination, "notmail.example.com", &error), PH_NOT_FOUND);
	assert_int_equal(match_with_parents(settings->mydestination, "x.known", &error), PH_FOUND);
	assert_int_equal(ph_match(settings->mydestination, "fails", &error), PH_FAILED);
	assert_string_equal(error.text, "map: failed");

	one = config_instance(config, PH_CLASS_LISTENER, 0)->self;
	two = config_find(config, PH_CLASS_LISTENER, "two")->self;
	assert_null(config_instance(config, PH_CLASS_LISTENER, 2));
	assert_int_equal(one->port, 2525);
	assert_string_equal(one->banner, "mail.example.com ESMTP");
	assert_int_equal(one->words.count, 2);
	assert_int_equal(two->level, 2);
	assert_string_equal(two->words.items[0], "x");
	policy = config_instance(config, PH_CLASS_LISTENER, 0)->policy;
	assert_true(policy->smtpd_helo_required);
	assert_int_equal(policy->smtpd_recipient_restrictions->count, 5);
	policy = config_instance(config, PH_CLASS_LISTENER, 1)->policy;
	assert_false(policy->smtpd_helo_required);
	assert_int_equal(policy->smtpd_recipient_restrictions->count, 6);
	assert_string_equal(policy->queue, "test");
	assert_ptr_equal(config_queue(config, "test"), config_instance(config, PH_CLASS_QUEUE, 0));
	assert_string_equal(ph_instance_name(two), "two");
	assert_non_null(config_find(config, PH_CLASS_TRANSPORT, "slow"));
	assert_non_null(config_find(config, PH_CLASS_TRANSPORT, "test"));
	assert_int_equal(*(int64_t *)config_find(config, PH_CLASS_TRANSPORT, "slow")->self, 120000);
	config_free(config);
}

static void
rules(void **state)
{
	char problems[4000];
	struct config *config = load(good_text(), problems);
	const ph_rules *list;

	assert_non_null(config);
	list = config_instance(config, PH_CLASS_LISTENER, 0)->policy->smtpd_recipient_restrictions;
	assert_string_equal(list->items[0].name, "permit_mynetworks");
	assert_string_equal(list->items[0].argument, "");
	assert_non_null(list->items[0].restriction);
	assert_string_equal(list->items[0].instance->name, "restriction_test");
	assert_string_equal(list->items[1].argument, "zen.example=127.0.0.[2..11]");
	assert_int_equal(list->items[1].line, 15);
	assert_string_equal(list->items[2].name, "warn_if_reject");
	assert_null(list->items[2].restriction);
	assert_string_equal(list->items[3].name, "check_sender_access");
	assert_false(ph_map_is_empty(list->items[3].map));
	assert_int_equal(list->items[4].number, 3);
	assert_int_equal(list->items[4].line, 16);
	config_free(config);
}

/* Classes of restrictions: lists that the configuration names. */
static void
rule_classes(void **state)
{
	static const char text[] = HEAD
		"smtpd_restriction_classes = {inner, outer}\n"
		"outer = {permit_mynetworks, inner}\n"
		"inner = {'check_sender_access test:/etc/in', reject_unauth_destination}\n"
		"listener one { module = test\n"
		" smtpd_relay_restrictions = {outer, defer_unauth_destination} }\n";
	char problems[4000];
	struct config *config = load(text, problems);
	const ph_rules *list;
	ph_error error = {""};
	ph_pool *pool = ph_pool_new(0);

	assert_string_equal(problems, "");
	assert_non_null(config);
	list = config_instance(config, PH_CLASS_LISTENER, 0)->policy->smtpd_relay_restrictions;
	assert_string_equal(list->items[0].name, "outer");
	assert_null(list->items[0].restriction);
	assert_int_equal(list->items[0].line, 8);
	list = list->items[0].rules;
	assert_int_equal(list->count, 2);
	assert_string_equal(list->items[1].name, "inner");
	assert_int_equal(list->items[1].rules->count, 2);
	assert_int_equal(list->items[1].rules->items[0].line, 6);
	assert_string_equal(config_value(config, "inner", true),
		"check_sender_access test:/etc/in, reject_unauth_destination");

	/* What a table may answer. */
	assert_int_equal(config_open_maps(config, &error), 0);
	list = rules_parse(config, pool,
		"permit_mynetworks, inner check_sender_access test:/etc/in reject_rbl_client a.b", &error);
	assert_non_null(list);
	assert_int_equal(list->count, 4);
	assert_ptr_equal(list->items[1].rules->items[1].restriction->check,
		list->items[0].restriction->check);
	assert_string_equal(list->items[2].argument, "test:/etc/in");
	assert_false(ph_map_is_empty(list->items[2].map));
	assert_string_equal(ph_map_name(list->items[2].map), "test:/etc/in");
	assert_string_equal(ph_rule_prepared(&list->items[3]), ".b");
	assert_null(rules_parse(config, pool, "permit_mynetwork", &error));
	assert_string_equal(error.text,
		"permit_mynetwork: no such restriction; did you mean permit_mynetworks?");
	assert_null(rules_parse(config, pool, "check_sender_access test:/other", &error));
	assert_non_null(strstr(error.text, "the table is not open; name it in a class"));
	assert_null(rules_parse(config, pool, "reject_rbl_client nodot", &error));
	config_close_maps(config);
	ph_pool_free(pool);
	config_free(config);
}

static void
values(void **state)
{
	char problems[4000];
	struct config *config = load(good_text(), problems);

	assert_non_null(config);
	assert_string_equal(config_value(config, "mydestination", false),
		"$myhostname, .example.net, !x.example.org, map, test:/etc/x");
	assert_string_equal(config_value(config, "myorigin", false), "$mydomain");
	assert_string_equal(config_value(config, "myorigin", true), "example.com");
	assert_string_equal(config_value(config, "test_banner", true), "mail.example.com ESMTP");
	assert_string_equal(config_value(config, "listener/two/test_level", false), "encrypt");
	assert_string_equal(config_value(config, "smtpd_relay_restrictions", true),
		"permit_mynetworks, permit_sasl_authenticated, defer_unauth_destination");
	assert_null(config_value(config, "port", false));
	assert_null(config_value(config, "nonsense", false));
	assert_string_equal(ph_global("myorigin"), "");
	config_set_current(config);
	assert_string_equal(ph_global("myorigin"), "example.com");
	assert_ptr_equal(ph_global("myorigin"), ph_global("myorigin"));
	assert_string_equal(ph_global("nonsense"), "");
	config_free(config);
	assert_null(config_current());
}

/* Each: what stands behind HEAD, and the problems. */
static const char *const bad[][2] = {
	{"smtpd_helo_requird = yes\n",
		"4: smtpd_helo_requird: no such parameter; did you mean smtpd_helo_required?\n"},
	{"a_b_c = {1,2}\nd_e_f += {3}\nmail_name = x\nmyorigin = {a, b}\n",
		"4: a_b_c: no such parameter\n5: d_e_f: no such parameter\n"
		"7: myorigin: takes one value, not a list\n"},
	{"smtpd_helo_required = true /* x\n */ hopcount_limit = 0\n",
		"4: smtpd_helo_required: \"true\" is neither yes nor no; did you mean yes?\n"
		"5: hopcount_limit: 0 is out of range: 1 to 10000\n"},
	{"mydomain = x.$myhostname\nmyhostname = y.$mydomain\n",
		"4: mydomain: refers to itself: mydomain -> myhostname -> mydomain\n"
		"5: myhostname: refers to itself: myhostname -> mydomain -> myhostname\n"},
	{"myorigin = $mydomian\n", "4: myorigin: $mydomian: no such parameter; did you mean mydomain?\n"},
	{"mynetworks = {10.0.0.0/8,\n  10.0.0.1/8}\n",
		"5: mynetworks: \"10.0.0.1/8\" has host bits set; did you mean 10.0.0.0/8?\n"},
	{"mynetworks = 0.0.0.0/0\nhopcount_limit = x\n",
		"4: warning: mynetworks: 0.0.0.0/0 trusts every address of the world to relay mail\n"
		"5: hopcount_limit: \"x\" is not a whole number\n"},
	{"smtpd_helo_restrictions = {permit_mynetwork, reject_other, 'permit_mynetworks reject',\n"
	 " check_sender_access, 'check_sender_access tset:/x', 'reject 5', test:/x}\n",
		"4: smtpd_helo_restrictions: permit_mynetwork: no such restriction; did you mean "
		"permit_mynetworks?\n"
		"4: smtpd_helo_restrictions: reject_other: no such restriction is loaded; "
		"load(restriction_other) provides it\n"
		"4: smtpd_helo_restrictions: \"permit_mynetworks reject\": two restrictions in one element; a "
		"comma goes between them\n"
		"5: smtpd_helo_restrictions: check_sender_access needs a table: 'check_sender_access "
		"type:path'\n"
		"5: smtpd_helo_restrictions: check_sender_access: tset:/x: no table of type tset is known; "
		"did you mean test?\n"
		"5: smtpd_helo_restrictions: reject takes no argument, but \"5\" follows\n"
		"5: smtpd_helo_restrictions: check_helo_access: no such restriction; "
		"no installed module provides it\n"},
	{"port = 25\n", "4: port: belongs in a section: listener NAME { module = test  port = … }\n"},
	{"listner smtp { module = test }\n",
		"4: listner smtp { … }: no such kind of section; did you mean listener?\n"},
	{"listener a { module = test\n prt = 5\n myorigin = x\n port = 70000\n }\n",
		"5: prt: listener_test has no such parameter; did you mean port?\n"
		"6: myorigin: cannot be set for listener a alone; set it outside of sections\n"
		"7: port: 70000 is out of range: 0 to 65535\n"},
	{"listener a { module = test }\nlistener a { module = tset }\nlistener b { }\n",
		"5: listener a: there is one of this name already, on line 4\n"
		"5: module = tset: there is no listener_tset.so in MODULES; did you mean test?\n"
		"6: listener b: needs module = NAME, as in module = smtp\n"},
	{"listener a { module = test port = 666 }\n", "4: listener a: port 666 is not for mail\n"},
	{"listener a { module = test smtpd_relay_restrictions = {permit_mynetworks} }\n",
		"4: listener a would be an open relay: neither smtpd_relay_restrictions nor "
		"smtpd_recipient_restrictions refuses strangers; put reject_unauth_destination into one of "
		"them\n"},
	{"smtpd_relay_restrictions = {permit, reject_unauth_destination}\n"
	 "smtpd_recipient_restrictions = {warn_if_reject, reject_unauth_destination}\n"
	 "listener a { module = test }\n",
		"6: listener a would be an open relay: neither smtpd_relay_restrictions nor "
		"smtpd_recipient_restrictions refuses strangers; put reject_unauth_destination into one of "
		"them\n"},
	{"listener a { module = test queue = x }\n", "4: listener a: there is no queue named x\n"},
	{"lod(x)\n", "4: lod(…): no such function; did you mean load?\n"},
	{"load = x\n", "4: load is a function: load(name, name)\n"},
	{"listener = x\n", "4: listener is a section: listener NAME { … }\n"},
	{"load(test, map_tst, map_ldap)\n",
		"4: load(test): a module is named CLASS_NAME, as in listener_smtp; did you mean listener_test "
		"or map_test or queue_test or restriction_test or transport_test?\n"
		"4: load(map_tst): there is no MODULES/map_tst.so; did you mean map_test?\n"
		"4: load(map_ldap): there is no MODULES/map_ldap.so; is the package posthouse-map-ldap "
		"installed?\n"},
	{"include_dir(nowhere)\n", "4: include_dir(nowhere): FOLDER/nowhere: No such file or directory\n"},
	{"mydestination = {/no/such/file}\n",
		"4: mydestination: /no/such/file: No such file or directory\n"},
	{"default_transport = tset\n",
		"4: warning: default_transport: replaces the value of line 3\n"
		"4: default_transport: there is no transport named \"tset\"; did you mean test?\n"},
	{"maximal_queue_lifetime = 5\nhopcount_limit = -1\n",
		"4: warning: maximal_queue_lifetime: 5 means seconds; write 5d for days\n"
		"5: hopcount_limit: -1 is out of range: 1 to 10000\n"},
	{"smtpd_restriction_classes = {a, hopcount_limit, permit, 'x y', reject_unauth_destination}\n"
	 "a = {a, permit}\n"
	 "smtpd_helo_restrictions = {'reject_rbl_client nodot', 'a 5', b}\n",
		"4: smtpd_restriction_classes: hopcount_limit is a parameter already: choose another name\n"
		"4: smtpd_restriction_classes: permit is a restriction already: choose another name\n"
		"4: smtpd_restriction_classes: x y: a name has letters, digits, _ and -\n"
		"4: smtpd_restriction_classes: reject_unauth_destination is a restriction already: choose "
		"another name\n"
		"5: a: a: this class of restrictions refers to itself\n"
		"6: smtpd_helo_restrictions: reject_rbl_client nodot: expected a domain with a dot\n"
		"6: smtpd_helo_restrictions: a takes no argument, but \"5\" follows\n"
		"6: smtpd_helo_restrictions: b: no such restriction; no installed module provides it\n"},
	{"smtpd_restriction_classes = {a}\nsmtpd_helo_restrictions = {a, reject_unknown_client}\n",
		"5: smtpd_helo_restrictions: a: this class has no restrictions; write a = {…}\n"
		"5: warning: smtpd_helo_restrictions: reject_unknown_client was given up; write "
		"reject_unknown_client_hostname\n"},
	{"mynetworks = 10.0.0.0/8, 127.0.0.0/8\n",
		"4: unexpected comma after the value of mynetworks: a list is written mynetworks = {a, b}\n"},
};

/* The text with the scratch folder's names in it. */
static void
with_names(char *out, size_t size, const char *text)
{
	size_t used = 0;

	out[0] = '\0';
	while (*text && used < size) {
		if (strncmp(text, "MODULES", 7) == 0) {
			used += (size_t)snprintf(out + used, size - used, "%s", scratch_modules);
			text += 7;
		} else if (strncmp(text, "FOLDER", 6) == 0) {
			used += (size_t)snprintf(out + used, size - used, "%s", scratch_folder);
			text += 6;
		} else {
			out[used++] = *text++;
			out[used] = '\0';
		}
	}
}

static void
bad_configurations(void **state)
{
	char text[4000], expected[4000], problems[8000];

	for (size_t i = 0; i < COUNT(bad); i++) {
		snprintf(text, sizeof(text), "%s%s", HEAD, bad[i][0]);
		with_names(expected, sizeof(expected), bad[i][1]);
		assert_null(load(text, problems));
		assert_string_equal(problems, expected);
	}
}

static void
a_queue_is_needed(void **state)
{
	char problems[4000];

	assert_null(load("module_directory = MODULES\nload(listener_test, restriction_test)\n"
		"listener a { module = test }\n", problems));
	assert_non_null(strstr(problems,
		"mail has no place to stay: no queue module is loaded; add load(queue_log)"));
	assert_null(load("load(queue_test\n", problems));
	assert_string_equal(problems, "1: the list of load is never closed: expected )\n");
}

static void
no_file(void **state)
{
	struct problems *problems = problems_new();
	char text[500] = "";

	assert_null(config_load("/no/such/file.conf", -1, problems));
	problems_each(problems, collect, text);
	assert_string_equal(text, "/no/such/file.conf: No such file or directory\n");
	problems_free(problems);
}

/* What is quoted of a file does nothing to a terminal. */
static void
raw_bytes(void **state)
{
	char problems[4000];

	assert_null(load("mail_nmae = '\033[2Jx\377\n'\n", problems));
	assert_string_equal(problems, "1: mail_nmae: no such parameter; did you mean mail_name?\n");
	assert_null(load("mail_name = y\nhopcount_limit = '\033[2J\377\302\205\303\244'\n", problems));
	assert_string_equal(problems,
		"2: hopcount_limit: \"\\033[2J\\377\\302\\205\303\244\" is not a whole number\n");
}

static void
write_text(const char *path, const char *text)
{
	scratch_write(path, text, strlen(text));
}

static void
included_files(void **state)
{
	char problems[4000], path[300];
	struct config *config;

	snprintf(path, sizeof(path), "%s/more/b.conf", scratch_folder);
	write_text(path, "mail_name = B\nmydestination += {b}\n");
	snprintf(path, sizeof(path), "%s/more/a.conf", scratch_folder);
	write_text(path, "mydestination = {a}\n");
	snprintf(path, sizeof(path), "%s/more/c.txt", scratch_folder);
	write_text(path, "nonsense\n");
	config = load(HEAD "hopcount_limit = 9\n", problems);
	assert_string_equal(problems, "");
	assert_non_null(config);
	assert_string_equal(config_value(config, "mydestination", false), "a, b");
	assert_string_equal(config_settings(config)->mail_name, "B");
	config_free(config);
	write_text(path, "nonsense\n");
	snprintf(path, sizeof(path), "%s/more/b.conf", scratch_folder);
	write_text(path, "\nmail_nmae = B\n");
	assert_null(load(HEAD "hopcount_limit = 0\n", problems));
	assert_string_equal(problems, "4: hopcount_limit: 0 is out of range: 1 to 10000\n"
		"more/b.conf:2: mail_nmae: no such parameter; did you mean mail_name?\n");
	unlink(path);
	snprintf(path, sizeof(path), "%s/more/a.conf", scratch_folder);
	unlink(path);
}

static void
snapshots(void **state)
{
	char problems_text[4000];
	struct config *config = load(good_text(), problems_text), *again;
	struct problems *problems = problems_new();
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	ph_error error;

	assert_non_null(config);
	assert_int_equal(config_snapshot(config, fd, &error), 0);
	config_free(config);
	scratch_write(scratch_config, "nonsense = 1\n", 13);
	again = config_load(scratch_config, fd, problems);
	problems_print(problems, stderr);
	assert_non_null(again);
	assert_string_equal(config_settings(again)->myorigin, "example.com");
	config_free(again);
	assert_int_equal(ftruncate(fd, 60), 0);
	assert_null(config_load(scratch_config, fd, problems));
	close(fd);
	problems_free(problems);
}

static void
instances_are_read_only(void **state)
{
	char problems[4000];
	struct config *config = load(good_text(), problems);
	struct instance *instance = config_instance(config, PH_CLASS_LISTENER, 0);
	ph_error error;
	int pipes[2];

	assert_int_equal(instance_open(instance, &error), 0);
	assert_int_equal(instance_start(instance, &error), 0);
	assert_int_equal(pipe(pipes), 0);
	/* the kernel refuses to write into it */
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(read(pipes[0], instance->self, 1), -1);
	instance_stop(instance);
	assert_int_equal(read(pipes[0], instance->self, 1), 1);
	instance_close(instance);
	close(pipes[0]);
	close(pipes[1]);
	config_free(config);
}

static int
reopen(const char *path, ph_error *error)
{
	return open("/dev/null", O_RDONLY);
}

static void
files_of_parameters(void **state)
{
	char problems[4000], text[3000];
	struct config *config;
	struct instance *map;
	ph_error error;
	int fd;

	snprintf(text, sizeof(text), HEAD "mydestination = {test:%s}\n", scratch_config);
	config = load(text, problems);
	assert_non_null(config);
	map = config_instance(config, PH_CLASS_MAP, 0);
	fd = ph_file_open(map->self, "path", NULL, &error);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(ph_file_open(map->self, "path", ".cdb", &error), -1);
	assert_int_equal(ph_file_open(map->self, "test_folding", NULL, &error), -1);
	files_set_reopen(reopen);
	fd = ph_file_open(map->self, "path", ".cdb", &error);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(ph_file_open(map->self, "path", ".other", &error), -1);
	files_set_reopen(NULL);
	assert_true(files_allowed(config, scratch_config));
	snprintf(text, sizeof(text), "%s.cdb", scratch_config);
	assert_true(files_allowed(config, text));
	snprintf(text, sizeof(text), "%s/../x", scratch_config);
	assert_false(files_allowed(config, text));
	assert_false(files_allowed(config, "/etc/shadow"));
	config_free(config);
}

/* ---- The loader ------------------------------------------------------------------------------------ */

static void
refused(const char *name, const char *expected)
{
	char text[1000];
	ph_error error = {""};

	assert_null(loader_load(scratch_modules, name, 0, &error));
	with_names(text, sizeof(text), expected);
	assert_string_equal(error.text, text);
}

static void
modules_that_are_refused(void **state)
{
	char path[400];

	scratch_module("map_abi", "map_abi", SIZE_MAX);
	refused("map_abi", "MODULES/map_abi.so: built for module ABI 7; posthouse 0.1.0 has ABI 1: build it "
		"again");
	scratch_module("map_magic", "map_magic", SIZE_MAX);
	refused("map_magic",
		"MODULES/map_magic.so: posthouse_module_map_magic is not a module's descriptor");
	scratch_module("map_test", "map_renamed", SIZE_MAX);
	refused("map_renamed", "MODULES/map_renamed.so: has no posthouse_module_map_renamed: not a module, "
		"or one under a wrong name");
	scratch_module("map_test", "map_cut", 5000);
	refused("map_cut", "MODULES/map_cut.so is cut off: install it again");
	scratch_module("map_test", "map_empty", 0);
	refused("map_empty", "MODULES/map_empty.so is not a shared object");
	scratch_module("map_test", "map_group", SIZE_MAX);
	snprintf(path, sizeof(path), "%s/map_group.so", scratch_modules);
	chmod(path, 0664);
	refused("map_group", "MODULES/map_group.so is writable by its group: chmod go-w it");
	chmod(path, 0644);
	chmod(scratch_modules, 0777);
	refused("map_group", "MODULES is writable by everybody: chmod go-w it");
	chmod(scratch_modules, 0700);
}

static void
an_undefined_symbol_is_named(void **state)
{
	ph_error error = {""};

	scratch_module("map_undefined", "map_undefined", SIZE_MAX);
	assert_null(loader_load(scratch_modules, "map_undefined", 0, &error));
	assert_non_null(strstr(error.text, "undefined symbol: ph_from_a_later_release"));
}

static void
a_newer_minor_is_fine(void **state)
{
	const struct module *module;
	ph_error error = {""};

	scratch_module("map_newer", "map_newer", SIZE_MAX);
	module = loader_load(scratch_modules, "map_newer", 0, &error);
	assert_string_equal(error.text, "");
	assert_non_null(module);
	assert_int_equal(module->abi_minor, 99);
	assert_ptr_equal(loader_load(scratch_modules, "map_newer", 0, &error), module);
}

static void
one_name_from_one_place(void **state)
{
	char folder[300], from[600], to[600];
	ph_error error = {""};

	assert_non_null(loader_load(scratch_modules, "map_test", 0, &error));
	snprintf(folder, sizeof(folder), "%s/other", scratch_folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	snprintf(from, sizeof(from), "%s/map_test.so", scratch_modules);
	snprintf(to, sizeof(to), "%s/map_test.so", folder);
	assert_int_equal(link(from, to), 0);
	assert_null(loader_load(folder, "map_test", 0, &error));
	assert_non_null(strstr(error.text, "map_test is loaded already, from "));
}

/* A module of an older release: its structs end earlier. What is missing reads as zero. */
static void
shorter_structs(void **state)
{
	static const struct ph_restriction restrictions[] = {
		{.name = "one", .stage = PH_STAGE_CLIENT, .doc = "x", .example = "x"}};
	struct ph_module descriptor = {.magic = PH_MODULE_MAGIC, .abi_major = PH_ABI_MAJOR,
		.size = sizeof(descriptor), .class_number = PH_CLASS_RESTRICTION,
		.class_major = PH_RESTRICTION_MAJOR, .name = "restriction_old",
		.operations = restrictions, .operation_count = 1,
		.operation_stride = offsetof(struct ph_restriction, check)};
	const struct ph_restriction *padded;
	const struct module *module;
	ph_error error = {""};

	module = loader_adopt(&descriptor, "restriction_old", "x", &error);
	assert_non_null(module);
	padded = module->descriptor.operations;
	assert_string_equal(padded->name, "one");
	assert_null(padded->doc);
	assert_null(padded->example);
	assert_null(padded->prepare);
	descriptor.class_major = 9;
	assert_null(loader_adopt(&descriptor, "restriction_old", "x", &error));
	assert_string_equal(error.text, "x: built for version 9 of the class restriction; posthouse 0.1.0 "
		"has version 1: build it again");
	descriptor.class_major = PH_RESTRICTION_MAJOR;
	descriptor.operation_count = 0;
	assert_null(loader_adopt(&descriptor, "restriction_old", "x", &error));
	assert_string_equal(error.text, "x: broken: it has no operations");
}

static void
module_names(void **state)
{
	assert_true(loader_is_name("map_hash"));
	assert_true(loader_is_name("restriction_listed_mx"));
	assert_false(loader_is_name("hash"));
	assert_false(loader_is_name("map_"));
	assert_false(loader_is_name("map_../x"));
	assert_false(loader_is_name("Map_hash"));
}

static int
begin(void **state)
{
	static const char *const modules[] = {"listener_test", "restriction_test", "restriction_other",
		"map_test", "queue_test", "transport_test"};
	char path[300];

	if (scratch_begin(state) != 0)
		return -1;
	for (size_t i = 0; i < COUNT(modules); i++)
		scratch_module(modules[i], modules[i], SIZE_MAX);
	snprintf(path, sizeof(path), "%s/more", scratch_folder);
	return mkdir(path, 0700);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_configuration),
		cmocka_unit_test(rules),
		cmocka_unit_test(rule_classes),
		cmocka_unit_test(values),
		cmocka_unit_test(bad_configurations),
		cmocka_unit_test(a_queue_is_needed),
		cmocka_unit_test(no_file),
		cmocka_unit_test(raw_bytes),
		cmocka_unit_test(included_files),
		cmocka_unit_test(snapshots),
		cmocka_unit_test(instances_are_read_only),
		cmocka_unit_test(files_of_parameters),
		cmocka_unit_test(modules_that_are_refused),
		cmocka_unit_test(an_undefined_symbol_is_named),
		cmocka_unit_test(a_newer_minor_is_fine),
		cmocka_unit_test(one_name_from_one_place),
		cmocka_unit_test(shorter_structs),
		cmocka_unit_test(module_names),
	};

	return cmocka_run_group_tests(tests, begin, scratch_end);
}
