/* restriction_access: which keys are looked up for what, and what becomes of the result. */
#include "test.h"

#include <string.h>

#include "session_world.h"

extern const struct ph_module posthouse_module_restriction_access;

struct access {
	const char *null_key;
	const char *delimiter;
	const char *origin;
	bool dotted;
};

static const struct access self = {"<>", "+", "origin.example", false};
static const struct access dotted = {"<>", "+", "", true};

/* A session at RCPT, with everything that could be looked up. */
static ph_session *
begin(const char *client)
{
	ph_session *session;

	world_reset();
	session = world_session(client);
	world_name_client(session, "mail.client.example");
	session->reverse_name = strdup("ptr.client.example");
	session->helo = strdup("helo.client.example");
	session->sender = "me+list@Sender.Example";
	session->recipient = "you+tag@sub.here.example";
	session->login.username = "joe@here.example";
	session->tls.fingerprint = "AA:BB";
	session->tls.pubkey_fingerprint = "CC:DD";
	session->etrn_domain = "etrn.example";
	return session;
}

struct key_case {
	const char *restriction;
	const char *key;   /* the only one in the table */
	bool found;
};

static const struct key_case key_cases[] = {
	{"check_client_access", "mail.client.example", true},
	{"check_client_access", "client.example", true},
	{"check_client_access", "example", true},
	{"check_client_access", ".client.example", false},
	{"check_client_access", "192.0.2.1", true},
	{"check_client_access", "192.0.2", true},
	{"check_client_access", "192", true},
	{"check_client_access", "192.0.2.", false},
	{"check_client_access", "2.1", false},
	{"check_client_access", "ptr.client.example", false},
	{"check_reverse_client_hostname_access", "ptr.client.example", true},
	{"check_reverse_client_hostname_access", "client.example", true},
	{"check_reverse_client_hostname_access", "192.0.2.1", false},
	{"check_helo_access", "helo.client.example", true},
	{"check_helo_access", "example", true},
	{"check_sender_access", "me+list@sender.example", true},
	{"check_sender_access", "me@sender.example", true},
	{"check_sender_access", "sender.example", true},
	{"check_sender_access", "example", true},
	{"check_sender_access", "me+list@", true},
	{"check_sender_access", "me@", true},
	{"check_sender_access", "me", false},
	{"check_sender_access", "<>", false},
	{"check_recipient_access", "you+tag@sub.here.example", true},
	{"check_recipient_access", "you@sub.here.example", true},
	{"check_recipient_access", "here.example", true},
	{"check_recipient_access", "you@here.example", false},
	{"check_recipient_access", "you@", true},
	{"check_etrn_access", "etrn.example", true},
	{"check_etrn_access", "here.example", false},
	{"check_ccert_access", "aa:bb", true},
	{"check_ccert_access", "cc:dd", true},
	{"check_sasl_access", "joe@here.example", true},
	{"check_sasl_access", "joe@origin.example", false},
	{"check_sasl_access", "here.example", true},
};

static ph_verdict
ask(const char *restriction, const ph_map *map, ph_session *session, ph_reply *reply)
{
	return world_ask_map(&posthouse_module_restriction_access, &self, restriction, map, session, reply);
}

static void
test_keys(void **state)
{
	for (size_t i = 0; i < sizeof(key_cases) / sizeof(key_cases[0]); i++) {
		const char *entries[] = {key_cases[i].key, "REJECT", NULL};
		const ph_map map = {.name = "test:x", .entries = entries};
		ph_session *session = begin("192.0.2.1");
		ph_reply reply;

		print_message("%s %s\n", key_cases[i].restriction, key_cases[i].key);
		assert_int_equal(ask(key_cases[i].restriction, &map, session, &reply),
			key_cases[i].found ? PH_REJECT : PH_DUNNO);
		session->etrn_domain = NULL;
		world_end(session);
	}
}

