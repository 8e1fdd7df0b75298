/* What posthouse check finds in lists of restrictions. */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "cli/check.h"
#include "session/result.h"

static const struct ph_restriction helo = {.name = "reject_invalid_helo_hostname", .stage = PH_STAGE_HELO};
static const struct ph_restriction sender = {.name = "reject_non_fqdn_sender", .stage = PH_STAGE_SENDER};
static const struct ph_restriction networks = {.name = "permit_mynetworks", .stage = PH_STAGE_ANY};
static const struct ph_restriction inward = {.name = "permit_auth_destination",
	.stage = PH_STAGE_RECIPIENT};
static const struct ph_restriction outward = {.name = "reject_unauth_destination",
	.stage = PH_STAGE_RECIPIENT | PH_REFUSES_STRANGERS};
static const struct ph_restriction table = {.name = "check_recipient_access",
	.stage = PH_STAGE_RECIPIENT, .argument = PH_ARGUMENT_MAP};

#define WORD(text, at) {.name = (text), .argument = "", .file = "c", .line = (at)}
#define RULE(of, at) {.name = (of).name, .argument = "", .restriction = &(of), .file = "c", .line = (at)}
#define TABLE(text, at) \
	{.name = table.name, .argument = (text), .restriction = &table, .file = "c", .line = (at)}
#define CLASS(text, list, at) \
	{.name = (text), .argument = "", .rules = (list), .file = "c", .line = (at)}
#define RULES(...) \
	&(const ph_rules){sizeof((const ph_rule[]){__VA_ARGS__}) / sizeof(ph_rule), \
		(const ph_rule[]){__VA_ARGS__}}

static void
collect(void *context, bool warning, const char *line)
{
	char *text = context;

	assert_true(warning);
	strcat(strcat(text, line), "\n");
}

static const char *
found(struct problems *problems)
{
	static char text[2000];

	text[0] = '\0';
	problems_each(problems, collect, text);
	problems_free(problems);
	return text;
}

/* ---- Rules that are never asked --------------------------------------------------------------- */

static const char *
reach(const char *name, const ph_rules *rules)
{
	struct problems *problems = problems_new();

	check_reach_list(&(struct policy_list){.name = name, .rules = rules}, problems);
	return found(problems);
}

#define RELAY "smtpd_relay_restrictions"

static void
test_reach_words(void **state)
{
	assert_string_equal(reach(RELAY, RULES(RULE(networks, 1), WORD("reject", 2))), "");
	assert_string_equal(reach(RELAY, RULES(WORD("permit", 1))), "");
	assert_string_equal(reach(RELAY, RULES(WORD("reject", 1), WORD("warn_if_reject", 2), RULE(helo, 2))),
		"c:2: warning: " RELAY ": reject_invalid_helo_hostname is never asked: reject (line 1) has "
		"always decided before; put it in front of that, or delete it\n");
	assert_string_equal(reach(RELAY, RULES(RULE(networks, 1), WORD("permit", 2), RULE(helo, 3),
		RULE(sender, 4))),
		"c:3: warning: " RELAY ": reject_invalid_helo_hostname (and 1 more behind it) is never asked: "
		"permit (line 2) has always decided before; put it in front of that, or delete it\n");
	/* What only warns decides nothing, unless it permits. */
	assert_string_equal(reach(RELAY, RULES(WORD("warn_if_reject", 1), WORD("reject", 1),
		RULE(helo, 2))), "");
	assert_non_null(strstr(reach(RELAY, RULES(WORD("warn_if_reject", 1), WORD("permit", 1),
		RULE(helo, 2))), "c:2: warning"));
	assert_string_equal(reach(RELAY, RULES(RULE(helo, 1), WORD("warn_if_reject", 2))),
		"c:2: warning: " RELAY ": warn_if_reject does nothing, as no restriction stands behind it; "
		"delete it, or put it in front of one\n");
}

static void
test_reach_classes(void **state)
{
	const ph_rules *closed = RULES(RULE(networks, 1), WORD("reject", 2));

	assert_string_equal(reach(RELAY, RULES(RULE(sender, 4), CLASS("closed", closed, 5), RULE(helo, 6))),
		"c:6: warning: " RELAY ": reject_invalid_helo_hostname is never asked: reject (line 2) has "
		"always decided before; put it in front of that, or delete it\n");
	assert_string_equal(reach(RELAY, RULES(WORD("warn_if_reject", 5), CLASS("closed", closed, 5),
		RULE(helo, 6))), "");
	assert_non_null(strstr(reach(RELAY, RULES(CLASS("open", RULES(RULE(networks, 1)), 5),
		RULE(networks, 6))), "c:6: warning: " RELAY ": permit_mynetworks was asked before (line 1), "));
}

static void
test_reach_pairs(void **state)
{
	assert_string_equal(reach(RELAY, RULES(RULE(inward, 1), RULE(outward, 2))), "");
	assert_non_null(strstr(reach(RELAY, RULES(RULE(inward, 1), RULE(outward, 2), RULE(helo, 3))),
		"c:3: warning: " RELAY ": reject_invalid_helo_hostname is never asked: "
		"reject_unauth_destination (line 2) "));
	assert_non_null(strstr(reach(RELAY, RULES(RULE(outward, 1), RULE(inward, 2), RULE(helo, 3))),
		"permit_auth_destination (line 2) "));
	/* Where there may be no recipient they leave something open. */
	assert_string_equal(reach("smtpd_client_restrictions", RULES(RULE(inward, 1), RULE(outward, 2),
		RULE(helo, 3))), "");
}

