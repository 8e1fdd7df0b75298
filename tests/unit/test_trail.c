/* The trail in the log (smtpd_explain_clients), and sessions that are only rehearsed. */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session/policy.h"
#include "session/trail.h"
#include "session/trail_log.h"
#include "session_world.h"

#define R WORLD_RULES
#define W WORLD_WORD

/* ---- Restrictions ----------------------------------------------------------------------------- */

static ph_verdict
say_dunno(const ph_rule *rule, ph_session *session)
{
	ph_dns_lookup(session, PH_DNS_A, "bl.example");
	return PH_DUNNO;
}

static ph_verdict
say_reject(const ph_rule *rule, ph_session *session)
{
	return ph_reject(session, 550, "5.7.1", "<%s>: no", ph_rule_argument(rule));
}

static ph_verdict
say_if_reject(const ph_rule *rule, ph_session *session)
{
	return ph_defer_if_reject(session, 450, "4.7.1", "unsure");
}

static ph_verdict
say_hold(const ph_rule *rule, ph_session *session)
{
	assert_int_equal(ph_message_hold(session, "for a look"), 0);
	return PH_DUNNO;
}

static ph_verdict
say_strict(const ph_rule *rule, ph_session *session)
{
	const struct ph_subject subject = {.size = sizeof(subject)};

	return ph_apply_result(session, "strict", &subject);
}

#define RESTRICTION(id, fn, st) \
	static const struct ph_restriction id = {.name = #id, .stage = (st), .check = (fn), .doc = ""}

RESTRICTION(dunno, say_dunno, PH_STAGE_ANY);
RESTRICTION(no, say_reject, PH_STAGE_ANY);
RESTRICTION(unsure, say_if_reject, PH_STAGE_ANY);
RESTRICTION(hold, say_hold, PH_STAGE_ANY);
RESTRICTION(table, say_strict, PH_STAGE_ANY);
RESTRICTION(of_sender, say_reject, PH_STAGE_SENDER);
RESTRICTION(of_helo, say_reject, PH_STAGE_HELO);

#define ASK(id, words, number) \
	{.name = #id, .argument = (words), .restriction = &(id), .file = (number) ? "/etc/x.conf" : NULL, \
		.line = (number)}

/* A client whose sessions are explained, in a transaction. */
static ph_session *
explained_session(void)
{
	ph_session *session;

	world.explained[0] = "192.0.2.1";
	session = world_session("192.0.2.1");
	trail_log_begin(session);
	assert_true(ph_explaining(session));
	return session;
}

static void
assert_logged(const char *line)
{
	char whole[1200];

	snprintf(whole, sizeof(whole), "explain: %s\n", line);
	if (strstr(world.log, whole) == NULL)
		fail_msg("no line \"%s\" in:\n%s", line, world.log);
}

/* ---- The log ---------------------------------------------------------------------------------- */

static void
test_lines(void **state)
{
	const ph_rule strict = {.name = "strict", .argument = "", .rules = R(ASK(no, "inner", 7)),
		.file = "/etc/x.conf", .line = 4};
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.policy.smtpd_helo_restrictions = R(ASK(of_helo, "", 1));
	world.policy.smtpd_sender_restrictions = R(W("permit"), ASK(no, "", 0));
	world.policy.smtpd_relay_restrictions = R(ASK(dunno, "", 2), W("warn_if_reject"), ASK(no, "", 3));
	world.policy.smtpd_recipient_restrictions = R(ASK(hold, "", 5), strict);
	session = explained_session();
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), -1);
	assert_logged("MAIL: accepted");
	assert_null(strstr(world.log, "smtpd_client_restrictions")); /* there are none */
	assert_logged("RCPT smtpd_helo_restrictions: of_helo (/etc/x.conf:1): not asked, the client did not "
		"say HELO");
	assert_logged("RCPT smtpd_sender_restrictions: permit: permit");
	assert_logged("RCPT smtpd_relay_restrictions: dunno: DNS A bl.example: no such name");
	assert_logged("RCPT smtpd_relay_restrictions: dunno (/etc/x.conf:2): no opinion");
	assert_logged("RCPT smtpd_relay_restrictions: no (/etc/x.conf:3): only logged (warn_if_reject): "
		"reject 550 5.7.1 <>: no");
	assert_logged("RCPT smtpd_recipient_restrictions: for the message: HOLD for a look");
	assert_logged("RCPT smtpd_recipient_restrictions: strict (/etc/x.conf:4): its restrictions are asked");
	assert_logged("RCPT smtpd_recipient_restrictions > strict: no inner (/etc/x.conf:7): "
		"reject 550 5.7.1 <inner>: no");
	assert_logged("RCPT: refused, 550 5.7.1 <inner>: no");
	world_end(session);
}

/* What a table answers lies in the table's restriction; reservations say when they apply. */
static void
test_answers_and_reservations(void **state)
{
	const ph_rules *answer = R(ASK(unsure, "", 0), ASK(of_sender, "x", 0));
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.answer = answer;
	world.policy.smtpd_recipient_restrictions = R(ASK(table, "", 9));
	session = explained_session();
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), -1);
	assert_int_equal(reply.code, 450);
	assert_logged("RCPT smtpd_recipient_restrictions > table: unsure: defer_if_reject 450 4.7.1 unsure");
	assert_logged("RCPT smtpd_recipient_restrictions > table: of_sender x: reject 550 5.7.1 <x>: no");
	assert_logged("RCPT smtpd_recipient_restrictions > table: of_sender: it is refused, so what "
		"defer_if_reject has kept applies");
	assert_logged("RCPT: refused, 450 4.7.1 unsure");

	/* The same, permitted. */
	world.log[0] = '\0';
	world.policy.smtpd_recipient_restrictions = R(W("defer_if_permit"), W("permit"));
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), -1);
	assert_logged("RCPT smtpd_recipient_restrictions: defer_if_permit: defer_if_permit 450 4.7.0 "
		"<c@d.example>: Recipient address rejected: defer_if_permit requested");
	assert_logged("RCPT: no list refused it: what defer_if_permit has kept applies");
	world_end(session);
}

