/* The algebra of verdicts, the transaction around it, and where addresses go: no network. */
#include "test.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/interfaces.h"
#include "session/policy.h"
#include "session/trail.h"
#include "session_world.h"

/* ---- Restrictions that say what they are told ------------------------------------------------- */

static char asked[512]; /* their names, in order */

static void
note(const ph_rule *rule)
{
	size_t size = strlen(asked);

	snprintf(asked + size, sizeof(asked) - size, "%s ", rule->name);
}

static ph_verdict
say_dunno(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return PH_DUNNO;
}

static ph_verdict
say_permit(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return PH_PERMIT;
}

static ph_verdict
say_reject(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return ph_reject(session, 550, "5.7.1", "<%s>: no", ph_rule_name(rule));
}

static ph_verdict
say_defer(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return ph_defer(session, 450, "4.7.1", "<%s>: later", ph_rule_name(rule));
}

static ph_verdict
say_if_permit(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return ph_defer_if_permit(session, 451, "4.4.3", "<%s>: unsure", ph_rule_name(rule));
}

static ph_verdict
say_if_reject(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return ph_defer_if_reject(session, 452, "4.4.4", "<%s>: unsure", ph_rule_name(rule));
}

static ph_verdict
say_discard(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return PH_DISCARD;
}

static ph_verdict
say_nothing(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return PH_REJECT;
}

static ph_verdict
say_nonsense(const ph_rule *rule, ph_session *session)
{
	note(rule);
	return (ph_verdict)99;
}

