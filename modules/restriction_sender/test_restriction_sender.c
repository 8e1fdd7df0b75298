/* Senders: a table over a small DNS. */
#include "test.h"

#include <stdio.h>

#include "session_world.h"

extern const struct ph_module posthouse_module_restriction_sender;

/* As the module's, in its order. */
static struct {
	int64_t non_fqdn, unknown;
	const ph_map *logins;
	struct ph_unverified unverified;
	int action;
} soft = {504, 450, NULL, {.reason = ""}, 0}, hard = {504, 550, NULL, {.reason = ""}, PH_TEMPFAIL_DEFER};

static const struct world_record records[] = {
	{PH_DNS_MX, "mx.example", PH_DNS_FOUND, {"mx1.example"}},
	{PH_DNS_A, "a.example", PH_DNS_FOUND, {"192.0.2.1"}},
	{PH_DNS_AAAA, "aaaa.example", PH_DNS_FOUND, {"2001:db8::1"}},
	{PH_DNS_TXT, "txt.example", PH_DNS_FOUND, {"x"}},
	{PH_DNS_MX, "null.example", PH_DNS_FOUND, {""}},
	{PH_DNS_MX, "empty.example", PH_DNS_FOUND, {"", ""}},
	{PH_DNS_MX, "some.example", PH_DNS_FOUND, {"", "mx1.example"}},
	{PH_DNS_MX, "number.example", PH_DNS_FOUND, {"192.0.2.1"}},
	{PH_DNS_MX, "slow.example", PH_DNS_TEMPFAIL, {NULL}},
	{PH_DNS_A, "halfslow.example", PH_DNS_TEMPFAIL, {NULL}},
};

#define UNKNOWN "reject_unknown_sender_domain"
#define NON_FQDN "reject_non_fqdn_sender"

