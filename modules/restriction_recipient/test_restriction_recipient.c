/* Recipients and relaying: a table. */
#include "test.h"

#include "session/interfaces.h"
#include "session_world.h"

extern const struct ph_module posthouse_module_restriction_recipient;

/* As the module's, in its order. */
static struct {
	int64_t non_fqdn, relay, unknown;
	const ph_networks *networks;
	bool any;
	struct ph_unverified unverified;
	int action;
} self = {504, 554, 450, NULL, true, {.defer_code = 450, .reject_code = 550, .reason = ""}, 0};

static const struct world_record records[] = {
	{PH_DNS_MX, "mx.example", PH_DNS_FOUND, {"mx1.example"}},
	{PH_DNS_MX, "null.example", PH_DNS_FOUND, {""}},
	{PH_DNS_MX, "slow.example", PH_DNS_TEMPFAIL, {NULL}},
};

#define REJECT "reject_unauth_destination"
#define DEFER "defer_unauth_destination"
#define PERMIT "permit_auth_destination"
#define NON_FQDN "reject_non_fqdn_recipient"
#define UNKNOWN "reject_unknown_recipient_domain"

static void
test_recipients(void **state)
{
	static const struct {
		const char *restriction, *recipient;
		ph_verdict verdict;
		int code;
		const char *status, *text;
	} cases[] = {
		{REJECT, "u@here.example", PH_DUNNO, 0, "", ""},
		{REJECT, "u@relay.example", PH_DUNNO, 0, "", ""},
		{REJECT, "u", PH_DUNNO, 0, "", ""},
		{REJECT, "u@far.example", PH_REJECT, 554, "5.7.1", "<u@far.example>: Relay access denied"},
		{REJECT, "u%far.example@here.example", PH_REJECT, 554, "5.7.1",
			"<u%far.example@here.example>: Relay access denied"},
		{REJECT, "\"u@far.example\"@here.example", PH_REJECT, 554, "5.7.1",
			"<\"u@far.example\"@here.example>: Relay access denied"},
		{REJECT, "far.example!u", PH_REJECT, 554, "5.7.1", "<far.example!u>: Relay access denied"},
		{REJECT, "u@[192.0.2.7]", PH_REJECT, 554, "5.7.1", "<u@[192.0.2.7]>: Relay access denied"},
		{DEFER, "u@here.example", PH_DUNNO, 0, "", ""},
		{DEFER, "u@far.example", PH_DEFER, 454, "4.7.1", "<u@far.example>: Relay access denied"},
		{PERMIT, "u@here.example", PH_PERMIT, 0, "", ""},
		{PERMIT, "u@relay.example", PH_PERMIT, 0, "", ""},
		{PERMIT, "u@far.example", PH_DUNNO, 0, "", ""},
		{NON_FQDN, "u@far.example", PH_DUNNO, 0, "", ""},
		{NON_FQDN, "u@[192.0.2.7]", PH_DUNNO, 0, "", ""},
		{NON_FQDN, "u@host", PH_REJECT, 504, "5.5.2",
			"<u@host>: Recipient address rejected: need fully-qualified address"},
		{UNKNOWN, "u@here.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@relay.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@mx.example", PH_DUNNO, 0, "", ""},
		{UNKNOWN, "u@none.example", PH_DEFER, 450, "4.1.2",
			"<u@none.example>: Recipient address rejected: Domain not found"},
		{UNKNOWN, "u@slow.example", PH_DEFER_IF_PERMIT, 450, "4.1.2",
			"<u@slow.example>: Recipient address rejected: Domain not found"},
		{UNKNOWN, "u@null.example", PH_REJECT, 556, "5.1.10",
			"<u@null.example>: Recipient address rejected: "
			"Domain null.example does not accept mail (nullMX)"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.dns = records;
		world.dns_count = sizeof(records) / sizeof(records[0]);
		world.mydestination[0] = "here.example";
		world.relay_domains[0] = "relay.example";
		session = world_session("192.0.2.1");
		session->recipient = cases[i].recipient;
		if (world_ask(&posthouse_module_restriction_recipient, &self, cases[i].restriction, session,
			&reply) != cases[i].verdict)
			fail_msg("%s %s", cases[i].restriction, cases[i].recipient);
		assert_int_equal(reply.code, cases[i].code);
		assert_string_equal(reply.status, cases[i].status);
		assert_string_equal(reply.text, cases[i].text);
		world_end(session);
	}
}

/* The DNS names us as an exchanger; with networks, the best ones must be in these. */
static void
test_backup(void **state)
{
	static const struct world_record dns[] = {
		{PH_DNS_MX, "backup.example", PH_DNS_FOUND, {"first.example", "us.example"}},
		{PH_DNS_MX, "others.example", PH_DNS_FOUND, {"first.example"}},
		{PH_DNS_MX, "null.example", PH_DNS_FOUND, {""}},
		{PH_DNS_MX, "slow.example", PH_DNS_TEMPFAIL, {NULL}},
		{PH_DNS_MX, "dark.example", PH_DNS_FOUND, {"late.example"}},
		{PH_DNS_A, "late.example", PH_DNS_TEMPFAIL, {NULL}},
		{PH_DNS_A, "first.example", PH_DNS_FOUND, {"192.0.2.55"}},
		{PH_DNS_A, "us.example", PH_DNS_FOUND, {"192.0.2.66"}},
	};
	static const struct {
		const char *recipient, *network[2];
		ph_verdict verdict;
	} cases[] = {
		{"u@backup.example", {NULL, NULL}, PH_PERMIT},
		{"u@here.example", {NULL, NULL}, PH_PERMIT},
		{"u@others.example", {NULL, NULL}, PH_DUNNO},
		{"u@null.example", {NULL, NULL}, PH_DUNNO},
		{"u@none.example", {NULL, NULL}, PH_DUNNO},
		{"u%far.example@backup.example", {NULL, NULL}, PH_DUNNO},
		{"u@[192.0.2.66]", {NULL, NULL}, PH_PERMIT},
		{"u@[192.0.2.67]", {NULL, NULL}, PH_DUNNO},
		{"u@slow.example", {NULL, NULL}, PH_DEFER_IF_REJECT},
		{"u@dark.example", {NULL, NULL}, PH_DEFER_IF_REJECT},
		{"u@backup.example", {"192.0.2.55", "192.0.2.66"}, PH_PERMIT},
		{"u@backup.example", {"192.0.2.66", NULL}, PH_DUNNO},
		{"u@dark.example", {"192.0.2.66", NULL}, PH_DEFER_IF_REJECT},
	};
	ph_address us;
	ph_error error;

	assert_int_equal(ph_address_parse(ph_span_of("192.0.2.66"), &us), 0);
	assert_int_equal(interfaces_add(&us, &error), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.dns = dns;
		world.dns_count = sizeof(dns) / sizeof(dns[0]);
		world.mydestination[0] = "here.example";
		world.mynetworks[0] = cases[i].network[0];
		world.mynetworks[1] = cases[i].network[1];
		self.networks = world.settings.mynetworks;
		self.any = cases[i].network[0] == NULL;
		session = world_session("192.0.2.1");
		session->recipient = cases[i].recipient;
		if (world_ask(&posthouse_module_restriction_recipient, &self, "permit_mx_backup", session,
			&reply) != cases[i].verdict)
			fail_msg("%zu: %s", i, cases[i].recipient);
		world_end(session);
	}
	interfaces_close();
}

/* What the queue role says, and what that becomes. */
static void
test_unverified(void **state)
{
	static const struct {
		const char *sender, *recipient;
		ph_found found;
		enum verify_status status;
		struct ph_unverified how;
		ph_verdict verdict;
		int code;
		const char *code_status, *text;
	} cases[] = {
		{"s@x", "u@y", PH_FOUND, VERIFY_DELIVERABLE, {0, 0, 450, 550, ""}, PH_DUNNO, 0, "", ""},
		{"s@x", "u@y", PH_FOUND, VERIFY_UNDELIVERABLE, {0, 0, 450, 550, ""}, PH_REJECT, 550, "5.1.1",
			"<u@y>: Recipient address rejected: undeliverable address: why"},
		{"s@x", "u@y", PH_FOUND, VERIFY_UNDELIVERABLE, {0, 0, 450, 450, ""}, PH_DEFER_IF_PERMIT, 450,
			"4.1.1", "<u@y>: Recipient address rejected: unverified address: why"},
		{"s@x", "u@y", PH_FOUND, VERIFY_UNDELIVERABLE, {0, 0, 450, 250, ""}, PH_DUNNO, 0, "", ""},
		{"s@x", "u@y", PH_FOUND, VERIFY_UNDELIVERABLE, {0, 0, 450, 550, "because"}, PH_REJECT, 550,
			"5.1.1", "<u@y>: Recipient address rejected: undeliverable address: because"},
		{"s@x", "u@y", PH_FOUND, VERIFY_DEFERRED, {0, 0, 450, 550, ""}, PH_DEFER_IF_PERMIT, 450, "4.1.1",
			"<u@y>: Recipient address rejected: unverified address: why"},
		{"s@x", "u@y", PH_FOUND, VERIFY_DEFERRED, {0, PH_TEMPFAIL_DEFER, 451, 550, ""}, PH_DEFER, 451,
			"4.1.1", "<u@y>: Recipient address rejected: unverified address: why"},
		{"s@x", "u@y", PH_FOUND, VERIFY_DEFERRED, {0, 0, 250, 550, ""}, PH_DUNNO, 0, "", ""},
		{"s@x", "u@y", PH_FOUND, VERIFY_DEFERRED, {0, 0, 550, 450, ""}, PH_REJECT, 550, "5.1.1",
			"<u@y>: Recipient address rejected: undeliverable address: why"},
		{"s@x", "u@y", PH_FOUND, VERIFY_IN_PROGRESS, {0, 0, 450, 550, ""}, PH_DEFER_IF_PERMIT, 450,
			"4.1.1", "<u@y>: Recipient address rejected: unverified address: why"},
		{"s@x", "u@y", PH_FAILED, VERIFY_IN_PROGRESS, {0, 0, 451, 550, ""}, PH_DEFER_IF_PERMIT, 450,
			"4.1.1", "<u@y>: Recipient address rejected: address verification problem"},
		{"", "u@y", PH_FOUND, VERIFY_UNDELIVERABLE, {0, 0, 450, 550, ""}, PH_REJECT, 550, "5.1.1",
			"<u@y>: Recipient address rejected: undeliverable address: why"},
		/* neither our probes nor those about them */
		{"Probe@here.example", "u@y", PH_FOUND, VERIFY_UNDELIVERABLE, {0, 0, 450, 550, ""}, PH_DUNNO, 0,
			"", ""},
		{"s@x", "probe@HERE.example", PH_FOUND, VERIFY_UNDELIVERABLE, {0, 0, 450, 550, ""}, PH_DUNNO, 0,
			"", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.verified = cases[i].found;
		world.verify_status = cases[i].status;
		world.verify_text = "why";
		world.settings.address_verify_sender = "probe@here.example";
		world.settings.address_verify_poll_count = 3;
		world.settings.address_verify_poll_delay = 3000;
		self.unverified = cases[i].how;
		session = world_session("192.0.2.1");
		session->sender = cases[i].sender;
		session->recipient = cases[i].recipient;
		if (world_ask(&posthouse_module_restriction_recipient, &self, "reject_unverified_recipient",
			session, &reply) != cases[i].verdict)
			fail_msg("%zu", i);
		assert_int_equal(reply.code, cases[i].code);
		assert_string_equal(reply.status, cases[i].code_status);
		assert_string_equal(reply.text, cases[i].text);
		if (cases[i].code != 0) {
			assert_string_equal(world.verify_asked, cases[i].recipient);
			assert_int_equal(world.verify_patience, 6000);
		}
		world_end(session);
	}
}

/* A table that cannot be asked permits nobody and rejects nobody. */
static void
test_failing_tables(void **state)
{
	static const char *const restrictions[] = {REJECT, DEFER, PERMIT, UNKNOWN};
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.tables_fail = true;
	session = world_session("192.0.2.1");
	session->recipient = "u@here.example";
	for (size_t i = 0; i < sizeof(restrictions) / sizeof(restrictions[0]); i++) {
		assert_int_equal(world_ask(&posthouse_module_restriction_recipient, &self, restrictions[i],
			session, &reply), PH_DEFER);
		assert_int_equal(reply.code, 451);
	}
	world_end(session);
}

/* Those that end relaying say so: the configuration is checked by it. */
static void
test_marks(void **state)
{
	const struct ph_restriction *restrictions = posthouse_module_restriction_recipient.operations;
	unsigned marked = 0;

	for (size_t i = 0; i < posthouse_module_restriction_recipient.operation_count; i++)
		if ((restrictions[i].stage & PH_REFUSES_STRANGERS) != 0)
			marked++;
	assert_int_equal(marked, 3);
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
	self.action = PH_TEMPFAIL_DEFER;
	session->recipient = "u@slow.example";
	assert_int_equal(world_ask(&posthouse_module_restriction_recipient, &self, "reject_unknown_recipient_domain", session,
		&reply), PH_DEFER);
	assert_int_equal(reply.code, 450);
	world_end(session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_backup),
		cmocka_unit_test(test_unverified),
		cmocka_unit_test(test_failing_tables),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_tempfail_action),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