#define FAKE(id, fn, st) \
	static const struct ph_restriction id##_restriction = \
		{.name = #id, .stage = st, .check = fn, .doc = ""}

FAKE(dunno, say_dunno, PH_STAGE_ANY);
FAKE(ok, say_permit, PH_STAGE_ANY);
FAKE(no, say_reject, PH_STAGE_ANY);
FAKE(later, say_defer, PH_STAGE_ANY);
FAKE(if_permit, say_if_permit, PH_STAGE_ANY);
FAKE(if_reject, say_if_reject, PH_STAGE_ANY);
FAKE(drop, say_discard, PH_STAGE_ANY);
FAKE(silent, say_nothing, PH_STAGE_ANY);
FAKE(nonsense, say_nonsense, PH_STAGE_ANY);
FAKE(no_sender, say_reject, PH_STAGE_SENDER);
FAKE(no_sender_ever, say_reject, PH_STAGE_SENDER | PH_EVEN_IF_ABSENT);
FAKE(no_helo, say_reject, PH_STAGE_HELO);
FAKE(no_recipient, say_reject, PH_STAGE_RECIPIENT);

#define ASK(id) {.name = #id, .argument = "", .restriction = &id##_restriction}

static ph_session *
session_at_rcpt(const char *sender, const char *recipient)
{
	ph_session *session = world_session("192.0.2.1");

	session->helo = strdup("h.example");
	session->protocol = "ESMTP";
	session->sender = sender;
	session->recipient = recipient;
	asked[0] = '\0';
	return session;
}

struct list_case {
	const ph_rules *rules;
	int code; /* 0: accepted */
	const char *asked;
	const char *text;
};

#define R WORLD_RULES
#define W WORLD_WORD

static void
test_one_list(void **state)
{
	const struct list_case cases[] = {
		{NULL, 0, "", ""},
		{R(ASK(dunno), ASK(dunno)), 0, "dunno dunno ", ""},
		{R(ASK(dunno), ASK(ok), ASK(no)), 0, "dunno ok ", ""},
		{R(ASK(no), ASK(ok)), 550, "no ", "<no>: no"},
		{R(ASK(later), ASK(ok)), 450, "later ", "<later>: later"},
		{R(W("permit"), ASK(no)), 0, "", ""},
		{R(W("reject")), 554, "", "<b@c.example>: Recipient address rejected: Access denied"},
		{R(W("defer")), 450, "", "<b@c.example>: Recipient address rejected: Try again later"},
		{R(W("bogus")), 451, "", "Server configuration error"},
		{R(ASK(silent)), 554, "silent ", "<b@c.example>: Recipient address rejected: Access denied"},
		{R(ASK(nonsense)), 451, "nonsense ", "Server configuration error"},
		/* Only a warning. It concerns the next restriction, not those behind it. */
		{R(W("warn_if_reject"), ASK(no), ASK(ok)), 0, "no ok ", ""},
		{R(W("warn_if_reject"), ASK(no), ASK(no)), 550, "no no ", "<no>: no"},
		{R(W("warn_if_reject"), ASK(ok), ASK(no)), 0, "ok ", ""},
		{R(W("warn_if_reject"), ASK(dunno), ASK(no)), 550, "dunno no ", "<no>: no"},
		{R(W("warn_if_reject"), ASK(if_permit), ASK(ok)), 0, "if_permit ok ", ""},
		{R(W("warn_if_reject"), W("reject")), 0, "", ""},
		/* Deferred should it be permitted, in so many words or by the end of the list. */
		{R(ASK(if_permit), ASK(ok)), 451, "if_permit ok ", "<if_permit>: unsure"},
		{R(ASK(if_permit)), 451, "if_permit ", "<if_permit>: unsure"},
		{R(ASK(if_permit), ASK(no)), 550, "if_permit no ", "<no>: no"},
		{R(ASK(if_permit), ASK(later)), 450, "if_permit later ", "<later>: later"},
		{R(W("defer_if_permit"), W("permit")), 450, "",
			"<b@c.example>: Recipient address rejected: defer_if_permit requested"},
		/* Deferred should it be rejected. */
		{R(ASK(if_reject), ASK(no)), 452, "if_reject no ", "<if_reject>: unsure"},
		{R(ASK(if_reject), ASK(ok)), 0, "if_reject ok ", ""},
		{R(ASK(if_reject)), 0, "if_reject ", ""},
		{R(W("defer_if_reject"), ASK(no)), 450, "no ",
			"<b@c.example>: Recipient address rejected: defer_if_reject requested"},
		/* Both: there is nothing left to ask. */
		{R(ASK(if_reject), ASK(if_permit), ASK(ok)), 451, "if_reject if_permit ",
			"<if_permit>: unsure"},
		{R(ASK(if_permit), ASK(if_reject), ASK(no)), 451, "if_permit if_reject ",
			"<if_permit>: unsure"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		ph_reply reply = {0};
		int result;

		world_reset();
		world.policy.smtpd_recipient_restrictions = cases[i].rules;
		session = session_at_rcpt("a@b.example", "b@c.example");
		result = policy_check(session, POLICY_RCPT, "RCPT", &reply);
		assert_string_equal(asked, cases[i].asked);
		assert_int_equal(result, cases[i].code == 0 ? 0 : -1);
		if (cases[i].code != 0) {
			assert_int_equal(reply.code, cases[i].code);
			assert_string_equal(reply.text, cases[i].text);
			assert_non_null(strstr(world.log, "NOQUEUE: reject: RCPT from unknown[192.0.2.1]: "));
		}
		world_end(session);
	}
}

/* The object of a restriction is not there: it is not asked. */
static void
test_absent(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_sender_restrictions = R(ASK(no_sender));
	world.policy.smtpd_helo_restrictions = R(ASK(no_helo));
	session = session_at_rcpt("", "b@c.example");
	free(session->helo);
	session->helo = NULL;
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), 0);
	assert_string_equal(asked, "");
	session->sender = "a@b";
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	session->sender = "";
	world.policy.smtpd_sender_restrictions = R(ASK(no_sender_ever));
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	world.policy.smtpd_sender_restrictions = NULL;
	world.policy.smtpd_data_restrictions = R(ASK(no_recipient));
	session->recipient = NULL;
	assert_int_equal(policy_check(session, POLICY_DATA, "DATA", &reply), 0);
	world_end(session);
}

/* Client, helo, sender, relay, recipient; a permit ends its own list only. */
static void
test_order(void **state)
{
	static const struct ph_restriction r1 = {.name = "c", .check = say_dunno},
		r2 = {.name = "h", .check = say_dunno}, r3 = {.name = "s", .check = say_dunno},
		r4 = {.name = "l", .check = say_dunno};
	const ph_rules *client = R({.name = "c", .restriction = &r1}, W("permit"));
	const ph_rules *helo = R({.name = "h", .restriction = &r2}, W("permit"));
	const ph_rules *sender = R({.name = "s", .restriction = &r3}, W("permit"));
	const ph_rules *relay = R({.name = "l", .restriction = &r4}, W("permit"));
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_client_restrictions = client;
	world.policy.smtpd_helo_restrictions = helo;
	world.policy.smtpd_sender_restrictions = sender;
	world.policy.smtpd_relay_restrictions = relay;
	world.policy.smtpd_recipient_restrictions = R(ASK(no));
	session = session_at_rcpt("a@b.example", "b@c.example");
	assert_int_equal(policy_check(session, POLICY_CONNECT, "CONNECT", &reply), 0);
	assert_int_equal(policy_check(session, POLICY_HELO, "EHLO", &reply), 0);
	assert_int_equal(policy_check(session, POLICY_MAIL, "MAIL", &reply), 0);
	assert_string_equal(asked, "");
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_string_equal(asked, "c h s l no ");
	/* Not delayed: each at its own command. */
	asked[0] = '\0';
	world.policy.smtpd_delay_reject = false;
	assert_int_equal(policy_check(session, POLICY_CONNECT, "CONNECT", &reply), 0);
	assert_string_equal(asked, "c ");
	assert_int_equal(policy_check(session, POLICY_HELO, "EHLO", &reply), 0);
	assert_string_equal(asked, "c h ");
	assert_int_equal(policy_check(session, POLICY_MAIL, "MAIL", &reply), 0);
	assert_string_equal(asked, "c h s ");
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_string_equal(asked, "c h s l no ");
	world_end(session);
}

