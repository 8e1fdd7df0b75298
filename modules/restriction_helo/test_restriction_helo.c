/* Names given with HELO: a table. */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "session_world.h"

extern const struct ph_module posthouse_module_restriction_helo;

/* As the module's, in its order. */
static const struct {
	int64_t invalid, non_fqdn, unknown;
	int action;
} self = {501, 504, 450, 0}, firm = {501, 504, 450, PH_TEMPFAIL_DEFER};

static const struct world_record records[] = {
	{PH_DNS_A, "a.example", PH_DNS_FOUND, {"192.0.2.1"}},
	{PH_DNS_MX, "mx.example", PH_DNS_FOUND, {"mx1.example"}},
	{PH_DNS_TXT, "txt.example", PH_DNS_FOUND, {"x"}},
	{PH_DNS_MX, "slow.example", PH_DNS_TEMPFAIL, {NULL}},
};

static void
test_names(void **state)
{
	static const struct {
		const char *restriction, *helo;
		ph_verdict verdict;
		int code;
		const char *status, *text;
	} cases[] = {
		{"reject_invalid_helo_hostname", "foo_bar", PH_REJECT, 501, "5.5.2",
			"<foo_bar>: Helo command rejected: Invalid name"},
		{"reject_invalid_helo_hostname", "1.2.3.4", PH_REJECT, 501, "5.5.2",
			"<1.2.3.4>: Helo command rejected: Invalid name"},
		{"reject_invalid_helo_hostname", "[1.2.3.4]", PH_DUNNO, 0, "", ""},
		{"reject_invalid_helo_hostname", "[IPv6:::1]", PH_DUNNO, 0, "", ""},
		{"reject_invalid_helo_hostname", "[300.2.3.4]", PH_REJECT, 501, "5.5.2",
			"<[300.2.3.4]>: Helo command rejected: Invalid ip address"},
		{"reject_invalid_helo_hostname", "localhost", PH_DUNNO, 0, "", ""},
		{"reject_invalid_helo_hostname", "a.example.", PH_DUNNO, 0, "", ""},
		{"reject_invalid_helo_hostname", ".", PH_REJECT, 501, "5.5.2",
			"<.>: Helo command rejected: Invalid name"},
		{"reject_non_fqdn_helo_hostname", "localhost", PH_REJECT, 504, "5.5.2",
			"<localhost>: Helo command rejected: need fully-qualified hostname"},
		{"reject_non_fqdn_helo_hostname", "a.example", PH_DUNNO, 0, "", ""},
		{"reject_non_fqdn_helo_hostname", "[1.2.3.4]", PH_DUNNO, 0, "", ""},
		{"reject_unknown_helo_hostname", "a.example", PH_DUNNO, 0, "", ""},
		{"reject_unknown_helo_hostname", "a.example.", PH_DUNNO, 0, "", ""},
		{"reject_unknown_helo_hostname", "mx.example", PH_DUNNO, 0, "", ""},
		{"reject_unknown_helo_hostname", "[1.2.3.4]", PH_DUNNO, 0, "", ""},
		{"reject_unknown_helo_hostname", "none.example", PH_DEFER, 450, "4.7.1",
			"<none.example>: Helo command rejected: Host not found"},
		{"reject_unknown_helo_hostname", "txt.example", PH_DEFER, 450, "4.7.1",
			"<txt.example>: Helo command rejected: Host not found"},
		{"reject_unknown_helo_hostname", "slow.example", PH_DEFER_IF_PERMIT, 450, "4.7.1",
			"<slow.example>: Helo command rejected: Host not found"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.dns = records;
		world.dns_count = sizeof(records) / sizeof(records[0]);
		session = world_session("192.0.2.1");
		session->helo = strdup(cases[i].helo);
		assert_int_equal(world_ask(&posthouse_module_restriction_helo, &self, cases[i].restriction,
			session, &reply), cases[i].verdict);
		assert_int_equal(reply.code, cases[i].code);
		assert_string_equal(reply.status, cases[i].status);
		assert_string_equal(reply.text, cases[i].text);
		world_end(session);
	}
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
	session->helo = strdup("slow.example");
	assert_int_equal(world_ask(&posthouse_module_restriction_helo, &firm, "reject_unknown_helo_hostname", session,
		&reply), PH_DEFER);
	assert_int_equal(reply.code, 450);
	world_end(session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_names),
		cmocka_unit_test(test_tempfail_action)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