static void
test_reach_tables(void **state)
{
	assert_non_null(strstr(reach(RELAY, RULES(TABLE("static:OK", 1), RULE(outward, 2))),
		"c:2: warning: " RELAY ": reject_unauth_destination is never asked: check_recipient_access "
		"static:OK (line 1) "));
	assert_non_null(strstr(reach(RELAY, RULES(TABLE("static:{ 550 5.1.1 No }", 1), RULE(outward, 2))),
		"is never asked"));
	assert_string_equal(reach(RELAY, RULES(TABLE("static:DUNNO", 1), RULE(outward, 2))), "");
	assert_string_equal(reach(RELAY, RULES(TABLE("static:some_class", 1), RULE(outward, 2))), "");
	assert_string_equal(reach(RELAY, RULES(TABLE("hash:/x", 1), TABLE("hash:/y", 2))), "");
	assert_string_equal(reach(RELAY, RULES(TABLE("hash:/x", 1), RULE(helo, 2), TABLE("hash:/x", 3))),
		"c:3: warning: " RELAY ": check_recipient_access hash:/x was asked before (line 1), and what "
		"it left open there it leaves open here; delete it\n");
	assert_string_equal(reach(RELAY, RULES(WORD("warn_if_reject", 1), TABLE("hash:/x", 1),
		TABLE("hash:/x", 3))), "");
}

/* ---- Rules that can say nothing --------------------------------------------------------------- */

static const char *
places(const char *name, bool delayed, bool helo_required, const ph_rules *rules)
{
	const struct policy_settings policy = {.smtpd_delay_reject = delayed,
		.smtpd_helo_required = helo_required};
	const struct instance listener = {.policy = &policy};
	struct problems *problems = problems_new();

	check_places_list(&(struct policy_list){.name = name, .rules = rules, .listener = &listener},
		problems);
	return found(problems);
}

static void
test_places(void **state)
{
	const ph_rules *recipient = RULES(RULE(networks, 1), RULE(outward, 2));

	assert_string_equal(places("smtpd_client_restrictions", true, true, recipient), "");
	assert_string_equal(places("smtpd_client_restrictions", false, true, recipient),
		"c:2: warning: smtpd_client_restrictions: reject_unauth_destination judges a recipient, and "
		"this list is asked when a client connects, when there is none: it never says anything; put it "
		"into smtpd_recipient_restrictions, or set smtpd_delay_reject = yes\n");
	assert_string_equal(places("smtpd_data_restrictions", true, true,
		RULES(CLASS("inner", recipient, 9))),
		"c:2: warning: smtpd_data_restrictions: reject_unauth_destination judges a recipient, and "
		"this list is asked at DATA, when there is none: it never says anything; put it into "
		"smtpd_recipient_restrictions\n");
	assert_string_equal(places("smtpd_sender_restrictions", false, true, RULES(RULE(sender, 1))), "");
	assert_non_null(strstr(places("smtpd_helo_restrictions", false, true, RULES(RULE(sender, 1))),
		"judges the sender, and this list is asked at HELO, "));
	assert_non_null(strstr(places("smtpd_etrn_restrictions", true, true, RULES(RULE(sender, 1))),
		"is asked at ETRN, "));
	assert_string_equal(places("some_class", true, true, recipient), "");
}

static void
test_helo(void **state)
{
	const ph_rules *rules = RULES(RULE(networks, 1), RULE(helo, 2), RULE(helo, 3));

	assert_string_equal(places("smtpd_helo_restrictions", true, true, rules), "");
	assert_string_equal(places("smtpd_helo_restrictions", true, false, rules),
		"c:2: warning: smtpd_helo_restrictions: reject_invalid_helo_hostname is evaded by a client "
		"that says neither HELO nor EHLO, as smtpd_helo_required is no; set smtpd_helo_required = "
		"yes\n");
	assert_string_equal(places("smtpd_helo_restrictions", true, false, RULES(RULE(networks, 1))), "");
}

/* ---- Results of tables ------------------------------------------------------------------------ */

static void
test_results(void **state)
{
	static const struct {
		const char *text;
		enum result_kind kind;
	} cases[] = {
		{"OK", RESULT_PERMITS}, {" ok some text", RESULT_PERMITS}, {"1", RESULT_PERMITS},
		{"1234567890", RESULT_PERMITS}, {"REJECT", RESULT_REFUSES}, {"554 no", RESULT_REFUSES},
		{"450", RESULT_REFUSES}, {"defer not now", RESULT_REFUSES}, {"DUNNO", RESULT_GOES_ON},
		{"HOLD", RESULT_GOES_ON}, {"PREPEND X: y", RESULT_GOES_ON}, {"DISCARD", RESULT_DISCARDS},
		{"permit_mynetworks, reject", RESULT_NAMES}, {"250 text", RESULT_NAMES}, {"", RESULT_NAMES},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(result_kind(ph_span_of(cases[i].text)), cases[i].kind);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reach_words), cmocka_unit_test(test_reach_classes),
		cmocka_unit_test(test_reach_pairs), cmocka_unit_test(test_reach_tables),
		cmocka_unit_test(test_places), cmocka_unit_test(test_helo), cmocka_unit_test(test_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