/* A reservation of an early list comes to bear when the recipient would be permitted. */
static void
test_carried(void **state)
{
	for (int delay = 0; delay < 2; delay++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.policy.smtpd_delay_reject = delay;
		world.policy.smtpd_helo_restrictions = R(ASK(if_permit));
		world.policy.smtpd_recipient_restrictions = R(W("permit"));
		session = session_at_rcpt("a@b.example", "b@c.example");
		assert_int_equal(policy_check(session, POLICY_HELO, "EHLO", &reply), 0);
		assert_int_equal(policy_check(session, POLICY_MAIL, "MAIL", &reply), 0);
		assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
		assert_int_equal(reply.code, 451);
		/* And again for the next recipient. */
		assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
		/* One that a list rejects stays rejected. */
		world.policy.smtpd_recipient_restrictions = R(ASK(no));
		assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
		assert_int_equal(reply.code, 550);
		world_end(session);
	}
}

/* Which of the lists about the recipient comes first; the other one is asked all the same. */
static void
test_relay_order(void **state)
{
	static const char *const orders[] = {"ok no ", "dunno ok "};

	for (int first = 0; first < 2; first++) {
		ph_session *session;
		ph_reply reply;

		world_reset();
		world.policy.smtpd_relay_before_recipient_restrictions = first;
		world.policy.smtpd_relay_restrictions = first ? R(ASK(dunno)) : R(ASK(no));
		world.policy.smtpd_recipient_restrictions = R(ASK(ok), ASK(no));
		session = session_at_rcpt("a@b.example", "b@c.example");
		assert_int_equal(
			policy_check(session, POLICY_RCPT, "RCPT", &reply), first ? 0 : -1);
		assert_string_equal(asked, orders[first]);
		world_end(session);
	}
}

/* Should it be rejected: that counts within its list. */
static void
test_if_reject_is_of_the_list(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_sender_restrictions = R(ASK(if_reject));
	world.policy.smtpd_recipient_restrictions = R(ASK(no));
	session = session_at_rcpt("a@b.example", "b@c.example");
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_int_equal(reply.code, 550);
	world_end(session);
}

static void
test_log(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_recipient_restrictions = R(W("warn_if_reject"), ASK(later), ASK(no));
	session = session_at_rcpt("a@b.example", "b@c.example");
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_string_equal(world.log,
		"NOQUEUE: reject_warning: RCPT from unknown[192.0.2.1]: 450 4.7.1 <later>: later; "
		"from=<a@b.example> to=<b@c.example> proto=ESMTP helo=<h.example>\n"
		"NOQUEUE: reject: RCPT from unknown[192.0.2.1]: 550 5.7.1 <no>: no; "
		"from=<a@b.example> to=<b@c.example> proto=ESMTP helo=<h.example>\n");
	world.log[0] = '\0';
	session->sender = session->recipient = NULL;
	free(session->helo);
	session->helo = NULL;
	session->protocol = "SMTP";
	session_refuse(&reply, 554, "5.7.1", "<unknown[192.0.2.1]>: Client host rejected: Access denied");
	policy_log(session, "reject", "CONNECT", &reply);
	assert_string_equal(world.log, "NOQUEUE: reject: CONNECT from unknown[192.0.2.1]: 554 5.7.1 "
		"<unknown[192.0.2.1]>: Client host rejected: Access denied; proto=SMTP\n");
	world_end(session);
}