static void
test_senders(void **state)
{
	static const struct {
		const char *restriction, *sender;
		ph_verdict verdict;
		int code;
		const char *status, *text;
	} cases[] = {
		{UNKNOWN, "u@mx.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@a.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@aaaa.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@some.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@here.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@[192.0.2.7]", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@none.example", PH_DEFER, 450, "4.1.8",
			"<u@none.example>: Sender address rejected: Domain not found"},
		{UNKNOWN, "u@txt.example", PH_DEFER, 450, "4.1.8",
			"<u@txt.example>: Sender address rejected: Domain not found"},
		{UNKNOWN, "u@null.example", PH_REJECT, 550, "5.7.27",
			"<u@null.example>: Sender address rejected: "
			"Domain null.example does not accept mail (nullMX)"},
		{UNKNOWN, "u@empty.example", PH_DEFER, 450, "4.1.8",
			"<u@empty.example>: Sender address rejected: Malformed DNS server reply"},
		{UNKNOWN, "u@number.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@slow.example", PH_DEFER_IF_PERMIT, 450, "4.1.8",
			"<u@slow.example>: Sender address rejected: Domain not found"},
		{UNKNOWN, "u@halfslow.example", PH_DEFER_IF_PERMIT, 450, "4.1.8",
			"<u@halfslow.example>: Sender address rejected: Domain not found"},
		{NON_FQDN, "u@mx.example", PH_DUNNO, 0, "", ""},
		{NON_FQDN, "u@[192.0.2.7]", PH_DUNNO, 0, "", ""},
		{NON_FQDN, "u@host", PH_REJECT, 504, "5.5.2",
			"<u@host>: Sender address rejected: need fully-qualified address"},
		{NON_FQDN, "u", PH_REJECT, 504, "5.5.2",
			"<u>: Sender address rejected: need fully-qualified address"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.dns = records;
		world.dns_count = sizeof(records) / sizeof(records[0]);
		world.mydestination[0] = "here.example";
		session = world_session("192.0.2.1");
		session->sender = cases[i].sender;
		if (world_ask(&posthouse_module_restriction_sender, &soft, cases[i].restriction, session,
			&reply) != cases[i].verdict)
			fail_msg("%s", cases[i].sender);
		assert_int_equal(reply.code, cases[i].code);
		assert_string_equal(reply.status, cases[i].status);
		assert_string_equal(reply.text, cases[i].text);
		world_end(session);
	}
}

/* The code is a parameter, and the status follows its class. A table that fails defers. */
static void
test_codes(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	session = world_session("192.0.2.1");
	session->sender = "u@none.example";
	assert_int_equal(world_ask(&posthouse_module_restriction_sender, &hard, UNKNOWN, session, &reply),
		PH_REJECT);
	assert_int_equal(reply.code, 550);
	assert_string_equal(reply.status, "5.1.8");
	world.tables_fail = true;
	assert_int_equal(world_ask(&posthouse_module_restriction_sender, &hard, UNKNOWN, session, &reply),
		PH_DEFER);
	assert_int_equal(reply.code, 451);
	world_end(session);
}

/* Who owns an address, who is logged in. */
static void
test_logins(void **state)
{
	static const char *const entries[] = {"boss@here.example", "boss, clerk", "clerk@here.example",
		"clerk\tother", NULL};
	static const ph_map logins = {.name = "table", .entries = entries};
	static const ph_map away = {.name = "table", .entries = entries, .fails = true};
	static const char *const names[] = {"reject_sender_login_mismatch",
		"reject_authenticated_sender_login_mismatch", "reject_known_sender_login_mismatch",
		"reject_unauthenticated_sender_login_mismatch"};
	static const struct {
		const char *login, *sender, *text;
		bool refused[4]; /* by which */
	} cases[] = {
		{"clerk", "boss@here.example", "", {false}},
		{"CLERK", "clerk@here.example", "", {false}},
		{"other", "clerk@here.example", "", {false}},
		{"boss", "clerk@here.example", "not owned by user boss", {true, true, true, false}},
		{"boss", "any@here.example", "not owned by user boss", {true, true, false, false}},
		{"", "boss@here.example", "not logged in", {true, false, true, true}},
		{"", "any@here.example", "", {false}},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 4; i++) {
		const char *name = names[i % 4], *said = cases[i / 4].text;
		bool refused = cases[i / 4].refused[i % 4], known = cases[i / 4].login[0] != '\0';
		/* the second asks for those who have logged in only, the fourth for the others */
		bool asked = i % 4 == 1 ? known : i % 4 == 3 ? !known : true;
		ph_session *session;
		ph_reply reply;
		char text[200];

		world_reset();
		session = world_session("192.0.2.1");
		session->sender = cases[i / 4].sender;
		session->login.username = cases[i / 4].login;
		print_message("%s %s\n", name, session->sender);
		soft.logins = &logins;
		assert_int_equal(world_ask(&posthouse_module_restriction_sender, &soft, name, session, &reply),
			refused ? PH_REJECT : PH_DUNNO);
		snprintf(text, sizeof(text), "<%s>: Sender address rejected: %s", session->sender, said);
		assert_string_equal(reply.text, refused ? text : "");
		assert_int_equal(reply.code, refused ? 553 : 0);
		soft.logins = &away;
		assert_int_equal(world_ask(&posthouse_module_restriction_sender, &soft, name, session, &reply),
			asked ? PH_DEFER : PH_DUNNO);
		world_end(session);
	}
	soft.logins = NULL;
}

/* With a …_tempfail_action of defer it is put off at once. */
static void
test_tempfail_action(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.dns = records;
	world.dns_count = sizeof(records) / sizeof(records[0]);
	session = world_session("192.0.2.1");
	session->sender = "u@slow.example";
	assert_int_equal(world_ask(&posthouse_module_restriction_sender, &hard, UNKNOWN, session,
		&reply), PH_DEFER);
	assert_int_equal(reply.code, 450);
	world_end(session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_senders),
		cmocka_unit_test(test_codes),
		cmocka_unit_test(test_logins),
		cmocka_unit_test(test_tempfail_action),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