/* Parents with a dot; an address without a domain. */
static void
test_forms(void **state)
{
	static const struct {
		const struct access *self;
		const char *restriction, *recipient, *key;
		bool found;
	} cases[] = {
		{&self, "check_recipient_access", "you", "you@origin.example", true},
		{&self, "check_recipient_access", "you+x", "you@origin.example", true},
		{&self, "check_recipient_access", "you", "example", true},
		{&self, "check_recipient_access", "you", "you@", true},
		{&self, "check_recipient_access", "you", "you", false},
		{&self, "check_recipient_access", "you@a.b.example", ".b.example", false},
		{&dotted, "check_recipient_access", "you", "you", true},
		{&dotted, "check_recipient_access", "you@a.b.example", ".b.example", true},
		{&dotted, "check_recipient_access", "you@a.b.example", ".example", true},
		{&dotted, "check_recipient_access", "you@a.b.example", "a.b.example", true},
		{&dotted, "check_recipient_access", "you@a.b.example", "b.example", false},
		{&dotted, "check_recipient_access", "you@a.b.example", ".a.b.example", false},
		{&dotted, "check_client_access", "you", ".client.example", true},
		{&dotted, "check_client_access", "you", "client.example", false},
		{&dotted, "check_client_access", "you", "192.0.2", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *entries[] = {cases[i].key, "REJECT", NULL};
		const ph_map map = {.name = "test:x", .entries = entries};
		ph_session *session = begin("192.0.2.1");
		ph_reply reply;

		print_message("%s %s\n", cases[i].recipient, cases[i].key);
		session->recipient = cases[i].recipient;
		assert_int_equal(world_ask_map(&posthouse_module_restriction_access, cases[i].self,
					 cases[i].restriction, &map, session, &reply),
			cases[i].found ? PH_REJECT : PH_DUNNO);
		session->etrn_domain = NULL;
		world_end(session);
	}
}

/* Tables of patterns get whole keys only. */
static void
test_patterns(void **state)
{
	static const char *const entries[] = {"client.example", "REJECT", "192.0.2", "REJECT", "sender.example",
		"REJECT", "me@", "REJECT", "192.0.2.1", "450 4.7.1 whole", NULL};
	const ph_map map = {.name = "regex:x", .entries = entries, .patterns = true};
	ph_session *session = begin("192.0.2.1");
	ph_reply reply;

	assert_int_equal(ask("check_sender_access", &map, session, &reply), PH_DUNNO);
	assert_int_equal(ask("check_client_access", &map, session, &reply), PH_DEFER);
	assert_string_equal(reply.text, "<mail.client.example[192.0.2.1]>: Client host rejected: whole");
	world_end(session);
}

/* What a table's author has to say is said as it is. */
static void
test_remarks(void **state)
{
	static const struct {
		const char *value, *line;
	} cases[] = {
		{"WARN look here",
			": warn: RCPT from mail.client.example[192.0.2.1]: look here; from=<"},
		{"INFO look here",
			": info: RCPT from mail.client.example[192.0.2.1]: look here; from=<"},
		{"info", ": info: RCPT from mail.client.example[192.0.2.1]: "
			 "<you+tag@sub.here.example>: Recipient address "
			 "triggers INFO action; from=<"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *entries[] = {"you@", cases[i].value, NULL};
		const ph_map map = {.name = "test:x", .entries = entries};
		ph_session *session = begin("192.0.2.1");
		ph_reply reply;

		assert_int_equal(ask("check_recipient_access", &map, session, &reply), PH_DUNNO);
		if (strstr(world.log, cases[i].line) == NULL)
			fail_msg("%s: %s", cases[i].line, world.log);
		session->etrn_domain = NULL;
		world_end(session);
	}
}

static void
test_ipv6(void **state)
{
	static const char *const keys[] = {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2", "2001:db8", "2001"};

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		const char *entries[] = {keys[i], "REJECT", NULL};
		const ph_map map = {.name = "test:x", .entries = entries};
		ph_session *session = begin("2001:db8:1:2:3:4:5:6");
		ph_reply reply;

		assert_int_equal(ask("check_client_access", &map, session, &reply), PH_REJECT);
		world_end(session);
	}
}

static void
test_words(void **state)
{
	static const struct {
		const char *restriction, *text;
	} cases[] = {
		{"check_client_access", "<mail.client.example[192.0.2.1]>: Client host rejected: Access denied"},
		{"check_reverse_client_hostname_access",
			"<ptr.client.example>: Unverified Client host rejected: Access denied"},
		{"check_helo_access", "<helo.client.example>: Helo command rejected: Access denied"},
		{"check_sender_access", "<me+list@Sender.Example>: Sender address rejected: Access denied"},
		{"check_recipient_access",
			"<you+tag@sub.here.example>: Recipient address rejected: Access denied"},
		{"check_etrn_access", "<etrn.example>: Etrn command rejected: Access denied"},
		{"check_ccert_access", "<AA:BB>: Client certificate rejected: Access denied"},
		{"check_sasl_access", "<joe@here.example>: SASL login name rejected: Access denied"},
	};
	static const char *const entries[] = {"example", "REJECT", "AA:BB", "REJECT", NULL};
	const ph_map map = {.name = "test:x", .entries = entries}, broken = {.name = "test:y", .fails = true};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session = begin("192.0.2.1");
		ph_reply reply;

		assert_int_equal(ask(cases[i].restriction, &map, session, &reply), PH_REJECT);
		assert_string_equal(reply.text, cases[i].text);
		assert_int_equal(reply.code, 554);
		assert_int_equal(ask(cases[i].restriction, &broken, session, &reply), PH_DEFER);
		assert_int_equal(reply.code, 451);
		assert_non_null(strstr(reply.text, ">: Temporary lookup failure"));
		session->etrn_domain = NULL;
		world_end(session);
	}
}

static void
test_empty_sender(void **state)
{
	static const char *const entries[] = {"<>", "REJECT no reports", NULL};
	const ph_map map = {.name = "test:x", .entries = entries};
	ph_session *session = begin("192.0.2.1");
	ph_reply reply;

	session->sender = "";
	assert_int_equal(ask("check_sender_access", &map, session, &reply), PH_REJECT);
	assert_string_equal(reply.text, "<>: Sender address rejected: no reports");
	session->sender = NULL; /* before MAIL */
	assert_int_equal(ask("check_sender_access", &map, session, &reply), PH_DUNNO);
	world_end(session);
}

/* ---- The hosts behind a domain ---------------------------------------------------------------- */

static const struct world_record dns[] = {
	{PH_DNS_MX, "sender.example", PH_DNS_FOUND, {"mx.sender.example", "mx.other.example"}},
	{PH_DNS_A, "mx.other.example", PH_DNS_FOUND, {"198.51.100.7"}},
	{PH_DNS_A, "sender.example", PH_DNS_FOUND, {"198.51.100.1"}},
	{PH_DNS_NS, "sender.example", PH_DNS_FOUND, {"ns.sender.example"}},
	{PH_DNS_A, "ns.sender.example", PH_DNS_FOUND, {"198.51.100.2"}},
	{PH_DNS_A, "lonely.example", PH_DNS_FOUND, {"198.51.100.3"}},
	{PH_DNS_MX, "broken.example", PH_DNS_TEMPFAIL, {NULL}},
	{PH_DNS_A, "broken.example", PH_DNS_TEMPFAIL, {NULL}},
};

static void
test_servers(void **state)
{
	static const struct {
		const char *restriction, *sender, *key;
		bool found;
	} cases[] = {
		{"check_sender_mx_access", "a@sender.example", "mx.sender.example", true},
		{"check_sender_mx_access", "a@sender.example", "other.example", true},
		{"check_sender_mx_access", "a@sender.example", "198.51.100.7", true},
		{"check_sender_mx_access", "a@sender.example", "198.51.100", true},
		{"check_sender_mx_access", "a@sender.example", "198.51.100.1", false},
		{"check_sender_mx_access", "a@lonely.example", "198.51.100.3", true},
		{"check_sender_mx_access", "a@broken.example", "broken.example", false},
		{"check_sender_mx_access", "a@[198.51.100.7]", "198.51.100.7", true},
		{"check_sender_mx_access", "a@[198.51.100.7]", "198.51", true},
		{"check_sender_ns_access", "a@[198.51.100.7]", "198.51.100.7", false},
		{"check_sender_ns_access", "a@sender.example", "ns.sender.example", true},
		{"check_sender_ns_access", "a@deep.host.sender.example", "198.51.100.2", true},
		{"check_sender_ns_access", "a@lonely.example", "198.51.100.3", false},
		{"check_sender_a_access", "a@sender.example", "198.51.100.1", true},
		{"check_sender_a_access", "a@sender.example", "sender.example", false},
		{"check_sender_a_access", "a@[198.51.100.7]", "198.51.100.7", true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *entries[] = {cases[i].key, "REJECT", NULL};
		const ph_map map = {.name = "test:x", .entries = entries};
		ph_session *session = begin("192.0.2.1");
		ph_reply reply;

		print_message("%s %s %s\n", cases[i].restriction, cases[i].sender, cases[i].key);
		world.dns = dns;
		world.dns_count = sizeof(dns) / sizeof(dns[0]);
		session->sender = cases[i].sender;
		assert_int_equal(ask(cases[i].restriction, &map, session, &reply),
			cases[i].found ? PH_REJECT : PH_DUNNO);
		if (strstr(cases[i].sender, "broken") != NULL)
			assert_non_null(strstr(world.log, "Unable to look up MX host for broken.example: "));
		session->etrn_domain = NULL;
		world_end(session);
	}
}

/* A client without a name, HELO or login has nothing to look up. */
static void
test_absent(void **state)
{
	static const char *const restrictions[] = {"check_client_mx_access", "check_client_a_access",
		"check_reverse_client_hostname_ns_access", "check_ccert_access", "check_sasl_access"};
	const ph_map map = {.name = "test:y", .fails = true};
	ph_session *session;
	ph_reply reply;

	world_reset();
	session = world_session("192.0.2.1");
	for (size_t i = 0; i < sizeof(restrictions) / sizeof(restrictions[0]); i++)
		assert_int_equal(ask(restrictions[i], &map, session, &reply), PH_DUNNO);
	world_end(session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_remarks),
		cmocka_unit_test(test_ipv6),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_empty_sender),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_absent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