/* Codes and texts are mended: of the class of the verdict, one printable line. */
static void
test_replies(void **state)
{
	ph_session *session;
	ph_reply reply = {0};

	world_reset();
	session = session_at_rcpt("a@b.example", "b@c.example");
	session->verdict = &reply;
	assert_int_equal(ph_reject(session, 450, "4.7.1", "x"), PH_REJECT);
	assert_int_equal(reply.code, 554);
	assert_string_equal(reply.status, "5.7.1");
	assert_int_equal(ph_defer(session, 550, "5.1.8", "x"), PH_DEFER);
	assert_int_equal(reply.code, 450);
	assert_string_equal(reply.status, "4.1.8");
	assert_int_equal(ph_refuse(session, 550, "4.1.8", "a\r\nb\t\xc3\xb6"), PH_REJECT);
	assert_string_equal(reply.status, "5.1.8");
	assert_string_equal(reply.text, "a??b?" "??");
	assert_int_equal(ph_refuse(session, 450, "5.1.8", "x"), PH_DEFER);
	assert_string_equal(reply.status, "4.1.8");
	assert_int_equal(ph_reject(session, 550, "", "x"), PH_REJECT);
	assert_string_equal(reply.status, "5.7.1");
	session->verdict = NULL;
	assert_int_equal(ph_reject(session, 550, "5.7.1", "out of place"), PH_REJECT);
	world_end(session);
}

/* ---- Destinations ----------------------------------------------------------------------------- */

static void
test_destinations(void **state)
{
	static const struct {
		const char *address;
		ph_destination destination;
		bool postmaster;
	} cases[] = {
		{"u@here.example", PH_DESTINATION_FINAL, false},
		{"u@HERE.Example", PH_DESTINATION_FINAL, false},
		{"u", PH_DESTINATION_FINAL, false},
		{"u@relay.example", PH_DESTINATION_RELAY, false},
		{"u@far.example", PH_DESTINATION_FOREIGN, false},
		{"u@[192.0.2.9]", PH_DESTINATION_FOREIGN, false},
		{"u%far.example@here.example", PH_DESTINATION_FOREIGN, false},
		{"far.example!u@here.example", PH_DESTINATION_FOREIGN, false},
		{"far.example!u", PH_DESTINATION_FOREIGN, false},
		{"\"u@far.example\"@here.example", PH_DESTINATION_FOREIGN, false},
		{"\"u@far.example\"", PH_DESTINATION_FOREIGN, false},
		{"\"a b\"@here.example", PH_DESTINATION_FINAL, false},
		{"postmaster", PH_DESTINATION_FINAL, true},
		{"PostMaster", PH_DESTINATION_FINAL, true},
		{"Postmaster@here.example", PH_DESTINATION_FINAL, true},
		{"postmaster@relay.example", PH_DESTINATION_RELAY, false},
		{"postmaster@far.example", PH_DESTINATION_FOREIGN, false},
		{"postmaster%far.example@here.example", PH_DESTINATION_FOREIGN, false},
	};
	ph_session *session;

	world_reset();
	world.mydestination[0] = "here.example";
	world.relay_domains[0] = "relay.example";
	session = world_session("192.0.2.1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (ph_destination_of(session, cases[i].address) != cases[i].destination)
			fail_msg("%s", cases[i].address);
		if (destination_is_postmaster(session, cases[i].address) != cases[i].postmaster)
			fail_msg("%s", cases[i].address);
	}
	world.tables_fail = true;
	assert_int_equal(ph_destination_of(session, "u@here.example"), PH_DESTINATION_FAILED);
	assert_int_equal(ph_destination_of(session, "u"), PH_DESTINATION_FINAL);
	world_end(session);
}

/* ---- The transaction -------------------------------------------------------------------------- */

static void
test_postmaster(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.mydestination[0] = "here.example";
	world.policy.smtpd_client_restrictions = R(W("reject"));
	session = session_at_rcpt(NULL, NULL);
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "u@here.example", NULL, &reply), -1);
	assert_int_equal(ph_session_rcpt(session, "postmaster", NULL, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "POSTMASTER@here.example", NULL, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "postmaster@far.example", NULL, &reply), -1);
	world_end(session);
	assert_int_equal(world.aborted, 1);
}

#define REFUSED(call, expected) do { \
	assert_int_equal(call, -1); \
	assert_int_equal(reply.code, expected); \
} while (0)