/* However long a client's words and the classes are, a line is not. */
static void
test_length(void **state)
{
	static char word[2000];
	ph_rule classes[20];
	ph_rules lists[20];
	ph_session *session;
	ph_reply reply;

	memset(word, 'w', sizeof(word) - 1);
	world_reset();
	for (size_t i = 0; i < 19; i++) {
		lists[i] = (ph_rules){1, &classes[i + 1]};
		classes[i] = (ph_rule){.name = word, .argument = word, .rules = &lists[i], .file = word};
	}
	classes[19] = (ph_rule){.name = word, .argument = word, .restriction = &no, .file = word, .line = 3};
	world.policy.smtpd_relay_restrictions = &(const ph_rules){1, classes};
	session = explained_session();
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), -1);
	for (const char *line = world.log; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strncmp(line, "explain: ", 9) == 0)
			assert_in_range(strcspn(line, "\n"), 10, 800);
	assert_non_null(strstr(world.log, "> wwww"));
	world_end(session);
}

static void
test_others(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.explained[0] = "192.0.2.1";
	world.policy.smtpd_relay_restrictions = R(ASK(no, "", 0));
	session = world_session("192.0.2.2");
	trail_log_begin(session);
	assert_false(ph_explaining(session));
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), -1);
	assert_null(strstr(world.log, "explain:"));
	world_end(session);
}

/* ---- Who the client is ------------------------------------------------------------------------ */

static void
test_client(void **state)
{
	const struct {
		bool lookup;
		ph_found reverse, forward;
		const char *name, *text;
	} cases[] = {
		{false, PH_NOT_FOUND, PH_NOT_FOUND, NULL,
			"unknown (not looked up: smtpd_peername_lookup = no)"},
		{true, PH_NOT_FOUND, PH_NOT_FOUND, NULL, "unknown (192.0.2.1 has no name in the DNS)"},
		{true, PH_FAILED, PH_FAILED, NULL,
			"unknown (the lookup of the name of 192.0.2.1 failed for now)"},
		{true, PH_FOUND, PH_FAILED, "m.example",
			"unknown (192.0.2.1 says it is m.example; the lookup of that name failed for now)"},
		{true, PH_FOUND, PH_NOT_FOUND, "m.example",
			"unknown (192.0.2.1 says it is m.example, which does not have that address)"},
		{true, PH_FOUND, PH_FOUND, "m.example", "m.example"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ph_session *session;
		char text[300];

		world_reset();
		world.policy.smtpd_peername_lookup = cases[i].lookup;
		session = world_session("192.0.2.1");
		session->reverse_status = cases[i].reverse;
		session->client_status = cases[i].forward;
		session->reverse_name = cases[i].name != NULL ? strdup(cases[i].name) : NULL;
		if (cases[i].forward == PH_FOUND)
			session->client_name = strdup(cases[i].name);
		trail_client_text(session, text, sizeof(text));
		assert_string_equal(text, cases[i].text);
		world_end(session);
	}
}

/* ---- A rehearsal ------------------------------------------------------------------------------ */

/* It goes all the way, with the same replies, and no message comes into being. */
static void
test_rehearsal(void **state)
{
	ph_session *session;
	ph_reply reply;

	world_reset();
	world.settings.queue_directory = "/";
	world.settings.message_size_limit = 5000;
	world.policy.smtpd_recipient_restrictions = R(ASK(hold, "", 0), {.name = "sleep", .argument = "100",
		.number = 100});
	world.policy.smtpd_end_of_data_restrictions = R(ASK(no, "end", 0));
	session = world_session("192.0.2.1");
	session->rehearsal = true;
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 5001, &reply), -1);
	assert_int_equal(reply.code, 552);
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 4000, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), 0);
	assert_int_equal(ph_session_data(session, &reply), 0);
	ph_session_content(session, ph_span_of("x\r\n"));
	assert_int_equal(ph_message_size(session), 4000);
	ph_session_end_of_data(session, NULL, &reply);
	assert_int_equal(reply.code, 550);
	world.policy.smtpd_end_of_data_restrictions = NULL;
	assert_int_equal(ph_session_mail(session, "a@b.example", NULL, 0, &reply), 0);
	assert_int_equal(ph_session_rcpt(session, "c@d.example", NULL, &reply), 0);
	assert_int_equal(ph_session_data(session, &reply), 0);
	ph_session_end_of_data(session, NULL, &reply);
	assert_int_equal(reply.code, 250);
	assert_string_equal(reply.text, "Ok: queued as (nothing is: a rehearsal)");
	assert_int_equal(world.intakes + world.committed + world.aborted, 0);
	assert_string_equal(world.wishes, "");
	world_end(session);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_answers_and_reservations),
		cmocka_unit_test(test_length),
		cmocka_unit_test(test_others),
		cmocka_unit_test(test_client),
		cmocka_unit_test(test_rehearsal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