static void
test_sequence(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_helo_required = true;
	world.settings.message_size_limit = 100;
	session = world_session("192.0.2.1");
	REFUSED(ph_session_mail(session, "a@b", NULL, 0, &reply), 503);
	assert_int_equal(ph_session_helo(session, "h.example", "ESMTP", &reply), 0);
	REFUSED(ph_session_rcpt(session, "c@d", NULL, &reply), 503);
	REFUSED(ph_session_data(session, &reply), 503);
	REFUSED(ph_session_mail(session, "a@b", NULL, 101, &reply), 552);
	assert_non_null(
		strstr(world.log, "fixed limit; from=<a@b> proto=ESMTP helo=<h.example>\n"));
	assert_false(ph_session_in_transaction(session));
	assert_int_equal(ph_session_mail(session, "a@b", NULL, 100, &reply), 0);
	REFUSED(ph_session_mail(session, "a@b", NULL, 0, &reply), 503);
	REFUSED(ph_session_data(session, &reply), 554);
	assert_int_equal(ph_session_rcpt(session, "c@d", NULL, &reply), 0);
	assert_int_equal(ph_recipient_count(session), 1);
	assert_non_null(strstr(world.log, "4FADF218FED8: client=unknown[192.0.2.1]\n"));
	assert_int_equal(ph_session_data(session, &reply), 0);
	ph_session_content(session, ph_span_of("Subject: x\r\n\r\nx\r\n"));
	ph_session_end_of_data(session, NULL, &reply);
	assert_int_equal(reply.code, 250);
	assert_string_equal(reply.text, "Ok: queued as 4FADF218FED8");
	assert_int_equal(world.committed, 1);
	assert_int_equal(world.intakes, 0);
	assert_false(ph_session_in_transaction(session));
	world_end(session);
}

static void
test_ends(void **state)
{
	static const ph_reply bare = {550, "5.5.2", "Error: bare <LF> received"};
	static const int codes[] = {552, 550, 451, 450};
	char large[200];
	ph_session *session;
	ph_reply reply;

	memset(large, 'x', sizeof(large));
	world_reset();
	world.settings.message_size_limit = 100;
	session = session_at_rcpt(NULL, NULL);
	for (int i = 0; i < 4; i++) {
		assert_int_equal(ph_session_mail(session, "a@b", NULL, 0, &reply), 0);
		assert_int_equal(ph_session_rcpt(session, "c@d", NULL, &reply), 0);
		if (i == 1)
			assert_int_equal(ph_session_rcpt(session, "e@d", NULL, &reply), 0);
		assert_int_equal(ph_session_data(session, &reply), 0);
		ph_session_content(session, (ph_span){large, i == 0 ? 101 : 10});
		world.result = i == 2 ? PH_INTAKE_REFUSED : PH_INTAKE_QUEUED;
		world.policy.smtpd_end_of_data_restrictions = i == 3 ? R(ASK(later)) : NULL;
		world.log[0] = '\0';
		ph_session_end_of_data(session, i == 1 ? &bare : NULL, &reply);
		assert_int_equal(reply.code, codes[i]);
		assert_non_null(strstr(world.log, "4FADF218FED8: reject: END-OF-MESSAGE from unknown[192.0.2.1]: "));
		/* the only recipient, of several none */
		assert_true(
			(strstr(world.log, "; from=<a@b> to=<c@d> proto=") != NULL) == (i != 1));
		assert_int_equal(world.intakes, 0);
	}
	assert_int_equal(world.committed, 0);
	assert_int_equal(world.aborted, 3);
	world_end(session);
}

static void
test_recipients(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_recipient_limit = 3;
	session = session_at_rcpt(NULL, NULL);
	assert_int_equal(ph_session_mail(session, "a@b", NULL, 0, &reply), 0);
	world.policy.smtpd_recipient_restrictions = R(ASK(no));
	REFUSED(ph_session_rcpt(session, "c@d", NULL, &reply), 550);
	REFUSED(ph_session_data(session, &reply), 554);
	world.policy.smtpd_recipient_restrictions = NULL;
	for (int i = 0; i < 3; i++)
		assert_int_equal(ph_session_rcpt(session, "c@d", NULL, &reply), 0);
	REFUSED(ph_session_rcpt(session, "c@d", NULL, &reply), 452);
	assert_string_equal(reply.status, "4.5.3");
	assert_int_equal(ph_recipient_count(session), 3);
	ph_session_reset(session);
	assert_int_equal(world.aborted, 1);
	world.intake_fails = true;
	assert_int_equal(ph_session_mail(session, "a@b", NULL, 0, &reply), 0);
	REFUSED(ph_session_rcpt(session, "c@d", NULL, &reply), 451);
	world_end(session);
}

static void
test_discard(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_sender_restrictions = R(ASK(drop), ASK(no));
	session = session_at_rcpt(NULL, NULL);
	assert_int_equal(ph_session_mail(session, "a@b", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d", NULL, &reply), 0);
	assert_in_range(world.discarded, 1, 9);
	world_end(session);
}

/* The name stays what it was when a new one is refused; a good one ends the transaction. */
static void
test_helo(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_delay_reject = false;
	session = world_session("192.0.2.1");
	assert_int_equal(ph_session_helo(session, "one.example", "SMTP", &reply), 0);
	assert_int_equal(ph_session_mail(session, "a@b", NULL, 0, &reply), 0);
	world.policy.smtpd_helo_restrictions = R(ASK(no_helo));
	assert_int_equal(ph_session_helo(session, "two.example", "ESMTP", &reply), -1);
	assert_string_equal(ph_helo(session), "one.example");
	assert_string_equal(ph_protocol(session), "SMTP");
	assert_true(ph_session_in_transaction(session));
	assert_non_null(strstr(world.log, "reject: EHLO from"));
	world.policy.smtpd_helo_restrictions = NULL;
	assert_int_equal(ph_session_helo(session, "two.example", "ESMTP", &reply), 0);
	assert_false(ph_session_in_transaction(session));
	assert_string_equal(ph_protocol(session), "ESMTP");
	ph_session_count(session, "helo", true);
	ph_session_count(session, "mail", true);
	ph_session_count(session, "mail", false);
	ph_session_count(session, "bogus", false);
	world_end(session);
	assert_non_null(strstr(world.log,
		"disconnect from unknown[192.0.2.1] helo=1 mail=1/2 unknown=0/1 commands=2/4\n"));
}

/* A class is a list within a list: what it says, its place says. */
static void
test_classes(void **state)
{
	const struct {
		const ph_rules *class;
		const char *asked;
		int code;
	} cases[] = {
		{R(ASK(dunno)), "dunno no ", 550},
		{R(ASK(ok), ASK(dunno)), "ok ", 0},
		{R(ASK(later), ASK(ok)), "later ", 450},
		{R(ASK(if_permit)), "if_permit no ", 550},
		{R(ASK(if_permit), ASK(ok)), "if_permit ok ", 451},
		{R(ASK(if_reject)), "if_reject no ", 452},
		{R(), "no ", 550},
		{R(W("warn_if_reject"), ASK(no)), "no no ", 550},
		{R({.name = "inner", .argument = "", .rules = R(ASK(dunno), ASK(ok))}), "dunno ok ", 0},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const ph_rule class = {.name = "class", .argument = "", .rules = cases[i].class};
		ph_reply reply = {0};
		ph_session *session;

		world_reset();
		world.policy.smtpd_recipient_restrictions = R(class, ASK(no));
		session = session_at_rcpt("a@b.example", "b@c.example");
		assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply),
			cases[i].code == 0 ? 0 : -1);
		assert_string_equal(asked, cases[i].asked);
		if (cases[i].code != 0)
			assert_int_equal(reply.code, cases[i].code);
		world_end(session);
	}
}

/* In front of a class the warning holds for all of it, and for nothing behind it. */
static void
test_warn_of_a_class(void **state)
{
	const ph_rule class = {.name = "class", .argument = "", .rules = R(ASK(no), ASK(later))};
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_recipient_restrictions = R(W("warn_if_reject"), class, ASK(silent));
	session = session_at_rcpt("a@b.example", "b@c.example");
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_string_equal(asked, "no later silent ");
	assert_non_null(strstr(world.log, "reject_warning: RCPT from unknown[192.0.2.1]: 550 5.7.1 <no>: no;"));
	assert_non_null(strstr(world.log, "reject_warning: RCPT from unknown[192.0.2.1]: 450 4.7.1 <later>"));
	world_end(session);
}

/* ---- What becomes of the message -------------------------------------------------------------- */

static ph_verdict
make_wishes(const ph_rule *rule, ph_session *session)
{
	assert_int_equal(ph_message_hold(session, "for a look"), 0);
	assert_int_equal(ph_message_filter(session, "smtp:[127.0.0.1]:10025"), 0);
	assert_int_equal(ph_message_redirect(session, "first@x.example"), 0);
	assert_int_equal(ph_message_redirect(session, "boss@x.example"), 0);
	assert_int_equal(ph_message_bcc(session, "one@x.example"), 0);
	assert_int_equal(ph_message_bcc(session, "two@x.example"), 0);
	assert_int_equal(ph_message_bcc(session, "one@x.example"), 0);
	assert_int_equal(ph_message_prepend(session, "X-Seen: yes"), 0);
	return PH_DUNNO;
}

FAKE(wishes, make_wishes, PH_STAGE_ANY);

/* They are collected for two recipients, done once, and end with the transaction. */
static void
test_wishes(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	session = world_session("192.0.2.1");
	world.policy.smtpd_recipient_restrictions = R(ASK(wishes));
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "e@d.example", NULL, &reply), 0);
	assert_int_equal(ph_session_data(session, &reply), 0);
	assert_string_equal(world.wishes, "");
	ph_session_end_of_data(session, NULL, &reply);
	assert_string_equal(world.wishes, "hold for a look\nfilter smtp:[127.0.0.1]:10025\n"
		"redirect boss@x.example\nbcc one@x.example\nbcc two@x.example\nprepend X-Seen: yes\n");
	world.wishes[0] = '\0';
	world.policy.smtpd_recipient_restrictions = NULL;
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), 0);
	assert_int_equal(ph_session_data(session, &reply), 0);
	ph_session_end_of_data(session, NULL, &reply);
	assert_string_equal(world.wishes, "");
	world_end(session);
}

/* Before MAIL there is no message: nothing is kept, and the log says so. */
static void
test_wishes_too_early(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_delay_reject = false;
	world.policy.smtpd_client_restrictions = R(ASK(wishes));
	session = world_session("192.0.2.1");
	assert_int_equal(ph_session_connect(session, &reply), 0);
	assert_null(session->wishes);
	assert_non_null(strstr(world.log, "HOLD is left out: there is no message yet at CONNECT"));
	world_end(session);
}

/* ---- VRFY and ETRN ---------------------------------------------------------------------------- */

static void
test_vrfy_and_etrn(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.relay_domains[0] = "relay.example";
	world.policy.smtpd_client_restrictions = R(ASK(dunno));
	world.policy.smtpd_sender_restrictions = R(ASK(ok)); /* of nobody */
	world.policy.smtpd_recipient_restrictions = R(ASK(no_recipient));
	session = world_session("192.0.2.1");
	asked[0] = '\0';
	assert_int_equal(ph_session_vrfy(session, "u@d.example", &reply), -1);
	assert_string_equal(asked, "dunno no_recipient ");
	assert_non_null(strstr(world.log, "reject: VRFY from unknown[192.0.2.1]: 550 5.7.1 "
		"<no_recipient>: no; to=<u@d.example> proto=SMTP"));
	assert_string_equal(ph_recipient(session), "");

	asked[0] = '\0';
	assert_int_equal(ph_session_etrn(session, "relay.example", &reply), 0);
	assert_string_equal(asked, "dunno ");
	assert_int_equal(reply.code, 250);
	assert_string_equal(world.swept, "relay.example");
	assert_int_equal(ph_session_etrn(session, "far.example", &reply), -1);
	assert_int_equal(reply.code, 459);
	assert_non_null(strstr(world.log, "reject: ETRN far.example... from unknown[192.0.2.1]\n"));
	world.queue_is_away = true;
	assert_int_equal(ph_session_etrn(session, "relay.example", &reply), -1);
	assert_int_equal(reply.code, 458);
	world.tables_fail = true;
	assert_int_equal(ph_session_etrn(session, "relay.example", &reply), -1);
	assert_int_equal(reply.code, 458);
	world.policy.smtpd_etrn_restrictions = R(W("reject"));
	assert_int_equal(ph_session_etrn(session, "relay.example", &reply), -1);
	assert_string_equal(reply.text, "<relay.example>: Etrn command rejected: Access denied");
	world_end(session);
}

/* ---- The trail -------------------------------------------------------------------------------- */

static char trail_text[2048];

PH_PRINTF(1, 2)
static void
heard(const char *format, ...)
{
	size_t size = strlen(trail_text);
	va_list args;

	va_start(args, format);
	vsnprintf(trail_text + size, sizeof(trail_text) - size, format, args);
	va_end(args);
}

static void
hear_client(void *context, const ph_session *session)
{
	heard("client %s\n", session->client_text);
}

static void
hear_list(void *context, const char *name, const struct ph_rules *rules)
{
	if (rules->count > 0)
		heard("%s\n", name);
}

static void
hear_rule(void *context, const struct ph_rule *rule, unsigned depth, bool skipped, bool warn)
{
	heard("%u %s%s%s\n", depth, rule->name, skipped ? " skipped" : "", warn ? " warn" : "");
}

static void
hear_wish(void *context, const char *what, const char *text, unsigned depth)
{
	heard("%u wish %s %s\n", depth, what, text);
}

static void
hear_note(void *context, const char *text, unsigned depth)
{
	heard("%u note %s\n", depth, text);
}

static void
hear_verdict(void *context, const struct ph_rule *rule, ph_verdict verdict, const ph_reply *reply,
	bool warned, unsigned depth)
{
	heard("%u %s says %d %d%s\n", depth, rule->name, verdict, reply->code, warned ? " warned" : "");
}

static void
hear_outcome(void *context, const char *command, int result, const ph_reply *reply)
{
	heard("%s %d\n", command, result);
}

static ph_verdict
look_up(const ph_rule *rule, ph_session *session)
{
	ph_dns_lookup(session, PH_DNS_MX, "mx.example");
	ph_explain(session, "free words");
	return PH_DUNNO;
}

FAKE(looks, look_up, PH_STAGE_ANY);

static void
test_trail(void **state)
{
	static const struct world_record dns[] = {{PH_DNS_MX, "mx.example", PH_DNS_FOUND, {"mx1.example"}}};
	const struct trail trail = {.client = hear_client, .list = hear_list, .rule = hear_rule,
		.note = hear_note, .wish = hear_wish, .verdict = hear_verdict, .outcome = hear_outcome};
	const ph_rule class = {.name = "class", .argument = "", .rules = R(ASK(looks))};
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.dns = dns;
	world.dns_count = 1;
	world.policy.smtpd_sender_restrictions = R(ASK(no_sender));
	world.policy.smtpd_recipient_restrictions = R(class, W("warn_if_reject"), ASK(no), ASK(wishes),
		ASK(later));
	session = session_at_rcpt("", "b@c.example");
	assert_false(ph_explaining(session));
	session->trail = &trail;
	trail_text[0] = '\0';
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_string_equal(trail_text,
		"smtpd_sender_restrictions\n1 no_sender skipped\n"
		"smtpd_recipient_restrictions\n1 class\n2 looks\n"
		"2 note DNS MX mx.example: 10 mx1.example\n2 note free words\n2 looks says 0 0\n"
		"1 no warn\n1 no says 2 550 warned\n1 wishes\n1 wish HOLD for a look\n"
		"1 wish FILTER smtp:[127.0.0.1]:10025\n1 wish REDIRECT first@x.example\n"
		"1 wish REDIRECT boss@x.example\n1 wish BCC one@x.example\n1 wish BCC two@x.example\n"
		"1 wish BCC one@x.example\n1 wish PREPEND X-Seen: yes\n1 wishes says 0 0\n1 later\n"
		"1 later says 3 450\nRCPT -1\n");
	world_end(session);
}

static ph_verdict
look_up_and_refuse(const ph_rule *rule, ph_session *session)
{
	ph_dns_lookup(session, PH_DNS_MX, "mx.example");
	return say_reject(rule, session);
}

FAKE(no_mx, look_up_and_refuse, PH_STAGE_ANY);
FAKE(server, say_reject, PH_STAGE_ANY | PH_ASKS_OTHERS);

/* A session that is alone: those who would ask others have no opinion; others have theirs. */
static void
test_alone(void **state)
{
	const ph_rule class = {.name = "class", .argument = "", .rules = R(ASK(no_mx), ASK(dunno))};
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_recipient_restrictions = R(ASK(server), ASK(no_mx), class, ASK(ok));
	session = session_at_rcpt("a@b.example", "b@c.example");
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_string_equal(asked, "server ");
	asked[0] = '\0';
	session->alone = true;
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), 0);
	assert_string_equal(asked, "no_mx no_mx dunno ok ");
	world.policy.smtpd_recipient_restrictions = R(ASK(no_mx), ASK(no));
	assert_int_equal(policy_check(session, POLICY_RCPT, "RCPT", &reply), -1);
	assert_int_equal(reply.code, 550);
	world_end(session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_list),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_carried),
		cmocka_unit_test(test_relay_order),
		cmocka_unit_test(test_if_reject_is_of_the_list),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_destinations),
		cmocka_unit_test(test_postmaster),
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_helo),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_warn_of_a_class),
		cmocka_unit_test(test_wishes),
		cmocka_unit_test(test_wishes_too_early),
		cmocka_unit_test(test_vrfy_and_etrn),
		cmocka_unit_test(test_trail),
		cmocka_unit_test(test_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
